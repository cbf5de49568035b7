"""Signed checkpoints: what is signed, what is refused, and that no cut, rewrite, replay or foreign signature passes."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence import EvidenceStore, LocalBackend, MemoryBackend
from perfproof.evidence.checkpoints import sign_checkpoint, statement_at
from perfproof.evidence.directory import RunDirectory
from perfproof.evidence.envelope import PAYLOAD_TYPE, CheckpointKey, read_envelope, seal
from perfproof.evidence.manifest import genesis_of
from perfproof.evidence.records import canonical, entry_time
from perfproof.evidence.trust import TrustRoot, read_trust_root
from perfproof.evidence.verdict import Outcome, Verification
from perfproof.evidence.verify import verify, verify_run
from perfproof.telemetry import sha256_hex

KEY = CheckpointKey("k1", Ed25519PrivateKey.generate())
OTHER = CheckpointKey("k2", Ed25519PrivateKey.generate())
NOW = datetime.fromisoformat("2025-02-16T10:00:00+00:00")


def trust(key: CheckpointKey = KEY, **listed: Any) -> TrustRoot:
    """A trust root with one key."""
    document = {"version": 1, "keys": [{"id": key.id, "public_key": key.public_hex, **listed}]}
    return read_trust_root(json.dumps(document).encode(), where="trust")


def checkpoint_of(directory: Path, size: int, key: CheckpointKey = KEY, *, at: datetime = NOW) -> Path:
    """Signs the first `size` entries of a directory, as a task would have done when the log was that long."""
    run = json.loads((directory / "log" / "00000000.json").read_bytes())["run"]
    store = EvidenceStore(RunDirectory(directory, run), run)
    entries = store.entries()
    statement = statement_at(entries[:size], genesis=genesis_of(store, entries), built_at=entry_time(at))
    path = directory / "checkpoints" / f"{size - 1:08d}.dsse.json"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(seal(canonical(statement, where="test"), key=key))
    return path


def rewritten(directory: Path) -> None:
    """The whole log anew with other times, hung on a chain of its own; views made to fit, as somebody with this code would."""
    previous = None
    for file in sorted((directory / "log").iterdir()):
        entry = json.loads(file.read_bytes())
        entry["time"] = "2025-02-16T11:00:00.000Z"
        entry["prev"] = previous or entry["prev"]
        data = canonical(entry, where="test")
        file.unlink()
        file.write_bytes(data)
        previous = sha256_hex(data)
    # A manifest of the rewritten log would be one of its entries; without it the rewrite is a run that looks unfinished at best.
    (directory / "protocol-execution-log.jsonl").unlink()
    (directory / "SHA256SUMS").unlink()


def cut(directory: Path, count: int) -> None:
    """Removes the last entries, and the views that know them."""
    for file in sorted((directory / "log").iterdir())[-count:]:
        file.unlink()
    for name in ("protocol-execution-log.jsonl", "SHA256SUMS"):
        (directory / name).unlink(missing_ok=True)


def bad(verification: Verification) -> set[str]:
    """Where tampering was found."""
    return {f.where for f in verification.findings if f.outcome is Outcome.TAMPERED}


@pytest.fixture
def signed(finished_run: Path) -> Path:
    """A finished run with three checkpoints; the last one covers the end."""
    for size in (5, 12, len(list((finished_run / "log").iterdir()))):
        checkpoint_of(finished_run, size)
    return finished_run


def last_of(directory: Path) -> Path:
    """The newest checkpoint."""
    return max((directory / "checkpoints").iterdir())


def test_a_signed_run_verifies_with_and_without_a_trust_root(signed: Path) -> None:
    """A good run is never accused."""
    for given in (trust(), None):
        verification = verify(signed, trust=given)
        assert verification.findings == ()
        assert verification.figures["checkpoints"] == 3


def test_what_is_signed_names_run_size_and_head(memory_store: EvidenceStore, now: datetime) -> None:
    """The payload is an in-toto Statement whose first subject is the entry at the head."""
    name = sign_checkpoint(memory_store, key=KEY, time=now)
    assert name == "checkpoints/00000000.dsse.json"
    envelope = read_envelope(memory_store.backend.read(f"{memory_store.run}/{name}"), where=name)
    statement = json.loads(envelope.payload)
    size, head = memory_store.head()
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0] == {"name": "log/00000000.json", "digest": {"sha256": head}}
    assert statement["predicate"]["run"]["key"] == memory_store.run
    assert statement["predicate"]["log"] == {"size": size, "head": head}
    assert envelope.key_id == "k1" and envelope.signed_by(KEY.public_hex) and not envelope.signed_by(OTHER.public_hex)
    assert "PRIVATE" not in repr(KEY) and repr(KEY) == "CheckpointKey(id='k1')"


def test_signing_again_changes_nothing(memory_store: EvidenceStore, now: datetime, note: Callable[..., Any]) -> None:
    """A retry finds the checkpoint; a longer log gets another one."""
    first = sign_checkpoint(memory_store, key=KEY, time=now)
    before = memory_store.backend.read(f"{memory_store.run}/{first}")
    assert sign_checkpoint(memory_store, key=OTHER, time=now + timedelta(days=1)) == first
    assert memory_store.backend.read(f"{memory_store.run}/{first}") == before
    note(memory_store, "announce", {})
    assert sign_checkpoint(memory_store, key=KEY, time=now) == "checkpoints/00000001.dsse.json"


def test_a_head_that_does_not_extend_the_last_checkpoint_is_not_signed(
    memory_store: EvidenceStore, now: datetime, note: Callable[..., Any]
) -> None:
    """Neither after a cut tail nor after a rewrite; nothing is written."""
    backend, run = memory_store.backend, memory_store.run
    assert isinstance(backend, MemoryBackend)
    note(memory_store, "announce", {"number": 1}, step="1")
    note(memory_store, "announce", {"number": 2}, step="2")
    sign_checkpoint(memory_store, key=KEY, time=now)
    whole = dict(backend.data)
    del backend.data[f"{run}/log/00000002.json"]
    with pytest.raises(Tampered, match=r"EVI-625 .*the tail was cut.*nothing was signed"):
        sign_checkpoint(EvidenceStore(backend, run), key=KEY, time=now)
    note(EvidenceStore(backend, run), "announce", {"number": 3}, step="3")
    with pytest.raises(Tampered, match=r"EVI-625 .*log/00000002\.json.*not the entry that"):
        sign_checkpoint(EvidenceStore(backend, run), key=KEY, time=now)
    assert [key for key in backend.data if "checkpoints" in key] == [key for key in whole if "checkpoints" in key]


def test_a_run_that_is_not_open_is_not_signed(now: datetime) -> None:
    """There is no head."""
    with pytest.raises(EvidenceError, match="EVI-412"):
        sign_checkpoint(EvidenceStore(MemoryBackend(), "run-0"), key=KEY, time=now)


@pytest.mark.parametrize("count", range(1, 12))
def test_a_cut_tail_is_found(signed: Path, count: int) -> None:
    """Whatever is cut, the last checkpoint knows more; also without a trust root."""
    cut(signed, count)
    assert "log" in bad(verify(signed, trust=trust()))
    assert verify(signed).outcome is Outcome.TAMPERED


def test_a_cut_tail_whose_checkpoints_were_removed_too_is_not_verified(signed: Path) -> None:
    """It looks like a run that stopped there, which is never proof; an anchor shows what it is."""
    figures = verify(signed).figures
    cut(signed, 1)
    last_of(signed).unlink()
    assert verify(signed, trust=trust()).outcome is Outcome.UNFINISHED
    anchored = verify(signed, trust=trust(), anchors=[(int(figures["entries"]), str(figures["head"]))])
    assert anchored.outcome is Outcome.TAMPERED


def test_a_rewrite_without_the_key_is_found(signed: Path) -> None:
    """With the old checkpoints it contradicts them; with checkpoints of another key these do not count."""
    rewritten(signed)
    assert bad(verify(signed, trust=trust())) >= {"log/00000004.json", "log/00000011.json"}
    shutil.rmtree(signed / "checkpoints")
    checkpoint_of(signed, len(list((signed / "log").iterdir())), OTHER)
    assert last_of(signed).relative_to(signed).as_posix() in bad(verify(signed, trust=trust()))


def test_a_rewrite_without_any_checkpoint_is_not_verified(signed: Path) -> None:
    """Who demands signatures gets no `verified` for evidence without."""
    shutil.rmtree(signed / "checkpoints")
    verification = verify(signed, trust=trust())
    assert verification.outcome is Outcome.UNFINISHED
    assert [f.where for f in verification.findings] == ["checkpoints"]
    assert verify(signed).outcome is Outcome.VERIFIED


def test_a_rewrite_with_the_key_needs_an_anchor(signed: Path) -> None:
    """Who holds the key can sign what was never so: that is why the heads are kept elsewhere too."""
    figures = verify(signed).figures
    rewritten(signed)
    shutil.rmtree(signed / "checkpoints")
    checkpoint_of(signed, len(list((signed / "log").iterdir())))
    assert not [w for w in bad(verify(signed, trust=trust())) if w.startswith(("log", "checkpoints"))]
    anchor = (int(figures["entries"]), str(figures["head"]))
    assert f"log/{anchor[0] - 1:08d}.json" in bad(verify(signed, trust=trust(), anchors=[anchor]))


def test_a_checkpoint_of_another_run_is_found(signed: Path, tmp_path: Path) -> None:
    """Replayed under the right number, with a good signature of the right key."""
    store = EvidenceStore(LocalBackend(tmp_path / "other"), "another-run")
    store.open_run(genesis={"dag_id": "d"}, time=NOW, actor=verify_actor())
    name = sign_checkpoint(store, key=KEY, time=NOW)
    (signed / "checkpoints" / "00000000.dsse.json").write_bytes((tmp_path / "other" / "another-run" / name).read_bytes())
    assert bad(verify(signed, trust=trust())) == {"checkpoints/00000000.dsse.json"}


def verify_actor() -> Any:
    """Who opens the other run."""
    from perfproof.evidence import Actor

    return Actor(kind="task", id="a_task", auth="A1")


def test_swapped_envelopes_are_found(signed: Path) -> None:
    """Both files are named."""
    one, other = sorted((signed / "checkpoints").iterdir())[:2]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert bad(verify(signed, trust=trust())) == {f"checkpoints/{one.name}", f"checkpoints/{other.name}"}


def change(path: Path, **changes: Any) -> None:
    """Changes the envelope's fields, and keeps it canonical."""
    document = json.loads(path.read_bytes())
    path.write_bytes(canonical({**document, **changes}, where="test"))


