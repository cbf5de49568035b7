"""The validation report: the spec's samples end to end, the three statuses, every halt, and the figures it must carry."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from perfproof.artifacts import Artifact
from perfproof.config import Endpoint, Endpoints, Guard, GuardKind, Judge, Limits, Mode, Service, Thresholds, Transaction
from perfproof.errors import ArtifactError, TelemetryError
from perfproof.schemas import document_problems
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Unit, document_bytes
from perfproof.validation import validate_change

NOW = datetime(2025, 2, 16, 16, 0, tzinfo=UTC)
LOWER, HIGHER = Direction.LOWER, Direction.HIGHER
MEMORY = Guard("memory_utilization", GuardKind.GAUGE, Unit.PERCENT, LOWER, margin=0.05, floor=1.0, series="memory")
CPU = Guard("cpu_ms_per_request", GuardKind.COUNTER_PER_REQUEST, Unit.CPU_PER_REQUEST, LOWER, margin=0.05, floor=0.3, series="cpu")
ERRORS = Guard("error_rate", GuardKind.ERROR_RATE, Unit.PERCENT, LOWER, margin=0.0, floor=0.5)
REF = {"name": "evidence/x.json", "sha256": "ab" * 32}
Document = dict[str, Any]


def metric(name: str, unit: Unit = Unit.MILLISECONDS, direction: Direction = LOWER) -> MetricSpec:
    """A metric that phase 1 captures."""
    return MetricSpec(name, MetricKind.LATENCY, unit, direction, "prometheus", "up")


def service(*guards: Guard) -> Service:
    """api-service with two transactions."""
    return Service(
        name="api-service",
        owner="demo-engineer",
        business_impact="Customers wait.",
        critical=True,
        scaling_policy="None.",
        limits=Limits(1, 512),
        endpoints=Endpoints(Endpoint("127.0.0.1", 1, "/build", "/metrics"), Endpoint("127.0.0.1", 2, "/build", "/metrics")),
        slos=(),
        transactions=(Transaction("api", "GET", "/api", 0.7), Transaction("quote", "GET", "/quote", 0.3)),
        metrics=(
            metric("api_latency_p95"),
            metric("api_latency_p99"),
            metric("throughput", Unit.PER_SECOND, HIGHER),
            metric("error_rate", Unit.PERCENT),
            metric("cpu_utilization", Unit.PERCENT),
        ),
        guards=guards or (MEMORY, CPU, ERRORS),
    )


def block(
    side: str, order: int, p95: float | None, *, memory: float | None = 75.0, cpu: float | None = 5.0, quote: float = 30.0, **other: Any
) -> Document:
    """One block as the load test writes it."""
    return {
        "side": side,
        "order": order,
        "started_at": f"2025-02-16T{10 if side == 'baseline' else 16}:{order:02d}:00Z",
        "requests": 2000,
        "errors": 0,
        "valid": True,
        "invalid_reasons": [],
        "p50": 1.0,
        "p95": 2.0,
        "p99": 3.0,
        "by_transaction": {
            "api": {"requests": 1400, "errors": 0, "p50": 100.0, "p95": p95, "p99": 900.0},
            "quote": {"requests": 600, "errors": 0, "p50": 10.0, "p95": quote, "p99": 90.0},
        },
        "guards": {"memory_utilization": memory, "cpu_ms_per_request": cpu, "error_rate": 0.0},
        "rows": REF,
    } | other


def measurement(before: list[float], after: list[float], **other: Any) -> Document:
    """Blocks in turn: baseline, candidate, baseline, …; `other` goes into each candidate block."""
    blocks = []
    for i in range(max(len(before), len(after))):
        if i < len(before):
            blocks.append(block("baseline", 2 * i, before[i]))
        if i < len(after):
            blocks.append(block("candidate", 2 * i + 1, after[i], **other))
    return {
        "service": "api-service",
        "builds": {"baseline": "1.0", "candidate": "1.1"},
        "interleaved": True,
        "rate": 100,
        "block_seconds": 20,
        "blocks": blocks,
    }


def baseline_document(value: float | None = 450.0, **cell: Any) -> Document:
    """Phase 1's baseline of the target and of the metrics that other tests aim at."""
    cells = [
        {"metric_name": name, "service": "api-service", "value": value, "unit": unit, "timestamp": "2025-02-16T10:00:00Z"} | cell
        for name, unit in (("api_latency_p95", "ms"), ("throughput", "req/s"), ("error_rate", "percent"), ("memory_utilization", "percent"))
    ]
    return {"cells": cells}


