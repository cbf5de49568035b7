"""Monitoring that follows the SLO: files other programs can read, and a log that says what is true."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from perfproof.artifacts import Artifact
from perfproof.config import Service, load_protocol
from perfproof.instrumentation import DASHBOARD, RULES, TRACING, instrumentation_files, instrumentation_log, slo_files
from perfproof.schemas import markdown_problems
from perfproof.slo import propose_updates

NOW = datetime(2025, 2, 16, 17, 0, tzinfo=UTC)
DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
REF = {"name": "optimization-validation-report.json", "sha256": "a" * 64}
HOSTILE = "<b>x</b> ![i](http://e.example/x) {{ $value | query }} | `\n## Alerts"


@pytest.fixture(scope="module")
def shop() -> Service:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml").service("shop")


def updates(service: Service, metric: str = "orders_latency_p95", blocks: tuple[float, ...] = (50, 52, 51, 53)) -> list[dict[str, Any]]:
    validation = {"target_metric": metric, "improvement": {"percentage": 28.9}}
    found: list[dict[str, Any]] = propose_updates(
        validation=validation, validation_ref=REF, candidate_blocks=blocks, service=service, now=NOW
    )["updates"]
    return found


def log(service: Service, changed: list[dict[str, Any]], state: str = "applied") -> str:
    return instrumentation_log(
        state=state,
        service=service,
        updates=changed,
        files={name: {"name": name, "sha256": "b" * 64} for name in (RULES, DASHBOARD, TRACING)},
        directory="monitoring/shop",
        validation_ref=REF,
        builds={"baseline": "b1", "candidate": "b2"},
        now=NOW,
    )


def rules(service: Service, changed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    document = yaml.safe_load(instrumentation_files(service=service, updates=changed)[RULES])
    assert set(document) == {"groups"} and [set(group) for group in document["groups"]] == [{"name", "rules"}]
    found: list[dict[str, Any]] = document["groups"][0]["rules"]
    return found


def test_the_rule_file_has_the_shape_that_prometheus_reads(shop: Service) -> None:
    """groups, rules, alert, expr, labels, annotations; every value is text, parentheses are balanced, both windows are in it."""
    found = rules(shop, updates(shop))
    assert [rule["alert"] for rule in found] == ["shop_orders_latency_p95_page", "shop_orders_latency_p95_ticket"]
    for rule, windows in zip(found, (("[1h]", "[5m]"), ("[6h]", "[30m]")), strict=True):
        assert set(rule) == {"alert", "expr", "labels", "annotations"}
        assert all(isinstance(v, str) and v for part in ("labels", "annotations") for v in rule[part].values())
        assert rule["expr"].count("(") == rule["expr"].count(")") and rule["expr"].count("> 60") == 2
        assert all(window in rule["expr"] for window in windows) and "$" not in rule["expr"]
    assert found[0]["labels"] == {"severity": "page", "service": "shop"}


def test_a_metric_where_higher_is_better_alerts_below(shop: Service) -> None:
    """The sign, the colours of the panel and the words of the log turn around; a throughput changes no trace sampling."""
    changed = updates(shop, "throughput", (95, 96, 97, 98))
    assert all(" < 90" in rule["expr"] for rule in rules(shop, changed))
    files = instrumentation_files(service=shop, updates=changed)
    steps = json.loads(files[DASHBOARD])["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["color"], step["value"]) for step in steps] == [("red", None), ("green", 90)]
    assert json.loads(files[TRACING])["processors"]["tail_sampling"]["policies"] == []
    assert "throughput is no latency" in log(shop, changed)


def test_dashboard_and_tracing_are_json_with_the_target_in_them(shop: Service) -> None:
    """The panel has a line at the target in Grafana's unit; traces of this service above it are kept."""
    files = instrumentation_files(service=shop, updates=updates(shop))
    defaults = json.loads(files[DASHBOARD])["panels"][0]["fieldConfig"]["defaults"]
    assert defaults["unit"] == "ms" and defaults["thresholds"]["steps"][1] == {"color": "red", "value": 60}
    parts = json.loads(files[TRACING])["processors"]["tail_sampling"]["policies"][0]["and"]["and_sub_policy"]
    assert parts[0]["string_attribute"] == {"key": "service.name", "values": ["shop"]} and parts[1]["latency"] == {"threshold_ms": 60}


