"""JSON documents as a cycle writes them, each with every part that its page shows."""

from __future__ import annotations

from typing import Any

STEP = {
    "seconds": 4.0,
    "complete": True,
    "requests": 80,
    "errors": 0,
    "dropped": 0,
    "throughput": 19.75,
    "concurrency": 0.6,
    "error_rate": 0.0,
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "gate-3-result.json": {
        "gate": 3,
        "name": "Optimization Validation",
        "outcome": "FAIL",
        "evaluated_at": "2026-11-24T12:54:41Z",
        "criteria": [
            {
                "criterion": "plan_gaps",
                "actual": 0.0,
                "threshold": 0.0,
                "comparison": "==",
                "met": True,
                "waivable": True,
                "reason": "the plan",
            },
            {
                "criterion": "improvement",
                "actual": 14.9601,
                "threshold": 15.0,
                "comparison": ">=",
                "met": False,
                "waivable": True,
                "reason": "too little",
            },
        ],
        "figures": {"target_metric": "p95", "blocks": [8, 8], "regressions": [{"metric": "x"}]},
        "reasons": ["improvement: 14.9601"],
        "expectations": {"evaluated": 2, "expected": 2, "suite": "gate_3"},
        "text": "[RAY GATE FAILED]\nTwo lines",
        "evidence": [{"name": "optimization-plan.json", "sha256": "ab" * 32}],
    },
    "baseline-metrics.json": {
        "baseline_completeness": 100,
        "metrics_collected": 1,
        "metrics_required": 1,
        "missing_metrics": ["m"],
        "collection_methodology": "read",
        "cells": [
            {
                "metric_name": "p95",
                "service": "shop",
                "value": 81.8,
                "unit": "ms",
                "samples_valid": 2,
                "samples_expected": 3,
                "coverage": 0.9,
                "source": "prometheus",
                "reasons": ["STALE"],
            }
        ],
        "slos": [{"slo_name": "fast", "target": 250, "unit": "ms", "met": True}],
    },
    "load-test-results.json": {
        "bottlenecks": [{"service": "shop", "issue": "slow", "severity": "high"}],
        "scenarios": [
            {
                "scenario": "stress",
                "service": "shop",
                "endpoint": "baseline",
                "build": "b1",
                "started_at": "2026",
                "seconds": 16.0,
                "requests": 800,
                "errors": 0,
                "valid": False,
                "invalid_reasons": ["too few"],
                "rows": {"name": "evidence/load-stress-rows.csv.gz", "sha256": "cd" * 32},
                "results": {
                    "latency": {"p50": 1, "unit": "ms", "statuses": {"p50": "met"}},
                    "throughput": {"actual": 3, "unit": "req/s", "status": "met"},
                },
                "fault": {"kind": "x"},
                "by_transaction": {"orders": {"requests": 3, "p50": 3}},
                "steps": [
                    {**STEP, "rate": 20.0, "p50": 27.0, "p95": 65.0, "p99": 92.0},
                    {**STEP, "rate": 80.0, "p50": 905.0, "p95": 1396.389, "p99": 1434.0},
                ],
            }
        ],
    },
    "optimization-validation-report.json": {
        "target_metric": "p95",
        "baseline": {"value": 81, "unit": "ms"},
        "optimized": {"value": 15, "unit": "ms"},
        "status": "pass",
        "improvement": {"percentage": 81.8},
        "regressions": [],
        "regression_count": 0,
        "verdict": {
            "label": "proved",
            "reason": "it is",
            "improvement_percent": 80.9,
            "ci_low": 69.2,
            "ci_high": 89.3,
            "threshold_percent": 15,
            "confidence": 0.95,
        },
        "guards": [
            {
                "metric": "guard_of_this",
                "label": "no regression",
                "unit": "ms",
                "baseline": 6.9,
                "optimized": 4.1,
                "worsening": -40.8,
                "ci_low": -44.0,
                "ci_high": -36.8,
                "margin_percent": 5.0,
                "scale": "percent of the baseline",
                "reason": "better",
            }
        ],
        "samples": {"baseline": {"values": [80, 81, 82]}, "candidate": {"values": [14, 15, 16]}},
        "calibration": {"note": "n"},
        "drift": {"note": "d"},
    },
    "evidence/measurement.json": {
        "service": "shop",
        "builds": {"baseline": "b1", "candidate": "b2"},
        "interleaved": True,
        "started_at": "2026",
        "rate": 25.0,
        "block_seconds": 6,
        "blocks": [
            {
                "side": side,
                "order": 0,
                "valid": True,
                "requests": 150,
                "errors": 0,
                "p50": 3,
                "p95": 7.5,
                "p99": 9,
                "guards": {"error_rate": 0.0},
                "invalid_reasons": ["x"],
                "rows": {"name": "evidence/block-00-rows.csv.gz"},
            }
            for side in ("baseline", "candidate")
        ],
    },
    "evidence/query-plans.json": {
        "services": [
            {
                "service": "shop",
                "findings": [{"text": "f"}],
                "statements": [
                    {
                        "statement": "select 1",
                        "calls": 3,
                        "mean_ms": 8.4,
                        "rows": 3,
                        "share_percent": 48.6,
                        "analyzed": True,
                        "error": None,
                        "parameters": [{"type": "integer", "value": "17"}],
                        "findings": [{"kind": "sequential_scan", "text": "Seq Scan"}],
                        "plan": {
                            "Plan": {
                                "Node Type": "Aggregate",
                                "Plan Rows": 1,
                                "Actual Rows": 1.0,
                                "Actual Loops": 1,
                                "Actual Total Time": 6.589,
                                "Plans": [
                                    {
                                        "Node Type": "Seq Scan",
                                        "Relation Name": "orders",
                                        "Plan Rows": 20,
                                        "Actual Rows": 17.0,
                                        "Actual Loops": 1,
                                        "Actual Total Time": 6.5,
                                        "Filter": "(customer_id = 17)",
                                        "Rows Removed by Filter": 119983,
                                    }
                                ],
                            }
                        },
                    },
                    {"statement": "select 2", "plan": None, "error": "no plan", "findings": []},
                ],
            }
        ],
    },
    "evidence/query-plan-diff.json": {
        "services": [
            {
                "service": "shop",
                "status": "compared",
                "calls_per_request": {"before": 3, "after": 1},
                "ms_per_request": {"before": 3, "after": 1},
                "statements": [
                    {
                        "statement": "select 1",
                        "change": "kept",
                        "before": {"calls_per_request": 3, "mean_ms": 1},
                        "after": {"calls_per_request": 1},
                        "plan": {
                            "scans": [{"relation": "orders", "before": ["Seq Scan"], "after": ["Index Scan"]}],
                            "rows_removed": {"before": 9, "after": 0},
                        },
                        "findings_gone": [{"text": "gone"}],
                    }
                ],
                "left_out": 0,
                "findings_gone": [{"text": "g"}],
                "findings_new": [],
            }
        ],
    },
    "evidence/baseline-shop.json": {
        "service": "shop",
        "build": "b1",
        "window": {"start": "2026", "end": "2027"},
        "cells": [
            {"metric_name": "p95", "value": 1.5, "unit": "ms", "coverage": 1.0, "source": "prometheus", "query": "up", "reasons": ["STALE"]}
        ],
    },
}