def validated(document: Mapping[str, Any], *, mode: Mode = Mode.PROVED, target: str = "api_latency_p95", **other: Any) -> Document:
    """The report for `document`."""
    arguments: Document = {
        "measurement": document,
        "baseline_document": baseline_document(),
        "baseline_ref": {**REF, "name": "baseline-metrics.json"},
        "plan_ref": {**REF, "name": "optimization-plan.json"},
        "measurement_ref": {**REF, "name": "evidence/measurement.json"},
        "service": service(),
        "target_metric": target,
        "optimization_ids": ["OPT-001"],
        "thresholds": Thresholds(),
        "judge": Judge(mode=mode),
        "now": NOW,
    }
    return validate_change(**(arguments | other))


def around(value: float, *, blocks: int = 6, noise: float = 0.03, seed: int = 1) -> list[float]:
    """Blocks around `value`."""
    return (value * np.random.default_rng(seed).lognormal(0, noise, blocks)).round(3).tolist()


def test_sample_report_of_the_specification() -> None:
    """Spec lines 268-292, in mode point with one block a side: every field of the sample comes out as it stands there."""
    report = validated(measurement([450], [320]), mode=Mode.POINT)
    assert {key: report[key] for key in list(report)[:9]} == {
        "validation_date": "2025-02-16T16:00:00Z",
        "optimization_id": "OPT-001",
        "target_metric": "api_latency_p95",
        "baseline": {"value": 450, "unit": "ms", "timestamp": "2025-02-16T10:00:00Z"},
        "optimized": {"value": 320, "unit": "ms", "timestamp": "2025-02-16T16:01:00Z"},
        "improvement": {"absolute": 130, "percentage": 28.9, "meets_threshold": True},
        "regressions": [],
        "regression_count": 0,
        "status": "pass",
    }
    assert b'"value": 450,' in document_bytes(report)
    assert report["verdict"]["label"] == "met"


def test_sample_pair_is_inconclusive_in_mode_proved() -> None:
    """The same pair proves nothing: not a pass, not a failure of the change, and three more blocks a side."""
    report = validated(measurement([450], [320]))
    assert (report["status"], report["verdict"]["label"], report["verdict"]["runs_needed"]) == ("inconclusive", "inconclusive", 3)
    assert report["improvement"] == {"absolute": 130, "percentage": 28.9, "meets_threshold": True}
    assert all(g["label"] == "inconclusive" for g in report["guards"])


def test_sample_450_to_420_fails() -> None:
    """Spec lines 369-376: 6.7 % is below the threshold, in mode point by the letter and in mode proved by the interval."""
    report = validated(measurement([450], [420]), mode=Mode.POINT)
    assert (report["status"], report["improvement"]["percentage"], report["improvement"]["meets_threshold"]) == ("fail", 6.7, False)
    proved = validated(measurement(around(450, noise=0.01), around(420, noise=0.01, seed=2)))
    assert (proved["status"], proved["verdict"]["label"]) == ("fail", "short")


@pytest.mark.parametrize("mode", list(Mode))
def test_sample_memory_regression_fails_although_the_target_improved(mode: Mode) -> None:
    """Spec lines 391-405: memory 75 to 88 is +17.3 %, one regression, status fail."""
    blocks = 1 if mode is Mode.POINT else 4
    report = validated(measurement([450] * blocks, [320] * blocks, memory=88.0), mode=mode)
    assert report["regressions"] == [{"metric": "memory_utilization", "baseline": 75, "optimized": 88, "regression_percentage": 17.3}]
    assert (report["regression_count"], report["status"], report["improvement"]["percentage"]) == (1, "fail", 28.9)


@pytest.mark.parametrize("mode", list(Mode))
def test_sample_without_regressions_passes(mode: Mode) -> None:
    """Spec lines 408-414."""
    blocks = 1 if mode is Mode.POINT else 4
    report = validated(measurement([450] * blocks, [320] * blocks), mode=mode)
    assert (report["regressions"], report["regression_count"], report["status"]) == ([], 0, "pass")


