"""The store: create-only content, chained entries, one live version per name."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence import Actor, EvidenceStore, LocalBackend, MemoryBackend, Missing, Reference, idempotency
from perfproof.telemetry import sha256_hex


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest) -> EvidenceStore:
    """An open run on each backend."""
    return request.getfixturevalue(f"{request.param}_store")


def test_opening_twice_is_harmless_and_another_genesis_is_refused(store: EvidenceStore, now: datetime, actor: Actor) -> None:
    """A retry of the first task finds the run open; other configuration needs another run."""
    genesis = {"dag_id": "performance_optimization", "run_id": "manual__1", "schema_version": 1}
    first = store.entries()[0]
    assert store.open_run(genesis=genesis, time=now, actor=actor) == first
    with pytest.raises(EvidenceError, match=r"EVI-409.*another genesis"):
        store.open_run(genesis={**genesis, "schema_version": 2}, time=now, actor=actor)
    assert store.entries() == [first]


def test_the_first_entry_hangs_on_the_genesis_and_each_other_on_the_one_before(store: EvidenceStore, note: Callable[..., Any]) -> None:
    """The chain, followed by hand."""
    for number in range(3):
        note(store, "announce", {"text": str(number)}, step=str(number))
    entries = store.entries()
    assert entries[0].prev == entries[0].body["genesis"]
    store.get_object(entries[0].prev)
    assert [entry.prev for entry in entries[1:]] == [entry.sha256 for entry in entries[:-1]]
    assert [entry.seq for entry in entries] == [0, 1, 2, 3]
    assert store.head() == (4, entries[-1].sha256)


def test_nothing_is_written_before_the_run_is_open(now: datetime, actor: Actor) -> None:
    """Not even an object."""
    backend = MemoryBackend()
    closed = EvidenceStore(backend, "run-1")
    idem = idempotency("announce", "x", 0, [])
    with pytest.raises(EvidenceError, match="EVI-412"):
        closed.append(type="announce", body={}, idem=idem, time=now, actor=actor)
    with pytest.raises(EvidenceError, match="EVI-412"):
        closed.publish("hypothesis-log.md", b"x", idem=idem, time=now, actor=actor)
    with pytest.raises(EvidenceError, match="EVI-412"):
        closed.head()
    assert backend.data == {}


def test_the_same_work_is_committed_once(store: EvidenceStore, note: Callable[..., Any]) -> None:
    """A retry gets the entry that the earlier try committed, even if it would say something else."""
    first = note(store, "announce", {"text": "first"})
    assert note(store, "announce", {"text": "second"}) == first
    assert store.find(first.idem) == first
    assert store.find(idempotency("announce", "other", 0, [])) is None
    assert len(store.entries()) == 2


def test_a_key_of_other_work_is_refused(store: EvidenceStore, now: datetime, actor: Actor) -> None:
    """Two pieces of work with one key would hide each other."""
    idem = idempotency("announce", "x", 0, [])
    store.append(type="announce", body={}, idem=idem, time=now, actor=actor)
    with pytest.raises(EvidenceError, match=r"EVI-409.*other work"):
        store.append(type="error", body={}, idem=idem, time=now, actor=actor)
    with pytest.raises(EvidenceError, match=r"EVI-409.*other work"):
        store.publish("hypothesis-log.md", b"x", idem=idem, time=now, actor=actor)
    assert len(store.entries()) == 2


def test_a_second_version_supersedes_the_first(store: EvidenceStore, publish: Callable[..., Reference]) -> None:
    """Both stay readable by digest; the name means the second."""
    first = publish(store, "optimization-plan.json", "one")
    second = publish(store, "optimization-plan.json", "two", round=1, inputs=(first,))
    assert [entry.type.value for entry in store.entries()[1:]] == ["artifact.published", "artifact.superseded"]
    entry = store.live("optimization-plan.json")
    assert entry is not None
    assert entry.body["supersedes"] == 1
    assert entry.body["inputs"] == [{"name": "optimization-plan.json", "sha256": first.sha256}]
    assert (entry.body["size"], entry.body["media_type"]) == (3, "application/json")
    assert (store.read(first), store.read(second), store.read("optimization-plan.json")) == (b"one", b"two", b"two")
    assert store.reference("optimization-plan.json") == second
    assert store.backend.read(f"{store.run}/optimization-plan.json") == b"two"


def test_a_late_retry_of_old_work_does_not_bring_the_old_version_back(store: EvidenceStore, publish: Callable[..., Reference]) -> None:
    """A try that wakes up after the next round finds its own work done, and the newer one live."""
    first = publish(store, "optimization-plan.json", "one")
    second = publish(store, "optimization-plan.json", "two", round=1)
    assert publish(store, "optimization-plan.json", "one again") == first
    assert store.reference("optimization-plan.json") == second
    assert store.backend.read(f"{store.run}/optimization-plan.json") == b"two"


def test_extra_and_verified_by_are_kept(store: EvidenceStore, now: datetime, actor: Actor) -> None:
    """What the publication says about itself is in its entry."""
    vouched = {"kind": "service", "id": "json-schema"}
    store.publish(
        "prerequisites.json", b"{}", idem=idempotency("a", "b", 0, []), time=now, actor=actor, verified_by=vouched, extra={"round": 0}
    )
    entry = store.live("prerequisites.json")
    assert entry is not None
    assert (entry.body["verified_by"], entry.body["extra"]) == (vouched, {"round": 0})


@pytest.mark.parametrize(
    "name",
    [
        "../outside.json", "/etc/passwd", "evidence/../log/00000000.json", "evidence/..", "evidence/a..b", "evidence/.hidden", "evidence/",
        "evidence/A.json", "evidence/a/b.json", "log/00000000.json", "objects/sha256/x", "SHA256SUMS", "protocol-execution-log.jsonl",
        "performance-report.md", "evidence/a\n", "evidence/a\0b", "gate-5-result.json", "", "approvals/../x", "approvals/-rf", "évidence/a",
        "evidence/" + "a" * 122,
    ],
)  # fmt: skip
def test_a_name_outside_the_closed_set_is_refused(store: EvidenceStore, publish: Callable[..., Reference], name: str) -> None:
    """No file path is ever built from input, and nothing is written for a refused name."""
    before = store.backend.names(f"{store.run}/")
    with pytest.raises(EvidenceError, match="EVI-400"):
        publish(store, name, "x")
    assert store.backend.names(f"{store.run}/") == before


@pytest.mark.parametrize("name", ["evidence/profile-checkout.json", "approvals/r-1.product_owner.json", "PERFORMANCE-REPORT.html"])
def test_supporting_evidence_has_names_of_its_own(store: EvidenceStore, publish: Callable[..., Reference], name: str) -> None:
    """What is not among the thirteen is evidence too."""
    assert store.read(publish(store, name, "x")) == b"x"


@pytest.mark.parametrize(
    "body", [{"x": math.nan}, {"x": math.inf}, {"x": 2**53}, {"x": 1e17}, {"x": "\ud800"}, {"x": b"bytes"}, {"x": {1: 2}}, {"x": {1, 2}}]
)
def test_a_body_that_json_cannot_hold_is_refused(store: EvidenceStore, note: Callable[..., Any], body: dict[str, Any]) -> None:
    """A reader must get exactly what was written, so nothing is rounded or left out."""
    with pytest.raises(EvidenceError):
        note(store, "announce", body)
    assert len(store.entries()) == 1


def test_an_entry_too_large_to_read_is_not_committed(store: EvidenceStore, note: Callable[..., Any]) -> None:
    """It could not be taken back."""
    with pytest.raises(EvidenceError):
        note(store, "announce", {"text": "x" * (1 << 20)})
    assert len(store.entries()) == 1


def test_unknown_types_and_keys_are_refused(store: EvidenceStore, now: datetime, actor: Actor) -> None:
    """The log says only what readers know; artifacts go through publish."""
    idem = idempotency("announce", "x", 0, [])
    for type_ in ("announcement", "run.opened", "artifact.published", "artifact.superseded"):
        with pytest.raises(EvidenceError, match="EVI-400"):
            store.append(type=type_, body={}, idem=idem, time=now, actor=actor)
    with pytest.raises(EvidenceError, match="idempotency key"):
        store.append(type="announce", body={}, idem="announce-1", time=now, actor=actor)
    with pytest.raises(EvidenceError, match="time zone"):
        store.append(type="announce", body={}, idem=idem, time=now.replace(tzinfo=None), actor=actor)
    for nobody in (Actor("robot", "x", "A1"), Actor("person", " ", "A1"), Actor("person", "x", "A9")):
        with pytest.raises(EvidenceError):
            store.append(type="announce", body={}, idem=idem, time=now, actor=nobody)
    assert len(store.entries()) == 1


@pytest.mark.parametrize("run", ["..", "a/b", "", "-rf", ".hidden", "a" * 200, "a\n"])
def test_a_run_that_is_no_key_is_refused(run: str) -> None:
    """The directory of a run comes from run_key only."""
    with pytest.raises(EvidenceError, match="EVI-400"):
        EvidenceStore(MemoryBackend(), run)


def test_missing_things_are_missing_and_not_tampered_with(store: EvidenceStore) -> None:
    """A digest or name that was never there is a different error from one that was."""
    with pytest.raises(Missing, match="EVI-404"):
        store.get_object(sha256_hex(b"never"))
    with pytest.raises(Missing, match="EVI-404"):
        store.read("optimization-plan.json")
    with pytest.raises(EvidenceError, match="EVI-400"):
        store.get_object("../" * 21 + "x")
    assert store.live("optimization-plan.json") is None
    assert store.reference("optimization-plan.json") is None


def test_the_same_content_is_stored_once_and_changed_content_is_seen_when_put_again(memory_store: EvidenceStore) -> None:
    """Putting bytes whose place holds other bytes must not report success."""
    digest = memory_store.put_object(b"x")
    assert memory_store.put_object(b"x") == digest == sha256_hex(b"x")
    backend = memory_store.backend
    assert isinstance(backend, MemoryBackend)
    backend.data[f"{memory_store.run}/objects/sha256/{digest}"] = b"y"
    with pytest.raises(Tampered, match="EVI-606"):
        memory_store.put_object(b"x")


def test_an_entry_that_vanishes_under_a_running_store_is_seen(memory_store: EvidenceStore, note: Callable[..., Any]) -> None:
    """Cached entries are not trusted to be still there."""
    note(memory_store, "announce", {})
    backend = memory_store.backend
    assert isinstance(backend, MemoryBackend)
    del backend.data[f"{memory_store.run}/log/00000001.json"]
    with pytest.raises(Tampered, match=r"EVI-604.*00000001"):
        memory_store.entries()


def test_a_listing_that_misses_an_entry_written_meanwhile_is_no_gap(memory_store: EvidenceStore, note: Callable[..., Any]) -> None:
    """A folder that is listed while others write may show the later entry and not the earlier one."""
    for number in range(3):
        note(memory_store, "announce", {}, step=str(number))

    class Hasty(MemoryBackend):
        def names(self, prefix: str) -> list[str]:
            return [key for key in super().names(prefix) if not key.endswith("00000002.json")]

    hasty = Hasty()
    assert isinstance(memory_store.backend, MemoryBackend)
    hasty.data = memory_store.backend.data
    assert len(EvidenceStore(hasty, memory_store.run).entries()) == 4


def test_a_backend_that_contradicts_itself_ends_with_an_error(memory_store: EvidenceStore, note: Callable[..., Any]) -> None:
    """It says that the number is taken and shows no entry: no endless loop."""

    class Refusing(MemoryBackend):
        def create(self, key: str, data: bytes) -> bool:
            return False

    refusing = Refusing()
    assert isinstance(memory_store.backend, MemoryBackend)
    refusing.data = memory_store.backend.data
    with pytest.raises(EvidenceError, match=r"EVI-500.*neither grows"):
        note(EvidenceStore(refusing, memory_store.run), "announce", {})


def test_two_hundred_entries_are_read_quickly(disk_store: EvidenceStore, note: Callable[..., Any]) -> None:
    """A page that shows a run reads its log each time: 50 ms on an idle machine, five times that here."""
    for number in range(200):
        note(disk_store, "announce", {"text": "x" * 300, "number": number}, step=str(number))
    root = disk_store.backend
    assert isinstance(root, LocalBackend)
    seconds = []
    for _ in range(3):
        start = clock.perf_counter()
        assert len(EvidenceStore(root, disk_store.run).entries()) == 201
        seconds.append(clock.perf_counter() - start)
    assert min(seconds) < 0.25


def test_an_append_costs_the_same_in_a_long_log(memory_store: EvidenceStore, note: Callable[..., Any]) -> None:
    """A store that lives on reads one entry and lists nothing, however many there are."""
    calls: list[str] = []

    class Counted(MemoryBackend):
        def names(self, prefix: str) -> list[str]:
            calls.append("names")
            return super().names(prefix)

        def read(self, key: str) -> bytes:
            calls.append("read")
            return super().read(key)

    counted = Counted()
    assert isinstance(memory_store.backend, MemoryBackend)
    counted.data = memory_store.backend.data
    store = EvidenceStore(counted, memory_store.run)
    made = []
    for number in range(100):
        calls.clear()
        note(store, "announce", {}, step=str(number))
        made.append(list(calls))
    assert made[0] == ["names", "read"]
    assert made[1:] == [["read"]] * 99


def test_an_append_finds_what_others_committed_since(memory_store: EvidenceStore, note: Callable[..., Any]) -> None:
    """A store that has not looked for a while commits nothing twice and hangs on the true end."""
    other = EvidenceStore(memory_store.backend, memory_store.run)
    other.entries()
    for number in range(5):
        note(memory_store, "announce", {"by": "first"}, step=str(number))
    assert note(other, "announce", {"by": "other"}, step="3").body == {"by": "first"}
    assert note(other, "announce", {"by": "other"}, step="new").seq == 6
    assert [entry.seq for entry in EvidenceStore(memory_store.backend, memory_store.run).entries()] == list(range(7))


@pytest.mark.parametrize("change", ["cut", "changed"])
def test_a_log_whose_end_was_touched_is_not_continued(memory_store: EvidenceStore, note: Callable[..., Any], change: str) -> None:
    """Also by a store that knows it from before."""
    for number in range(3):
        note(memory_store, "announce", {}, step=str(number))
    assert isinstance(memory_store.backend, MemoryBackend)
    data = memory_store.backend.data
    last = f"{memory_store.run}/log/00000003.json"
    if change == "cut":
        del data[last]
    else:
        data[last] = data[last].replace(b"a_task", b"b_task")
    before = dict(data)
    with pytest.raises(Tampered, match=r"EVI-60[34] .*/log/00000003\.json"):
        note(memory_store, "announce", {}, step="new")
    assert data == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(body=st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_every_entry_that_is_committed_can_be_read_again(body: dict[str, Any]) -> None:
    """Whatever JSON can hold; what it cannot hold, or a reader would refuse, is not committed."""
    now, actor = datetime(2025, 2, 16, 10, 0, tzinfo=UTC), Actor(kind="task", id="a_task")
    store = EvidenceStore(MemoryBackend(), "run-1")
    store.open_run(genesis={}, time=now, actor=actor)
    try:
        entry = store.append(type="announce", body=body, idem=idempotency("a", "x", 0, []), time=now, actor=actor)
    except EvidenceError:
        assert len(store.entries()) == 1
        return
    again = EvidenceStore(store.backend, "run-1").entries()
    assert again[1] == entry
    assert again[1].as_bytes() == store.backend.read("run-1/log/00000001.json")
