"""Slow traces for and against a suspicion, and hypotheses that rest on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Cause, Service, load_protocol
from perfproof.hypotheses import formulate, hypothesis_log, update_status
from perfproof.trace_support import trace_support

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
TARGET = "orders_latency_p95"


@pytest.fixture(scope="module")
def shop() -> Service:
    return load_protocol(DEMO.read_bytes(), where="demo").service("shop")


def trace(*spans: tuple[str, str, float], transaction: str = "orders", service: str = "shop", **changes: Any) -> dict[str, Any]:
    whole = sum(ms for _, _, ms in spans)
    rows = [{"service": s, "span": name, "ms": ms, "share_percent": round(100 * ms / whole, 1)} for s, name, ms in spans]
    return {
        "type": "traces", "trace_id": "t", "service": service, "transaction": transaction, "started_at": "2025-02-16T10:00:00Z",
        "duration_ms": whole, "error": False, "spans": len(spans), "self_time": rows, "self_ms": whole, "selection": "slowest",
    } | changes  # fmt: skip


WAITS = trace(("shop", "SELECT orders", 400.0), ("shop", "render", 100.0))
COMPUTES = trace(("shop", "render", 400.0), ("shop", "SELECT orders", 100.0))
ELSEWHERE = trace(("mail", "POST /send", 400.0), ("shop", "SELECT orders", 100.0))


@pytest.mark.parametrize(
    "span",
    [("shop", "SELECT shop.orders"), ("shop", "postgresql.query"), ("postgres", "execute"), ("shop", "db"), ("shop", "psycopg: cursor")],
)
def test_database_spans_are_known_by_verb_or_system(shop: Service, span: tuple[str, str]) -> None:
    """As instrumentations name them."""
    support = trace_support([trace((*span, 60.0), ("shop", "render", 40.0))], service=shop, metric=TARGET)
    assert support is not None
    assert support.database == pytest.approx(60.0)


@pytest.mark.parametrize("span", [("shop", "update cart"), ("shop", "GET /dashboard"), ("shop", "select_offer"), ("mail", "SELECTION")])
def test_other_spans_are_not_taken_for_the_database(shop: Service, span: tuple[str, str]) -> None:
    """A verb inside a handler's name is no statement."""
    support = trace_support([trace((*span, 60.0), ("shop", "render", 40.0))], service=shop, metric=TARGET)
    assert support is not None
    assert support.database == 0.0


def test_only_traces_of_the_metrics_transaction_count(shop: Service) -> None:
    """By name or by method and path; if none is of it, all of the service count, and the words do not name it."""
    quote = trace(("shop", "render", 10_000.0), transaction="quote")
    support = trace_support([WAITS, quote], service=shop, metric=TARGET)
    assert support is not None
    assert (support.traces, support.about, support.database) == (1, "orders", pytest.approx(80.0))
    assert support.text("database", support.database) == (
        "in 1 slow trace of orders, database spans take 80 percent of the self time (most in SELECT orders)"
    )
    every = trace_support([quote], service=shop, metric=TARGET)
    assert every is not None
    assert (every.traces, every.about) == (1, None)


def test_traces_of_other_services_and_other_items_say_nothing(shop: Service) -> None:
    """Without a usable trace there is no support, rather than one of 0 percent."""
    others = [trace(("mail", "x", 1.0), service="mail"), {"type": "traces", "lines": 6}, {**WAITS, "self_time": [], "self_ms": None}]
    assert trace_support(others, service=shop, metric=TARGET) is None


def test_shares_without_a_whole_are_enough(shop: Service) -> None:
    """Sources that do not give self_ms give shares."""
    bare = {key: value for key, value in WAITS.items() if key not in ("self_ms", "selection")}
    support = trace_support([bare], service=shop, metric=TARGET)
    assert support is not None
    assert (support.database, support.slowest) == (pytest.approx(80.0, abs=0.2), False)