def test_an_envelope_that_is_not_as_it_was_sealed_is_named(signed: Path) -> None:
    """Payload type, number of signatures, form, bits."""
    path = last_of(signed)
    where = f"checkpoints/{path.name}"
    whole = path.read_bytes()
    document = json.loads(whole)
    signature = document["signatures"][0]
    payload = base64.b64decode(document["payload"])
    forged = payload.replace(b'"A1"', b'"A2"')
    assert forged != payload
    changes: list[dict[str, Any]] = [
        {"payloadType": "application/json"},
        {"signatures": [signature, signature]},
        {"signatures": []},
        {"signatures": [{**signature, "extra": 1}]},
        {"signatures": [{**signature, "keyid": "k2"}]},
        {"signatures": [{**signature, "sig": base64.b64encode(b"\0" * 64).decode()}]},
        {"signatures": [{**signature, "sig": "no base64"}]},
        {"signatures": [{**signature, "sig": base64.b64encode(b"short").decode()}]},
        {"payload": base64.b64encode(forged).decode()},
        {"payload": base64.b64encode(b"{}").decode()},
        {"payload": base64.b64encode(b"not json").decode()},
        {"extra": 1},
    ]
    for one in changes:
        path.write_bytes(whole)
        change(path, **one)
        assert bad(verify(signed, trust=trust())) == {where}, one
    path.write_bytes(json.dumps(document).encode())
    assert bad(verify(signed, trust=trust())) == {where}
    path.write_bytes(whole[: len(whole) // 2])
    assert bad(verify(signed, trust=trust())) == {where}


def test_a_checkpoint_file_under_another_name_is_named(signed: Path) -> None:
    """Nothing but checkpoints is in that folder."""
    (signed / "checkpoints" / "x.json").write_text("{}")
    assert bad(verify(signed)) == {"checkpoints/x.json"}


def test_a_statement_that_the_log_does_not_give_is_named(signed: Path) -> None:
    """Signed by the right key over the right head, but with another claim in it."""
    path = last_of(signed)
    statement = json.loads(read_envelope(path.read_bytes(), where="x").payload)
    statement["predicate"]["assurance"] = "A3"
    path.write_bytes(seal(canonical(statement, where="test"), key=KEY))
    assert bad(verify(signed, trust=trust())) == {f"checkpoints/{path.name}"}


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"revoked": True}, "revoked"),
        ({"valid_until": "2025-02-16T09:00:00Z"}, "expired"),
        ({"valid_from": "2025-02-16T11:00:00Z"}, "before the key k1 was valid"),
    ],
)
def test_a_key_that_is_revoked_or_not_valid_then_does_not_count(signed: Path, listed: dict[str, Any], words: str) -> None:
    """Each checkpoint is named with the reason."""
    verification = verify(signed, trust=trust(**listed))
    assert verification.outcome is Outcome.TAMPERED
    assert len(bad(verification)) == 3
    assert all(words in f.what for f in verification.findings if f.outcome is Outcome.TAMPERED)


