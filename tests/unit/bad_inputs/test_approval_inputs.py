"""Requests, answers, records and checkpoints that prove nothing: refused with a code, or named by `perfproof verify`.

Answers are the business of tests/unit/perfproof/approvals/test_answers_of_every_kind.py; the table below says which of its cases
is which of the list, and only what is missing there follows here.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modules import load

from perfproof.approvals import Granted, Refused, Rejected, read_request
from perfproof.approvals.act_keys import read_act_keys
from perfproof.approvals.keys import read_ring
from perfproof.errors import ApprovalError, EvidenceError, PerfproofError, Tampered
from perfproof.evidence.checkpoints import read_checkpoint
from perfproof.evidence.envelope import seal
from perfproof.evidence.trust import read_trust_root
from perfproof.gates import Outcome

TESTS = Path(__file__).resolve().parents[2]

ANSWERS: Any = load("answers_of_every_kind", TESTS / "unit" / "perfproof" / "approvals" / "test_answers_of_every_kind.py")
GATES: Any = load("gates_by_hand", TESTS / "unit" / "perfproof" / "gates" / "conftest.py")
CYCLES: Any = load("complete_cycle", TESTS / "faults" / "complete_cycle.py")

# The case as the list words it, the case there, and its outcome.
ELSEWHERE = [
    ("other run/step", "an act of another run", "APR-404"),
    ("other run/step", "an act of another request", "APR-404"),
    ("unknown role, misspelt role", "a role that is not asked", "APR-404"),
    ("right person wrong role", "a person of another role", "APR-403"),
    ("person not in roles.yaml", "a person without the role", "APR-403"),
    ("alias of operator", "a forbidden person", "APR-405"),
    ("alias of operator", "who calls himself like a person of the role", "APR-403"),
    ("same person for two roles", "two roles, one person", "APR-406"),
    ("status `pending`", "form: pending", "APR-411"),
    ("status `Approve `", "form: `Approve `", "APR-411"),
    ("status `APPROVED!`", "form: `APPROVED!`", "APR-411"),
    ("status list", "form: a list", "APR-401"),
    ("status missing", "form: nothing", "APR-411"),
    ("signature missing", "an act without its signature", "APR-401"),
    ("signature by other key", "another key under the id of ours", "APR-402"),
    ("signature over other bytes", "an edited act: another person", "APR-402"),
    ("key expired", "a retired key, too late", "APR-402"),
    ("key unknown", "an unknown key", "APR-402"),
    ("file > 64 KiB", "an act of more than 64 KiB", "APR-401"),
    ("half-written", "half an act", "APR-401"),
    ("second different answer", "a second decision that contradicts the first", "APR-409"),
    ("comment missing where required", "gate: waiver without reasons", "APR-410"),
]


@pytest.mark.parametrize(("case", "there", "outcome"), ELSEWHERE, ids=[f"{case}: {there}" for case, there, _ in ELSEWHERE])
def test_the_case_is_tested_there_with_this_outcome(case: str, there: str, outcome: str) -> None:
    """So that a case that is renamed or dropped there is missed here."""
    assert case
    assert (there, outcome) in [(name, expected) for name, _, expected in ANSWERS.CASES]


NOT_APPLICABLE = {
    "disabled person": "who is disabled cannot log in to Airflow, and who left is taken out of the protocol file; there is no third state",
    "alias table": "people are named by the id that Airflow authenticates; id and name of the requester are compared without case",
    "file not owner": "approval files are views: what counts is the log's entry, and a file with other bytes than it commits is named",
    "key revoked, of acts": "a retired key that should not count any more is taken out of the ring: an unknown key, APR-402",
    "two signatures same key, of acts": "an act has one field for its signature; of equal keys in its text none is taken, APR-401",
}


def test_what_does_not_apply_says_why() -> None:
    """Each exception has its reason."""
    assert all(len(reason) > 40 for reason in NOT_APPLICABLE.values())


# Requests: the configuration of a run of performance_approvals, which anybody who may trigger DAGs can write.


def conf(**changes: Any) -> dict[str, Any]:
    """The configuration of a good request with other values; `...` leaves one out."""
    document = {**copy.deepcopy(ANSWERS.REQUEST.conf()), **changes}
    return {key: value for key, value in document.items() if value is not ...}


UNKNOWN_TO_A_ROLE = {"role": "security", "label": "Security", "people": [{"id": "eve", "name": "Eve"}]}
REQUESTS: list[tuple[str, Any, str, str]] = [
    ("unknown request id", conf(request_id="run-0123456789abcdef__plan__-1__r0a9"), "APR-422", "does not belong to this step"),
    ("request id as a list", conf(request_id=["a"]), "APR-123", "expected text"),
    ("other run", conf(run="run-fedcba9876543210"), "APR-422", "does not belong to this step"),
    ("other step", conf(step="handoff"), "APR-422", "does not belong to this step"),
    ("other round", conf(round=1), "APR-422", "does not belong to this step"),
    ("unknown role", conf(asked=["security"]), "APR-421", "['security']"),
    ("misspelt role", conf(asked=["product_ownr"]), "APR-421", "['product_ownr']"),
    ("no role", conf(asked=[]), "APR-421", "roles with people"),
    ("no options", conf(options=[]), "APR-421", "options"),
    ("status `Approve ` as an option", conf(options=["approve ", "reject"]), "APR-122", "approve "),
    ("name without id", conf(roles=[{**UNKNOWN_TO_A_ROLE, "people": [{"name": "Eve"}]}]), "APR-121", "'id' is missing"),
    ("unknown field", conf(approved=True), "APR-120", "approved"),
    ("missing field", conf(expires_at=...), "APR-121", "'expires_at' is missing"),
    ("version as text", conf(version="1"), "APR-123", "the text 1"),
    ("later version", conf(version=2), "APR-421", "got 2"),
    ("naive expiry", conf(expires_at="2026-12-08T10:00:00"), "ART-132", "not a moment"),
    ("what is shown holds NaN", conf(shown={"x": float("nan")}), "APR-421", "no digest can be made of"),
    ("what is shown holds 2^60", conf(shown={"x": 2**60}), "APR-421", "no digest can be made of"),
    ("what is shown holds half a character", conf(shown={"x": "\ud800"}), "APR-421", "no digest can be made of"),
    ("text", json.dumps(conf()), "APR-123", "a mapping"),
    ("null", None, "APR-123", "a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "code", "words"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS])
def test_a_request_that_the_protocol_run_did_not_write_asks_nobody(
    document: Any, code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: Callable[..., None]
) -> None:
    """One line; nothing written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PerfproofError) as caught:
        read_request(document, where="request")
    check(caught.value, code=code, words=words)
    assert list(tmp_path.iterdir()) == []


