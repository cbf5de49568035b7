"""Load as the protocol sends it: authorized by a record that verifies now, logged before and after, every figure from the kept rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from perfproof.errors import ApprovalError, LoadError
from perfproof.load.arrivals import schedule_of
from perfproof.load.plan import LoadPlan
from perfproof.load.rows import make_rows, read_rows, write_rows
from perfproof.load.summary import GeneratorSummary, Outcome
from perfproof_airflow import load_steps, measure_steps
from perfproof_airflow.hooks.endpoint import Build
from perfproof_airflow.hooks.load import LoadRun
from perfproof_airflow.load_steps import authorization, require_stable, run_scenario, seed_of, target_lock
from perfproof_airflow.measure_steps import measure_before, measure_candidate

PEAK = "evidence/load-peak.json"
SERIES = ("process_cpu_seconds_total", "shop_database_queries_total", "process_resident_memory_bytes")


class Generator:
    """Stands for the generator's process: rows as planned, each test a little slower than the one before."""

    def __init__(self) -> None:
        self.plans: list[LoadPlan] = []
        self.outcome = Outcome.COMPLETED
        self.fails: Exception | None = None
        self.before: Callable[[], None] = lambda: None
        self.took: Callable[[LoadPlan], float] = lambda plan: 0.02 + 0.001 * len(self.plans)

    def __call__(self, workdir: Any) -> Generator:
        return self

    def run(self, plan: LoadPlan, *, injections: Any = (), locustfile: bytes | None = None) -> LoadRun:
        self.before()
        self.plans.append(plan)
        if self.fails is not None:
            raise self.fails
        schedule = schedule_of(plan)
        due = schedule.due.tolist()
        took = self.took(plan)
        rows = make_rows(
            intended_start=due,
            start=[d + 0.001 for d in due],
            end=[d + took for d in due],
            status=[200] * len(due),
            transaction=[plan.transactions[i].name for i in schedule.transaction],
        )
        summary = GeneratorSummary(
            outcome=self.outcome,
            reason=None if self.outcome is Outcome.COMPLETED else "p99 above 20000 ms",
            started_at="2025-02-16T14:00:00Z",
            seconds=plan.duration,
            cpu_percent=20.0,
            planned=len(due),
            sent=len(due),
            dropped=0,
            build=f"build-{plan.port}",
            build_after=f"build-{plan.port}",
            plan_sha256=plan.digest,
            generator="test",
        )
        return LoadRun(write_rows(rows), summary, ())


class Endpoints:
    """What both deployments say about themselves."""

    builds: dict[int, str]
    scrapes: int
    memory: dict[int, Callable[[], float]]

    def __init__(self, endpoint: Any, *, environment: str) -> None:
        self.port = endpoint.port

    def build(self) -> Build:
        return Build(self.builds[self.port], "demo")

    def scrape(self) -> dict[str, float]:
        type(self).scrapes += 1
        used = {"process_resident_memory_bytes": self.memory[self.port]()} if self.memory else {}
        return dict.fromkeys(SERIES, float(self.scrapes)) | used


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Generator:
    made = Generator()
    monkeypatch.setattr(load_steps, "LoadHook", made)
    return made


@pytest.fixture
def endpoints(monkeypatch: pytest.MonkeyPatch) -> type[Endpoints]:
    made = type("TheEndpoints", (Endpoints,), {"builds": {18101: "build-18101", 18102: "build-18102"}, "scrapes": 0, "memory": {}})
    monkeypatch.setattr(measure_steps, "EndpointHook", made)
    return made


def peak(run: Any, *, try_number: int = 1, side: str = "baseline", name: str = PEAK) -> Any:
    cycle = run.cycle("diagnostics.run_load_tests", map_index=0, try_number=try_number)
    return run_scenario(cycle, "peak", side=side, name=name)


def test_without_an_authorization_nothing_is_sent(run: Any, generator: Generator) -> None:
    """Not even logged as started."""
    run.publish("prerequisites.json", {"status": "ok"})
    with pytest.raises(ApprovalError, match=r"APR-431 load_test_authorization"):
        peak(run)
    assert generator.plans == []
    assert run.entries("loadtest.started") == [] and PEAK not in run.live()