def test_a_key_may_expire_after_it_signed(signed: Path) -> None:
    """Rotation does not void what was signed before it."""
    given = trust(valid_from="2025-01-01T00:00:00Z", valid_until="2025-03-01T00:00:00Z")
    assert verify(signed, trust=given).outcome is Outcome.VERIFIED


def test_a_key_that_is_not_named_does_not_count(signed: Path) -> None:
    """The key id in an envelope proves nothing: a trusted key of the same id must have signed."""
    assert len(bad(verify(signed, trust=trust(OTHER)))) == 3
    impostor = CheckpointKey("k1", OTHER.private)
    assert len(bad(verify(signed, trust=trust(impostor)))) == 3


def test_an_end_that_no_checkpoint_covers_is_not_verified(finished_run: Path) -> None:
    """The worker died before the last signature: not tampered with, and not proved."""
    checkpoint_of(finished_run, 12)
    verification = verify(finished_run, trust=trust())
    assert verification.outcome is Outcome.UNFINISHED
    assert [f.where for f in verification.findings] == ["log/00000012.json"]


def test_the_trust_root_takes_hexadecimal_digits_or_a_pem() -> None:
    """Both name the same key."""
    pem = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    document = {"version": 1, "keys": [{"id": "k1", "public_key": pem}]}
    assert read_trust_root(json.dumps(document).encode(), where="trust") == trust()


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", '{"version": 2, "keys": []}', '{"version": 1, "keys": []}',
        '{"version": 1, "keys": [{"id": "k"}]}',
        '{"version": 1, "keys": [{"id": "k", "public_key": "00"}]}',
        '{"version": 1, "keys": [{"id": "../k", "public_key": "' + "0" * 64 + '"}]}',
        '{"version": 1, "keys": [{"id": "k", "public_key": "' + "0" * 64 + '", "revoked": "no"}]}',
        '{"version": 1, "keys": [{"id": "k", "public_key": "' + "0" * 64 + '", "valid_from": "soon"}]}',
        '{"version": 1, "keys": [{"id": "k", "public_key": "' + "0" * 64 + '", "unknown": 1}]}',
        '{"version": 1, "version": 1, "keys": []}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_trust_root_is_refused_in_one_line(text: str) -> None:
    """An auditor who gives the wrong file is told so, and evidence is not accused."""
    with pytest.raises(EvidenceError) as caught:
        read_trust_root(text.encode(), where="trust.json")
    assert str(caught.value).startswith("EVI-") and "trust.json" in str(caught.value) and "\n" not in str(caught.value)
    assert not isinstance(caught.value, Tampered)