# The SLO record: what it says of approvals is compared with the records.


def sign_offs(**changes: Any) -> Callable[[Any], Any]:
    """Gate 4 on an SLO record whose first approver is shown otherwise; `...` leaves a field out."""

    def run(cycle: Any) -> Any:
        approver = cycle.slo_record["updates"][0]["approvers"][0]
        for key, value in changes.items():
            if value is ...:
                del approver[key]
            else:
                approver[key] = value
        return cycle.gate_4()

    return run


def without_a_role(cycle: Any) -> Any:
    """`approval_percentage` 100 in the record, and one of the two records of approval not there."""
    cycle.slo_record["approval_percentage"] = 100
    del cycle.slo_record["updates"][0]["approvers"][1]
    cycle.approvals = cycle.approvals[:1]
    return cycle.gate_4()


RECORDS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("approval_percentage 100 with a missing role", without_a_role, "approval_percentage declares 100, the evidence gives 50"),
    ("approval_percentage 100 with a missing role: whose", without_a_role, "no approval of the SRE Lead"),
    ("status `pending`", sign_offs(approval_status="pending"), "approval is pending"),
    ("status `Approve `", sign_offs(approval_status="Approve "), "approval is Approve "),
    ("status `APPROVED!`", sign_offs(approval_status="APPROVED!"), "approval is APPROVED!"),
    ("status list", sign_offs(approval_status=["approved"]), "approval is ['approved']"),
    ("status missing", sign_offs(approval_status=...), "approval is None"),
    ("name without id", sign_offs(person_id=...), "a person is needed"),
    ("name that is a role", sign_offs(name="Product Owner"), "a person is needed"),
    ("person not in roles.yaml", sign_offs(name="Eve", person_id="eve"), "the record is of"),
    ("unknown request id", sign_offs(request_id="another"), "time or request differ from the record"),
    ("misspelt role", sign_offs(role="Product Ownr"), "no approver with the role Product Owner"),
]


