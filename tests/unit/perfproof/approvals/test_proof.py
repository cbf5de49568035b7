"""Approvals in a finished log: a good one is never accused, and each binding that does not hold is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from modules import load

from perfproof.approvals import Asked, Decision, Evidence, Request, SigningKey
from perfproof.approvals.proof import inspect_approvals
from perfproof.artifacts import Artifact, gate_result_name
from perfproof.config import Person
from perfproof.evidence import EntryType, EvidenceStore, LocalBackend, MemoryBackend
from perfproof.evidence.verdict import Outcome
from perfproof.load.plan import Scenario

CYCLES: Any = load("complete_cycle", Path(__file__).parents[3] / "faults" / "complete_cycle.py")
KEYS = {CYCLES.ACT_KEY.id: CYCLES.ACT_KEY}
PREREQUISITES = ["prerequisites.json"]


@pytest.fixture
def cycle() -> Any:
    """A cycle in memory in which nothing is decided yet."""
    return CYCLES.open_cycle(MemoryBackend(), CYCLES.Plan(key=None))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of whole cycles: one that passed, and one with a waiver of gate 3."""
    root = tmp_path_factory.mktemp("written")
    waived = CYCLES.Plan(key=None, after=401.0, waived_until=CYCLES.START + timedelta(days=9))
    plans = {"passed": CYCLES.Plan(key=None), "waived": waived}
    return {name: LocalBackend(CYCLES.write_cycle(root / name, plan).parent) for name, plan in plans.items()}


def found(store: EvidenceStore, keys: Any = None) -> list[str]:
    """What is wrong, each as `entry: what`."""
    findings = list(inspect_approvals(store, keys=keys))
    assert all(finding.outcome is Outcome.TAMPERED for finding in findings)
    return [f"{finding.where}: {finding.what}" for finding in findings]


def copied(backend: LocalBackend, run: str) -> MemoryBackend:
    """The same in memory."""
    memory = MemoryBackend()
    memory.data = {key: backend.read(key) for key in backend.names(f"{run}/") if "/log/" in key or "/objects/" in key}
    return memory


@pytest.mark.parametrize("name", ["passed", "waived"])
def test_a_good_cycle_is_never_accused_wherever_it_stands(written: dict[str, Any], name: str) -> None:
    """After each of its entries, with the keys of acts and without."""
    run = CYCLES.producers().RUN
    memory = copied(written[name], run)
    entries = memory.names(f"{run}/log/")
    assert len(entries) > 80
    for size in range(1, len(entries) + 1):
        backend = MemoryBackend()
        backend.data = {key: data for key, data in memory.data.items() if key not in entries[size:]}
        assert found(EvidenceStore(backend, run), KEYS if size % 2 else None) == [], f"after {size} entries"


def asked(cycle: Any, step: str = "prioritization", index: int = 0, **more: Any) -> Request:
    """A request about the prerequisites."""
    request: Request = cycle.ask(step, PREREQUISITES, shown={"objective": "faster"}, map_index=index, **more)
    return request


def head(cycle: Any) -> tuple[int, str]:
    """Size and head of the log."""
    size, digest = cycle.store.head()
    return size, digest


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda r: replace(r, log_head="0" * 64), "did not have the size and head"),
        (lambda r: replace(r, log_size=r.log_size + 5), "did not have the size and head"),
        (lambda r: replace(r, log_size=0), "did not have the size and head"),
        (lambda r: replace(r, question=replace(r.question, forbidden=())), "lets demo-requester answer, who triggered the run"),
        (lambda r: replace(r, expires_at=r.expires_at + timedelta(days=1)), "can be answered for more than 7 days"),
        (lambda r: replace(r, request_id=f"{r.request_id}0"), "not a request"),
    ],
)
def test_a_request_that_does_not_hold_is_named(cycle: Any, alter: Callable[[Request], Request], words: str) -> None:
    """Also without any answer."""
    asked(cycle, alter=alter)
    (problem,) = found(cycle.store)
    assert problem.startswith("log/00000003.json: ") and words in problem


