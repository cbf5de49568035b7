"""Waivers that nobody may have: each refused with its code, and the gate stays what it was; nothing is granted or written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modules import load

from perfproof.errors import WaiverError
from perfproof.gates import Outcome
from perfproof.waivers import Decision, Waiver, apply_waivers, check_waiver, note_fields, read_waiver

UNIT = Path(__file__).resolve().parents[1]
RESULT, RUN = "ab" * 32, "run-1"
WHY = "The vendor's driver is fixed next week, see CHG-12."
# What a role may decide about these gates; a deputy, a marked role or a missing one is the business of the approvals.

GATES: Any = load("gates_by_hand", UNIT / "perfproof" / "gates" / "conftest.py")
NOW: datetime = GATES.NOW


def failed_gate(*, improved: float = 6.7) -> dict[str, Any]:
    """The result of gate 3 over an improvement that is short."""
    cycle = GATES.Cycle()
    cycle.validation["optimized"]["value"] = 420
    cycle.validation["improvement"] = {"absolute": 30, "percentage": improved, "meets_threshold": False}
    cycle.validation["status"] = "fail"
    document: dict[str, Any] = cycle.gate_3().document()
    return document


FAILED = failed_gate()
PASSED: dict[str, Any] = GATES.Cycle().gate_3().document()


def signed(role: str = "product_owner", **changes: Any) -> dict[str, Any]:
    """A decision record of the person who holds `role`."""
    person = GATES.ROLES[role].people[0]
    return {"role": role, "person": {"id": person.id, "name": person.name}, "decision": "waiver", **changes}


def ask(*, fields: dict[str, Any] | None = None, **changes: Any) -> Waiver:
    """Asks for a waiver of the short improvement, good unless changed."""
    arguments: dict[str, Any] = {
        "result": FAILED, "result_sha256": RESULT, "run": RUN,
        "fields": {"criterion": "improvement", "justification": WHY, "expires_at": "2025-03-01T00:00:00Z", **(fields or {})},
        "approvals": [signed()], "roles": GATES.ROLES, "required": ("product_owner",), "requester": "eve", "now": NOW,
    }  # fmt: skip
    return check_waiver(**{**arguments, **changes})


def noted(note: str) -> dict[str, Any]:
    """The fields of a note as a person writes it."""
    return note_fields(note)


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


SOMEBODY = {"id": "eve", "name": "Eve"}
# Case, what is changed, code, words.
REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("unknown gate", {"fields": {"gate": 7}}, "WAV-101", "unknown gate"),
    ("unknown gate: text", {"fields": {"gate": "3"}}, "WAV-101", "unknown gate"),
    ("unknown gate: a list", {"fields": {"gate": [3]}}, "WAV-101", "unknown gate"),
    ("unknown gate: true", {"fields": {"gate": True}}, "WAV-101", "unknown gate"),
    ("unknown gate in the result", {"result": {**FAILED, "gate": 5}}, "WAV-101", "unknown gate"),
    ("unknown gate in the result: a mapping", {"result": {**FAILED, "gate": {"a": 1}}}, "WAV-101", "unknown gate"),
    ("result without a gate", {"result": {}}, "WAV-101", "unknown gate"),
    ("gate that passed", {"result": PASSED}, "WAV-102", "the gate passed"),
    ("no justification", {"fields": {"justification": None}}, "WAV-106", "no justification"),
    ("no justification: empty", {"fields": {"justification": ""}}, "WAV-106", "no justification"),
    ("no justification: blanks", {"fields": {"justification": " " * 40}}, "WAV-106", "no justification"),
    ("no justification: a list", {"fields": {"justification": [WHY]}}, "WAV-106", "no justification"),
    ("justification < 20 characters", {"fields": {"justification": "Because it is so no"}}, "WAV-106", "20 characters or more"),
    ("justification of one letter", {"fields": {"justification": "x" * 40}}, "WAV-106", "no justification"),
    ("no expiry", {"fields": {"expires_at": None}}, "WAV-107", "no expiry"),
    ("no expiry: words", {"fields": {"expires_at": "next week"}}, "WAV-107", "no moment"),
    ("no expiry: a day that there is not", {"fields": {"expires_at": "2025-02-30T00:00:00Z"}}, "WAV-107", "no moment"),
    ("no expiry: no time zone", {"fields": {"expires_at": "2025-03-01T00:00:00"}}, "WAV-107", "no moment"),
    ("no expiry: a number", {"fields": {"expires_at": 1740787200}}, "WAV-107", "no moment"),
    ("expired", {"fields": {"expires_at": stamp(NOW - timedelta(seconds=1))}}, "WAV-108", "has expired"),
    ("expired this second", {"fields": {"expires_at": stamp(NOW)}}, "WAV-108", "has expired"),
    ("> 30 days", {"fields": {"expires_at": "2025-03-19T00:00:00Z"}}, "WAV-109", "30 days at most"),
    ("> 30 days: never", {"fields": {"expires_at": "9999-12-31T23:59:59Z"}}, "WAV-109", "30 days at most"),
    ("approver without the role", {"approvals": [signed(person=SOMEBODY)], "requester": "mia"}, "WAV-110", "does not hold the role"),
    ("approver without id", {"approvals": [signed(person={"name": "Ada Okoro"})]}, "WAV-110", "does not hold the role"),
    ("approver in an unknown role", {"approvals": [signed(role="product_owner") | {"role": "owner"}]}, "WAV-110", "does not hold the role"),
    ("approver of another decision", {"approvals": [signed(decision="retry")]}, "WAV-110", "an approval is missing"),
    ("no approver", {"approvals": []}, "WAV-110", "an approval is missing"),
    ("nobody is asked to approve", {"required": ()}, "WAV-110", "no role"),
    ("approver = requester", {"requester": "ADA"}, "WAV-111", "cannot approve it"),
    ("for another gate", {"fields": {"gate": 2}}, "WAV-112", "of another gate"),
    ("for other run", {"fields": {"run": "run-2"}}, "WAV-112", "for another run"),
    ("for other digest", {"fields": {"result_sha256": "cd" * 32}}, "WAV-113", "for another gate result"),
    ("for other digest: upper case", {"fields": {"result_sha256": RESULT.upper()}}, "WAV-113", "for another gate result"),
    ("blanket (`*`)", {"fields": {"criterion": "*"}}, "WAV-103", "names one criterion"),
    ("blanket: a pattern", {"fields": {"criterion": "impro*"}}, "WAV-103", "names one criterion"),
    ("blanket: all", {"fields": {"criterion": "All"}}, "WAV-103", "names one criterion"),
    ("blanket: a list", {"fields": {"criterion": ["improvement"]}}, "WAV-103", "names one criterion"),
    ("blanket: two criteria", {"fields": {"criterion": "improvement,regressions"}}, "WAV-103", "names one criterion"),
    ("no criterion", {"fields": {"criterion": None}}, "WAV-103", "names one criterion"),
    ("criterion that is met", {"fields": {"criterion": "regressions"}}, "WAV-104", "not an unmet criterion"),
    ("criterion with control characters", {"fields": {"criterion": "\x1b[31m\nimprovement"}}, "WAV-104", "\\x1b[31m\\nimprovement"),
    ("waiver after handoff", {"closed": True}, "WAV-119", "handed over already"),
    ("note: expiry of a day that there is not", {"fields": noted(f"criterion=improvement expires=2025-02-30 {WHY}")}, "WAV-107",
        "no moment"),
    ("note: no reason beside the fields", {"fields": noted("criterion=improvement expires=2025-03-01")}, "WAV-106", "no justification"),
    ("note: only words", {"fields": noted(WHY)}, "WAV-103", "names one criterion"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_waiver_that_nobody_may_have_is_refused(
    changes: dict[str, Any], code: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: Callable[..., None]
) -> None:
    """One line with its own code; the gate stays failed."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WaiverError) as caught:
        ask(**changes)
    check(caught.value, code=code, words=words)
    assert apply_waivers(result=FAILED, result_sha256=RESULT, run=RUN, waivers=(), now=NOW) is Decision.FAIL
    assert list(tmp_path.iterdir()) == []


