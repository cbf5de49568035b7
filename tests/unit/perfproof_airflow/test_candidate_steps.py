"""The candidate profiled and explained after the verdict: as cleared and authorized, and a document whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from perfproof.errors import ApprovalError, ProfileError
from perfproof.load.rows import make_rows, write_rows
from perfproof.query_plans import Explained, StatementRow
from perfproof_airflow import candidate_steps, load_steps, profile_steps
from perfproof_airflow.candidate_steps import compare_plans, compare_service
from perfproof_airflow.hooks.endpoint import Build
from perfproof_airflow.hooks.load import LoadRun
from perfproof_airflow.hooks.profiler import Recording
from perfproof_airflow.sensors.questions import PREREQUISITE_INDEX, ProtocolApproval

TASK = "optimization.compare_profiles"
COMPARISON, PROFILE = "evidence/profile-comparison-shop.json", "evidence/profile-candidate-shop.json"
PICTURE, DIFF = "evidence/profile-comparison-shop-flame-graph.svg", "evidence/query-plan-diff.json"
BASELINE, CANDIDATE = 18101, 18102
ORDERS, ITEMS = "select id from orders where customer_id = $1", "select id from order_items where order_id = $1"
SCAN = {
    "Node Type": "Seq Scan", "Relation Name": "orders", "Plan Rows": 9, "Actual Rows": 9.0, "Actual Loops": 1,
    "Rows Removed by Filter": 90_000.0,
}  # fmt: skip
INDEX = {
    "Node Type": "Index Scan",
    "Relation Name": "orders",
    "Index Name": "by_customer",
    "Plan Rows": 9,
    "Actual Rows": 9.0,
    "Actual Loops": 1,
}


class Lab:
    """Two deployments, their databases, their profiler and the load generator: what each answers, by port."""

    def __init__(self) -> None:
        self.compiled = {BASELINE: 600, CANDIDATE: 40}
        self.builds = {BASELINE: "b1", CANDIDATE: "b2"}
        self.profiled: list[int] = []
        self.loaded: list[int] = []
        self.explained: list[tuple[str, str]] = []
        self.fails: Exception | None = None
        self.requests = 120
        self.counts = 0

    # The hooks that the glue makes.

    def profiler(self, *, pid_file: Any, port: int) -> Any:
        def record(*, seconds: float, rate_hz: int) -> Recording:
            self.profiled.append(port)
            if self.fails is not None:
                raise self.fails
            stacks = f"main (s.py:1);compile_rule (rules.py:3) {self.compiled[port]}\nmain (s.py:1);dump (json.py:9) 500\n"
            return Recording(stacks, 7, seconds, rate_hz, "py-spy 0.4.1 --gil", 0)

        return SimpleNamespace(record=record)

    def generator(self, workdir: Any) -> Any:
        def run(plan: Any, *, injections: Any = (), **_: Any) -> LoadRun:
            self.loaded.append(plan.port)
            for injection in injections:
                injection.action()
            names = [t.name for t in plan.transactions for _ in range(self.requests)]
            at = [0.01 * i for i in range(len(names))]
            rows = make_rows(intended_start=at, start=at, end=[s + 0.005 for s in at], status=[200] * len(at), transaction=names)
            outcome = load_steps.Outcome.COMPLETED
            return LoadRun(write_rows(rows), SimpleNamespace(outcome=outcome, reason=None, build=self.builds[plan.port]), ())  # type: ignore[arg-type]

        return SimpleNamespace(run=run)

    def database(self, *, connection_id: str) -> Any:
        def statement_rows() -> tuple[StatementRow, ...]:
            self.counts += 1
            calls, candidate = self.counts * 100, connection_id.endswith("candidate")
            rows = [StatementRow("1", ORDERS, calls, calls * (0.1 if candidate else 6.0), calls)]
            return (*rows, *([] if candidate else [StatementRow("2", ITEMS, 20 * calls, 20 * calls * 0.01, calls)]))

        def explain(statement: str, *, sample_parameters: Any) -> Explained:
            self.explained.append((connection_id, statement))
            return Explained((), {"Plan": INDEX if connection_id.endswith("candidate") else SCAN}, True, None)

        return SimpleNamespace(statement_rows=statement_rows, explain=explain)

    def endpoint(self, endpoint: Any, *, environment: str) -> Any:
        return SimpleNamespace(build=lambda: Build(self.builds[endpoint.port], environment))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab()
    monkeypatch.setattr(profile_steps, "ProfilerHook", made.profiler)
    monkeypatch.setattr(profile_steps, "QueryPlanHook", made.database)
    monkeypatch.setattr(load_steps, "LoadHook", made.generator)
    monkeypatch.setattr(candidate_steps, "EndpointHook", made.endpoint)
    return made


@pytest.fixture
def cleared(run: Any, desk: Any, ask: Callable[..., Any]) -> Any:
    """A run whose load is authorized and whose profiling is cleared."""
    run.publish("prerequisites.json", {"status": "ok"})
    for step, role, who in (("load_test_authorization", "sre_lead", "demo-sre"), ("profiling_clearance", "security", "demo-security")):
        sensor = ProtocolApproval(task_id="await_prerequisite_approvals", step=step, evidence=["prerequisites.json"])
        ask(sensor, map_index=PREREQUISITE_INDEX[step])
        desk.answer(role, who)
        ask(sensor, map_index=PREREQUISITE_INDEX[step])
    return run


@pytest.fixture
def diagnosed(cleared: Any, lab: Lab) -> Any:
    """The same run with its baseline profiled and explained, and a plan that names compile_rule."""
    cycle = cleared.cycle("diagnostics.profile_transactions", map_index=0)
    profile_steps.profile_service(cycle, "shop")
    cleared.publish("evidence/query-plans.json", profile_steps.explain_services(cycle))
    finding = "compile_rule (rules.py) carries 55 percent of the CPU samples; and what the plan adds"
    task = {"id": "OPT-003", "service": "shop", "cause": "code_hot_path", "finding": finding}
    cleared.publish("optimization-plan.json", {"tasks": [task]})
    lab.loaded.clear(), lab.profiled.clear(), lab.explained.clear()
    return cleared


def compare(run: Any, *, try_number: int = 1, name: str = "shop") -> Any:
    cycle = run.cycle(TASK, map_index=0, try_number=try_number)
    verdict = run.publish("optimization-validation-report.json", {"status": "pass"}, task_id="optimization.validate")
    return cycle.document(compare_service(cycle, name, inputs=[verdict]))


def plans(run: Any) -> Any:
    cycle = run.cycle("optimization.compare_query_plans")
    reference = compare_plans(cycle, comparisons=[cycle.reference(COMPARISON)], plans=cycle.reference("evidence/query-plans.json"))
    return cycle.document(reference)["services"][0]


def test_the_candidate_is_profiled_under_the_same_load_and_compared(diagnosed: Any, lab: Lab) -> None:
    """The named function shrank; profile, stacks, figure and comparison are evidence, and the load is one test more."""
    tests = len(diagnosed.entries("loadtest.started"))
    document = compare(diagnosed)
    assert (document["status"], document["verdict"]) == ("compared", "consistent")
    assert [c["function"] for c in document["named"]] == ["compile_rule (rules.py)"]
    assert document["builds"] == {"baseline": "b1", "candidate": "b2"}
    assert document["flame_graph"]["name"] == PICTURE
    assert {PROFILE, PICTURE, COMPARISON, "evidence/profile-candidate-shop-stacks.txt"} <= set(diagnosed.live())
    assert (lab.loaded, lab.profiled) == ([CANDIDATE], [CANDIDATE])
    started = diagnosed.entries("loadtest.started")
    assert len(started) == tests + 1
    sent = [body["plan"] for body in started]
    assert {**sent[-1], "port": BASELINE} == {**sent[-2], "port": BASELINE}, "the same requests at the same moments"


def test_the_profile_of_the_baseline_stays_what_it_was(diagnosed: Any) -> None:
    """Gate 2 was decided on it."""
    before = diagnosed.cycle().reference("evidence/profile-shop.json")
    compare(diagnosed)
    assert diagnosed.cycle().reference("evidence/profile-shop.json") == before


def test_what_is_done_is_not_done_again(diagnosed: Any, lab: Lab) -> None:
    """A second try of the task after its worker died sends no load if the first had committed."""
    first = compare(diagnosed)
    assert compare(diagnosed, try_number=2) == first
    assert lab.loaded == [CANDIDATE]


@pytest.mark.parametrize(
    ("error", "said"),
    [(ProfileError(162, where="py-spy", what="ended with 1", got="denied", fix="give rights"), "PRO-162"), (None, "is inconclusive")],
)
def test_a_profile_that_cannot_be_taken_is_a_document_and_no_halt(diagnosed: Any, lab: Lab, error: Exception | None, said: str) -> None:
    """The task succeeds and says why; no figure is drawn."""
    lab.fails = error
    lab.requests = lab.requests if error else 1
    document = compare(diagnosed)
    assert (document["status"], document["verdict"]) == ("inconclusive", "undecided")
    assert said in document["reason"]
    assert PICTURE not in diagnosed.live()


def test_without_an_authorized_test_left_nothing_is_sent(diagnosed: Any, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """max_tests is used up by then: the comparison can do without, the authorization cannot."""
    from dataclasses import replace

    used = len(diagnosed.entries("loadtest.started"))
    allowed = replace(load_steps.authorization(diagnosed.cycle()), max_tests=used)
    monkeypatch.setattr(candidate_steps, "authorization", lambda cycle: allowed)
    assert "LOD-207" in compare(diagnosed)["reason"]
    assert (lab.loaded, lab.profiled) == ([], [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deployments": None}, "PRO-791"),
        ({"deployments": ["baseline"]}, "PRO-791"),
        ({"profilers": "pprof, asked of the running service itself"}, "PRO-793"),
    ],
)
def test_what_security_did_not_clear_is_not_profiled(
    diagnosed: Any, lab: Lab, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    """A clearance that an earlier version asked for, of the baseline alone, or of another profiler."""
    shown = {**profile_steps.verify_clearance(diagnosed.cycle(), "shop"), **changes}
    monkeypatch.setattr(candidate_steps, "verify_clearance", lambda *_: {k: v for k, v in shown.items() if v is not None})
    assert said in compare(diagnosed)["reason"]
    assert (lab.loaded, lab.profiled) == ([], [])


def test_a_service_that_was_not_cleared_is_not_profiled(diagnosed: Any, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clearance names the services."""

    def refused(*_: Any) -> Any:
        raise ProfileError(401, where="shop", what="the profiling clearance does not cover this service", fix="ask for clearance again")

    monkeypatch.setattr(candidate_steps, "verify_clearance", refused)
    assert "PRO-401" in compare(diagnosed)["reason"]
    assert (lab.loaded, lab.profiled) == ([], [])


