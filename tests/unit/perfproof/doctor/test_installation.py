"""The api-server's parts, keys, capacity, clocks and storage: each limit on both sides, and unknown is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perfproof.doctor import Answer
from perfproof.doctor.capacity import CapacityFacts, Pool, judge_capacity
from perfproof.doctor.clock import Clock, Tolerance, judge_clocks
from perfproof.doctor.finding import Finding
from perfproof.doctor.installation import Dag, Directory, ServerFacts, judge_directories, judge_server
from perfproof.doctor.keys import KeyFacts, judge_keys
from perfproof.doctor.storage import LEAST_BYTES, LEAST_FILES, LockFacts, StorageFacts, Volume, judge_storage
from perfproof.errors import ApprovalError, EvidenceError
from perfproof.evidence.trust import TrustedKey, TrustRoot

NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
ENTRY_POINT = "perfproof==0.1.0: EntryPoint(name='perfproof', value='x', group='airflow.plugins')"
SERVER = ServerFacts(
    url="http://a", user="ann", plugins=[("perfproof", ENTRY_POINT)], providers={"perfproof": "0.1.0"},
    dags=[Dag("performance_approvals", False, "nobody is asked")], import_errors=[],
)  # fmt: skip


def codes(findings: Iterable[Finding]) -> list[str]:
    """Codes of the problems, and the state of what was not checked."""
    return [f.code or f.state.value for f in findings if f.state.value != "ok"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"unasked": "no account"}, ["not checked"]),
        ({"error": ApprovalError(1, where="x", what="y", fix="z")}, ["DOC-301"]),
        ({"plugins": []}, ["DOC-305"]),
        ({"plugins": [("perfproof", "$PLUGINS_FOLDER/plugin.py")]}, ["DOC-306"]),
        ({"plugin_errors": [(ENTRY_POINT, "Plugin 'perfproof' already registered, skipping")]}, ["DOC-306"]),
        ({"plugin_errors": [("other.py", "no module")]}, []),
        ({"providers": {}}, ["DOC-307"]),
        ({"providers": {"perfproof": "0.0.9"}}, ["DOC-308"]),
        ({"dags": [Dag("a", None, None)]}, ["DOC-302"]),
        ({"dags": [Dag("a", True, "why")]}, ["DOC-303"]),
        ({"dags": [Dag("a", True, None)]}, []),
        ({"import_errors": [("a.py", "E"), ("b.py", "E")]}, ["DOC-304", "DOC-304"]),
        ({"plugins": None, "untold": {"plugins": "Airflow answered 403"}}, ["not checked"]),
    ],
)
def test_the_api_server_is_judged_by_its_parts(change: dict[str, object], expected: list[str]) -> None:
    """One finding for one fault."""
    assert codes(judge_server(replace(SERVER, **change), version="0.1.0")) == expected  # type: ignore[arg-type]


def test_a_directory_that_cannot_be_written_is_a_problem() -> None:
    """With the user that needs the right."""
    (found,) = judge_directories([Directory("/a", "evidence", "Permission denied")], user="airflow")
    assert found.code == "DOC-309" and "airflow" in (found.fix or "")


KEYS = KeyFacts(acts_id="k1", served_id="k1", signing_id="s1", signing_public="aa")


def root(**changes: object) -> TrustRoot:
    """A trust root with one key."""
    fields: dict[str, object] = {"id": "s1", "public_hex": "aa", "valid_from": None, "valid_until": None, "revoked": False}
    key = TrustedKey(**{**fields, **changes})  # type: ignore[arg-type]
    return TrustRoot({key.id: key})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"trust": root()}, []),
        ({}, ["not checked"]),
        ({"acts_id": None, "acts_error": ApprovalError(423, where="x", what="y", fix="z"), "trust": root()}, ["DOC-401"]),
        ({"acts_id": None, "unseen": "no database", "trust": root()}, ["not checked"]),
        ({"served_id": "k2", "trust": root()}, ["DOC-402"]),
        ({"served_id": None, "trust": root()}, ["not checked"]),
        ({"signing_error": EvidenceError(621, where="x", what="y", fix="z"), "trust": root()}, ["DOC-403"]),
        ({"trust": root(id="s2")}, ["DOC-404"]),
        ({"trust": root(public_hex="bb")}, ["DOC-404"]),
        ({"trust": root(revoked=True)}, ["DOC-404"]),
        ({"trust": root(valid_until=datetime(2026, 11, 1, tzinfo=UTC))}, ["DOC-404"]),
        ({"trust": root(valid_from=datetime(2027, 1, 1, tzinfo=UTC))}, ["DOC-404"]),
        ({"trust_error": EvidenceError(630, where="x", what="y", fix="z")}, ["DOC-405"]),
        ({"signing_id": None, "trust": root()}, ["DOC-406"]),
        ({"signing_id": None}, []),
    ],
)
def test_keys_are_judged_by_their_ids_and_the_trust_root(change: dict[str, object], expected: list[str]) -> None:
    """A key that auditors do not trust now is a problem; without their file nobody knows."""
    assert codes(judge_keys(replace(KEYS, **change), now=NOW)) == expected  # type: ignore[arg-type]


ROOMY = CapacityFacts(
    triggerers=["a"], capacity=1000, deferred=3, pools=[Pool("default_pool", 128, False, 3)], parallelism=8, unhealthy=[], requests=3,
    most_requests=1000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"triggerers": []}, ["DOC-501"]),
        ({"deferred": 799}, []),
        ({"deferred": 800}, ["DOC-502"]),
        ({"deferred": 800, "triggerers": ["a", "b"]}, []),
        ({"pools": [Pool("default_pool", 128, True, 3)]}, ["DOC-503"]),
        ({"pools": [Pool("default_pool", 1, False, 0)]}, ["DOC-504"]),
        ({"pools": [Pool("default_pool", -1, False, 0)]}, []),
        ({"parallelism": 1}, ["DOC-505"]),
        ({"parallelism": 0}, []),  # without limit
        ({"requests": 800}, ["DOC-506"]),
        ({"unhealthy": ["triggerer"]}, ["DOC-507"]),
        ({"pools": None, "untold": {"pools": "Airflow answered 403"}}, ["not checked"]),
    ],
)
def test_capacity_is_judged_against_what_waits(change: dict[str, object], expected: list[str]) -> None:
    """From 80 percent on it is a problem; what Airflow does not tell is not checked."""
    assert codes(judge_capacity(replace(ROOMY, **change))) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ahead", "within", "expected"),
    [(4.9, 0.0, []), (-4.9, 0.0, []), (5.1, 0.0, ["DOC-601"]), (-5.1, 0.0, ["DOC-601"]), (5.5, 1.0, []), (None, 0.0, ["not checked"])],
)
def test_a_clock_is_wrong_beyond_what_is_tolerated_and_known(ahead: float | None, within: float, expected: list[str]) -> None:
    """What the reading itself may be off counts for the clock."""
    assert codes(judge_clocks([Clock("a", Tolerance.TELEMETRY, ahead, within)])) == expected


def test_no_clock_at_all_is_not_checked() -> None:
    """Nothing to compare with is no agreement."""
    assert codes(judge_clocks([])) == ["not checked"]


GOOD = StorageFacts("/e", Answer(), [Volume("/e", "evidence", LEAST_BYTES, LEAST_FILES)])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"volumes": [Volume("/e", "evidence", LEAST_BYTES - 1, LEAST_FILES)]}, ["DOC-701"]),
        ({"volumes": [Volume("/e", "evidence", LEAST_BYTES, LEAST_FILES - 1)]}, ["DOC-703"]),
        ({"volumes": [Volume("/e", "evidence", LEAST_BYTES, None)]}, []),
        ({"creates": Answer(EvidenceError(505, where="x", what="y", fix="z"))}, ["DOC-702"]),
        ({"creates": Answer(unasked="why")}, ["not checked"]),
        ({"lock": LockFacts("", None)}, []),
        ({"lock": LockFacts("COMPLIANCE 365", True)}, []),
        ({"lock": LockFacts("COMPLIANCE 365", False)}, ["DOC-704"]),
        ({"lock": LockFacts("COMPLIANCE 365", None, "the store answers 501")}, ["not checked"]),
    ],
)
def test_storage_is_judged_by_room_and_by_what_it_promises(change: dict[str, object], expected: list[str]) -> None:
    """A lock that is asked for and not there is a problem, one that the store does not tell is not checked."""
    assert codes(judge_storage(replace(GOOD, **change))) == expected  # type: ignore[arg-type]