def test_the_waiver_that_the_rows_spoil_is_granted() -> None:
    """Else they would show nothing; and what it gives is WAIVED, never PASS."""
    assert apply_waivers(result=FAILED, result_sha256=RESULT, run=RUN, waivers=[ask()], now=NOW) is Decision.WAIVED


APPLIED: list[tuple[str, dict[str, Any]]] = [
    ("expired meanwhile", {"now": NOW + timedelta(days=40)}),
    ("for other run", {"run": "run-2"}),
    ("for other digest", {"result_sha256": "cd" * 32}),
    ("of another gate", {"result": {**FAILED, "gate": 2}}),
    ("criterion no longer waivable", {"result": {**FAILED, "criteria": [{**c, "waivable": False} for c in FAILED["criteria"]]}}),
    ("criterion without a figure", {"result": {**FAILED, "criteria": [{**c, "actual": None} for c in FAILED["criteria"]]}}),
    ("`met` as text", {"result": {**FAILED, "criteria": [{**c, "met": "true"} for c in FAILED["criteria"]]}}),
]


@pytest.mark.parametrize("changes", [row[1] for row in APPLIED], ids=[row[0] for row in APPLIED])
def test_a_granted_waiver_covers_only_what_it_was_granted_for(changes: dict[str, Any]) -> None:
    """Everywhere else the gate stays failed."""
    arguments: dict[str, Any] = {"result": FAILED, "result_sha256": RESULT, "run": RUN, "waivers": [ask()], "now": NOW}
    assert apply_waivers(**{**arguments, **changes}) is Decision.FAIL