@pytest.mark.parametrize(("judge", "words"), [row[1:] for row in RECORDS], ids=[row[0] for row in RECORDS])
def test_a_sign_off_that_is_none_fails_gate_4(judge: Callable[[Any], Any], words: str) -> None:
    """In a cycle in which everything else is right, and it cannot be waived."""
    result = judge(GATES.Cycle())
    assert result.outcome is Outcome.FAIL
    assert words in " ".join(result.reasons)
    assert not next(c for c in result.criteria if c.criterion == "slo_approvals_missing").waivable


# The evidence of a closed cycle: files of approvals and checkpoints.


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete, signed cycle."""
    return Path(CYCLES.write_cycle(tmp_path_factory.mktemp("closed")))


@pytest.fixture
def evidence(closed: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    directory = Path(shutil.copytree(closed, tmp_path / "run" / closed.name))
    for path in directory.rglob("*.json"):
        path.chmod(0o644)
    return directory


def verified(directory: Path, trust: bytes, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and answer of `perfproof verify DIR --trust FILE`."""
    from perfproof.cli import main

    file = directory.parent / "trust.json"
    file.write_bytes(trust)
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(directory), "--trust", str(file)])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def linked(path: Path) -> None:
    kept = path.parent.parent.parent / "kept.json"
    path.rename(kept)
    path.symlink_to(kept)


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FILES: list[tuple[str, Callable[[Path], object]]] = [
    ("file > 64 KiB", lambda path: replace(path, path.read_bytes() + b" " * (64 << 10))),
    ("half-written", lambda path: replace(path, path.read_bytes()[:100])),
    ("empty", lambda path: replace(path, b"")),
    ("symlink", linked),
    ("FIFO", piped),
    ("second different answer", lambda path: replace(path, path.read_bytes().replace(b'"approve"', b'"reject"'))),
]


