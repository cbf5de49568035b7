"""The recurring capture against a small Prometheus on loopback: idempotent per interval, honest about gaps."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from perfproof.baseline import read_baseline
from perfproof.errors import ArtifactError, ConfigError, ParameterError
from perfproof.telemetry import sha256_hex
from perfproof_airflow.captures import Captures
from perfproof_airflow.hooks.http_answers import Unreachable

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "include" / "protocols" / "demo.yaml"
START = datetime(2025, 2, 16, 9, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
LATER = END + timedelta(days=3)
HISTORY = ".artifacts/performance/history/demo"
RUN = """
import json
from datetime import UTC, datetime
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
dag = bag.dags["baseline_capture"]
states = [str(dag.test(logical_date=datetime(2025, 2, 16, 10, tzinfo=UTC)).state) for _ in range(2)]
print("RESULT " + json.dumps({
    "errors": bag.import_errors, "tasks": dag.task_ids, "states": states, "max_active_runs": dag.max_active_runs,
    "catchup": dag.catchup, "paused": dag.is_paused_upon_creation, "timetable": type(dag.timetable).__name__,
    "pool": dag.get_task("capture.capture_service").pool,
    "outlets": [outlet.name for outlet in dag.get_task("capture.record_baseline").outlets],
}))
"""

TRIGGER_RUN = """
import json, sys
from datetime import datetime
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from perfproof_airflow.phases import capture
bag = DagBag()
if sys.argv[2] == "scheduled":
    capture.started_by_schedule = lambda dag_run: True
dag = bag.dags["baseline_capture"]
states = []
for _ in range(2):
    run = dag.test(logical_date=datetime.fromisoformat(sys.argv[1]))
    states.append({ti.task_id.partition(".")[2]: str(ti.state) for ti in run.get_task_instances()})
with create_session() as session:
    runs = session.query(DagRun).filter(DagRun.dag_id == "performance_optimization").all()
    found = [{"run_id": r.run_id, "conf": r.conf, "user": r.triggering_user_name, "type": str(r.run_type)} for r in runs]
