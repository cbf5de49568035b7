"""Hypotheses from the baseline, their status after the diagnostics, and hypothesis-log.md."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Service, load_protocol
from perfproof.hypotheses import formulate, hypothesis_log, update_status

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
REFERENCE = {"name": "baseline-metrics.json", "sha256": "c" * 64}
TARGET = "orders_latency_p95"


def shop() -> Service:
    return load_protocol(DEMO.read_bytes(), where="demo").service("shop")


def baseline(*, met: bool = False, **values: float | None) -> dict[str, Any]:
    units = {"cpu_utilization": "percent", "memory_utilization": "percent", "error_rate": "percent"}
    cells = [
        {"metric_name": name, "service": "shop", "kind": "latency", "value": value, "unit": units.get(name, "ms")}
        for name, value in values.items()
    ]
    slo = {"slo_name": "Orders latency p95", "service": "shop", "metric": TARGET, "target": 250.0, "unit": "ms", "met": met}
    return {"cells": cells, "slos": [slo]}


def made(
    document: dict[str, Any], *, points: list[dict[str, Any]] | None = None, service: Service | None = None, target: str = TARGET
) -> dict[str, Any]:
    return formulate(
        intake={"pain_points": points or []},
        baseline=document,
        services=[service or shop()],
        target_metric=target,
        baseline_reference=REFERENCE,
    )


def causes(document: dict[str, Any]) -> list[str]:
    return [h["cause"] for h in document["hypotheses"]]


def test_low_cpu_with_high_latency_makes_the_database_suspect() -> None:
    """A service that hardly computes waits; what it waits for is to be confirmed by plans and statistics."""
    document = made(baseline(orders_latency_p95=450.0, cpu_utilization=12.0, memory_utilization=40.0))
    assert causes(document) == ["database_contention"]
    (hypothesis,) = document["hypotheses"]
    assert hypothesis["id"] == "HYP-001"
    assert hypothesis["symptom"] == "Orders latency p95 is not met: 450 ms, target 250 ms"
    assert "12 percent" in hypothesis["suspected_cause"]
    assert "repeated many times per request" in hypothesis["confirming_evidence"]
    assert hypothesis["baseline"] == REFERENCE
    assert hypothesis["status"] == "open"


def test_high_cpu_makes_the_code_suspect() -> None:
    """A service at 78 percent CPU computes."""
    assert causes(made(baseline(orders_latency_p95=450.0, cpu_utilization=78.0))) == ["code_hot_path"]


def test_between_low_and_high_both_are_possible() -> None:
    """50 percent CPU excludes neither."""
    assert causes(made(baseline(orders_latency_p95=450.0, cpu_utilization=50.0))) == ["code_hot_path", "database_contention"]


def test_a_resource_near_its_limit_makes_the_infrastructure_suspect() -> None:
    """Memory at 93 percent is a limit, whatever the CPU says."""
    document = made(baseline(orders_latency_p95=450.0, cpu_utilization=12.0, memory_utilization=93.0))
    assert causes(document) == ["infrastructure_limit", "database_contention"]
    assert "memory_utilization is 93 percent" in document["hypotheses"][0]["suspected_cause"]


@pytest.mark.parametrize("cpu", [None, "absent"])
def test_without_cpu_utilization_the_cause_is_unknown(cpu: Any) -> None:
    """A cell without a value is no low CPU: no cause is invented, and what is lacking is named."""
    values: dict[str, Any] = {"orders_latency_p95": 450.0} | ({} if cpu == "absent" else {"cpu_utilization": cpu})
    document = made(baseline(**values))
    assert document["hypotheses"] == []
    assert document["unknown"][0]["reason"] == "the baseline holds no CPU utilization of the service"


def test_without_a_database_the_wait_is_unknown() -> None:
    """A service that names no database is not suspected of waiting for one."""
    service = shop()
    endpoint = dataclasses.replace(service.endpoints.baseline, database_connection=None)
    bare = dataclasses.replace(service, endpoints=dataclasses.replace(service.endpoints, baseline=endpoint))
    document = made(baseline(orders_latency_p95=450.0, cpu_utilization=12.0), service=bare)
    assert document["hypotheses"] == []
    assert "names no database" in document["unknown"][0]["reason"]


def test_an_error_rate_alone_tells_no_cause() -> None:
    """Why requests fail is not in the baseline."""
    point = {"service": "shop", "metric": "error_rate", "symptom": "2.1 percent of requests fail"}
    document = made(baseline(met=True, cpu_utilization=12.0), points=[point])
    assert [u["metric"] for u in document["unknown"]] == ["error_rate"]


def test_each_metric_is_one_symptom() -> None:
    """An objective that is not met, the pain point of it and the target metric are the same symptom."""
    point = {"service": "shop", "metric": TARGET, "symptom": "slow"}
    assert len(made(baseline(orders_latency_p95=450.0, cpu_utilization=12.0), points=[point])["hypotheses"]) == 1


def test_the_target_metric_is_a_symptom_although_its_objective_is_met() -> None:
    """What the cycle is to improve is looked into, and the text does not claim a breach."""
    document = made(baseline(met=True, orders_latency_p95=90.0, cpu_utilization=12.0))
    assert document["hypotheses"][0]["symptom"] == "orders_latency_p95 is 90 ms in the baseline and is what this cycle is to improve"


def test_an_unknown_adherence_is_no_breach() -> None:
    """An objective of which nothing was measured is not called unmet."""
    document = baseline(cpu_utilization=12.0)
    document["slos"][0]["met"] = None
    assert "not met" not in made(document)["hypotheses"][0]["symptom"]


def profile(*paths: tuple[str, float], status: str = "ok") -> dict[str, Any]:
    frames = [
        {"frames": [{"function": "serve", "total_percent": 100.0}, {"function": f, "total_percent": s}], "self_percent": s}
        for f, s in paths
    ]
    return {
        "service": "shop",
        "status": status,
        "reason": "12 samples" if status != "ok" else None,
        "hot_paths": frames,
        "hot_functions": [],
    }


def plans(*findings: str, share: float = 60.0, analyzed: bool = True) -> dict[str, Any]:
    statement = {
        "statement": "select $1",
        "share_percent": share,
        "calls_share_percent": share,
        "analyzed": analyzed,
        "findings": [{"kind": f, "text": f"{f} found"} for f in findings],
    }
    return {"services": [{"service": "shop", "statements": [statement], "findings": []}]}


def both() -> dict[str, Any]:
    return made(baseline(orders_latency_p95=450.0, cpu_utilization=50.0, memory_utilization=91.0))


def statuses(profiles: list[dict[str, Any]], found: dict[str, Any] | None) -> dict[str, tuple[str, str]]:
    updated = update_status(both(), profiles=profiles, plans=found)
    return {h["cause"]: (h["status"], h["status_reason"]) for h in updated["hypotheses"]}


def test_findings_confirm_and_name_themselves() -> None:
    """A hot path confirms the code, a scan in vain the database; the limit stays open for the stress test."""
    result = statuses([profile(("compile", 45.0))], plans("sequential_scan"))
    assert result["code_hot_path"][0] == "confirmed"
    assert "compile carries 45 percent" in result["code_hot_path"][1]
    assert result["database_contention"][0] == "confirmed"
    assert "sequential_scan found" in result["database_contention"][1]
    assert result["infrastructure_limit"][0] == "open"


def test_conclusive_diagnostics_without_findings_refute() -> None:
    """A flat profile and plans without a finding refute, with the reason."""
    result = statuses([profile()], plans())
    assert result["code_hot_path"][0] == "refuted"
    assert result["database_contention"][0] == "refuted"


def test_missing_or_inconclusive_diagnostics_leave_it_open() -> None:
    """Not having looked is no refutation."""
    assert {s for s, _ in statuses([], None).values()} == {"open"}
    inconclusive = statuses([profile(("compile", 45.0), status="inconclusive")], plans(analyzed=False))
    assert {s for s, _ in inconclusive.values()} == {"open"}
    assert "12 samples" in inconclusive["code_hot_path"][1]


@pytest.mark.parametrize(("kind", "share"), [("sequential_scan", 2.0), ("bad_estimate", 60.0)])
def test_a_minor_statement_or_a_lead_confirms_nothing(kind: str, share: float) -> None:
    """What takes 2 percent of the database's time is not the cause; a wrong estimate is a lead."""
    assert statuses([], plans(kind, share=share))["database_contention"][0] == "refuted"


