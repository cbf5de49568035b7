"""What pages read of the evidence: newest first, a page at a time, as it is now, and bounded in memory."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfproof.approvals import APPROVAL, Asked, Decision, Question, open_request
from perfproof.approvals.standing import requested_body
from perfproof.config import Person
from perfproof.cycles.view import write_view
from perfproof.errors import EvidenceError
from perfproof.evidence import Actor, Attempt, Backend, EntryType, EvidenceStore, LocalBackend, MemoryBackend, Missing, idempotency
from perfproof.evidence.names import CYCLE_VIEW
from perfproof.run_key import run_key
from perfproof.telemetry import document_bytes
from perfproof_airflow.hooks.s3_store import S3Backend
from perfproof_airflow.hooks.workspace import Workspace
from perfproof_airflow.web import cycles as cycles_module
from perfproof_airflow.web.capture_history import CaptureHistory
from perfproof_airflow.web.cycles import CycleReader

START = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
DAG = "performance_optimization"
TASK = "optimization.await_plan_approvals"
PEOPLE = (Asked("product_owner", "Product Owner", (Person("ann", "Ann"),)),)


class Counting:
    """A backend that counts what is read through it."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.reads: list[str] = []

    def read(self, key: str) -> bytes:
        self.reads.append(key)
        return self.inner.read(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Bucket:
    """The calls of a client for S3 that a store and a listing make, kept in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str | None = None, **_: Any) -> None:
        if IfNoneMatch and Key in self.kept:
            raise _refusal("PreconditionFailed")
        self.kept[Key] = Body

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        if Key not in self.kept:
            raise _refusal("NoSuchKey")
        from io import BytesIO

        return {"Body": BytesIO(self.kept[Key])}

    def get_paginator(self, _: str) -> Bucket:
        return self

    def paginate(self, *, Prefix: str, Delimiter: str = "", **_: Any) -> list[dict[str, Any]]:
        keys = sorted(key for key in self.kept if key.startswith(Prefix))
        if not Delimiter:
            return [{"Contents": [{"Key": key} for key in keys]}]
        found = sorted({Prefix + key.removeprefix(Prefix).partition("/")[0] + "/" for key in keys if "/" in key.removeprefix(Prefix)})
        return [{"CommonPrefixes": [{"Prefix": one} for one in found[i : i + 2]]} for i in range(0, len(found), 2)]


def _refusal(code: str) -> Exception:
    from botocore.exceptions import ClientError

    refusal: Exception = ClientError({"Error": {"Code": code}}, "call")
    return refusal


def opened(backend: Any, number: int, *, objective: str = "Make it fast", days: int | None = None) -> EvidenceStore:
    """A cycle that was opened `days` (else `number` days) after the first."""
    run_id = f"manual__{number}"
    store = EvidenceStore(backend, run_key(DAG, run_id))
    genesis = {"dag_id": DAG, "run_id": run_id, "triggered_by": "tim", "parameters": {"protocol": "demo", "objective": objective}}
    time = START + timedelta(days=number if days is None else days)
    store.open_run(genesis=genesis, time=time, actor=Actor("task", "prerequisites.open_cycle", "A1"))
    return store


def publish(store: EvidenceStore, name: str, content: Any, *, round: int = 0) -> str:  # noqa: A002
    data = content if isinstance(content, bytes) else document_bytes(content)
    idem = idempotency("artifact", name, round, [])
    return store.publish(name, data, idem=idem, time=START + timedelta(days=99), actor=Actor("task", "x", "A1")).sha256


def ask(store: EvidenceStore, *, map_index: int = -1, step: str = "plan") -> str:
    run_id = json.loads(store.get_object(store.entries()[0].prev))["run_id"]
    question = Question(store.run, DAG, run_id, step, map_index, 0, "Approve?", APPROVAL, PEOPLE, (), {}, forbidden=("tim",))
    size, head = store.head()
    request = open_request(
        question, attempt=1, roles=("product_owner",), log_size=size, log_head=head, now=START, expires_after_days=7
    )  # fmt: skip
    store.append(
        type=EntryType.APPROVAL_REQUESTED, body=requested_body(request), idem=idempotency("asked", step, 0, [], map_index),
        time=START + timedelta(days=99), actor=Actor("task", TASK, "A1"), attempt=Attempt(DAG, TASK, map_index, 1, "ti"),
    )  # fmt: skip
    return request.request_id


@pytest.fixture(params=["local", "memory", "bucket"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each place where evidence can be."""
    if request.param == "local":
        return LocalBackend(tmp_path / "evidence")
    return MemoryBackend() if request.param == "memory" else S3Backend(Bucket(), "evidence", "team/cycles")


def objectives(found: dict[str, Any]) -> list[str]:
    return [one["objective"] for one in found["items"]]


def test_cycles_are_listed_newest_first_a_page_at_a_time(backend: Backend) -> None:
    """By the moment of the first entry, whatever the names sort like."""
    for number, days in enumerate((3, 1, 5, 2, 4)):
        opened(backend, number, objective=f"day {days}", days=days)
    reader = CycleReader(backend)
    first, second, third = (reader.list_cycles(page=page, size=2) for page in (1, 2, 3))
    assert [objectives(page) for page in (first, second, third)] == [["day 5", "day 4"], ["day 3", "day 2"], ["day 1"]]
    assert [(page["more"], page["total"]) for page in (first, second, third)] == [(True, 5), (True, 5), (False, 5)]
    assert reader.list_cycles(page=9)["items"] == []


def test_what_is_no_cycle_is_not_listed(tmp_path: Path) -> None:
    """The history of captures, locks, `latest`, a run that was never opened, files and links."""
    backend = LocalBackend(tmp_path)
    store = opened(backend, 1)
    for name in ("history/demo", "locks", "never-opened-0123456789abcdef/objects"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "latest").symlink_to(store.run)
    (tmp_path / "linked-0123456789abcdef").symlink_to(store.run)
    (tmp_path / "a-0123456789abcdef").write_text("no directory")
    assert [one["run"] for one in CycleReader(backend).list_cycles()["items"]] == [store.run]


def test_without_evidence_the_list_is_empty(tmp_path: Path) -> None:
    """Before the first cycle there is not even a directory."""
    assert CycleReader(LocalBackend(tmp_path / "none")).list_cycles() == {"items": [], "page": 1, "size": 25, "more": False, "total": 0}


def test_a_new_cycle_and_a_new_entry_are_seen_at_once(backend: Backend) -> None:
    """Nothing is shown that the log has overtaken."""
    reader = CycleReader(backend)
    store = opened(backend, 1)
    assert reader.list_cycles()["items"][0]["state"] == "running"
    ask(store)
    assert reader.list_cycles()["items"][0]["state"] == "waiting"
    opened(backend, 2, objective="newer")
    assert objectives(reader.list_cycles()) == ["newer", "Make it fast"]


def test_a_cycle_that_was_moved_away_is_not_listed_any_more(tmp_path: Path) -> None:
    """Also by a reader that knows it."""
    reader = CycleReader(LocalBackend(tmp_path))
    store = opened(reader.backend, 1)
    opened(reader.backend, 2, objective="stays")
    assert len(reader.list_cycles()["items"]) == 2
    (tmp_path / store.run).rename(tmp_path / "moved")
    assert objectives(reader.list_cycles()) == ["stays"]
    with pytest.raises(Missing):
        reader.summary(store.run)


def test_a_page_reads_views_and_no_log(tmp_path: Path) -> None:
    """A thousand cycles cost a thousand first entries once, and then what the page shows."""
    inner = LocalBackend(tmp_path)
    for number in range(10):
        store = opened(inner, number)
        publish(store, "evidence/a.json", {"n": number})
        write_view(store)
    counting = Counting(inner)
    reader = CycleReader(counting)
    reader.list_cycles(size=3)
    first = [key for key in counting.reads if key.endswith("log/00000000.json")]
    assert len(first) == 10
    assert not [key for key in counting.reads if key.endswith("log/00000001.json")]
    assert len([key for key in counting.reads if key.endswith(CYCLE_VIEW)]) == 4
    counting.reads.clear()
    reader.list_cycles(size=3)
    seen = list(counting.reads)
    assert seen == [f"{run}/log/00000002.json" for run in _runs(reader, 4)]


def _runs(reader: CycleReader, count: int) -> list[str]:
    return [one["run"] for one in reader.list_cycles(size=count)["items"]]


def test_states_and_words_choose_among_cycles(backend: Backend) -> None:
    """In whatever letters; the total is not counted then, since it would take reading everything."""
    for number in range(6):
        store = opened(backend, number, objective="Checkout" if number % 2 else "Search")
        if number in (1, 3):
            ask(store)
    reader = CycleReader(backend)
    assert [one["run_id"] for one in reader.list_cycles(text="CHECK")["items"]] == ["manual__5", "manual__3", "manual__1"]
    waiting = reader.list_cycles(state="waiting", text="checkout", size=1)
    assert ([one["run_id"] for one in waiting["items"]], waiting["more"], waiting["total"]) == (["manual__3"], True, None)
    again = reader.list_cycles(state="waiting", text="checkout", size=1, page=2)
    assert ([one["run_id"] for one in again["items"]], again["more"]) == (["manual__1"], False)
    assert reader.list_cycles(state="passed")["items"] == []


def test_a_cycle_whose_log_was_changed_is_listed_with_the_problem(tmp_path: Path) -> None:
    """And hides none of the others; asked for by itself it is an error."""
    reader = CycleReader(LocalBackend(tmp_path))
    good, bad, worse = (opened(reader.backend, number) for number in range(3))
    ask(bad)
    for store, seq in ((bad, 1), (worse, 0)):
        path = tmp_path / store.run / "log" / f"{seq:08d}.json"
        os.chmod(path, 0o644)  # noqa: PTH101
        path.write_text("{}")
    found = {one["run"]: one for one in reader.list_cycles()["items"]}
    assert (found[good.run]["state"], found[bad.run]["state"], found[worse.run]["state"]) == ("running", "unreadable", "unreadable")
    assert "EVI-601" in found[bad.run]["problem"]
    with pytest.raises(EvidenceError):
        reader.cycle(bad.run)
    assert reader.list_cycles(state="unreadable", text="manual")["items"]


def test_one_cycle_has_all_its_parts(backend: Backend) -> None:
    """Summary, time line, approvals and artifacts of the same log."""
    store = opened(backend, 1)
    publish(store, "optimization-plan.json", {"tasks": []})
    request = ask(store)
    found = CycleReader(backend).cycle(store.run)
    assert (found["summary"]["state"], found["summary"]["entries"]) == ("waiting", 3)
    assert [one["request_id"] for one in found["approvals"]] == [request]
    assert [one["name"] for one in found["artifacts"]] == ["optimization-plan.json"]
    assert found["timeline"]["run"] == store.run


def test_an_artifact_is_read_by_digest_in_any_version(backend: Backend) -> None:
    """The live one, or the one that is asked for; never one of another name."""
    store = opened(backend, 1)
    old, new = publish(store, "optimization-plan.json", b"old"), publish(store, "optimization-plan.json", b"new", round=1)
    other = publish(store, "evidence/secret.json", b"other")
    reader = CycleReader(backend)
    document, data = reader.artifact(store.run, "optimization-plan.json")
    assert (data, document["sha256"]) == (b"new", new)
    assert reader.artifact(store.run, "optimization-plan.json", sha256=old)[1] == b"old"
    for name, sha256 in (
        ("optimization-plan.json", other), ("optimization-plan.json", "../../x"), ("evidence/none.json", None), ("../protocol.yaml", None),
        ("log/00000000.json", None), ("", None),
    ):  # fmt: skip
        with pytest.raises(Missing):
            reader.artifact(store.run, name, sha256=sha256)


@pytest.mark.parametrize("run", ["", "..", "../x", "latest", "a/b", "none-0123456789abcdef", "x" * 300, "a\x00b"])
def test_what_is_no_cycle_is_missing(tmp_path: Path, run: str) -> None:
    """Whatever an address holds."""
    opened(LocalBackend(tmp_path), 1)
    reader = CycleReader(LocalBackend(tmp_path))
    for read in (reader.summary, reader.cycle, lambda key: reader.artifact(key, "optimization-plan.json")):
        with pytest.raises(Missing):
            read(run)


def test_a_changed_content_is_an_error_and_not_shown(tmp_path: Path) -> None:
    """Its digest differs from the one that was committed."""
    store = opened(LocalBackend(tmp_path), 1)
    sha256 = publish(store, "optimization-plan.json", b"good")
    path = tmp_path / store.run / "objects" / "sha256" / sha256
    os.chmod(path, 0o644)  # noqa: PTH101
    path.write_bytes(b"evil")
    with pytest.raises(EvidenceError, match="EVI-606"):
        CycleReader(LocalBackend(tmp_path)).artifact(store.run, "optimization-plan.json")


def test_a_dag_run_leads_to_its_cycle_if_it_has_one(backend: Backend) -> None:
    """Tabs are on every Dag."""
    store = opened(backend, 1)
    reader = CycleReader(backend)
    assert reader.run_of(DAG, "manual__1") == store.run
    assert reader.run_of(DAG, "manual__2") is None
    assert reader.run_of("another", "manual__1") is None


def test_a_task_leads_to_the_request_that_it_asks_or_answers(backend: Backend) -> None:
    """From the protocol's task, mapped or not, and from the task that people mark."""
    store = opened(backend, 1)
    first, second = ask(store, map_index=0), ask(store, map_index=1)
    reader = CycleReader(backend)

    def found(*args: Any) -> Any:
        request = reader.request(*args)
        return request and request["request_id"]

    assert (found(DAG, "manual__1", TASK, 0), found(DAG, "manual__1", TASK, 1)) == (first, second)
    assert found(DAG, "manual__1", TASK) == second
    assert found("performance_approvals", first, "approve", 0) == first
    assert found(DAG, "manual__1", "diagnostics.profile_transactions") is None
    assert found("performance_approvals", "manual__x", "approve") is None
    assert found("performance_approvals", "../a__b__c__d", "approve") is None
    assert found("other", "manual__1", TASK) is None


def test_what_waits_is_listed_over_all_cycles(backend: Backend) -> None:
    """With the cycle that each belongs to."""
    stores = [opened(backend, number) for number in range(3)]
    wanted = {ask(stores[0]), ask(stores[2])}
    reader = CycleReader(backend)
    found = reader.waiting()
    assert {one["approval"]["request_id"] for one in found} == wanted
    assert all(one["approval"]["roles"][0]["people"] == [{"id": "ann", "name": "Ann"}] for one in found)
    assert {one["cycle"]["run_id"] for one in found} == {"manual__0", "manual__2"}
    assert len(reader.waiting(limit=1)) == 1


def test_trends_read_the_newest_history_of_each_protocol(backend: Backend) -> None:
    """And the improvement of every cycle that measured one."""
    for number in range(3):
        store = opened(backend, number)
        publish(store, "optimization-validation-report.json", {"improvement": {"percentage": 10.0 * number}, "verdict": {"label": "x"}})
        records = [{"validation_sha256": f"{n:064d}", "cause": "query", "kept": "kept"} for n in range(number + 1)]
        publish(store, "evidence/promised-gains.json", {"records": records})
        task = "governance.write_notes"
        store.append(
            type=EntryType.ANNOUNCE, body={"text": "x"}, idem=idempotency("a", "b", 0, []), time=START + timedelta(days=99),
            actor=Actor("task", task, "A1"), attempt=Attempt(DAG, task, -1, 1, "ti"),
        )  # fmt: skip
    found = CycleReader(backend).trends()
    assert [one["improvement_percent"] for one in found["improvements"]] == [0.0, 10.0, 20.0]
    assert len(found["gains"]["records"]) == 3


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many cycles a reader keeps the last that were looked at; what it dropped it reads again."""
    monkeypatch.setattr(cycles_module, "MAX_SUMMARIES", 4)
    monkeypatch.setattr(cycles_module, "MAX_LOGS", 2)
    backend = LocalBackend(tmp_path)
    stores = [opened(backend, number) for number in range(8)]
    reader = CycleReader(backend)
    for store in stores:
        reader.cycle(store.run)
        reader.summary(store.run)
    assert (len(reader._summaries), len(reader._logs)) == (4, 2)
    assert len(reader.list_cycles(size=8)["items"]) == 8
    monkeypatch.setattr(cycles_module, "MAX_LOG_ENTRIES", 1)
    few = CycleReader(backend)
    for store in stores[:3]:
        few.cycle(store.run)
    assert len(few._logs) == 1


def test_a_bucket_that_can_not_be_listed_is_one_clear_line() -> None:
    """Whatever its client raises."""

    class Closed(Bucket):
        def get_paginator(self, _: str) -> Bucket:
            raise ConnectionError("no route")

    with pytest.raises(EvidenceError, match="EVI-871"):
        CycleReader(S3Backend(Closed(), "evidence", "")).list_cycles()


def test_the_history_of_captures_is_read_with_what_is_broken_named(tmp_path: Path) -> None:
    """A damaged capture is left out and said to be; a protocol without captures has none."""
    folder = tmp_path / "history" / "demo"
    folder.mkdir(parents=True)
    (tmp_path / "history" / "empty").mkdir()
    (folder / "20250216T100000Z_20250216T110000Z.json").write_text("{")
    (folder / "notes.txt").write_text("x")
    reader = CycleReader(MemoryBackend(), history=CaptureHistory(Workspace(tmp_path), "history"))
    assert reader.protocols_with_history() == ["demo"]
    found = reader.baselines("demo")
    assert found is not None
    assert (found["captures"], [one["name"] for one in found["unreadable"]]) == (0, ["20250216T100000Z_20250216T110000Z.json"])
    assert reader.baselines("empty") is None
    assert reader.baselines("../demo") is None
    assert CycleReader(MemoryBackend()).baselines("demo") is None


def test_decisions_in_use_are_those_of_the_log() -> None:
    """The options of a request are the ones that can be answered."""
    store = opened(backend := MemoryBackend(), 1)
    ask(store)
    assert CycleReader(backend).cycle(store.run)["approvals"][0]["options"] == [str(Decision.APPROVE), str(Decision.REJECT)]