def test_what_is_authorized_is_what_the_profile_needs(authorized: Any) -> None:
    """Both endpoints, the highest rate, the longest test, the window."""
    allowed = authorization(authorized.cycle())
    assert {(t.host, t.port) for t in allowed.targets} == {("127.0.0.1", 18101), ("127.0.0.1", 18102)}
    profile = authorized.cycle().profile
    assert allowed.max_rate == max(profile.peak.rate, *profile.stress.rates, profile.failure.rate, profile.measurement.rate)


def test_prerequisites_verified_anew_need_a_new_authorization(authorized: Any, generator: Generator) -> None:
    """The old one was about another state of the system."""
    authorized.round = 1
    authorized.publish("prerequisites.json", {"status": "ok", "verified_at": "later"})
    with pytest.raises(ApprovalError, match="APR-433"):
        peak(authorized)
    assert generator.plans == []


def test_a_test_is_logged_before_it_starts_and_after_it_ended(authorized: Any, generator: Generator) -> None:
    """With its plan, target, number and outcome."""
    started: list[int] = []
    generator.before = lambda: started.append(len(authorized.entries("loadtest.started")))
    peak(authorized)
    assert started == [1]
    begin, end = authorized.entries("loadtest.started")[0], authorized.entries("loadtest.finished")[0]
    assert begin["plan"] == generator.plans[0].document()
    assert (begin["test"], begin["target"], end["outcome"]) == (1, "127.0.0.1:18101", "completed")
    assert begin["plan_sha256"] == end["plan_sha256"]


def test_a_test_that_was_cut_short_is_logged_as_aborted(authorized: Any, generator: Generator) -> None:
    """And its document says that it is no measurement."""
    generator.outcome = Outcome.ABORTED
    reference = peak(authorized)
    assert authorized.entries("loadtest.finished") == []
    assert authorized.entries("loadtest.aborted")[0]["reason"] == "p99 above 20000 ms"
    assert authorized.cycle().document(reference)["valid"] is False


def test_a_generator_that_fails_leaves_no_document(authorized: Any, generator: Generator) -> None:
    """The start stays in the log: the test counts against the authorized number."""
    generator.fails = LoadError(311, where="load generator", what="ended with code 1", fix="run it again")
    with pytest.raises(LoadError, match="LOD-311"):
        peak(authorized)
    assert len(authorized.entries("loadtest.started")) == 1
    assert PEAK not in authorized.live()
    generator.fails = None
    assert peak(authorized, try_number=2)["name"] == PEAK
    assert [body["test"] for body in authorized.entries("loadtest.started")] == [1, 2]


def test_the_document_cites_the_rows_that_its_figures_come_from(authorized: Any, generator: Generator) -> None:
    """By digest."""
    document = authorized.cycle().document(peak(authorized))
    agree(authorized, document)


def agree(run: Any, document: dict[str, Any]) -> None:
    """The cited rows give the document's own p95, counted the slow way."""
    rows = read_rows(run.cycle().store.get_object(document["rows"]["sha256"]), where="rows")
    warmup = document.get("warmup_seconds", run.cycle().profile.measurement.warmup_seconds)
    latencies = sorted((end - due) * 1000 for due, end in zip(rows.intended_start, rows.end, strict=True) if due >= warmup)
    p95 = latencies[int(np.ceil(0.95 * len(latencies))) - 1]
    assert p95 == pytest.approx(document["latency"]["p95"] if "latency" in document else document["p95"], abs=0.01)