@pytest.mark.parametrize("key", ["request_sha256", "subject_sha256", "step", "map_index", "round", "attempt", "request_id"])
def test_an_entry_that_its_request_does_not_give_is_named(cycle: Any, key: str) -> None:
    """The digests in particular: an act is bound to them."""
    asked(cycle, alter_body=lambda body: {**body, key: "0" * 64})
    (problem,) = found(cycle.store)
    assert f"the request does not give its {key}" in problem


def test_a_request_of_another_run_is_named(cycle: Any) -> None:
    """Taken over with everything in it."""
    other = CYCLES.open_cycle(MemoryBackend(), CYCLES.Plan(key=None, run_id="manual__2"))
    asked(other)
    cycle.log(EntryType.APPROVAL_REQUESTED, other.store.entries()[-1].body)
    (problem,) = found(cycle.store)
    assert "a request of another run" in problem


def test_a_request_that_is_there_twice_is_named(cycle: Any) -> None:
    """Its id is that of one run of performance_approvals."""
    asked(cycle)
    asked(cycle)
    assert any("is in the log twice" in problem for problem in found(cycle.store))


def decided(cycle: Any, request: Request, role: int = 0, **more: Any) -> None:
    """An answer to a request."""
    cycle.answer(request, request.asked[role], **more)


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        (lambda a: replace(a, actor_id="mallory"), "APR-403"),
        (lambda a: replace(a, actor_name=CYCLES.REQUESTER), "APR-405"),
        (lambda a: replace(a, run_id="another-request"), "APR-404"),
        (lambda a: replace(a, task_id="other"), "APR-404"),
        (lambda a: replace(a, map_index=1), "APR-404"),
        (lambda a: replace(a, conf_sha256="0" * 64), "APR-404"),
        (lambda a: replace(a, time="2025-02-16T07:50:00Z"), "APR-407"),
        (lambda a: replace(a, time="2025-02-25T09:00:00Z"), "APR-407"),
        (lambda a: replace(a, time="2025-02-16T08:30:00Z"), "APR-407"),
        (lambda a: replace(a, state="skipped"), "APR-411"),
        (lambda a: replace(a, state="failed"), "the act is a rejection"),
        (lambda a: replace(a, note="other words"), "the record says something else than request and act: comment"),
        (lambda a: replace(a, time="next week"), "the act does not count"),
    ],
)
def test_an_act_that_does_not_decide_is_named(cycle: Any, alter: Any, words: str) -> None:
    """By the rules of the protocol's own steps, without the key that signed it."""
    decided(cycle, asked(cycle), alter_act=alter)
    assert any("log/00000004.json" in problem and words in problem for problem in found(cycle.store)), found(cycle.store)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("comment", "of course"), ("decision", "reject"), ("decided_at", "2025-02-16T08:00:00Z"), ("channel", "form"), ("assurance", "A2"),
        ("evidence", []), ("subject_sha256", "0" * 64), ("request_sha256", "0" * 64), ("round", 1), ("map_index", 1), ("step", "plan"),
        ("attempt", 2), ("run", "another"), ("role_label", "Boss"), ("person", {"id": "mallory", "name": "Mallory"}), ("more", "x"),
    ],
)  # fmt: skip
def test_a_record_that_says_something_else_than_its_act_is_named(cycle: Any, key: str, value: Any) -> None:
    """Field by field, also one too many."""
    decided(cycle, asked(cycle), alter_record=lambda record: {**record, key: value})
    assert any(f"the record says something else than request and act: {key}" in problem for problem in found(cycle.store))


@pytest.mark.parametrize(
    "alter",
    [
        lambda r: {**r, "act": None},
        lambda r: {**r, "act": {}},
        lambda r: {**r, "act": {**r["act"], "hmac_sha256": "short"}},
        lambda r: {k: v for k, v in r.items() if k != "decided_at"},
        lambda r: {**r, "request_id": []},
        lambda r: {**r, "role": {}},
        lambda r: {**r, "act": {**r["act"], "map_index": "x"}},
        lambda r: {**r, "person": "mallory"},
    ],
)
def test_a_record_of_another_shape_is_named(cycle: Any, alter: Any) -> None:
    """And costs no traceback."""
    decided(cycle, asked(cycle), alter_record=alter)
    assert any("log/00000004.json" in problem for problem in found(cycle.store))