@pytest.mark.parametrize("outcome", [None, "pass", "WAIVED", ["PASS"], {"a": 1}, True, 1])
def test_what_is_no_result_of_a_gate_is_an_error(outcome: Any, check: Callable[..., None]) -> None:
    """Not a pass, and no exception of Python's."""
    with pytest.raises(WaiverError) as caught:
        apply_waivers(result={**FAILED, "outcome": outcome}, result_sha256=RESULT, run=RUN, waivers=[ask()], now=NOW)
    check(caught.value, code="WAV-123", words="not the result of a gate")


STORED = ask().document()
MALFORMED: list[tuple[str, Any]] = [
    ("limit as text", {**STORED, "limit": "20"}),
    ("limit NaN", {**STORED, "limit": float("nan")}),
    ("gate as text", {**STORED, "gate": "3"}),
    ("unknown gate", {**STORED, "gate": 9}),
    ("criterion as a list", {**STORED, "criterion": ["improvement"]}),
    ("nobody approved", {**STORED, "approvers": []}),
    ("approver without id", {**STORED, "approvers": [{"name": "Ada", "role": "product_owner"}]}),
    ("approvers as text", {**STORED, "approvers": "ada"}),
    ("naive expiry", {**STORED, "expires_at": "2025-03-01T00:00:00"}),
    ("run missing", {key: value for key, value in STORED.items() if key != "run"}),
]


@pytest.mark.parametrize("document", [row[1] for row in MALFORMED], ids=[row[0] for row in MALFORMED])
def test_a_stored_waiver_of_another_form_is_none(document: Any, check: Callable[..., None]) -> None:
    """Of the log's entry nothing is guessed."""
    with pytest.raises(WaiverError) as caught:
        read_waiver(document)
    check(caught.value, code="WAV-122", words="not a waiver")


# Through the task that asks for the decision


AIRFLOW: Any = load("airflow_tasks", UNIT / "perfproof_airflow" / "conftest.py")