def test_proved_change_carries_everything_it_rests_on() -> None:
    """Noisy blocks, a clear change: pass, with interval, guards, builds, drift, samples and what it traces to; valid against the schema."""
    report = validated(measurement(around(450), around(250, seed=2)), optimization_ids=["OPT-001", "OPT-002"])
    assert report["status"] == "pass"
    assert report["verdict"]["label"] == "proved"
    assert report["verdict"]["ci_low"] >= 15
    assert report["optimizations"] == ["OPT-001", "OPT-002"]
    assert report["builds"] == {"baseline": "1.0", "candidate": "1.1"}
    assert [g["metric"] for g in report["guards"]] == ["memory_utilization", "cpu_ms_per_request", "error_rate"]
    assert {k: v["name"] for k, v in report["traces_to"].items()} == {
        "baseline": "baseline-metrics.json",
        "plan": "optimization-plan.json",
        "measurement": "evidence/measurement.json",
    }
    assert abs(report["drift"]["change_percent"]) < 5
    assert report["samples"]["candidate"]["valid_blocks"] == 6
    assert report["samples"]["candidate"]["requests_of_target"] == 8400
    assert report["calibration"]["note"].startswith("Not enough blocks to calibrate")
    assert list(document_problems(Artifact.VALIDATION_REPORT, report)) == []


def test_an_undecided_guard_keeps_the_change_from_passing() -> None:
    """A proved target with a noisy guard is inconclusive, with the blocks that are missing."""
    document = measurement(around(450), around(250, seed=2))
    for i, part in enumerate(document["blocks"]):
        part["guards"]["cpu_ms_per_request"] = 5.0 + (i % 5)
    report = validated(document)
    guard = next(g for g in report["guards"] if g["metric"] == "cpu_ms_per_request")
    assert (report["status"], guard["label"]) == ("inconclusive", "inconclusive")
    assert guard["runs_needed"] > 0


def test_same_inputs_give_the_same_bytes() -> None:
    """Nothing in the report is drawn by chance; ten blocks a side are calibrated too."""
    document = measurement(around(450, blocks=10), around(250, blocks=10, seed=2))
    first, second = validated(copy.deepcopy(document)), validated(document)
    assert document_bytes(first) == document_bytes(second)
    assert first["calibration"]["repetitions"] == 200


def test_invalid_blocks_are_left_out_and_named() -> None:
    """Two of six candidate blocks are invalid: four remain and decide; the report says which and why."""
    document = measurement(around(450), around(250, seed=2))
    for part in document["blocks"][-3::2]:
        part |= {"valid": False, "invalid_reasons": ["offered rate not reached"], "by_transaction": {}}
    report = validated(document)
    assert report["verdict"]["blocks"] == [6, 4]
    assert report["samples"]["candidate"]["left_out"] == [
        {"order": 9, "reasons": ["offered rate not reached"]},
        {"order": 11, "reasons": ["offered rate not reached"]},
    ]


def test_three_valid_blocks_a_side_need_one_more() -> None:
    """Fewer than four valid blocks are inconclusive however clear they look."""
    document = measurement(around(450), around(100, seed=2))
    for part in document["blocks"][-5::2]:
        part |= {"valid": False, "invalid_reasons": ["generator saturated"]}
    report = validated(document)
    assert (report["status"], report["verdict"]["label"], report["verdict"]["runs_needed"]) == ("inconclusive", "inconclusive", 1)


@pytest.mark.parametrize("missing", ["target", "guard"])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_missing_value_never_passes(missing: str, mode: Mode) -> None:
    """A valid block without the target's percentile, or without a guard, leaves the question open."""
    document = measurement([450] * 6, [250] * 6)
    if missing == "target":
        document["blocks"][-1]["by_transaction"]["api"]["p95"] = None
    else:
        del document["blocks"][-1]["guards"]["memory_utilization"]
    assert validated(document, mode=mode)["status"] == "inconclusive"


def test_blocks_one_after_the_other_say_so_in_every_verdict() -> None:
    """Whatever the document claims: the order of the blocks shows that the sides did not take turns."""
    document = measurement(around(450), around(250, seed=2))
    for i, part in enumerate(sorted(document["blocks"], key=lambda b: b["side"])):
        part["order"] = i
    report = validated(document)
    assert report["interleaved"] is False
    sentences = [report["verdict"]["reason"], *(g["reason"] for g in report["guards"]), *(u["reason"] for u in report["unguarded"])]
    assert all("one after the other" in s for s in sentences)
    assert "one after the other" not in validated(measurement(around(450), around(250, seed=2)))["verdict"]["reason"]


def test_unguarded_latencies_are_reported_with_interval_and_reason() -> None:
    """p95 of the other transaction and the other percentiles of the target's own; too noisy to guard, and that in words."""
    document = measurement(around(450), around(250, seed=2))
    for part, value in zip(document["blocks"], around(30, blocks=12, noise=0.3, seed=4), strict=True):
        part["by_transaction"]["quote"]["p95"] = value
    report = validated(document)
    assert [u["metric"] for u in report["unguarded"]] == ["api_latency_p50", "api_latency_p99", "quote_latency_p95"]
    quote = report["unguarded"][-1]
    assert quote["ci_low"] < 0 < quote["ci_high"]
    assert "not guarded" in quote["reason"]
    assert report["status"] == "pass"