def test_a_decision_without_its_request_is_named(cycle: Any) -> None:
    """The request has to stand before it."""
    elsewhere = CYCLES.open_cycle(MemoryBackend(), CYCLES.Plan(key=None))
    decided(cycle, asked(elsewhere))
    assert "which is not in the log before it" in found(cycle.store)[0]


def test_a_second_decision_is_named(cycle: Any) -> None:
    """One decision per request and role, the first one stands."""
    request = asked(cycle)
    decided(cycle, request)
    decided(cycle, request)
    assert any("a second decision of product_owner" in problem for problem in found(cycle.store))


@pytest.mark.parametrize("kind", [EntryType.APPROVAL_REFUSED, EntryType.APPROVAL_VOID])
def test_a_decision_after_the_request_ended_is_named(cycle: Any, kind: EntryType) -> None:
    """A refused or voided request is asked anew, under another id."""
    request = asked(cycle)
    cycle.log(kind, {"request_id": request.request_id, "role": "product_owner"})
    decided(cycle, request)
    assert any("refused or voided before" in problem for problem in found(cycle.store))
    decided(cycle, asked(cycle, attempt=2))
    assert len(found(cycle.store)) == 1


def test_evidence_that_was_not_live_is_named(cycle: Any) -> None:
    """Superseded between question and answer, or never published."""
    request = asked(cycle)
    cycle.put("prerequisites.json", {"artifacts": ["another"]})
    decided(cycle, request)
    assert any("decides on prerequisites.json" in problem and "not the live version" in problem for problem in found(cycle.store))
    never = Evidence("gate-1-result.json", "0" * 64)
    request = asked(cycle, attempt=2, alter=lambda r: replace(r, question=replace(r.question, evidence=(never,))))
    decided(cycle, request)
    assert any("decides on gate-1-result.json" in problem for problem in found(cycle.store))


def test_who_holds_a_role_is_said_by_the_protocol_file(cycle: Any) -> None:
    """And not by a request that names somebody else for it."""
    mallory = Asked("product_owner", "Product Owner", (Person("mallory", "Mallory"),))
    request = asked(cycle, alter=lambda r: replace(r, question=replace(r.question, roles=(mallory,))))
    decided(cycle, request)
    assert any("mallory does not hold the role product_owner" in problem for problem in found(cycle.store))


def test_one_person_in_two_roles_is_named(cycle: Any) -> None:
    """Two roles need two people."""
    both = Person("demo-owner", "demo-owner (demo account)")

    def shared(request: Request) -> Request:
        roles = tuple(replace(role, people=(*role.people, both)) for role in request.question.roles)
        return replace(request, question=replace(request.question, roles=roles))

    cycle.put("evidence/slo-proposal.json", {"updates": []})
    request = cycle.ask("slo_updates", ["evidence/slo-proposal.json"], shown={}, alter=shared)
    decided(cycle, request)
    decided(cycle, request, role=1, alter_act=lambda a: replace(a, actor_id=both.id, actor_name=both.id))
    assert any("APR-406" in problem for problem in found(cycle.store))


@pytest.mark.parametrize(("first_day", "good"), [("2025-02-16", True), ("2025-02-17", False)])
def test_a_deputy_answers_on_their_days_only(first_day: str, good: bool) -> None:
    """By name and dates of the protocol file; on another day they hold no role."""
    data = CYCLES.producers().PROTOCOL.read_text()
    held = "people: [{id: demo-owner, name: demo-owner (demo account)}]"
    days = f"first_day: '{first_day}', last_day: '2025-02-20'"
    deputies = f"{held}\n    deputies: [{{id: demo-deputy, name: A Deputy, stands_for: demo-owner, {days}}}]"
    cycle = CYCLES.open_cycle(MemoryBackend(), CYCLES.Plan(key=None, protocol=data.replace(held, deputies, 1).encode()))
    decided(cycle, asked(cycle), alter_act=lambda a: replace(a, actor_id="demo-deputy", actor_name="demo-deputy"))
    problems = found(cycle.store)
    assert (problems == []) is good, problems
    assert good or any("APR-403" in problem for problem in problems)