def test_a_worker_killed_after_keeping_the_rows_does_not_mix_two_tests(
    authorized: Any, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry either uses the kept rows or keeps its own: figures and cited rows are of one test."""

    def killed(*arguments: Any, **named: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("perfproof.load.verdict.summarise", killed)
        with pytest.raises(KeyboardInterrupt):
            peak(authorized)
    agree(authorized, authorized.cycle().document(peak(authorized, try_number=2)))


def test_a_retry_after_the_document_was_kept_sends_nothing(authorized: Any, generator: Generator) -> None:
    """The work was done."""
    assert peak(authorized) == peak(authorized, try_number=2)
    assert len(generator.plans) == 1


def test_the_candidate_is_another_target(authorized: Any, generator: Generator) -> None:
    """Authorized as well."""
    peak(authorized, side="candidate", name="evidence/load-peak-candidate.json")
    assert [plan.port for plan in generator.plans] == [18102]


def test_the_seed_is_the_same_for_each_try_and_another_for_each_round(run: Any) -> None:
    """A retry sends the same requests; a new round is a new measurement. Exact in any JSON reader."""
    first = seed_of(run.cycle(try_number=1), "baseline", "peak")
    assert first == seed_of(run.cycle(try_number=2), "baseline", "peak")
    assert first != seed_of(run.cycle(), "candidate", "peak")
    run.round = 1
    assert first != seed_of(run.cycle(), "baseline", "peak")
    assert 0 <= first < 2**53


def test_two_tests_never_share_a_target(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits, and says in the end what to do; the other target is free."""
    monkeypatch.setattr(load_steps, "LOCK_PATIENCE_SECONDS", 0.0)
    service = run.cycle().protocol.service("shop")
    with target_lock(service.endpoints.baseline):
        with target_lock(service.endpoints.candidate):
            pass
        with pytest.raises(LoadError, match=r"LOD-402 127\.0\.0\.1:18101"), target_lock(service.endpoints.baseline):
            pass
    with target_lock(service.endpoints.baseline):
        pass


def measured(run: Any, *, try_number: int = 1) -> dict[str, Any]:
    cycle = run.cycle("optimization.measure_blocks", try_number=try_number)
    document: dict[str, Any] = cycle.document(measure_candidate(cycle, inputs=[]))
    return document


def test_blocks_are_interleaved_so_that_drift_falls_on_both(authorized: Any, generator: Generator, endpoints: type[Endpoints]) -> None:
    """ABBA, with equal requests for the two of a pair, and each block's rows kept."""
    document = measured(authorized)
    sides = "".join(block["side"][0] for block in document["blocks"])
    blocks = len(document["blocks"]) // 2
    assert blocks == document["looks"][-1]["blocks"] >= authorized.cycle().profile.measurement.blocks
    assert sides == ("bccb" * blocks)[: 2 * blocks]
    assert [block["order"] for block in document["blocks"]] == list(range(2 * blocks))
    seeds = [plan.seed for plan in generator.plans]
    assert seeds[0::2] == seeds[1::2] and len(set(seeds)) == blocks
    assert document["builds"] == {"baseline": "build-18101", "candidate": "build-18102"}
    for block in document["blocks"]:
        agree(authorized, block)


MIB = 2.0**20
FASTER = {18101: 0.05, 18102: 0.02}


def steady(generator: Generator, endpoints: type[Endpoints], *, took: dict[int, float], memory: Callable[[], float]) -> None:
    """Both sides answer after a fixed time; the candidate's memory is what `memory` says, the baseline's 100 MiB."""
    generator.took = lambda plan: took[plan.port]
    endpoints.memory = {18101: lambda: 100 * MIB, 18102: lambda: memory() * MIB}


def test_a_clear_change_takes_the_first_look_only(
    authorized: Any, generator: Generator, endpoints: type[Endpoints], caplog: pytest.LogCaptureFixture
) -> None:
    """Eight blocks a side; the document holds design and look, and the task log says it in words."""
    caplog.set_level("INFO")
    steady(generator, endpoints, took=FASTER, memory=lambda: 90)
    document = measured(authorized)
    assert document["design"] == {"first": 8, "step": 8, "most": 24, "confidence": 0.95}
    assert {(block["look"], block["confirmation"]) for block in document["blocks"]} == {(1, False)}
    assert len(document["blocks"]) == 16
    assert [look["next"] for look in document["looks"]] == ["stop"]
    assert "look 1 at 8 blocks a side, at 98.33 %:" in caplog.text
    assert "measures no more: target and guards are decided" in caplog.text


def test_an_open_verdict_is_measured_on_until_the_budget_is_spent(
    authorized: Any, generator: Generator, endpoints: type[Endpoints], caplog: pytest.LogCaptureFixture
) -> None:
    """Blocks of a candidate that is now twice as fast, now not: three looks, 24 a side, and no more."""
    caplog.set_level("INFO")
    steady(generator, endpoints, took=FASTER, memory=lambda: 90)
    generator.took = lambda plan: 0.05 if plan.port == 18101 or len(generator.plans) % 4 == 2 else 0.02
    document = measured(authorized)
    assert [(look["look"], look["blocks"], look["next"]) for look in document["looks"]] == [
        (1, 8, "measure"),
        (2, 16, "measure"),
        (3, 24, "stop"),
    ]
    assert len(document["blocks"]) == 48 == len(authorized.entries("loadtest.started"))
    assert "measures 8 more blocks a side: the target is not decided" in caplog.text


def test_a_regression_is_measured_again_before_it_is_reported(authorized: Any, generator: Generator, endpoints: type[Endpoints]) -> None:
    """Eight fresh blocks a side, marked as such, after the look that saw it; then the order goes on as before."""
    steady(generator, endpoints, took=FASTER, memory=lambda: 130 + len(generator.plans) % 3)
    document = measured(authorized)
    count = len(document["blocks"])
    assert [look["next"] for look in document["looks"]][-2:] == ["confirm", "stop"]
    assert [look["guards"]["memory_rss"] for look in document["looks"]][-2:] == ["regression seen", "regression"]
    assert [block["confirmation"] for block in document["blocks"]] == [False] * (count - 16) + [True] * 16
    assert "".join(block["side"][0] for block in document["blocks"]) == ("bccb" * count)[:count]


def test_it_stops_where_the_authorized_tests_are_too_few_for_the_next_look(
    authorized: Any, generator: Generator, endpoints: type[Endpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured is kept, and why no more was sent."""
    allowed = replace(authorization(authorized.cycle()), max_tests=20)
    monkeypatch.setattr(measure_steps, "authorization", lambda cycle: allowed)
    generator.took = lambda plan: 0.05 if plan.port == 18101 or len(generator.plans) % 4 == 2 else 0.02
    document = measured(authorized)
    assert len(document["blocks"]) == 16 == len(authorized.entries("loadtest.started"))
    assert document["looks"][-1]["next"] == "stop"
    assert document["looks"][-1]["reason"].endswith("16 more tests are needed and 4 of 20 authorized ones are left")


def test_a_build_that_changes_between_two_looks_is_refused(authorized: Any, generator: Generator, endpoints: type[Endpoints]) -> None:
    """Each look was about one build, but not the same one."""
    generator.took = lambda plan: 0.05 if plan.port == 18101 or len(generator.plans) % 4 == 2 else 0.02
    found = measure_steps.Measured.look

    def deployed_after(self: Any) -> Any:
        step = found(self)
        endpoints.builds = {18101: "build-18101", 18102: "build-3"}
        return step

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(measure_steps.Measured, "look", deployed_after)
        with pytest.raises(LoadError, match="LOD-403"):
            measured(authorized)
    assert "evidence/measurement.json" not in authorized.live()


def test_one_build_on_both_sides_is_not_measured_on(authorized: Any, generator: Generator, endpoints: type[Endpoints]) -> None:
    """The validation refuses it; sending more would be load for nothing."""
    endpoints.builds = {18101: "same", 18102: "same"}
    generator.took = lambda plan: 0.05 if plan.port == 18101 or len(generator.plans) % 4 == 2 else 0.02
    document = measured(authorized)
    assert len(document["blocks"]) == 16
    assert document["looks"][-1]["reason"] == "both sides answer with the same build"


def test_blocks_that_cannot_be_judged_end_it(
    authorized: Any, generator: Generator, endpoints: type[Endpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document is kept, so that the validation halts with the reason."""
    cycle = authorized.cycle("optimization.measure_blocks")
    monkeypatch.setattr(measure_steps, "locate", lambda metric, service: (_ for _ in ()).throw(LoadError(1, where="x", what="no", fix="y")))
    document = cycle.document(measure_candidate(cycle, inputs=[]))
    assert len(document["blocks"]) == 16 and document["looks"][-1]["next"] == "stop"


def test_a_build_that_changes_while_it_is_measured_is_refused(authorized: Any, generator: Generator, endpoints: type[Endpoints]) -> None:
    """The comparison is about one build each, and nothing is kept as measurement."""

    def deploys() -> None:
        if len(generator.plans) == 3:
            endpoints.builds = {18101: "build-18101", 18102: "build-3"}

    generator.before = deploys
    with pytest.raises(LoadError, match="LOD-403"):
        measured(authorized)
    assert "evidence/measurement.json" not in authorized.live()


def test_a_worker_killed_between_blocks_does_not_mix_two_measurements(
    authorized: Any, generator: Generator, endpoints: type[Endpoints]
) -> None:
    """Each block of the retry cites the rows that its own figures come from."""
    generator.fails = None

    def killed() -> None:
        if len(generator.plans) == 5:
            raise KeyboardInterrupt

    generator.before = killed
    with pytest.raises(KeyboardInterrupt):
        measured(authorized)
    generator.before = lambda: None
    for block in measured(authorized, try_number=2)["blocks"]:
        agree(authorized, block)


def test_with_one_endpoint_the_candidate_is_measured_where_the_baseline_was(run: Any) -> None:
    """One after the other: after the deployment the same endpoint is the candidate."""
    service = run.cycle().protocol.service("shop")
    alone = replace(service, endpoints=replace(service.endpoints, candidate=None))
    assert load_steps.endpoint_of(alone, "candidate") == service.endpoints.baseline
    assert load_steps.endpoint_of(service, "candidate") == service.endpoints.candidate


def test_with_one_endpoint_the_blocks_are_measured_one_side_after_the_other(
    authorized: Any, generator: Generator, endpoints: type[Endpoints], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The baseline's blocks come before the deployment, the candidate's after it; the document says that it is not interleaved."""
    cycle = authorized.cycle()
    service = cycle.protocol.service("shop")
    alone = replace(service, endpoints=replace(service.endpoints, candidate=None))
    monkeypatch.setattr(measure_steps, "target_service", lambda cycle: alone)
    measure_before(cycle)
    endpoints.builds = {18101: "build-after"}
    document = cycle.document(measure_candidate(cycle, inputs=[]))
    count = cycle.profile.measurement.blocks
    assert document["builds"] == {"baseline": "build-18101", "candidate": "build-after"}
    assert document["interleaved"] is False
    assert [block["side"] for block in document["blocks"]] == ["baseline"] * count + ["candidate"] * count
    assert [block["order"] for block in document["blocks"]] == list(range(2 * count))
    assert document["design"]["step"] == 0 and len(document["looks"]) == 1


def test_with_two_endpoints_nothing_is_measured_before_the_deployment(authorized: Any, generator: Generator) -> None:
    """Both are there later, side by side."""
    assert measure_before(authorized.cycle()) is None
    assert generator.plans == []


GOOD = {"scenario": "peak", "aborted": None, "valid": True}


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"scenario": "peak", "aborted": "p99 above 20000 ms", "valid": False}, "peak: p99 above 20000 ms"),
        (
            {
                **GOOD,
                "scenario": "failure",
                "fault": {"fault": "terminate_database_connections", "recovered": False, "recover_within_seconds": 4.0},
            },
            "failure: not recovered 4 s after terminate_database_connections",
        ),
    ],
)
def test_an_unstable_environment_is_named(document: dict[str, Any], found: str) -> None:
    """Which test, and why."""
    with pytest.raises(LoadError, match="LOD-404") as caught:
        require_stable([GOOD, document])
    assert found in str(caught.value)


def test_a_stress_test_that_found_the_limit_is_no_instability() -> None:
    """It was aborted, and is valid: that is what it was for."""
    require_stable([GOOD, {"scenario": "stress", "aborted": "p99 above 20000 ms", "valid": True}])