def test_a_proved_worsening_counts_without_having_been_guarded() -> None:
    """The other route takes 60 % longer in every block: a regression, although nobody declared a guard."""
    document = measurement(around(450), around(250, seed=2))
    for part, value in zip(document["blocks"], around(30, blocks=12, noise=0.05, seed=4), strict=True):
        part["by_transaction"]["quote"]["p95"] = value * (1.6 if part["side"] == "candidate" else 1)
    report = validated(document)
    assert (report["status"], report["regression_count"], report["regressions"][0]["metric"]) == ("fail", 1, "quote_latency_p95")
    assert "quote_latency_p95" not in [u["metric"] for u in report["unguarded"]]
    assert [g["label"] for g in report["guards"]][-1] == "regression"


def test_an_undeclared_worsening_needs_more_than_the_proof_of_a_guard() -> None:
    """Four blocks a side never blame a metric that nobody guards; but 50 % worse in all of them is undecided, not passed."""
    document = measurement(around(450, blocks=4), around(250, blocks=4, seed=2), by_transaction={})
    for part in document["blocks"]:
        slow = part["side"] == "candidate"
        part["by_transaction"] = {
            "api": {"requests": 1400, "p50": 100.0, "p95": 250.0 if slow else 450.0, "p99": 900.0},
            "quote": {"requests": 600, "p95": (45.0 if slow else 30.0) + part["order"] / 10},
        }
    report = validated(document)
    suspect = report["guards"][-1]
    assert (report["status"], report["regression_count"]) == ("inconclusive", 0)
    assert (suspect["metric"], suspect["label"], suspect["runs_needed"]) == ("quote_latency_p95", "inconclusive", 2)
    assert "49.8 % worse" in suspect["reason"]
    assert "may be chance" in suspect["reason"]


def test_errors_are_guarded_even_if_nobody_asked() -> None:
    """A build that fails fast has a fine latency: 5 % errors fail it."""
    document = measurement(around(450), around(50, seed=2), errors=100)
    report = validated(document, service=service(MEMORY))
    assert (report["status"], report["regressions"][0]["metric"]) == ("fail", "error_rate")


def test_growing_memory_does_not_pass() -> None:
    """A gauge that climbs towards its margin is undecided."""
    document = measurement(around(450), around(250, seed=2))
    for i, part in enumerate(p for p in document["blocks"] if p["side"] == "candidate"):
        part["guards"]["memory_utilization"] = 75.0 + 0.5 * i
    report = validated(document)
    assert report["status"] == "inconclusive"
    assert "grows from block to block" in report["guards"][0]["reason"]


@pytest.mark.parametrize(
    ("target", "status"),
    [("throughput", "fail"), ("error_rate", "inconclusive"), ("memory_utilization", "fail"), ("api_latency_p95", "pass")],
)
def test_each_kind_of_target_is_found_in_the_blocks(target: str, status: str) -> None:
    """Latency, throughput, error rate and a guard can be the target; here only the latency changed."""
    report = validated(measurement(around(450), around(250, seed=2)), target=target)
    assert (report["status"], report["target_metric"]) == (status, target)
    if target == "throughput":
        assert report["baseline"]["value"] == 100


def test_failed_requests_are_no_throughput() -> None:
    """2,000 requests in 20 s of which 500 fail are 75 good ones a second."""
    report = validated(measurement([450] * 4, [450] * 4, errors=500), target="throughput")
    assert (report["baseline"]["value"], report["optimized"]["value"]) == (100, 75)


def test_p99_of_few_requests_is_their_maximum_and_proves_nothing() -> None:
    """With 50 requests a block p99 is the largest value."""
    document = measurement([450.0] * 6, [250.0] * 6)
    for part in document["blocks"]:
        part["by_transaction"]["api"] |= {"requests": 50, "p99": part["by_transaction"]["api"]["p95"]}
    cells = {"cells": [{"metric_name": "api_latency_p99", "service": "api-service", "unit": "ms", "value": 450}]}
    report = validated(document, target="api_latency_p99", baseline_document=cells)
    assert (report["status"], report["verdict"]["label"]) == ("inconclusive", "inconclusive")
    assert "at least 100 requests of api a block are needed" in report["verdict"]["reason"]