def formulated(
    shop: Service, traces: list[dict[str, Any]], *, cpu: float | None = 12.0, near: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    cells = [{"metric_name": TARGET, "service": "shop", "kind": "latency", "value": 450.0, "unit": "ms"}]
    cells += (
        []
        if cpu is None
        else [{"metric_name": "cpu_utilization", "service": "shop", "kind": "utilization", "value": cpu, "unit": "percent"}]
    )
    slo = {"slo_name": "Orders latency p95", "service": "shop", "metric": TARGET, "target": 250.0, "unit": "ms", "met": False}
    return formulate(
        intake={"pain_points": [], "traces": traces, "coincidences": near or []},
        baseline={"cells": cells, "slos": [slo]},
        services=[shop],
        target_metric=TARGET,
        baseline_reference={"name": "baseline-metrics.json", "sha256": "c" * 64},
    )


def test_traces_support_what_the_utilization_makes_suspect(shop: Service) -> None:
    """Low CPU suspects the database; that its spans carry the time is noted beside it."""
    (hypothesis,) = formulated(shop, [WAITS])["hypotheses"]
    assert hypothesis["cause"] == "database_contention"
    assert hypothesis["observations"] == [
        {
            "kind": "traces", "supports": True,
            "text": "in 1 slow trace of orders, database spans take 80 percent of the self time (most in SELECT orders)",
        }
    ]  # fmt: skip
    (against,) = formulated(shop, [COMPUTES])["hypotheses"]
    assert against["observations"][0]["supports"] is False


@pytest.mark.parametrize(("traces", "cause"), [(WAITS, "database_contention"), (COMPUTES, "code_hot_path")])
def test_traces_alone_make_a_cause_suspect(shop: Service, traces: dict[str, Any], cause: str) -> None:
    """Where the baseline has no CPU utilization the spans say where to look."""
    (hypothesis,) = formulated(shop, [traces], cpu=None)["hypotheses"]
    assert (hypothesis["cause"], hypothesis["status"]) == (cause, "open")
    assert "percent of the self time" in hypothesis["suspected_cause"]


def test_high_cpu_and_database_spans_make_both_suspect(shop: Service) -> None:
    """Neither source of the suspicion silences the other."""
    found = formulated(shop, [WAITS], cpu=90.0)["hypotheses"]
    assert [h["cause"] for h in found if h["cause"] != "infrastructure_limit"] == ["code_hot_path", "database_contention"]


def test_time_in_another_service_is_unknown_and_named(shop: Service) -> None:
    """No cause of this service: what requests wait for is told."""
    document = formulated(shop, [ELSEWHERE], cpu=None)
    assert document["hypotheses"] == []
    assert "spans of mail take 80 percent" in document["unknown"][0]["reason"]
    assert "another service" in document["unknown"][0]["reason"]


def test_coincidences_are_noted_and_support_nothing(shop: Service) -> None:
    """A deployment shortly before an incident stands beside the hypothesis, as no cause, and changes no status."""
    near = [{"service": "shop", "what": "deployment | 9 5 minutes before <b>incident</b>"}, {"service": "mail", "what": "x"}]
    document = formulated(shop, [], near=near)
    (hypothesis,) = document["hypotheses"]
    assert hypothesis["observations"] == [{"kind": "timeline", "text": "deployment | 9 5 minutes before <b>incident</b>", "supports": None}]
    log = hypothesis_log(document)
    assert "Coincidence in time, no cause" in log
    assert "<b>" not in log.replace("\\<b\\>", "")
    assert update_status(document, profiles=[], plans=None)["hypotheses"][0]["status"] == "open"


def plans(share: float = 60.0) -> dict[str, Any]:
    statement = {"statement": "select $1", "share_percent": share, "calls_share_percent": share, "analyzed": True, "findings": []}
    return {"services": [{"service": "shop", "statements": [statement], "findings": []}]}


def test_plans_that_show_nothing_do_not_refute_what_traces_support(shop: Service) -> None:
    """The time is in the database although no statement is bad: locks, a pool, the network. Open, with both in the reason."""
    (kept,) = update_status(formulated(shop, [WAITS]), profiles=[], plans=plans())["hypotheses"]
    assert kept["status"] == "open"
    assert "none repeats" in kept["status_reason"]
    assert "database spans take 80 percent" in kept["status_reason"]
    (refuted,) = update_status(formulated(shop, [COMPUTES]), profiles=[], plans=plans())["hypotheses"]
    assert refuted["status"] == "refuted"


def test_an_infrastructure_limit_is_not_in_traces(shop: Service) -> None:
    """Traces say nothing for or against it."""
    support = trace_support([WAITS], service=shop, metric=TARGET)
    assert support is not None
    assert support.observation(Cause.INFRASTRUCTURE_LIMIT) is None