def test_text_of_others_starts_no_template_and_no_markup(shop: Service) -> None:
    """Annotations are templates in Prometheus and the log is Markdown: hostile names act in neither."""
    changed = [{**update, "slo_name": HOSTILE, "escalation_policy": HOSTILE, "new_target": HOSTILE} for update in updates(shop)]
    for rule in rules(shop, changed):
        for text in rule["annotations"].values():
            assert "{{" not in text.replace('{{ "{{" }}', "") and "\n" not in text
    written = log(shop, changed)
    tokens = [t for token in MarkdownIt("gfm-like").parse(written) for t in (token, *(token.children or ()))]
    assert not {"html_block", "html_inline", "link_open", "image"} & {t.type for t in tokens}
    assert written.count("\n## ") == 3


def test_a_query_is_filled_once(shop: Service) -> None:
    """A service whose name looks like a placeholder is not filled again, and a quote cannot leave its string."""
    metric = replace(shop.metrics[0], query='up{service="$service"}[$window]')
    odd = replace(shop, name='$window"} or vector(1)', metrics=(metric,))
    expression = rules(odd, updates(odd))[0]["expr"]
    assert 'up{service="$window\\"} or vector(1)"}[1h]' in expression


@pytest.mark.parametrize("state", ["prepared", "applied"])
@pytest.mark.parametrize("blocks", [(50, 52, 51, 53), (400, 410, 420, 430)], ids=["tighter", "confirmed"])
def test_the_log_has_content_under_each_heading(shop: Service, state: str, blocks: tuple[float, ...]) -> None:
    """In both states, with a tighter target and with one that is confirmed."""
    written = log(shop, updates(shop, blocks=blocks), state)
    assert markdown_problems(Artifact.INSTRUMENTATION_LOG, written) == []
    assert f"State: **{state}**" in written
    assert ("Nothing is changed yet" in written) is (state == "prepared")


def test_a_confirmed_target_is_not_told_as_a_change(shop: Service) -> None:
    """No sentence says that something was another value before."""
    written = log(shop, updates(shop, blocks=(400, 410, 420, 430)))
    assert "line at 250ms, confirmed as it was" in written and "before: " not in written
    assert "takes longer than 250ms, as before" in written


def test_no_update_at_all_is_said(shop: Service) -> None:
    """An empty list leaves valid files and a sentence under each heading."""
    assert rules(shop, []) == []
    written = log(shop, [])
    assert written.count("No objective asks for a change here.") == 3 and markdown_problems(Artifact.INSTRUMENTATION_LOG, written) == []


def test_the_same_updates_give_the_same_bytes(shop: Service) -> None:
    """Digests of the files are part of the evidence."""
    assert instrumentation_files(service=shop, updates=updates(shop)) == instrumentation_files(service=shop, updates=updates(shop))


def test_burn_rate_alerts_are_listed_with_their_back_test_and_their_files(shop: Service) -> None:
    """Under the alerts; the budget of each objective is a row of the dashboard."""
    changed = updates(shop)
    files = {**instrumentation_files(service=shop, updates=changed), **{f"slo/{name}": data for name, data in slo_files(changed).items()}}
    written = instrumentation_log(
        state="applied", service=shop, updates=changed, files={name: {"name": name, "sha256": "b" * 64} for name in files},
        directory="monitoring/shop", validation_ref=REF, builds={"baseline": "b1"}, now=NOW,
    )  # fmt: skip
    alerts = written.partition("## Alerts")[2].partition("## Tracing")[0]
    assert "burn rate above 14.4 over 1h and 5m" in alerts and "back-test: not shown" in alerts
    assert all(f"`slo/{name}`" in alerts for name in slo_files(changed)) and len(slo_files(changed)) == 5
    panels = json.loads(files[DASHBOARD])["panels"]
    assert [panel["id"] for panel in panels] == [1, 2, 3, 4] and panels[3]["title"].endswith("burn rate")


def test_updates_of_an_older_proposal_export_nothing(shop: Service) -> None:
    """They hold no objective: the rules that were there are there, and no more."""
    old = [
        {key: value for key, value in update.items() if key not in ("objective", "burn_rate_alerts", "back_test")}
        for update in updates(shop)
    ]
    assert slo_files(old) == {} and len(json.loads(instrumentation_files(service=shop, updates=old)[DASHBOARD])["panels"]) == 1
    assert "burn rate" not in log(shop, old)