def test_two_decisions_of_one_role_in_a_round_are_named(cycle: Any) -> None:
    """Asked again in the same round, and answered otherwise."""
    decided(cycle, asked(cycle))
    decided(cycle, asked(cycle, attempt=2), decision=Decision.REJECT)
    assert any("APR-409" in problem for problem in found(cycle.store))


def test_an_act_that_no_given_key_signed_is_named(cycle: Any) -> None:
    """With keys; without, only that nobody checked is said, elsewhere."""
    request = asked(cycle)
    decided(cycle, request, key=SigningKey("forged", bytes(32)))
    assert found(cycle.store) == []
    assert any("which is not among the given ones" in problem for problem in found(cycle.store, KEYS))
    impostor = {"forged": SigningKey("forged", bytes(range(32)))}
    assert any("the signature is not of this Airflow" in problem for problem in found(cycle.store, impostor))
    assert found(cycle.store, {"forged": SigningKey("forged", bytes(32)), **KEYS}) == []


def test_the_owner_of_the_plan_is_kept_out_and_the_owner_of_a_task_answers(written: dict[str, Any]) -> None:
    """In the whole cycle both are as they must be; a plan request that lets the owner in is named."""
    run = CYCLES.producers().RUN
    cycle = CYCLES.open_cycle(MemoryBackend(), CYCLES.Plan(key=None))
    source = EvidenceStore(written["passed"], run)
    cycle.put(Artifact.OPTIMIZATION_PLAN, source.read(Artifact.OPTIMIZATION_PLAN))

    def only_requester(request: Request) -> Request:
        return replace(request, question=replace(request.question, forbidden=(CYCLES.REQUESTER,)))

    cycle.ask("plan", [Artifact.OPTIMIZATION_PLAN], shown={}, alter=only_requester)
    assert any("lets demo-engineer answer" in problem for problem in found(cycle.store))
    stranger = cycle.ask("implementation", [Artifact.OPTIMIZATION_PLAN], shown={"id": "OPT-001"}, map_index=0, owner="demo-sre")
    decided(cycle, stranger, comment="PR-1")
    assert any("demo-sre does not hold the role task_owner" in problem for problem in found(cycle.store))


def test_a_file_that_is_not_the_record_is_named(cycle: Any) -> None:
    """Other content under a record's name, and a record that nobody decided."""
    request = asked(cycle)
    decided(cycle, request)
    name = f"approvals/{request.request_id}.product_owner.json"
    cycle.put(name, {"decision": "approve"})
    cycle.put("approvals/r-9.security.json", {"decision": "approve"})
    assert [problem.partition(": ")[2] for problem in found(cycle.store)] == [
        f"{name} is not the decision that the log holds",
        "approvals/r-9.security.json is published, but no decision before it is in the log",
    ]


def prerequisites_but(cycle: Any, missing: str) -> None:
    """The three approvals but one."""
    original = cycle.decide

    def decide(step: str, *arguments: Any, **more: Any) -> Any:
        return [] if step == missing else original(step, *arguments, **more)

    cycle.decide = decide
    cycle.prerequisites()
    cycle.decide = original