print("RESULT " + json.dumps({"states": states, "runs": found}))
"""
DRIFTED = {"shop/orders_latency_p95", "shop/orders_latency_p99", "shop/quote_latency_p95"}


class Recorded:
    """What the small Prometheus has recorded: a value per moment, except in the gaps."""

    def __init__(self) -> None:
        self.value = 50.0
        self.gaps: list[tuple[float, float]] = []
        self.asked: list[dict[str, str]] = []
        self.status = 200

    def samples(self, start: float, end: float, step: float) -> list[list[Any]]:
        moments = [start + number * step for number in range(math.floor((end - start) / step + 1e-9) + 1)]
        return [[m, repr(self.value)] for m in moments if not any(low <= m <= high for low, high in self.gaps)]


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: Recorded) -> Iterator[Path]:
    """A workspace with the demo protocol at a step of 60 s, and a Connection to a Prometheus on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parameters = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
            recorded.asked.append(parameters)
            values = recorded.samples(*(float(parameters[key]) for key in ("start", "end", "step")))
            result = [{"metric": {}, "values": values}] if values else []
            body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()
            self.send_response(recorded.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    protocols = tmp_path / "include" / "protocols"
    protocols.mkdir(parents=True)
    text = DEMO.read_text()
    for old, new in (
        ("  window_seconds: 40", "  window_seconds: 3600"),
        ("step_seconds: 2", "step_seconds: 60"),
        ("max_staleness_seconds: 10", "max_staleness_seconds: 120"),
        ("regression_limit_percent: 900", "regression_limit_percent: 200"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (protocols / "demo.yaml").write_text(text)
    monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_PROMETHEUS", f"http://127.0.0.1:{server.server_port}")
    yield tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


def captured(start: datetime = START, *, now: datetime = LATER) -> dict[str, Any]:
    captures = Captures.of("demo", start=start, end=start + timedelta(hours=1), now=now)
    parts = [captures.capture(service.name, protocol_sha256=captures.protocol.digest) for service in captures.protocol.services]
    return captures.record(parts)


def kept(workspace: Path, result: dict[str, Any]) -> dict[str, Any]:
    return read_baseline((workspace / result["name"]).read_bytes(), where="history")


def test_an_interval_becomes_one_file_named_by_it(workspace: Path, recorded: Recorded) -> None:
    """Sixty samples of the hour, every metric measured, nothing asked outside of the interval."""
    result = captured()
    assert result["name"] == f"{HISTORY}/20250216T090000Z_20250216T100000Z.json"
    document = kept(workspace, result)
    assert document["baseline_completeness"] == 100
    assert {cell["samples_valid"] for cell in document["cells"]} == {60}
    assert document["window"] == {"start": "2025-02-16T09:00:00Z", "end": "2025-02-16T10:00:00Z", "step_seconds": 60}
    assert {(float(a["start"]), float(a["end"])) for a in recorded.asked} == {(START.timestamp() + 60, END.timestamp())}


def test_a_long_interval_is_asked_in_a_bounded_number_of_samples(workspace: Path) -> None:
    """A day at a step of 60 s would be 1,440 samples a metric; it is asked at 240 s instead, and says so."""
    captures = Captures.of("demo", start=START, end=START + timedelta(days=1), now=LATER)
    document = kept(workspace, captures.record([captures.capture("shop", protocol_sha256=captures.protocol.digest)]))
    assert {cell["samples_expected"] for cell in document["cells"]} == {360}
    assert document["window"]["step_seconds"] == 240
    assert document["baseline_completeness"] == 100


def test_the_build_of_a_past_interval_stays_unknown(workspace: Path) -> None:
    """What answers now says nothing about what answered then."""
    assert kept(workspace, captured())["builds"] == {"shop": None}


def test_running_an_interval_again_changes_nothing(workspace: Path) -> None:
    """The same telemetry gives the same file, byte for byte, whenever it is captured."""
    first = captured()
    before = (workspace / first["name"]).read_bytes()
    again = captured(now=LATER + timedelta(days=30))
    assert (again["decision"], again["sha256"]) == ("keep", first["sha256"])
    assert (workspace / first["name"]).read_bytes() == before


def test_a_gap_is_nodata_and_is_not_filled(workspace: Path, recorded: Recorded) -> None:
    """The source recorded nothing in the whole interval: every cell NODATA, no value, completeness 0."""
    recorded.gaps = [(START.timestamp(), END.timestamp())]
    document = kept(workspace, captured())
    assert document["baseline_completeness"] == 0
    assert {tuple(cell["reasons"]) for cell in document["cells"]} == {("NODATA", "TOO_FEW")}
    assert {cell["value"] for cell in document["cells"]} == {None}


def test_a_part_of_the_interval_is_partly_covered(workspace: Path, recorded: Recorded) -> None:
    """Twenty of sixty minutes without samples: coverage two thirds, said so."""
    recorded.gaps = [(START.timestamp() + 600, START.timestamp() + 1_799)]
    document = kept(workspace, captured())
    assert {cell["samples_valid"] for cell in document["cells"]} == {40}
    assert {tuple(cell["reasons"]) for cell in document["cells"]} == {("TOO_FEW",)}
    assert document["baseline_completeness"] == 74.07


def test_expired_telemetry_does_not_replace_what_was_seen_in_time(workspace: Path, recorded: Recorded) -> None:
    """A later, emptier look at the same interval leaves the file as it is."""
    first = captured()
    recorded.gaps = [(START.timestamp(), END.timestamp())]
    again = captured(now=LATER + timedelta(days=90))
    assert (again["decision"], again["sha256"], again["baseline_completeness"]) == ("keep", first["sha256"], 100)


def test_a_fuller_capture_replaces_an_emptier_one(workspace: Path, recorded: Recorded) -> None:
    """Telemetry that arrived late is taken when the interval is cleared."""
    recorded.gaps = [(START.timestamp(), END.timestamp() - 600)]
    captured()
    recorded.gaps = []
    assert captured()["decision"] == "write"


def test_a_damaged_history_file_is_written_anew(workspace: Path) -> None:
    """Half a file is no capture."""
    first = captured()
    (workspace / first["name"]).write_text('{"schema_version": 1')
    assert captured()["decision"] == "write"
    assert kept(workspace, first)["baseline_completeness"] == 100


def test_a_regression_against_the_history_is_found(workspace: Path, recorded: Recorded) -> None:
    """Three good hours, then four times the latency: named as a finding, and the capture is kept all the same."""
    for hour in range(3):
        assert captured(START + timedelta(hours=hour))["regressed"] == []
    recorded.value = 50.0 * 4
    result = captured(START + timedelta(hours=3))
    assert set(result["regressed"]) == {"shop/orders_latency_p95", "shop/orders_latency_p99", "shop/quote_latency_p95"}
    assert result["decision"] == "write"


def test_a_change_of_level_is_reported_once_and_can_be_accepted(workspace: Path, recorded: Recorded) -> None:
    """Said by the first capture that can know it, by no later one; unaccepted it leaves the comparison open, and a person can accept it."""
    results = []
    for hour in range(30):
        recorded.value = 50.0 if hour < 20 else 60.0
        results.append(captured(START + timedelta(hours=hour), now=LATER + timedelta(hours=hour)))
    series = {line.split(":")[0] for result in results for line in result["changes"]}
    lines = [line for result in results for line in result["changes"] if line.startswith("shop/orders_latency_p95: ")]
    assert len(lines) == 1 and "regression at 2025-02-17T05:00:00Z" in lines[0] and "shop/orders_latency_p95" in series
    assert captured(START + timedelta(hours=29), now=LATER + timedelta(hours=40))["changes"] == []
    assert any("baseline not stable" in line for line in results[-1]["inconclusive"])
    record = json.loads((workspace / HISTORY / "changes.json").read_text())
    assert {change["at"] for change in record["changes"]} == {"2025-02-17T05:00:00Z"}
    entry = {"time": "2025-02-17T05:00:00Z", "reason": "larger baskets", "by": "owner"}
    accepted = workspace / "include" / "protocols" / "demo.acknowledged.json"
    accepted.write_text(json.dumps({name: [entry] for name in series}))
    assert captured(START + timedelta(hours=30), now=LATER + timedelta(hours=41))["inconclusive"] == []
    accepted.write_text("{")
    with pytest.raises(ArtifactError, match=r"demo\.acknowledged\.json"):
        captured(START + timedelta(hours=31), now=LATER + timedelta(hours=42))


def test_the_history_can_be_read_without_airflow(workspace: Path, recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    """`perfproof changes` on its directory: each metric with the direction of its cell, under the names of the acknowledgements."""
    from perfproof import cli

    for hour in range(24):
        recorded.value = 50.0 if hour < 16 else 70.0
        captured(START + timedelta(hours=hour), now=LATER + timedelta(hours=hour))
    with pytest.raises(SystemExit) as raised:
        cli.main(["changes", str(workspace / HISTORY)])
    assert raised.value.code == 1
    text = capsys.readouterr().out
    assert "shop/orders_latency_p95: regression at 16 (2025-02-17T01:00:00Z): 50 -> 70" in text
    assert "improvement at 16" in text


def test_the_future_and_the_running_interval_are_not_captured(workspace: Path, recorded: Recorded) -> None:
    """An interval must be over before it can be whole."""
    with pytest.raises(ParameterError, match=r"PAR-253 .*not over yet"):
        captured(now=END - timedelta(seconds=1))
    assert recorded.asked == []


@pytest.mark.parametrize("name", ["../demo", "Demo", "", None, "{{ x }}", ["demo"]])
def test_a_name_that_is_no_protocol_is_refused(workspace: Path, name: Any) -> None:
    """Nothing but an identifier reaches the file system."""
    with pytest.raises(ParameterError, match="PAR-255"):
        Captures.of(name, start=START, end=END, now=LATER)


def test_an_unknown_protocol_is_one_clear_line(workspace: Path) -> None:
    """The message names the file that is missing."""
    with pytest.raises(ConfigError, match=r"CFG-180 .*absent\.yaml"):
        Captures.of("absent", start=START, end=END, now=LATER)


def test_a_protocol_edited_between_two_tasks_is_refused(workspace: Path) -> None:
    """Cells of one baseline are measured under one protocol file."""
    with pytest.raises(ParameterError, match="PAR-256"):
        Captures.of("demo", start=START, end=END, now=LATER).capture("shop", protocol_sha256="0" * 64)


def test_a_part_that_was_changed_is_refused(workspace: Path) -> None:
    """The part that is joined is the one that was captured."""
    captures = Captures.of("demo", start=START, end=END, now=LATER)
    reference = captures.capture("shop", protocol_sha256=captures.protocol.digest)
    path = workspace / reference["name"]
    path.write_text(path.read_text().replace("50", "10"))
    with pytest.raises(ArtifactError, match="ART-397"):
        captures.record([reference])


def test_the_answers_of_the_source_are_kept_with_their_digests(workspace: Path) -> None:
    """Each cell can be measured again from the answer whose digest it cites."""
    captures = Captures.of("demo", start=START, end=END, now=LATER)
    part = json.loads((workspace / captures.capture("shop", protocol_sha256=captures.protocol.digest)["name"]).read_bytes())
    for cell in part["cells"]:
        assert sha256_hex(part["answers"][cell["metric_name"]].encode()) == cell["raw_sha256"]


def test_an_unreachable_source_writes_nothing(workspace: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is down is an error for Airflow's retries, not a baseline without data."""
    monkeypatch.setattr("perfproof_airflow.hooks.http_answers.FIRST_PAUSE_SECONDS", 0.0)
    recorded.status = 503
    with pytest.raises(Unreachable):
        captured()
    assert not (workspace / HISTORY).exists()


def inbox(workspace: Path) -> dict[str, Any]:
    """The inbox, read as an intake reads it."""
    from perfproof.inputs.backlog import validate_backlog

    data = (workspace / HISTORY / "intake-items.json").read_bytes()
    validate_backlog(data, where="intake-items.json")
    found: dict[str, Any] = json.loads(data)
    return found


def captured_until_drift(recorded: Recorded, *, most: int = 40) -> tuple[int, dict[str, Any]]:
    """The number of the capture that first opens a drift, and its result: a latency of 50 ms for 20 hours, 60 ms from then on."""
    for hour in range(most):
        recorded.value = 50.0 if hour < 20 else 60.0
        result = captured(START + timedelta(hours=hour), now=LATER + timedelta(hours=hour))
        if result["drifts"]:
            return hour, result
    raise AssertionError("no drift was found")


def test_a_drift_opens_an_item_for_the_next_intake_once(workspace: Path, recorded: Recorded) -> None:
    """With figures, the captures as evidence, and the same bytes when the interval is captured again."""
    hour, result = captured_until_drift(recorded)
    items = inbox(workspace)["items"]
    assert {f"{item['service']}/{item['metric']}" for item in items} <= {*DRIFTED, *(f"shop/{d['metric']}" for d in result["drifts"])}
    item = next(one for one in items if one["metric"] == "orders_latency_p95")
    assert (item["before"], item["after"], item["unit"], item["at"]) == (50.0, 60.0, "ms", "2025-02-17T05:00:00Z")
    for reference in item["evidence"]:
        assert sha256_hex((workspace / reference["name"]).read_bytes()) == reference["sha256"]
    names = [Path(reference["name"]).name for reference in item["evidence"]]
    assert names[:2] == ["20250217T040000Z_20250217T050000Z.json", "20250217T050000Z_20250217T060000Z.json"]
    before = (workspace / HISTORY / "intake-items.json").read_bytes()
    again = captured(START + timedelta(hours=hour), now=LATER + timedelta(days=9))
    assert (again["changes"], again["drifts"]) == ([], result["drifts"])
    assert (workspace / HISTORY / "intake-items.json").read_bytes() == before
    later = captured(START + timedelta(hours=hour + 1), now=LATER + timedelta(hours=hour + 1))
    assert [item["id"] for item in inbox(workspace)["items"]] == [*(one["id"] for one in items), *(d["id"] for d in later["drifts"])]


def test_a_capture_that_died_after_reporting_opens_the_item_when_it_is_tried_again(workspace: Path, recorded: Recorded) -> None:
    """The change is then no longer new, and would be lost if only what is new were opened."""
    hour, result = captured_until_drift(recorded)
    for name in ("intake-items.json", *(f"drifts/{drift['id']}.json" for drift in result["drifts"])):
        (workspace / HISTORY / name).unlink()
    assert captured(START + timedelta(hours=hour), now=LATER + timedelta(hours=hour))["drifts"] == result["drifts"]
    assert {item["id"] for item in inbox(workspace)["items"]} == {drift["id"] for drift in result["drifts"]}


def test_an_improvement_opens_nothing(workspace: Path, recorded: Recorded) -> None:
    """For a latency, lower is not a drift to mitigate; throughput, which the small Prometheus lets fall with it, is."""
    for hour in range(30):
        recorded.value = 60.0 if hour < 20 else 50.0
        captured(START + timedelta(hours=hour), now=LATER + timedelta(hours=hour))
    opened = {f"{item['service']}/{item['metric']}" for item in inbox(workspace)["items"]}
    assert not opened & DRIFTED


def test_no_cycle_is_asked_for_unless_the_protocol_file_wants_one(workspace: Path, recorded: Recorded) -> None:
    """And then with a run id of the interval."""
    hour, result = captured_until_drift(recorded)
    assert (result["cycle"], result["earlier_cycles"]) == (None, [])
    wanting(workspace)
    again = captured(START + timedelta(hours=hour), now=LATER + timedelta(hours=hour))
    name = Path(result["name"]).stem
    assert again["cycle"]["run_id"] == f"drift__demo__{name}" and again["cycle"]["conf"]["protocol"] == "demo"


def wanting(workspace: Path) -> None:
    path = workspace / "include" / "protocols" / "demo.yaml"
    path.write_text(path.read_text() + "\ncaptures: {trigger_cycle: true}\n")


@pytest.mark.airflow
@pytest.mark.parametrize("kind", ["scheduled", "manual"])
def test_a_drift_triggers_one_cycle_without_a_person_behind_it(workspace: Path, recorded: Recorded, tmp_path: Path, kind: str) -> None:
    """Captured twice by the schedule: one run, its parameters those of the drift, triggered by nobody. By hand: none."""
    hour, result = captured_until_drift(recorded)
    wanting(workspace)
    dags = tmp_path / "dags"
    dags.mkdir()
    for name in ("baseline_capture.py", "performance_optimization.py"):
        (dags / name).write_text((REPOSITORY / "dags" / name).read_text())
    environment = airflow_environment(tmp_path, dags)
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command], env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
    moment = (START + timedelta(hours=hour + 1)).isoformat()
    done = subprocess.run(
        [sys.executable, "-c", TRIGGER_RUN, moment, kind], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, (done.stdout + done.stderr)[-3000:]
    found = json.loads(lines[0].removeprefix("RESULT "))
    if kind == "manual":
        assert found["runs"] == []
        assert {state["ask_for_cycle"] for state in found["states"]} == {"skipped"}
        return
    (run,) = found["runs"]
    assert run["run_id"] == f"drift__demo__{Path(result['name']).stem}"
    assert run["conf"]["protocol"] == "demo" and run["conf"]["objective"].startswith("Explain and mitigate the drift of shop: ")
    assert (run["user"], run["type"]) == (None, "operator_triggered")
    assert [state["trigger_cycle"] for state in found["states"]] == ["success", "skipped"]


def airflow_environment(home: Path, dags: Path) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "no-plugins"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }


@pytest.mark.airflow
def test_the_dag_runs_and_running_it_again_keeps_the_file(workspace: Path, tmp_path: Path) -> None:
    """A real run in Airflow: one interval, captured twice, one unchanged file; the wiring is as documented."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "baseline_capture.py").write_text((REPOSITORY / "dags" / "baseline_capture.py").read_text())
    environment = airflow_environment(tmp_path, dags)
    migrated = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert migrated.returncode == 0, migrated.stderr[-2000:]
    environment["AIRFLOW__PERFPROOF__CAPTURE_POOL"] = "captures"
    done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, timeout=180, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, (done.stdout + done.stderr)[-3000:]
    assert json.loads(lines[0].removeprefix("RESULT ")) == {
        "errors": {},
        "tasks": [
            "capture.services_of_the_protocol",
            "capture.capture_service",
            "capture.record_baseline",
            "capture.ask_for_cycle",
            "capture.trigger_cycle",
        ],
        "states": ["success", "success"],
        "max_active_runs": 1,
        "catchup": False,
        "paused": True,
        "timetable": "CronDataIntervalTimetable",
        "pool": "captures",
        "outlets": ["perfproof_baseline"],
    }
    files = sorted(path.name for path in (workspace / HISTORY).glob("*.json"))
    assert files == ["20250216T090000Z_20250216T100000Z.json", "intake-items.json"]
    assert read_baseline((workspace / HISTORY / files[0]).read_bytes(), where="x")["baseline_completeness"] == 100