def test_a_clearance_that_does_not_verify_halts(diagnosed: Any, lab: Lab) -> None:
    """That is no missing figure but a broken record: nothing is sent, and nothing is published in its place."""
    diagnosed.round = 1
    diagnosed.publish("prerequisites.json", {"status": "ok", "verified_at": "later"})
    with pytest.raises(ApprovalError, match="APR-433"):
        compare(diagnosed)
    assert lab.loaded == []
    assert COMPARISON not in diagnosed.live()


def test_a_build_that_was_profiled_already_is_not_profiled_again(diagnosed: Any, lab: Lab) -> None:
    """A service of the cycle that nobody changed."""
    lab.builds[CANDIDATE] = "b1"
    assert "PRO-794" in compare(diagnosed)["reason"]
    assert lab.loaded == []


def test_an_endpoint_that_cannot_be_profiled_is_said(unopened: Any, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pid file nor pprof path."""
    path = unopened.workspace / "include" / "protocols" / "demo.yaml"
    path.write_text(path.read_text().replace("        pid_file: .demo/run/shop-candidate.pid\n", ""))
    cycle = unopened.open()
    service = cycle.protocol.service("shop")
    cleared = {"deployments": ["baseline", "candidate"], "profilers": "py-spy"}
    with pytest.raises(ProfileError, match="PRO-792"):
        candidate_steps._require_profilable(cycle, service, service.endpoints.candidate, cleared, baseline_build="b1")


def test_a_service_whose_name_would_hide_evidence_is_not_compared(unopened: Any, lab: Lab) -> None:
    """`candidate-shop` beside `shop`: the baseline's profile of the one has the name of the candidate's of the other."""
    cycle = unopened.open()
    shop = cycle.protocol.service("shop")
    cleared = {"deployments": ["baseline", "candidate"], "profilers": "py-spy"}
    both = SimpleNamespace(protocol=SimpleNamespace(services=[shop, SimpleNamespace(name="candidate-shop")]))
    with pytest.raises(ProfileError, match="PRO-790"):
        candidate_steps._require_profilable(both, shop, shop.endpoints.candidate, cleared, baseline_build="b1")  # type: ignore[arg-type]


def test_query_plans_are_set_against_those_of_the_baseline(diagnosed: Any, lab: Lab) -> None:
    """The scan became an index scan, the statement per item is gone; only statements that were counted are explained."""
    compare(diagnosed)
    lab.explained.clear()
    service = plans(diagnosed)
    found = {s["statement"]: s for s in service["statements"]}
    assert found[ORDERS]["plan"]["scans"] == [{"relation": "orders", "before": ["Seq Scan"], "after": ["Index Scan using by_customer"]}]
    assert [f["kind"] for f in found[ORDERS]["findings_gone"]] == ["sequential_scan"]
    assert (found[ITEMS]["change"], found[ITEMS]["after"]) == ("gone", None)
    assert lab.explained == [("perfproof_shop_candidate", ORDERS)]
    assert {"evidence/query-plans-candidate.json", DIFF} <= set(diagnosed.live())


def test_without_a_profile_of_the_candidate_no_plans_are_compared(diagnosed: Any, lab: Lab) -> None:
    """Nothing was counted, so nothing is claimed; counters of an earlier round are not taken for this one's."""
    compare(diagnosed)
    diagnosed.round, lab.builds[CANDIDATE] = 1, "b1"
    compare(diagnosed)
    lab.explained.clear()
    service = plans(diagnosed)
    assert (service["status"], service["reason"], service["statements"]) == ("not compared", "the candidate was not profiled", [])
    assert lab.explained == []


def test_a_database_that_does_not_answer_is_a_reason(diagnosed: Any, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The diff says so, and the cycle goes on."""
    compare(diagnosed)

    def down(*, connection_id: str) -> Any:
        def explain(*_: Any, **__: Any) -> Any:
            raise ProfileError(174, where="database", what="the database does not answer", fix="check its Connection")

        return SimpleNamespace(explain=explain)

    monkeypatch.setattr(profile_steps, "QueryPlanHook", down)
    assert "PRO-174" in plans(diagnosed)["reason"]