def test_a_function_in_nearly_every_sample_confirms_nothing() -> None:
    """That the server's own loop is in 97 percent of the samples is true of every profile."""
    assert statuses([profile(("loop", 97.0))], plans())["code_hot_path"][0] == "refuted"


def test_updating_leaves_the_first_document_alone() -> None:
    """The hypotheses of phase 1 are evidence; the update is another document."""
    first = both()
    update_status(first, profiles=[profile(("compile", 45.0))], plans=plans("sequential_scan"))
    assert first == both()


def test_the_log_shows_each_hypothesis_and_the_unknown() -> None:
    """Symptom, cause, confirming evidence, baseline digest and status; unknown causes in a table of their own."""
    text = hypothesis_log(both())
    assert text.startswith("# Hypothesis log\n")
    assert "HYP-001" in text.replace("\\", "")
    assert "c" * 64 in text
    assert "Evidence that would confirm" in text
    unknown = hypothesis_log(made(baseline(orders_latency_p95=450.0)))
    assert "## Cause unknown" in unknown
    assert "No hypothesis" in unknown


def test_hostile_symptoms_stay_text() -> None:
    """A pain point's text cannot break the table or become markup."""
    point = {"service": "shop", "metric": "throughput", "symptom": "a | b\n# forged <b>![x](http://evil/)"}
    text = hypothesis_log(made(baseline(met=True, cpu_utilization=12.0), points=[point]))
    assert "\n# forged" not in text
    assert "![x](" not in text
    assert "<b>" not in text.replace("\\<b\\>", "")
