"""What the scale benchmarks count and make: mixed runs, copies of a wait, a history, a protocol of any size."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from modules import load

from perfproof.baseline import read_baseline
from perfproof.capture_changes import read_changes
from perfproof.config import load_protocol
from perfproof.history import entry_interval

BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of bench by its name; they import each other by theirs."""
    monkeypatch.syspath_prepend(str(BENCH))
    return lambda name: load(name, BENCH / f"{name}.py")


def log_of(run: str, *, request: str, content: str, note: str) -> list[dict[str, Any]]:
    """The log of a cycle as it should be."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("run.opened", {}), ("artifact.published", {"name": "evidence/plan.txt"}), ("approval.requested", {"request_id": request}),
        ("approval.granted", {"comment": note}), ("artifact.published", {"name": "approvals/x.json"}), ("run.closed", {"outcome": content}),
    ]  # fmt: skip
    return [{"run": run, "type": kind, "body": body} for kind, body in bodies]


def test_a_log_of_its_own_run_is_not_mixed(bench: Any) -> None:
    """Nothing is found where nothing is wrong."""
    running: ModuleType = bench("scale_running")
    expected = running.Expected("run-1", "request-1", "plan 1", "about 1")
    assert running.mixed(log_of("run-1", request="request-1", content="plan 1", note="about 1"), expected) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda log: log[2].update(run="run-2"), "an entry of run-2"),
        (lambda log: log[2]["body"].update(request_id="request-2"), "request-2"),
        (lambda log: log[3]["body"].update(comment="about 2"), "about 2"),
        (lambda log: log[5]["body"].update(outcome="plan 2"), "plan 2"),
        (lambda log: log.pop(3), "entries"),
        (lambda log: log.append(log[3]), "entries"),
    ],
)
def test_what_belongs_to_another_run_is_counted(bench: Any, change: Any, word: str) -> None:
    """One finding for each, with what it is."""
    running: ModuleType = bench("scale_running")
    log = log_of("run-1", request="request-1", content="plan 1", note="about 1")
    change(log)
    (found,) = running.mixed(log, running.Expected("run-1", "request-1", "plan 1", "about 1"))
    assert word in found


def test_a_copy_of_a_wait_has_an_id_as_long_and_of_its_own(bench: Any) -> None:
    """Else a thousand copies would be cheaper to ask for than a thousand waits."""
    waits: ModuleType = bench("scale_waits")
    name = "scale_wait__wait-0000-0123456789abcdef__plan__-1__r0a1"
    copies = {waits.copied_id(name, number) for number in range(1_000)}
    assert len(copies) == 1_000
    assert {len(copy) for copy in copies} == {len(name)}
    assert name not in copies


@pytest.mark.parametrize(("services", "metrics"), [(1, 8), (3, 20)])
def test_the_protocol_is_valid_and_of_that_size(bench: Any, services: int, metrics: int) -> None:
    """Every service has every metric, under a name of its own."""
    protocol: ModuleType = bench("scale_protocol")
    document = protocol.protocol_document(services=services, metrics=metrics)
    loaded = load_protocol(yaml.safe_dump(document).encode(), where="scale.yaml")
    assert [len(service.metrics) for service in loaded.services] == [metrics] * services
    assert len({service.name for service in loaded.services}) == services


def test_the_made_history_is_one_that_captures_could_have_written(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Valid captures hour by hour, with the changes of level that are in them."""
    monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(tmp_path))
    history: ModuleType = bench("scale_history")
    monkeypatch.setattr(history, "LEVEL_HOURS", 30)
    made = history.MadeHistory.make(tmp_path, services=1, metrics=9, seed=1)
    made.fill(0, 60)
    files = sorted(path for path in made.directory.iterdir() if entry_interval(path.name))
    documents = [read_baseline(path.read_bytes(), where=path.name) for path in files]
    assert len(documents) == 60
    assert [d["window"]["start"] for d in documents] == sorted({d["window"]["start"] for d in documents})
    records = read_changes((made.directory / "changes.json").read_bytes(), where="changes.json")
    place = next(i for i, cell in enumerate(documents[0]["cells"]) if cell["metric_name"] == records[0]["series"].partition("/")[2])
    at = next(i for i, d in enumerate(documents) if d["window"]["start"] == records[0]["at"])
    before, after = (documents[i]["cells"][place]["value"] for i in (at - 1, at))
    assert (after > before) == (records[0]["after"] > records[0]["before"])
    recorded = made.at(60).record(made.write_parts(60))
    assert (made.root / recorded["name"]).exists()


def test_the_recorded_server_answers_a_sample_at_every_step(bench: Any) -> None:
    """From the start to the end, both included, the same each time."""
    recorded: ModuleType = bench("scale_recorded")
    asked = {"query": "x", "start": "60", "end": "3600", "step": "60"}
    assert recorded.answer(asked) == recorded.answer(asked)
    assert recorded.answer(asked).count(b'"57.0"') + recorded.answer(asked).count(b'"51.0"') == 60
