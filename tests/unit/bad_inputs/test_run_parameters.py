"""Parameters of a run that cannot be meant: the first task fails at once with one line, and no evidence of the run exists."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from perfproof.config import load_protocol
from perfproof.errors import ConfigError, ParameterError, PerfproofError
from perfproof.evidence import Actor, EntryType, idempotency
from perfproof.evidence.views import close_run
from perfproof.history import check_interval
from perfproof.moments import parse_stamp
from perfproof.run_key import RUN_KEY, run_key

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENT: dict[str, Any] = yaml.safe_load((REPOSITORY / "include" / "protocols" / "demo.yaml").read_text(encoding="utf-8"))
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Case:
    """Bad parameters: what they are, how the run is given them, and what must be said of them."""

    name: str
    params: dict[str, Any]
    code: str
    words: str


def of_demo(**params: Any) -> dict[str, Any]:
    """Parameters of a run of the demo's protocol."""
    return {"protocol": "demo", **params}


CASES = [
    Case("unknown parameter", of_demo(colour="red"), "PAR-201", "params.colour: unknown parameter"),
    Case("unknown parameter: known name, wrong case", of_demo(Services=["shop"]), "PAR-201", "params.Services"),
    Case("unknown parameter with a line break", of_demo(**{"x\n[RAY GATE FAILED]": 1}), "PAR-201", "x\\n[RAY GATE FAILED]"),
    Case("null for the protocol", {"protocol": None}, "PAR-207", "not the name of a protocol file"),
    Case("null in a list", of_demo(services=[None]), "PAR-204", "got [None], expected a list of names"),
    Case("list for string", of_demo(objective=["fast"]), "PAR-204", "expected text"),
    Case("list for the protocol", {"protocol": ["demo"]}, "PAR-207", "not the name of a protocol file"),
    Case("string for list", of_demo(services="shop"), "PAR-204", "got the text shop, expected a list of names"),
    Case("number for string", of_demo(objective=7), "PAR-204", "got 7, expected text"),
    Case("true for string", of_demo(environment=True), "PAR-204", "got true, expected text"),
    Case("nested object", of_demo(objective={"a": {"b": 1}}), "PAR-204", "expected text"),
    Case("nested object in a list", of_demo(optimizations=[{"id": "OPT-001"}]), "PAR-204", "expected a list of names"),
    Case("Jinja text {{ … }}", of_demo(objective="{{ var.value.secret }}"), "PAR-202", "template text is not allowed"),
    Case("Jinja text {% … %}", of_demo(services=["{% if x %}"]), "PAR-202", "template text is not allowed"),
    Case("Jinja text {# … #}", of_demo(target_metric="{# x #}"), "PAR-202", "template text is not allowed"),
    Case("Jinja text in the protocol", {"protocol": "{{ 7*7 }}"}, "PAR-207", "not the name of a protocol file"),
    Case("control characters", of_demo(objective="fast\x1b[31m\n[RAY GATE 1 PASSED]"), "PAR-208", "fast\\x1b[31m\\n"),
    Case("half a character", of_demo(objective="\ud800"), "PAR-208", "\\ud800"),
    Case("text that runs backwards", of_demo(objective="fast \u202etsaf"), "PAR-208", "\\u202e"),
    Case("objective of 501 characters", of_demo(objective="x" * 501), "PAR-203", "too long"),
    Case("protocol in another directory", {"protocol": "../demo"}, "PAR-207", "not the name of a protocol file"),
    Case("protocol with a line break at its end", {"protocol": "demo\n"}, "PAR-207", "demo\\n"),
    Case("protocol of 65 characters", {"protocol": "d" * 65}, "PAR-207", "not the name of a protocol file"),
    Case("protocol that has no file", {"protocol": "absent"}, "CFG-180", "cannot be read"),
    Case("unknown service", of_demo(services=["payment"]), "PAR-206", "got payment, expected shop"),
    Case("unknown metric", of_demo(target_metric="p95"), "PAR-206", "got p95"),
    Case("production as environment", of_demo(environment="production"), "PAR-206", "got production, expected demo"),
    Case("unknown load profile", of_demo(load_profile="huge"), "PAR-206", "got huge"),
    Case("unknown load profile of 100,000 characters", of_demo(load_profile="x" * 100_000), "PAR-206", "…"),
    Case("optimisation id duplicate", of_demo(optimizations=["OPT-001", "OPT-001"]), "PAR-205", "a name stands twice"),
    Case("optimisation id duplicate but for its case", of_demo(optimizations=["OPT-001", "opt-001"]), "PAR-206", "got opt-001"),
    Case("rps as a parameter", of_demo(rps=1e9), "PAR-201", "params.rps: unknown parameter"),
    Case("duration as a parameter", of_demo(duration=0), "PAR-201", "params.duration: unknown parameter"),
    Case("window as a parameter", of_demo(window_end="2025-02-30"), "PAR-201", "params.window_end: unknown parameter"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_parameters_fail_the_first_task_and_leave_nothing(case: Case, triggered: Any) -> None:
    """No retry, one line that names the parameter, no log of the run."""
    triggered.params = case.params
    triggered.refuses_to_open(code=case.code, words=case.words)


def test_null_in_a_field_of_the_form_is_the_fields_default(triggered: Any) -> None:
    """The form sends null for a field that was left empty, so there it is no bad input."""
    triggered.params = of_demo(objective=None, services=None, environment=None, target_metric=None, optimizations=None, load_profile=None)
    assert triggered.open() == ["shop"]


RUN_IDS = [
    ".",
    "..",
    "-rf",
    "/",
    "../../etc",
    "a\0b",
    "\ud800",
    "{{ ds }}",
    "x" * 251,
    "manual__2026-06-01T12:00:00+00:00",
    "\x1b[31m",
    " ",
    "",
]


@pytest.mark.parametrize("run_id", RUN_IDS, ids=lambda run_id: ascii(run_id)[:24])
def test_whatever_the_id_of_a_run_its_directory_is_safe(run_id: str) -> None:
    """Airflow allows such ids, so they are no error: the directory is a slug and a digest, in any file system, inside the evidence."""
    key = run_key("performance_optimization", run_id)
    assert RUN_KEY.fullmatch(key) and len(key) <= 57
    assert key == run_key("performance_optimization", run_id) != run_key("performance_optimization", f"{run_id}x")


@pytest.mark.parametrize("run_id", [".", "-rf", "x" * 251])
def test_a_run_with_such_an_id_writes_below_the_evidence_only(run_id: str, triggered: Any) -> None:
    """Nothing appears beside the one directory of the run."""
    triggered.run_id = run_id
    triggered.open()
    written = {
        path.relative_to(triggered.workspace).parts[:3] for path in (triggered.workspace / ".artifacts").rglob("*") if path.is_file()
    }
    assert written == {(".artifacts", "performance", run_key("performance_optimization", run_id))}


# A cycle's window is no parameter: it ends when it is measured. What people choose is the data interval of `baseline_capture`.
@dataclass(frozen=True)
class Window:
    """A bad data interval."""

    name: str
    start: datetime | None
    end: datetime | None
    code: str
    words: str


WINDOWS = [
    Window("no window", None, None, "PAR-250", "the run has none"),
    Window("window end before start", NOW - HOUR, NOW - 2 * HOUR, "PAR-252", "not a span that can be captured"),
    Window("window of zero length", NOW - HOUR, NOW - HOUR, "PAR-252", "not a span that can be captured"),
    Window("window > 90 days (31 are allowed)", NOW - timedelta(days=91), NOW, "PAR-252", "up to 31 days"),
    Window("window > 31 days", NOW - timedelta(days=31, seconds=1), NOW, "PAR-252", "up to 31 days"),
    Window("window in the future", NOW + HOUR, NOW + 2 * HOUR, "PAR-253", "not over yet"),
    Window("window that is not over", NOW - HOUR, NOW + timedelta(seconds=1), "PAR-253", "not over yet"),
    Window("window without time zone", datetime(2026, 6, 1, 10), datetime(2026, 6, 1, 11), "PAR-251", "no time zone"),  # noqa: DTZ001
    Window(
        "ambiguous DST: forward on the clock, backward in time",
        datetime(2025, 10, 26, 2, 10, tzinfo=BERLIN, fold=1), datetime(2025, 10, 26, 2, 50, tzinfo=BERLIN, fold=0),
        "PAR-252", "not a span that can be captured",
    ),
]  # fmt: skip


@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: window.name)
def test_a_bad_window_is_refused_before_anything_is_asked(window: Window, check: Any) -> None:
    """By name, with both moments."""
    with pytest.raises(ParameterError) as caught:
        check_interval(window.start, window.end, now=NOW)
    check(caught.value, code=window.code, words=window.words)


def test_an_hour_in_which_the_clocks_go_back_can_be_captured() -> None:
    """20 minutes from 02:50 summer time to 02:10 winter time: backward on the clock, forward in time."""
    start, end = datetime(2025, 10, 26, 2, 50, tzinfo=BERLIN, fold=0), datetime(2025, 10, 26, 2, 10, tzinfo=BERLIN, fold=1)
    found = check_interval(start, end, now=NOW)
    assert found[1] - found[0] == timedelta(minutes=20)


@pytest.mark.parametrize(
    "text", ["2025-02-30", "2025-02-30T10:00:00Z", "2025-13-01T00:00:00Z", "2025-02-16T10:00:00", "yesterday", 7, None]
)
def test_a_moment_that_does_not_exist_is_refused_wherever_one_is_read(text: Any, check: Any) -> None:
    """`2025-02-30` reaches no task of ours: Airflow refuses it as a logical date. Windows inside of documents are read here."""
    with pytest.raises(PerfproofError) as caught:
        parse_stamp(text, where="window")
    check(caught.value, code="ART-132", words="not a moment")


# Rates and durations are no parameters either: a run chooses a load profile of the protocol file by its name.
LOADS = [
    ("rps 0", "peak.rate", 0, "CFG-165", "peak.rate"),
    ("rps -1", "peak.rate", -1, "CFG-165", "peak.rate"),
    ("rps 1e9", "peak.rate", 1e9, "CFG-165", "above max_rate"),
    ('rps "fast"', "peak.rate", "fast", "CFG-123", "got the text fast, expected a number"),
    ("rps 0 in a step", "stress.rates", [20, 0], "CFG-165", "stress.rates[1]"),
    ("no step", "stress.rates", [], "CFG-165", "stress.rates"),
    ("rps 1e9 in a block", "measurement.rate", 1e9, "CFG-165", "measurement.rate"),
    ("duration 0", "peak.seconds", 0, "CFG-166", "peak.seconds"),
    ("duration -1", "failure.seconds", -1, "CFG-166", "failure.seconds"),
    ("duration over limit", "peak.seconds", 121, "CFG-166", "above max_duration_seconds"),
    ("duration over limit with its warm-up", "peak.seconds", 119, "CFG-166", "121 s with all steps and the warm-up"),
    ("duration over limit with all steps", "stress.seconds_each", 60, "CFG-166", "stress.seconds_each"),
    ("duration 0 of a block", "measurement.block_seconds", 0, "CFG-166", "measurement.block_seconds"),
    ("warm-up -1", "peak.warmup_seconds", -1, "CFG-166", "warmup_seconds"),
    ("fault after the end", "failure.fault_at_second", 11, "CFG-191", "fault_at_second"),
    ("3 blocks", "measurement.blocks", 3, "CFG-167", "too few"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "place", "value", "code", "words"), LOADS, ids=[case[0] for case in LOADS])
def test_load_that_no_run_may_choose_is_refused_in_its_profile(
    name: str, place: str, value: Any, code: str, words: str, check: Any
) -> None:
    """Before a run can name the profile."""
    document = copy.deepcopy(DOCUMENT)
    scenario, _, key = place.partition(".")
    document["load"]["profiles"]["demo"][scenario][key] = value
    with pytest.raises(ConfigError) as caught:
        load_protocol(json.dumps(document).encode(), where="demo.yaml")
    check(caught.value, code=code, words=words)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("max_rate", 0, "max_rate"), ("max_rate", 1e9, "at most 1000000"), ("max_duration_seconds", -1, "max_duration_seconds"),
     ("max_duration_seconds", 1e9, "max_duration_seconds"), ("max_tests", 0, "max_tests")],
)  # fmt: skip
def test_bounds_that_bound_nothing_are_refused(name: str, value: Any, words: str, check: Any) -> None:
    """A limit of 1e9 requests/s is none."""
    document = copy.deepcopy(DOCUMENT)
    document["load"][name] = value
    with pytest.raises(ConfigError) as caught:
        load_protocol(json.dumps(document).encode(), where="demo.yaml")
    check(caught.value, code="CFG-163", words=words)


def closed(triggered: Any) -> None:
    """Opens the run and closes it, as the handoff does."""
    triggered.open()
    cycle = triggered.cycle()
    close_run(
        cycle.store,
        body={"outcome": "completed", "round": cycle.round},
        idem=idempotency("run.closed", "close", cycle.round, []),
        time=NOW,
        actor=Actor(kind="task", id="governance.complete_handoff", auth="A1"),
    )


def test_a_closed_run_that_is_triggered_again_is_refused(triggered: Any) -> None:
    """Under its old id, as after a lost Airflow database: it would find every answer and measurement of the run before."""
    closed(triggered)
    triggered.refuses_to_open(code="PAR-209", words="the evidence of this run is closed")


def test_clearing_tasks_of_a_closed_run_is_a_round_of_its_own(triggered: Any) -> None:
    """It is how a cycle is taken up again, and no bad input."""
    closed(triggered)
    triggered.round = 1
    assert triggered.open() == ["shop"]
    assert len(triggered.cycle().store.of_type(EntryType.RUN_CLOSED)) == 1