@pytest.mark.parametrize("spoil", [row[1] for row in FILES], ids=[row[0] for row in FILES])
def test_a_file_of_an_approval_that_is_not_the_record_is_named(
    spoil: Callable[[Path], object], evidence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log's entry decides; a view with other bytes is tampering."""
    path = next(path for path in sorted((evidence / "approvals").iterdir()) if b'"approve"' in path.read_bytes())
    spoil(path)
    code, said = verified(evidence, CYCLES.trust_document(), capsys)
    assert code == 1
    assert f"approvals/{path.name}" in said


def resealed(**changes: Any) -> Callable[[bytes], bytes]:
    """The last checkpoint's envelope with parts replaced, in canonical form."""

    def change(data: bytes) -> bytes:
        import rfc8785

        return rfc8785.dumps({**json.loads(data), **changes})

    return change


def other_bytes(data: bytes) -> bytes:
    """The signature of the envelope over another payload."""
    import rfc8785

    envelope = json.loads(data)
    payload = base64.b64decode(envelope["payload"]).replace(b'"approve"', b'"reject"').replace(b"2025-02-16", b"2025-02-15", 1)
    return rfc8785.dumps({**envelope, "payload": base64.b64encode(payload).decode()})


def by_other_key(data: bytes) -> bytes:
    """The same payload, signed with a key that calls itself like the trusted one."""
    from perfproof.evidence.envelope import CheckpointKey

    return seal(base64.b64decode(json.loads(data)["payload"]), key=CheckpointKey(CYCLES.KEY.id, CYCLES.OTHER_KEY.private))


def twice(data: bytes) -> bytes:
    signature = json.loads(data)["signatures"][0]
    return resealed(signatures=[signature, signature])(data)


def listed(**changes: Any) -> bytes:
    """A trust root that lists the key of the cycle otherwise."""
    document = json.loads(CYCLES.trust_document())
    document["keys"][0] |= changes
    return json.dumps(document).encode()


def same(data: bytes) -> bytes:
    return data


CHECKPOINTS: list[tuple[str, Callable[[bytes], bytes], bytes, str]] = [
    ("signature missing", resealed(signatures=[]), CYCLES.trust_document(), "not exactly one signature"),
    ("signature empty", resealed(signatures=[{"keyid": CYCLES.KEY.id, "sig": ""}]), CYCLES.trust_document(), "signature"),
    ("signature by other key", by_other_key, CYCLES.trust_document(), "signature"),
    ("signature over other bytes", other_bytes, CYCLES.trust_document(), "00000"),
    ("two signatures same key", twice, CYCLES.trust_document(), "not exactly one signature"),
    ("payloadType wrong", resealed(payloadType="application/json"), CYCLES.trust_document(), "the payload type is not"),
    ("payloadType missing", lambda data: data.replace(b'"payloadType"', b'"payloadTypo"'), CYCLES.trust_document(), "keys are missing"),
    ("duplicate key in the envelope", lambda data: b'{"payload":"",' + data[1:], CYCLES.trust_document(), "invalid JSON"),
    ("half-written", lambda data: data[:-20], CYCLES.trust_document(), "invalid JSON"),
    ("not canonical", lambda data: data + b"\n", CYCLES.trust_document(), "not in canonical form"),
    ("key revoked", same, listed(revoked=True), "revoked"),
    ("key expired", same, listed(valid_until="2025-02-15T00:00:00Z"), "had expired"),
    ("key not valid yet", same, listed(valid_from="2026-01-01T00:00:00Z"), "valid"),
    ("key unknown", same, CYCLES.trust_document(CYCLES.OTHER_KEY), "key"),
]


@pytest.mark.parametrize(("change", "trust", "words"), [row[1:] for row in CHECKPOINTS], ids=[row[0] for row in CHECKPOINTS])
def test_a_checkpoint_that_proves_nothing_is_named(
    change: Callable[[bytes], bytes], trust: bytes, words: str, evidence: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1, the file in the answer."""
    path = max((evidence / "checkpoints").iterdir())
    replace(path, change(path.read_bytes()))
    code, said = verified(evidence, trust, capsys)
    assert code == 1
    line = next(line for line in said.splitlines() if f"checkpoints/{path.name}" in line)
    assert words in line, line


def test_the_cycle_that_the_rows_spoil_is_verified(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else they would show nothing."""
    assert verified(evidence, CYCLES.trust_document(), capsys)[0] == 0


# Anything at all


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**60), st.floats(), st.text(max_size=6),
    st.sampled_from(["NaN", "ab" * 32, "2026-12-01T10:00:00Z", "approve", "\ud800", "\x1b[31m\n=1", "ann"]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=10
)
ACT = ANSWERS.act()


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every part of a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path for key, child in children for path in ((*at, key), *places(child, (*at, key)))]


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """A document with one or two parts replaced or deleted, or anything instead."""
    if draw(st.integers(0, 5)) == 0:
        return draw(JSON)
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        found = places(changed)
        *parents, last = draw(st.sampled_from(found))
        place = changed
        for key in parents:
            place = place[key]
        if draw(st.integers(0, 3)):
            place[last] = draw(JSON)
        else:
            del place[last]
        if not places(changed):
            break
    return changed


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(mutated(ANSWERS.REQUEST.conf()))
def test_any_configuration_is_a_request_with_a_digest_or_one_line(document: Any) -> None:
    """Never another exception."""
    try:
        request = read_request(document, where="request")
    except PerfproofError as error:
        assert str(error).isprintable()
    else:
        assert len(request.sha256) == 64


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(mutated(ACT), st.booleans())
def test_any_act_without_a_true_signature_decides_nothing(document: Any, as_text: bool) -> None:
    """Whatever is stored in an act's place is a refusal with a sentence."""
    stored = json.dumps(document) if as_text else document
    outcome: Granted | Rejected | Refused = ANSWERS.judge(stored)
    if document != ACT:
        assert isinstance(outcome, Refused)
        assert outcome.code in ("APR-401", "APR-402")


@settings(max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    mutated({"retired": {"k1": {"password": "6f" * 32, "until": "2026-01-01T00:00:00Z"}}}),
    mutated({"version": 1, "keys": {"k": "6f" * 32}}),
)
def test_any_file_of_keys_is_read_or_one_line_without_a_secret(ring: Any, keys: Any) -> None:
    """The reader of a secret never quotes it."""
    for read, data in (
        (lambda data: read_ring(login="k", password="6b" * 32, extra=data.decode("utf-8", "surrogatepass")), ring),
        (lambda data: read_act_keys(data, where="keys"), keys),
    ):
        try:
            read(json.dumps(data).encode("utf-8", "surrogatepass"))
        except (ApprovalError, EvidenceError, Tampered) as error:
            assert str(error).isprintable()
            assert "6b6b" not in str(error) and "6f6f6f" not in str(error)
    for public in (read_trust_root, read_checkpoint):
        try:
            public(json.dumps(keys).encode("utf-8", "surrogatepass"), where="file")
        except (EvidenceError, Tampered) as error:
            assert str(error).isprintable()