@pytest.mark.parametrize(
    ("step", "effect"),
    [
        ("load_test_authorization", lambda c: c.load(Scenario.PEAK, "baseline")),
        ("profiling_clearance", lambda c: c.put("evidence/profile-shop.json", {})),
        ("profiling_clearance", lambda c: c.put("evidence/statements-shop.json", {})),
        ("prioritization", lambda c: c.put(Artifact.INTAKE_REPORT, {})),
        ("prioritization", lambda c: c.put("evidence/source-prometheus.json", {})),
        ("plan", lambda c: c.put("evidence/measurement-before.json", {})),
        ("plan", lambda c: c.put(Artifact.VALIDATION_REPORT, {})),
        ("slo_updates", lambda c: c.put(Artifact.SLO_UPDATE_RECORD, {})),
        ("slo_updates", lambda c: c.put("evidence/applied-dashboard.json", {})),
        ("slo_updates", lambda c: c.log(EntryType.SLO_UPDATED, {})),
        ("handoff", lambda c: c.log(EntryType.RUN_CLOSED, {})),
        ("handoff", lambda c: c.log(EntryType.HANDOFF_COMPLETED, {})),
    ],
)
def test_a_protected_step_without_its_approval_is_named(cycle: Any, step: str, effect: Any) -> None:
    """Whatever else was approved before it."""
    prerequisites_but(cycle, step)
    assert found(cycle.store) == []
    size, _ = head(cycle)
    effect(cycle)
    problems = found(cycle.store)
    role = cycle.protocol.approvals.steps[step][0]
    assert f"log/{size:08d}.json: {step} was not approved before this by the role {role}" in problems


def test_an_approval_that_comes_after_the_step_does_not_count(cycle: Any) -> None:
    """Before means before it in the log."""
    prerequisites_but(cycle, "profiling_clearance")
    cycle.put("evidence/profile-shop.json", {})
    cycle.decide("profiling_clearance", PREREQUISITES, shown={"services": ["shop"]}, map_index=2)
    assert len(found(cycle.store)) == 1


def test_an_approval_that_does_not_hold_protects_nothing(cycle: Any) -> None:
    """Both are named: the act, and the step that was taken on it."""
    request = cycle.ask("profiling_clearance", PREREQUISITES, shown={"services": ["shop"]}, map_index=2)
    decided(cycle, request, alter_act=lambda a: replace(a, actor_id="mallory"))
    cycle.put("evidence/profile-shop.json", {})
    problems = found(cycle.store)
    assert any("APR-403" in problem for problem in problems)
    assert any("profiling_clearance was not approved before this" in problem for problem in problems)


def test_an_approval_of_older_evidence_does_not_count(cycle: Any) -> None:
    """What was approved was replaced before the step was taken."""
    cycle.prerequisites()
    cycle.put("prerequisites.json", {"artifacts": ["another"]})
    cycle.put("evidence/profile-shop.json", {})
    (problem,) = found(cycle.store)
    assert "profiling_clearance was approved by the role security on other evidence than there was: prerequisites.json" in problem


def test_load_beyond_what_was_authorized_is_named(cycle: Any) -> None:
    """Another digest, a window that is closed, more tests than allowed."""
    cycle.prerequisites()
    cycle.load(Scenario.PEAK, "baseline")
    body = next(e.body for e in cycle.store.entries() if e.type is EntryType.LOADTEST_STARTED)
    assert found(cycle.store) == []
    cycle.log(EntryType.LOADTEST_STARTED, {**body, "plan_sha256": "0" * 64})
    assert "another digest than the entry says" in found(cycle.store)[-1]
    faster = {**body["plan"], "stages": [{**stage, "rate": 9999.0} for stage in body["plan"]["stages"]]}
    cycle.log(EntryType.LOADTEST_STARTED, {**body, "plan": faster})
    assert any("LOD-203" in problem for problem in found(cycle.store))
    cycle.log(EntryType.LOADTEST_STARTED, {"scenario": "peak"})
    assert "a load test that was not authorized" in found(cycle.store)[-1]
    cycle.now += timedelta(days=3)
    cycle.log(EntryType.LOADTEST_STARTED, body)
    assert "LOD-206" in found(cycle.store)[-1]