def test_drift_is_told_and_unknown_stays_unknown() -> None:
    """Concurrent 450 against 300 in phase 1 is +50 %; without a value there is no figure."""
    drifted = validated(measurement([450] * 4, [250] * 4), baseline_document=baseline_document(300))["drift"]
    assert (drifted["baseline_value"], drifted["concurrent_value"], drifted["change_percent"]) == (300, 450, 50.0)
    unknown = validated(measurement([450] * 4, [250] * 4), baseline_document=baseline_document(None))["drift"]
    assert unknown["change_percent"] is None
    assert unknown["note"].startswith("Unknown")


def _drop_blocks(document: Document) -> None:
    document["blocks"] = [b for b in document["blocks"] if b["side"] == "baseline"]


def _same_order(document: Document) -> None:
    document["blocks"][1]["order"] = 0


def _errors_beyond_requests(document: Document) -> None:
    document["blocks"][0]["errors"] = 5000


def _no_requests_key(document: Document) -> None:
    del document["blocks"][0]["requests"]


def _unknown_side(document: Document) -> None:
    document["blocks"][0]["side"] = "control"


def _no_moment(document: Document) -> None:
    document["blocks"][0]["started_at"] = "yesterday"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d.update(service="other"), "ART-322"),
        (lambda d: d.update(builds={"baseline": "1.0", "candidate": "1.0"}), "ART-324"),
        (lambda d: d.update(builds={"baseline": "1.0", "candidate": " "}), "ART-323"),
        (lambda d: d.update(builds={"baseline": "1.0"}), "ART-310"),
        (lambda d: d.update(block_seconds=0), "ART-325"),
        (lambda d: d.update(block_seconds=True), "ART-311"),
        (lambda d: d.update(blocks="none"), "ART-311"),
        (lambda d: d.pop("blocks"), "ART-310"),
        (lambda d: [b.update(valid=False, invalid_reasons=["x"]) for b in d["blocks"]], "ART-320"),
        (_drop_blocks, "ART-320"),
        (_same_order, "ART-312"),
        (_errors_beyond_requests, "ART-314"),
        (_no_requests_key, "ART-310"),
        (_unknown_side, "ART-313"),
        (_no_moment, "ART-132"),
    ],
)
def test_a_validation_that_is_not_possible_halts(change: Callable[[Document], object], code: str) -> None:
    """Each is one clear line, and no report."""
    document = measurement([450] * 4, [320] * 4)
    change(document)
    with pytest.raises(ArtifactError) as caught:
        validated(document)
    assert caught.value.code == code
    assert "Fix:" in str(caught.value)


@pytest.mark.parametrize("target", ["cpu_utilization", "nothing", "checkout_latency_p95", "api_latency_p90"])
def test_a_target_that_blocks_do_not_measure_halts(target: str) -> None:
    """The message lists what they do measure."""
    with pytest.raises(ArtifactError, match=r"ART-315 .*api_latency_p50\|p95\|p99"):
        validated(measurement([450] * 4, [320] * 4), target=target)


def test_a_target_in_another_unit_halts() -> None:
    """Blocks are in milliseconds; seconds in phase 1 would make the drift a lie."""
    with pytest.raises(ArtifactError, match="ART-318"):
        validated(measurement([450] * 4, [320] * 4), baseline_document=baseline_document(0.45, unit="s"))


def test_a_target_without_phase_1_baseline_halts() -> None:
    """Every optimization traces to a baseline metric."""
    with pytest.raises(ArtifactError, match="ART-317"):
        validated(measurement([450] * 4, [320] * 4), baseline_document={"cells": []})


def test_no_optimization_halts() -> None:
    """A change without a name is not validated."""
    with pytest.raises(ArtifactError, match="ART-321"):
        validated(measurement([450] * 4, [320] * 4), optimization_ids=[])


def test_text_instead_of_a_percentile_halts() -> None:
    """A percentile in quotes is no measurement."""
    document = measurement([450] * 4, [320] * 4)
    document["blocks"][0]["by_transaction"]["api"]["p95"] = "450"
    with pytest.raises(TelemetryError, match="TEL-311"):
        validated(document)


def test_hostile_text_stays_inside_json_strings() -> None:
    """A block's reasons are shown as they came, and the report stays one JSON document."""
    document = measurement(around(450), around(250, seed=2))
    hostile = '"}]</script>\n| x |'
    document["blocks"][-1] |= {"valid": False, "invalid_reasons": [hostile]}
    report = json.loads(document_bytes(validated(document)))
    assert report["samples"]["candidate"]["left_out"][0]["reasons"] == [hostile]
