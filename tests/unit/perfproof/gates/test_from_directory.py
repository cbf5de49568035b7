"""A whole cycle, written by the package's own producers into a store: every gate passes on it, and again from its directory alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfproof.artifacts import BASELINE_JSON, Artifact, gate_result_name
from perfproof.baseline import baseline_csv, baseline_document, measure_cell
from perfproof.capacity import capacity_document
from perfproof.capacity_report import capacity_markdown
from perfproof.config import load_protocol
from perfproof.diagnostics import diagnostic_coverage, profile_document, profiling_report
from perfproof.errors import GateError, Tampered
from perfproof.evidence import Actor, EntryType, EvidenceStore, LocalBackend, Reference, idempotency
from perfproof.evidence.manifest import build_manifest
from perfproof.evidence.views import rebuild_views
from perfproof.expectations import plain_check
from perfproof.findings import findings_of
from perfproof.gates import Outcome
from perfproof.gates.assembly import Facts, evaluate_gate
from perfproof.gates.from_directory import main, recompute
from perfproof.hypotheses import formulate, hypothesis_log
from perfproof.improvement import backlog, improvement_notes
from perfproof.instrumentation import instrumentation_files, instrumentation_log
from perfproof.intake import intake_report, source_document
from perfproof.load.results import load_test_results
from perfproof.parameters import read_parameters
from perfproof.plan import define_plan
from perfproof.query_plans import Explained, StatementRow, service_statements
from perfproof.report import Evidence, render_markdown, sections
from perfproof.run_key import run_key
from perfproof.schemas import validate_artifact
from perfproof.slo import propose_updates, slo_update_record
from perfproof.telemetry import Series, document_bytes
from perfproof.validation import validate_change

PROTOCOL = Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml"
STACKS = "serve (s.py:1);quote (shop.py:9);compile (re.py:3) 500\n"
NOW = datetime(2025, 2, 16, 18, 0, tzinfo=UTC)
ACTOR = Actor(kind="task", id="test", auth="A1")
RUN = run_key("performance_optimization", "manual__1")
SEQ_SCAN = {
    "Plan": {
        "Node Type": "Seq Scan",
        "Relation Name": "orders",
        "Plan Rows": 20,
        "Actual Rows": 20,
        "Actual Loops": 1,
        "Rows Removed by Filter": 119980,
        "Filter": "(customer = 17)",
    }
}


@dataclass
class Written:
    """A store that is being filled, with its clock."""

    store: EvidenceStore
    protocol: Any
    now: Any
    references: dict[str, dict[str, str]] = field(default_factory=dict)

    def put(self, name: str, product: Any, *, inputs: Sequence[str] = ()) -> Any:
        """Publishes a document, text or bytes under `name` and gives it back."""
        data = document_bytes(product) if isinstance(product, dict) else product.encode() if isinstance(product, str) else product
        self.now += timedelta(seconds=1)
        used = [Reference(n, self.references[n]["sha256"], "") for n in inputs]
        found = self.store.publish(
            name,
            data,
            idem=idempotency(f"artifact:{name}", name, len(self.store.entries()), []),
            time=self.now,
            actor=ACTOR,
            inputs=used,
        )
        self.references[name] = {"name": name, "sha256": found.sha256}
        return product

    def log(self, kind: EntryType, body: Mapping[str, Any]) -> None:
        """Commits a fact."""
        self.now += timedelta(seconds=1)
        self.store.append(type=kind, body=body, idem=idempotency(kind, "log", len(self.store.entries()), []), time=self.now, actor=ACTOR)

    def approve(self, step: str, name: str) -> list[dict[str, Any]]:
        """An approval of every role of `step`, bound to the live `name`."""
        records = []
        for role in self.protocol.approvals.steps[step]:
            held = self.protocol.roles[role]
            body = {
                "request_id": f"{step}-{role}",
                "step": step,
                "map_index": -1,
                "round": 0,
                "role": role,
                "role_label": held.label,
                "person": {"id": held.people[0].id, "name": held.people[0].name},
                "decision": "approve",
                "comment": "",
                "decided_at": "2025-02-16T17:00:00Z",
                "channel": "mark",
                "assurance": "A1",
                "evidence": [self.references[name]],
                "request_sha256": "ef" * 32,
            }
            self.log(EntryType.APPROVAL_GRANTED, body)
            records.append(body)
        return records

    def judge(self, gate: int) -> Any:
        """Evaluates the gate on the live evidence and publishes its result."""
        entries = self.store.entries()
        facts = Facts(
            protocol=self.protocol,
            parameters=read_parameters({"protocol": "demo"}, self.protocol),
            approvals=[e.body for e in entries if e.type is EntryType.APPROVAL_GRANTED],
            deliveries=[e.body for e in entries if e.type is EntryType.NOTIFY_DELIVERED],
            now=self.now.replace(microsecond=0),
            check=plain_check,
        )
        result = evaluate_gate(gate, read=lambda name: self.store.read(name) if self.store.live(name) else None, facts=facts)
        self.put(gate_result_name(gate), result.document())
        body = {"gate": gate, "outcome": result.outcome.value, "result": self.references[gate_result_name(gate)]}
        self.log(EntryType.GATE_EVALUATED, {**body, "evidence": [dict(e) for e in result.evidence]})
        return result


def load_document(scenario: str, rate: float, **more: Any) -> dict[str, Any]:
    """A valid load test of the shop that misses its latency target, as before an optimization."""
    return {
        "scenario": scenario,
        "service": "shop",
        "endpoint": "baseline",
        "build": "b1",
        "started_at": "2025-02-16T14:00:00Z",
        "seconds": 15,
        "requests": 450,
        "errors": 0,
        "valid": True,
        "invalid_reasons": [],
        "throughput": rate,
        "error_rate": 0.0,
        "latency": {"p50": 90.0, "p95": 410.0, "p99": 600.0, "unit": "ms"},
        "upper_95": {"p50": 95.0, "p95": 450.0, "p99": 700.0, "error_rate": 0.4},
        "by_transaction": {"orders": {"requests": 315, "errors": 0, "p50": 90.0, "p95": 430.0, "p99": 640.0}},
        "aborted": None,
        "rows": {"name": f"evidence/load-{scenario}-rows.csv.gz", "sha256": "ab" * 32},
        **more,
    }


def block(side: str, order: int, p95: float, guards: Mapping[str, float]) -> dict[str, Any]:
    """A measured block."""
    figures = {"requests": 1000, "errors": 0, "p50": 40.0, "p95": p95, "p99": 2 * p95}
    quote = {"requests": 400, "errors": 0, "p50": 20.0, "p95": 40.0 + order % 3 * 0.1, "p99": 60.0}
    return {
        "side": side,
        "order": order,
        "started_at": f"2025-02-16T15:{order:02d}:00Z",
        "build": "b1" if side == "baseline" else "b2",
        **figures,
        "valid": True,
        "invalid_reasons": [],
        "by_transaction": {"orders": dict(figures), "quote": quote},
        "guards": dict(guards),
        "rows": {"name": f"evidence/block-{order:02d}-{side}-rows.csv.gz", "sha256": "ab" * 32},
    }


def write_phase_1(to: Written) -> None:
    """Baseline, intake, hypotheses."""
    shop, rules, now = to.protocol.services[0], to.protocol.baseline, to.now
    values = {"orders_latency_p95": 430.0, "orders_latency_p99": 640.0, "cpu_utilization": 20.0, "throughput": 22.0, "error_rate": 0.1}
    end = now.timestamp()
    start = end - rules.window_seconds
    times = tuple(start + rules.step_seconds * (i + 1) for i in range(int(rules.window_seconds / rules.step_seconds)))
    cells = []
    for spec in shop.metrics:
        value = values.get(spec.name, 40.0)
        series = Series(
            spec.name,
            "shop",
            spec.unit,
            spec.source,
            spec.query,
            start,
            end,
            rules.step_seconds,
            times,
            (value,) * len(times),
            now,
            "cd" * 32,
        )
        cells.append(
            measure_cell(
                spec,
                "shop",
                series,
                window_start=start,
                window_end=end,
                step=rules.step_seconds,
                min_coverage=rules.min_coverage,
                min_samples=rules.min_samples,
                max_staleness_seconds=rules.max_staleness_seconds,
                collection_method="Prometheus range query",
            )
        )
    window = {"start": "2025-02-16T09:59:00Z", "end": "2025-02-16T10:00:00Z", "step_seconds": 2}
    baseline = to.put(
        BASELINE_JSON,
        baseline_document(
            cells,
            window=window,
            protocol_sha256=to.protocol.digest,
            services=[shop],
            builds={"shop": "b1"},
            adherence={f"shop/{slo.name}": 20.0 for slo in shop.slos},
            now=now,
        ),
    )
    to.put(Artifact.BASELINE_CSV, baseline_csv(baseline))
    parameters = read_parameters({"protocol": "demo"}, to.protocol)
    sources = [(source_document(s, fetched_at=now, items={}, sha256="ab" * 32), "ab" * 32) for s in to.protocol.sources]
    intake = to.put(
        Artifact.INTAKE_REPORT,
        intake_report(run=RUN, protocol=to.protocol, parameters=parameters, sources=sources, baseline=baseline, now=now),
    )
    hypotheses = to.put(
        "evidence/hypotheses.json",
        formulate(
            intake=intake,
            baseline=baseline,
            services=[shop],
            target_metric=parameters.target_metric,
            baseline_reference=to.references[BASELINE_JSON],
        ),
    )
    to.put(Artifact.HYPOTHESIS_LOG, hypothesis_log(hypotheses))


def write_phase_2(to: Written) -> None:
    """Profile, query plans, load tests, capacity."""
    shop, profile = to.protocol.services[0], to.protocol.load.profiles["demo"]
    profiled = to.put(
        "evidence/profile-shop.json",
        profile_document(
            service=shop,
            build="b1",
            profiler="py-spy",
            collapsed_text=STACKS,
            seconds=8,
            rate_hz=100,
            requests_by_transaction={t.name: 100 for t in shop.transactions},
            collapsed={"name": "evidence/profile-shop-stacks.txt", "sha256": "ab" * 32},
            flame_graph={"name": "evidence/profile-shop-flame-graph.svg", "sha256": "ab" * 32},
        ),
    )
    row = StatementRow("1", "select * from orders where customer = $1", 700, 42000.0, 14000)
    explained = {"1": Explained((("integer", "17"),), SEQ_SCAN, True, None)}
    statements = service_statements(service="shop", rows=[row], explained=explained, requests=1000, request_ms=60000.0)
    plans = to.put("evidence/query-plans.json", {"services": [statements]})
    coverage = diagnostic_coverage([profiled], services=[shop])
    to.put(Artifact.PROFILING_REPORT, profiling_report(profiles=[profiled], plans=plans, coverage=coverage, now=to.now))
    steps = [
        {
            "rate": r,
            "seconds": 4,
            "complete": True,
            "requests": 4 * r,
            "errors": 0,
            "dropped": 0,
            "achieved_rate": r,
            "throughput": r,
            "concurrency": r / 10,
            "p50": 50.0,
            "p95": 200.0,
            "p99": 400.0,
            "error_rate": 0.0,
        }
        for r in profile.stress.rates
    ]
    fault = {"fault": "terminate_database_connections", "recovered": True, "recovered_after_seconds": 1.0, "recover_within_seconds": 4}
    documents = [
        load_document("peak", profile.peak.rate),
        load_document("stress", max(profile.stress.rates), steps=steps),
        load_document("failure", profile.failure.rate, fault=fault),
    ]
    to.put(Artifact.LOAD_TEST_RESULTS, load_test_results(documents, profile=profile, now=to.now, derived_from=[]))
    baseline = json.loads(to.store.read(BASELINE_JSON))
    capacity = to.put(
        "evidence/capacity.json",
        capacity_document(
            [shop],
            load_documents=documents,
            baseline=baseline,
            profile=profile,
            cost=to.protocol.cost,
            optimizations=to.protocol.optimizations,
            now=to.now,
            derived_from=[],
        ),
    )
    to.put(Artifact.CAPACITY_ANALYSIS, capacity_markdown(capacity))


def write_phase_3(to: Written, *, after: float) -> None:
    """Plan with its approval, blocks with `after` ms on the candidate, validation, instrumentation."""
    shop, read = to.protocol.services[0], lambda name: json.loads(to.store.read(name))
    plan = to.put(
        Artifact.OPTIMIZATION_PLAN,
        define_plan(
            optimizations=to.protocol.optimizations,
            considered=("OPT-001",),
            findings=findings_of([read("evidence/profile-shop.json")], read("evidence/query-plans.json")),
            hypotheses=read("evidence/hypotheses.json"),
            target_metric=to.protocol.target_metric,
            baseline=read(BASELINE_JSON),
            references={
                "baseline": to.references[BASELINE_JSON],
                "query-plans": to.references["evidence/query-plans.json"],
                "profile-shop": to.references["evidence/profile-shop.json"],
            },
            plan_id="PLAN-1",
            now=to.now,
        ),
    )
    to.approve("plan", Artifact.OPTIMIZATION_PLAN)
    guards = {guard.name: 0.0 if guard.name == "error_rate" else 10.0 for guard in shop.guards}
    noise = (0.0, 2.0, -2.0, 1.0, -1.0, 0.5)
    blocks = [
        block(side, 2 * i + k, (430.0, after)[k] + n, {name: value * (1 + n / 1000) for name, value in guards.items()})
        for i, n in enumerate(noise)
        for k, side in enumerate(("baseline", "candidate"))
    ]
    measurement = to.put(
        "evidence/measurement.json",
        {
            "service": "shop",
            "builds": {"baseline": "b1", "candidate": "b2"},
            "interleaved": True,
            "rate": 25,
            "block_seconds": 40,
            "blocks": blocks,
        },
    )
    validation = to.put(
        Artifact.VALIDATION_REPORT,
        validate_change(
            measurement=measurement,
            baseline_document=read(BASELINE_JSON),
            baseline_ref=to.references[BASELINE_JSON],
            plan_ref=to.references[Artifact.OPTIMIZATION_PLAN],
            measurement_ref=to.references["evidence/measurement.json"],
            service=shop,
            target_metric=to.protocol.target_metric,
            optimization_ids=[t["id"] for t in plan["tasks"]],
            thresholds=to.protocol.thresholds,
            judge=to.protocol.judge,
            now=to.now,
        ),
    )
    proposal = propose_updates(
        validation=validation,
        validation_ref=to.references[Artifact.VALIDATION_REPORT],
        candidate_blocks=[b["by_transaction"]["orders"]["p95"] for b in blocks if b["side"] == "candidate"],
        service=shop,
        now=to.now,
    )
    to.put("evidence/slo-proposal.json", proposal)
    files = instrumentation_files(service=shop, updates=proposal["updates"])
    to.put(
        Artifact.INSTRUMENTATION_LOG,
        instrumentation_log(
            state="prepared",
            service=shop,
            updates=proposal["updates"],
            files={n: {"name": n, "sha256": "ab" * 32} for n in files},
            directory="instrumentation/shop",
            validation_ref=to.references[Artifact.VALIDATION_REPORT],
            builds={"baseline": "b1", "candidate": "b2"},
            now=to.now,
        ),
    )


def write_phase_4(to: Written) -> None:
    """SLO record with approvals, report, notes, manifest, deliveries."""
    read = lambda name: json.loads(to.store.read(name))  # noqa: E731  a name for what every line needs
    records = to.approve("slo_updates", "evidence/slo-proposal.json")
    record = to.put(
        Artifact.SLO_UPDATE_RECORD,
        slo_update_record(
            proposal=read("evidence/slo-proposal.json"),
            proposal_ref=to.references["evidence/slo-proposal.json"],
            approvals=records,
            required=to.protocol.approvals.steps["slo_updates"],
            roles=to.protocol.roles,
            now=to.now,
        ),
    )
    evidence = Evidence(
        run=RUN,
        parameters=read_parameters({"protocol": "demo"}, to.protocol).document(),
        intake=read(Artifact.INTAKE_REPORT),
        baseline=read(BASELINE_JSON),
        hypotheses=read("evidence/hypotheses.json"),
        profiles=[read("evidence/profile-shop.json")],
        query_plans=read("evidence/query-plans.json"),
        load_results=read(Artifact.LOAD_TEST_RESULTS),
        capacity=read("evidence/capacity.json"),
        plan=read(Artifact.OPTIMIZATION_PLAN),
        validation=read(Artifact.VALIDATION_REPORT),
        slo_record=record,
        gates=[read(gate_result_name(g)) for g in (1, 2, 3)],
        approvals=records,
        waivers=[],
        sources=list(to.references.values()),
    )
    report = to.put(Artifact.PERFORMANCE_REPORT, render_markdown("Performance report", sections(evidence)))
    assert report
    items = backlog(
        plan=read(Artifact.OPTIMIZATION_PLAN),
        hypotheses=read("evidence/hypotheses.json"),
        validation=read(Artifact.VALIDATION_REPORT),
        load_results=read(Artifact.LOAD_TEST_RESULTS),
        considered=("shop",),
        run=RUN,
        now=to.now,
    )
    to.put(
        Artifact.IMPROVEMENT_NOTES,
        improvement_notes(
            backlog_document=items,
            slo_record=record,
            validation=read(Artifact.VALIDATION_REPORT),
            labels=to.protocol.labels,
            recipients={"next_protocol": "Protocol 22", "monitoring": "Protocol 19"},
            report_sha256=to.references[Artifact.PERFORMANCE_REPORT]["sha256"],
            now=to.now,
        ),
    )
    to.put(Artifact.MANIFEST, build_manifest(to.store, time=to.now))
    sent = [
        (Artifact.PERFORMANCE_REPORT, "Product Owner and stakeholders"),
        (Artifact.IMPROVEMENT_NOTES, "Protocol 22"),
        (Artifact.IMPROVEMENT_NOTES, "Protocol 19"),
    ]
    for name, recipient in sent:
        to.log(
            EntryType.NOTIFY_DELIVERED,
            {"recipient": recipient, "channel": "file", "artifact": name.value, "sha256": to.references[name]["sha256"]},
        )


def write_cycle(root: Path, *, after: float) -> tuple[Path, dict[int, Any]]:
    """A whole cycle in a store below `root`: its directory, and the results of its gates."""
    data = PROTOCOL.read_bytes()
    protocol = load_protocol(data, where=PROTOCOL.name)
    store = EvidenceStore(LocalBackend(root), RUN)
    parameters = read_parameters({"protocol": "demo"}, protocol).document()
    genesis = {
        "dag_id": "performance_optimization",
        "run_id": "manual__1",
        "protocol_sha256": store.put_object(data),
        "parameters": parameters,
    }
    store.open_run(genesis=genesis, time=NOW, actor=ACTOR)
    to = Written(store, protocol, NOW)
    results = {}
    write_phase_1(to)
    results[1] = to.judge(1)
    write_phase_2(to)
    results[2] = to.judge(2)
    write_phase_3(to, after=after)
    results[3] = to.judge(3)
    write_phase_4(to)
    results[4] = to.judge(4)
    rebuild_views(store)
    return root / RUN, results


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, Any]]:
    """A cycle whose candidate is 40 percent faster. Tests do not change it."""
    return write_cycle(tmp_path_factory.mktemp("evidence"), after=258.0)


@pytest.mark.parametrize("gate", [1, 2, 3, 4])
def test_what_the_package_writes_passes_its_own_gates(written: Any, gate: int) -> None:
    """Producers and gates agree about every document."""
    result = written[1][gate]
    assert (result.outcome, result.reasons) == (Outcome.PASS, ())


@pytest.mark.parametrize("name", list(Artifact))
def test_what_the_package_writes_is_a_valid_artifact(written: Any, name: Artifact) -> None:
    """Every one of the thirteen, by its own producer."""
    assert validate_artifact(name, (written[0] / name).read_bytes()) == []


@pytest.mark.parametrize("gate", [1, 2, 3, 4])
def test_a_gate_is_recomputed_from_the_directory(written: Any, gate: int) -> None:
    """The same figures, criteria and outcome from the log's own evidence: exit code 0."""
    found = recompute(gate, directory=written[0], check=plain_check)
    assert found.differences == ()
    assert found.result.document() == written[1][gate].document()
    assert found.exit_code == 0