def waived(written: dict[str, Any], alter: Callable[[dict[str, Any]], dict[str, Any]], *, close: bool = False) -> list[str]:
    """What is found when the waiver of a short improvement is written otherwise than its rules give it."""
    cycle = CYCLES.open_cycle(MemoryBackend(), CYCLES.Plan(key=None, after=401.0))
    cycle.prerequisites()
    result = EvidenceStore(written["waived"], cycle.store.run).read(gate_result_name(3))
    cycle.put(gate_result_name(3), result)
    if close:
        cycle.log(EntryType.HANDOFF_COMPLETED, {})
    before = found(cycle.store)
    logged = cycle.log
    cycle.log = lambda kind, body: logged(kind, alter(dict(body)) if kind is EntryType.WAIVER_GRANTED else body)
    cycle.waive(cycle.now + timedelta(days=9))
    return [problem for problem in found(cycle.store) if problem not in before]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("reason", "because we say so and for no other reason", "something else than who decided wrote: reason"),
        ("expires_at", "2025-03-10T08:00:00Z", "something else than who decided wrote: expires_at"),
        ("approvers", [], "WAV-122 not a waiver"),
        ("requester", "somebody", "something else than who decided wrote: requester"),
        ("criterion", "regressions", "nobody who decided about this gate result waived this"),
        ("gate", 1, "not evaluated before"),
        ("gate", 9, "WAV-122 not a waiver"),
        ("run", "another", "not evaluated before in this run"),
        ("result_sha256", "0" * 64, "something else than who decided wrote: result_sha256"),
        ("granted_at", "2025-01-01T08:00:00Z", "WAV-109"),
        ("granted_at", "2025-04-01T08:00:00Z", "WAV-108"),
        ("expires_at", None, "WAV-122"),
    ],
)
def test_a_waiver_that_its_rules_do_not_give_is_named(written: dict[str, Any], key: str, value: Any, words: str) -> None:
    """Each field follows from what the people who decided wrote."""
    assert waived(written, lambda body: body) == []
    assert any(words in problem for problem in waived(written, lambda body: {**body, key: value}))


def test_a_waiver_after_the_handoff_is_named(written: dict[str, Any]) -> None:
    """What was handed over is not excused any more."""
    assert any("WAV-119" in problem for problem in waived(written, lambda body: body, close=True))


def test_a_waiver_that_nobody_decided_is_named(cycle: Any, written: dict[str, Any]) -> None:
    """Nor a decision that nobody made, and a handoff over an open gate."""
    source = EvidenceStore(written["waived"], cycle.store.run)
    cycle.put(gate_result_name(3), source.read(gate_result_name(3)))
    granted = next(entry.body for entry in source.entries() if entry.type is EntryType.WAIVER_GRANTED)
    cycle.log(EntryType.WAIVER_GRANTED, granted)
    cycle.log(EntryType.DECISION_RECORDED, {"gate": 3, "decision": "waiver", "result": cycle.references[gate_result_name(3)]})
    cycle.log(EntryType.DECISION_RECORDED, {"gate": "x", "decision": "waiver"})
    problems = " | ".join(found(cycle.store))
    assert "nobody who decided about this gate result waived this" in problems
    assert "waiver of gate 3 was not decided before this by who has to" in problems
    assert "a decision about no gate" in problems


def test_a_handoff_over_an_open_gate_is_named(written: dict[str, Any], cycle: Any) -> None:
    """Not passed, or never evaluated."""
    source = EvidenceStore(written["waived"], cycle.store.run)
    cycle.put(gate_result_name(3), source.read(gate_result_name(3)))
    cycle.log(EntryType.HANDOFF_COMPLETED, {})
    problems = " | ".join(found(cycle.store))
    assert "handed off although gate 3 is FAIL" in problems and "handed off without a result of gate 1" in problems


def test_a_genesis_without_a_protocol_file_proves_nothing() -> None:
    """Who has to approve is not known then."""
    made = CYCLES.producers()
    store = EvidenceStore(MemoryBackend(), made.RUN)
    store.open_run(genesis={"dag_id": "performance_optimization", "run_id": "manual__1"}, time=CYCLES.START, actor=made.ACTOR)
    (problem,) = found(store)
    assert problem.startswith("genesis: approvals cannot be checked: ")
