"""Logs forged with well-formed, canonical entries: what only numbers, chain and cross-checks can find."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from perfproof.errors import Tampered
from perfproof.evidence import Actor, EvidenceStore, MemoryBackend, idempotency
from perfproof.evidence.manifest import build_manifest
from perfproof.evidence.records import canonical
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify_run
from perfproof.evidence.views import close_run, refresh_log_views
from perfproof.telemetry import sha256_hex


def forge(store: EvidenceStore, seq: int, changes: dict[str, Any], *, rehang: bool = True) -> None:
    """Changes one entry, and hangs the ones after it on the new chain, as somebody with the disk and this code could."""
    backend = store.backend
    assert isinstance(backend, MemoryBackend)
    previous = None
    for key in backend.names(f"{store.run}/log/"):
        number = int(key[-13:-5])
        document = json.loads(backend.data[key])
        if previous is not None and number > seq and rehang:
            document["prev"] = previous
        if number == seq:
            document |= changes
        backend.data[key] = canonical(document, where="test")
        previous = sha256_hex(backend.data[key])


def places(store: EvidenceStore, **demands: Any) -> set[str]:
    """Where verify finds tampering."""
    findings = verify_run(store.backend, store.run, **demands).findings
    return {finding.where for finding in findings if finding.outcome is Outcome.TAMPERED}


@pytest.fixture
def store(memory_store: EvidenceStore, note: Callable[..., Any], publish: Callable[..., Any]) -> EvidenceStore:
    """An artifact and three announcements."""
    publish(memory_store, "hypothesis-log.md", "x")
    for number in range(3):
        note(memory_store, "announce", {"number": number}, step=str(number))
    return memory_store


@pytest.mark.parametrize(
    ("seq", "changes", "words"),
    [
        (2, {"seq": 3}, "number 3"),
        (2, {"run": "other-run"}, "another run"),
        (2, {"type": "run.opened"}, "starts with run.opened"),
        (0, {"type": "announce"}, "starts with run.opened"),
        (0, {"body": {"genesis": "0" * 64}}, "genesis"),
        (3, {"idem": idempotency("announce", "0", 0, [])}, "committed twice"),
    ],
)
def test_a_forged_entry_in_a_mended_chain_is_named(store: EvidenceStore, seq: int, changes: dict[str, Any], words: str) -> None:
    """By the reader as by verify."""
    forge(store, seq, changes)
    with pytest.raises(Tampered, match=rf"EVI-603 .*log/{seq:08d}\.json.*{words}"):
        EvidenceStore(store.backend, store.run).entries()
    assert f"log/{seq:08d}.json" in places(store)


def test_a_changed_entry_breaks_the_chain(store: EvidenceStore) -> None:
    """The entry after it no longer hangs on it."""
    forge(store, 2, {"body": {"number": 99}}, rehang=False)
    with pytest.raises(Tampered, match=r"EVI-603 .*log/00000003\.json.*does not hang on number 2"):
        EvidenceStore(store.backend, store.run).entries()
    assert "log/00000003.json" in places(store)


def test_a_whole_rewrite_is_found_by_an_anchor_only(store: EvidenceStore) -> None:
    """It is consistent in itself, so verify alone cannot tell; that is why heads are kept elsewhere."""
    size, head = store.head()
    forge(store, 2, {"body": {"number": 99}})
    assert places(store) == set()
    assert places(store, anchors=[(size, head)]) == {f"log/{size - 1:08d}.json"}
    assert places(store, anchors=[(0, head)]) != set()


def test_a_size_that_is_not_the_one_of_the_content_is_named(store: EvidenceStore) -> None:
    """The publication lies about its object."""
    entry = store.live("hypothesis-log.md")
    assert entry is not None
    forge(store, 1, {"body": {**entry.body, "size": 99}})
    assert f"objects/sha256/{entry.body['sha256']}" in places(store)


def test_half_a_line_in_the_log_view_is_no_older_view(store: EvidenceStore) -> None:
    """Views are replaced whole, so a cut line was cut by somebody."""
    refresh_log_views(store)
    backend = store.backend
    assert isinstance(backend, MemoryBackend)
    key = f"{store.run}/protocol-execution-log.jsonl"
    backend.data[key] = backend.data[key][:-10]
    assert places(store) == {"protocol-execution-log.jsonl"}


def test_work_after_the_close_opens_the_run_again(store: EvidenceStore, note: Callable[..., Any], now: datetime, actor: Actor) -> None:
    """News of the close may follow it; a decision may not."""

    def is_open() -> bool:
        return any(f.what == "the run is not closed" for f in verify_run(store.backend, store.run).findings)

    assert is_open()
    close_run(store, body={}, idem=idempotency("run.closed", "close", 0, []), time=now, actor=actor)
    assert not is_open()
    note(store, "notify.delivered", {"channel": "mail"})
    assert not is_open()
    note(store, "waiver.granted", {"gate": 1})
    assert is_open()
    close_run(store, body={}, idem=idempotency("run.closed", "close", 1, []), time=now, actor=actor)
    assert not is_open()


@pytest.mark.parametrize("size", [0, -1, 99, 4, 6, "5", None])
def test_a_manifest_of_another_log_size_is_named(store: EvidenceStore, publish: Callable[..., Any], now: datetime, size: Any) -> None:
    """It cannot cover itself, nor what came after it."""
    document = build_manifest(store, time=now)
    document["predicate"]["log"]["size"] = size
    publish(store, "performance-report-manifest.json", json.dumps(document))
    assert "performance-report-manifest.json" in places(store)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"predicate": []}', "not json"])
def test_what_is_no_manifest_is_named(store: EvidenceStore, publish: Callable[..., Any], text: str) -> None:
    """Without a traceback."""
    publish(store, "performance-report-manifest.json", text)
    assert "performance-report-manifest.json" in places(store)


def test_an_artifact_that_nobody_vouches_for_is_unfinished(store: EvidenceStore, publish: Callable[..., Any], now: datetime) -> None:
    """A published file alone proves nothing."""
    publish(store, "performance-report-manifest.json", json.dumps(build_manifest(store, time=now)))
    findings = verify_run(store.backend, store.run).findings
    vouching = [(f.where, f.outcome) for f in findings if "vouches" in f.what]
    assert vouching == [("hypothesis-log.md", Outcome.UNFINISHED)]


class Interrupted(MemoryBackend):
    """Before the first write of a view, something else happens."""

    def __init__(self, data: dict[str, bytes], happens: Callable[[], Any]) -> None:
        super().__init__()
        self.data = data
        self.happens: Callable[[], Any] | None = happens

    def replace_view(self, key: str, data: bytes) -> None:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        super().replace_view(key, data)


def test_a_slow_writer_does_not_leave_its_old_view(store: EvidenceStore, publish: Callable[..., Any]) -> None:
    """Another one superseded the artifact, view included, between our commit and our view."""
    backend = store.backend
    assert isinstance(backend, MemoryBackend)
    slow = Interrupted(backend.data, lambda: publish(store, "optimization-plan.json", "newer", round=2))
    publish(EvidenceStore(slow, store.run), "optimization-plan.json", "older", round=1)
    assert backend.data[f"{store.run}/optimization-plan.json"] == b"newer"


def test_a_slow_rebuild_does_not_leave_an_old_log_view(store: EvidenceStore, note: Callable[..., Any]) -> None:
    """An entry came, and its writer rebuilt, between our reading and our writing."""
    backend = store.backend
    assert isinstance(backend, MemoryBackend)

    def other() -> None:
        note(store, "announce", {}, step="meanwhile")
        refresh_log_views(store)

    refresh_log_views(EvidenceStore(Interrupted(backend.data, other), store.run))
    assert backend.data[f"{store.run}/protocol-execution-log.jsonl"].count(b"\n") == len(store.entries()) == 6