def test_a_short_improvement_fails_from_the_directory_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """6.7 percent: gate 3 exits 1 and prints the specification's text."""
    directory, results = write_cycle(tmp_path, after=401.0)
    assert results[3].outcome is Outcome.FAIL
    assert main(3, [str(directory)], check=plain_check) == 1
    shown = capsys.readouterr().out
    assert "Improvement 6.7% on targeted metric, 0 regressions detected" in shown
    assert "3. Halt protocol execution" in shown


def test_a_stored_result_that_the_evidence_does_not_give_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A result that was published as PASS over a short improvement: exit code 1, and the difference is named."""
    directory, results = write_cycle(tmp_path, after=401.0)
    store = EvidenceStore(LocalBackend(tmp_path), RUN)
    lie = {**results[3].document(), "outcome": "PASS", "text": None}
    store.publish(gate_result_name(3), document_bytes(lie), idem="ab" * 32, time=NOW, actor=ACTOR)
    assert main(3, [str(directory)], check=plain_check) == 1
    assert "DIFFERS: the stored result says outcome PASS, recomputed FAIL" in capsys.readouterr().out


def test_an_object_that_was_changed_is_found(tmp_path: Path) -> None:
    """Evidence is hashed again when it is read."""
    directory, _ = write_cycle(tmp_path, after=258.0)
    digest = json.loads((directory / gate_result_name(1)).read_bytes())["evidence"][0]["sha256"]
    path = directory / "objects" / "sha256" / digest
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"shop", b"shoq"))
    with pytest.raises(Tampered):
        recompute(1, directory=directory, check=plain_check)
    assert main(1, [str(directory)], check=plain_check) == 1


def test_files_without_a_log_are_judged_with_a_protocol_file(written: Any, tmp_path: Path) -> None:
    """Gates 1 and 2 pass on copied files; gates 3 and 4 cannot, since nobody knows who approved."""
    for source in (*written[0].glob("*.*"), *(written[0] / "evidence").glob("*")):
        target = tmp_path / source.relative_to(written[0])
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    outcomes = [recompute(g, directory=tmp_path, protocol_file=PROTOCOL, check=plain_check).result.outcome for g in (1, 2, 3, 4)]
    assert outcomes == [Outcome.PASS, Outcome.PASS, Outcome.FAIL, Outcome.FAIL]
    with pytest.raises(GateError, match="GAT-122"):
        recompute(1, directory=tmp_path, check=plain_check)


def test_an_empty_directory_is_not_judged(tmp_path: Path) -> None:
    """Nothing there is no FAIL and no PASS: exit code 2."""
    assert main(1, [str(tmp_path), "--protocol", str(PROTOCOL)], check=plain_check) == 2


def test_a_link_in_the_directory_is_refused(tmp_path: Path) -> None:
    """An artifact is a file, not a link to somewhere else."""
    (tmp_path / Artifact.HYPOTHESIS_LOG).symlink_to("/etc/hostname")
    assert main(1, [str(tmp_path), "--protocol", str(PROTOCOL)], check=plain_check) == 2


@pytest.mark.parametrize("arguments", [[], ["/does/not/exist"], ["a", "b"], ["--unknown"]])
def test_wrong_usage_is_exit_code_3(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Missing, too many or unknown arguments, and a directory that is none."""
    assert main(1, arguments, check=plain_check) == 3
    assert capsys.readouterr().out == ""


def test_the_result_can_be_printed_as_json(written: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The document of the result, and what differs."""
    assert main(4, [str(written[0]), "--json"], check=plain_check) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["documentation_completeness"] == 100


@pytest.mark.parametrize("name", ["baseline", "diagnostics", "optimization", "governance"])
def test_the_specifications_entry_points_run(name: str) -> None:
    """`python -m perfproof.automation.validate_gate_14_<name>` without a directory is wrong usage, and says so."""
    module = f"perfproof.automation.validate_gate_14_{name}"
    done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert f"validate_gate_14_{name}" in done.stderr