def test_openssl_alone_checks_a_checkpoint(signed: Path, tmp_path: Path) -> None:
    """The commands of docs/evidence.md: the bytes that were signed are DSSE's, the signature is plain Ed25519."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    document = json.loads(last_of(signed).read_bytes())
    payload = base64.b64decode(document["payload"])
    pae = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    (tmp_path / "pae.bin").write_bytes(pae)
    (tmp_path / "sig.bin").write_bytes(base64.b64decode(document["signatures"][0]["sig"]))
    pem = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "pae.bin", "-sigfile", "sig.bin"]
    good = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (good.returncode, "Verified Successfully" in good.stdout) == (0, True), good.stderr
    (tmp_path / "pae.bin").write_bytes(pae[:-1] + b" ")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_a_checkpoint_that_was_removed_is_missed_by_the_later_ones(
    memory_store: EvidenceStore, now: datetime, note: Callable[..., Any]
) -> None:
    """Each one names those before it; the last one is missed at the log's end."""
    backend, run = memory_store.backend, memory_store.run
    assert isinstance(backend, MemoryBackend)
    names = []
    for number in range(3):
        note(memory_store, "gate.evaluated", {"gate": number}, step=str(number))
        names.append(sign_checkpoint(memory_store, key=KEY, time=now))
    whole = dict(backend.data)
    for name in names[:2]:
        backend.data = {key: data for key, data in whole.items() if not key.endswith(name)}
        for given in (trust(), None):
            assert bad(verify_run(backend, run, trust=given)) == {name}
    backend.data = {key: data for key, data in whole.items() if not key.endswith(names[2])}
    found = verify_run(backend, run, trust=trust())
    assert bad(found) == set() and "log/00000003.json" in {f.where for f in found.findings if f.outcome is Outcome.UNFINISHED}


def test_checkpoints_of_an_older_version_count(memory_store: EvidenceStore, now: datetime, note: Callable[..., Any]) -> None:
    """They do not name those before them, and nothing is missed."""
    store = memory_store
    statement = statement_at(store.entries(), genesis=genesis_of(store, store.entries()), built_at=entry_time(now))
    store.backend.create(f"{store.run}/checkpoints/00000000.dsse.json", seal(canonical(statement, where="test"), key=KEY))
    note(store, "announce", {})
    sign_checkpoint(store, key=KEY, time=now)
    assert bad(verify_run(store.backend, store.run, trust=trust())) == set()


def test_an_end_of_the_run_that_nobody_signed_does_not_close_it(finished_run: Path) -> None:
    """Somebody without the key appends `run.closed` to a run that stopped."""
    size = len(list((finished_run / "log").iterdir()))
    checkpoint_of(finished_run, size - 1)
    verification = verify(finished_run, trust=trust())
    assert verification.outcome is Outcome.UNFINISHED
    assert [f.where for f in verification.findings] == [f"log/{size - 1:08d}.json"]