@pytest.fixture
def protocol_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run whose gate 3 failed, and the people who can be asked."""
    from perfproof_airflow.gate import EVALUATED, GATE_TASKS
    from perfproof_airflow.sensors import approval

    protocols = tmp_path / "include" / "protocols"
    protocols.mkdir(parents=True)
    (protocols / "demo.yaml").write_bytes((AIRFLOW.REPOSITORY / "include" / "protocols" / "demo.yaml").read_bytes())
    monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(tmp_path))
    key = {"conn_type": "generic", "login": AIRFLOW.KEY_ID, "password": AIRFLOW.KEY_HEX}
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", json.dumps(key))
    run, desk = AIRFLOW.Run(tmp_path), AIRFLOW.Desk()
    for name in ("open_run", "read_states", "read_act_of"):
        monkeypatch.setattr(approval, name, getattr(desk, name))
    run.open()
    task = GATE_TASKS[3]
    run.xcom[task, EVALUATED] = run.publish("gate-3-result.json", FAILED, task_id=task)
    run.states[task] = "failed"
    run.desk = desk
    return run


def decide(run: Any) -> Any:
    """One execution of the task after gate 3."""
    from airflow.sdk.exceptions import TaskDeferred

    from perfproof_airflow.sensors.decisions import GateDecision

    task = GateDecision(task_id="gate_3_decision", gate=3, retry_from="optimization.await_implementation")
    try:
        return task.execute(run.context(task.task_id))
    except TaskDeferred:
        return None


TOMORROW = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
NOTES: list[tuple[str, str, str]] = [
    ("blanket (`*`)", f"criterion=* expires={TOMORROW} {WHY}", "WAV-103"),
    ("no expiry", f"criterion=improvement {WHY}", "WAV-107"),
    ("expired", f"criterion=improvement expires=2020-01-01 {WHY}", "WAV-108"),
    ("> 30 days", f"criterion=improvement expires=2999-01-01 {WHY}", "WAV-109"),
    ("justification < 20 characters", f"criterion=improvement expires={TOMORROW} too short", "WAV-106"),
    ("unknown criterion", f"criterion=nonsense expires={TOMORROW} {WHY}", "WAV-104"),
    ("waiver after handoff", f"criterion=improvement expires={TOMORROW} {WHY}", "WAV-119"),
]


@pytest.mark.parametrize(("case", "note", "code"), NOTES, ids=[row[0] for row in NOTES])
def test_the_decision_fails_without_a_retry_and_grants_nothing(protocol_run: Any, case: str, note: str, code: str) -> None:
    """The right person, the wrong waiver: the task says the code and fails for good; the log holds no waiver."""
    from perfproof.evidence import EntryType

    if case == "waiver after handoff":
        protocol_run.cycle().record(EntryType.HANDOFF_COMPLETED, {})
    assert decide(protocol_run) is None
    protocol_run.desk.answer("product_owner", "demo-owner", note=f"waiver: {note}")
    with pytest.raises(AirflowFailException, match=code):
        decide(protocol_run)
    assert protocol_run.entries("waiver.granted") == []


# Anything at all


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**60), st.floats(), st.text(max_size=6),
    st.sampled_from(["*", "improvement", "2025-03-01T00:00:00Z", WHY, "\ud800", "\x1b[31m\n", "NaN", "PASS", "FAIL"]),
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3), max_leaves=6
)
KEYS = st.sampled_from(["gate", "run", "result_sha256", "criterion", "justification", "expires_at", "metric", "limit"])
TOP = st.sampled_from(["gate", "outcome", "criteria", "figures"])


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(KEYS, JSON, max_size=4), st.dictionaries(TOP, JSON, max_size=2), st.lists(JSON, max_size=2))
def test_any_request_for_a_waiver_is_granted_by_the_rules_or_one_line(fields: Any, result: Any, people: list[Any]) -> None:
    """Never another exception; what is granted has its reason, its end and its person."""
    records = [signed(), *({"role": "product_owner", "person": one, "decision": "waiver"} for one in people)]
    try:
        waiver = ask(fields=fields, result={**FAILED, **result}, approvals=records)
    except WaiverError as error:
        assert str(error).isprintable()
    else:
        assert len(waiver.justification) >= 20 and waiver.approvers and NOW < waiver.expires_at <= NOW + timedelta(days=31)


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(TOP, JSON, max_size=3), st.dictionaries(st.sampled_from(sorted(STORED)), JSON, max_size=3))
def test_any_result_and_stored_waiver_never_give_a_pass(result: Any, stored: Any) -> None:
    """A result that says PASS itself is the gate's business; otherwise WAIVED at most, and only by a waiver that can be read."""
    document = {**copy.deepcopy(FAILED), **result}
    try:
        waiver = read_waiver({**STORED, **stored})
        found = apply_waivers(result=document, result_sha256=RESULT, run=RUN, waivers=[waiver], now=NOW)
    except WaiverError as error:
        assert str(error).isprintable()
    else:
        assert found is not Decision.PASS or document["outcome"] == Outcome.PASS


@settings(max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.sampled_from(["criterion=", "expires=", "metric=", "limit=", "improvement", "2025-03-01", "9" * 400, "*", ";", "waiver:", WHY]),
        max_size=8,
    )
)
def test_any_note_is_a_waiver_or_one_line(parts: list[str]) -> None:
    """What a person can type."""
    try:
        ask(fields=note_fields(" ".join(parts)))
        ask(fields=note_fields("".join(parts)))
    except WaiverError as error:
        assert str(error).isprintable()
