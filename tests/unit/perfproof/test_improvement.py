"""What a cycle hands on: a backlog that the next cycle reads, and notes for two recipients."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from markdown_it import MarkdownIt

from perfproof.artifacts import Artifact
from perfproof.config import Labels
from perfproof.improvement import backlog, improvement_notes
from perfproof.inputs.backlog import validate_backlog
from perfproof.schemas import markdown_problems
from perfproof.telemetry import document_bytes

NOW = datetime(2025, 2, 16, 18, 0, tzinfo=UTC)
HOSTILE = "<script>x</script> [l](http://e.example) | `c`\n# head"


def validation(**changes: Any) -> dict[str, Any]:
    return {
        "optimization_id": "OPT-001",
        "target_metric": "p95",
        "service": "shop",
        "improvement": {"percentage": 28.9},
        "guards": [
            {"metric": "memory", "label": "regression", "reason": "17.3 % worse."},
            {"metric": "cpu", "label": "inconclusive", "reason": "Too noisy."},
            {"metric": "errors", "label": "no regression", "reason": "Fine."},
        ],
        "unguarded": [{"metric": "p99", "reason": "Reported, not guarded."}],
        **changes,
    }


PLAN = {
    "tasks": [
        {"id": "OPT-001", "title": "Index", "service": "shop", "baseline_metric": "p95"},
        {"id": "OPT-002", "title": "Cache", "service": "stock", "baseline_metric": "p95"},
    ]
}
HYPOTHESES = {
    "hypotheses": [
        {"status": "open", "service": "shop", "symptom": "slow", "confirming_evidence": "a plan", "metric": "p95"},
        {"status": "confirmed", "service": "shop", "symptom": "other", "confirming_evidence": "x", "metric": "p95"},
    ]
}
LOAD = {"bottlenecks": [{"service": "shop", "issue": "High p95", "severity": "high"}]}
SLO = {"updates": [{"slo_name": "P95", "new_target": "350ms", "alert_thresholds": ["page: above 350 ms", "ticket: above 350 ms"]}]}


def made(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "plan": PLAN, "hypotheses": HYPOTHESES, "validation": validation(), "load_results": LOAD, "considered": ["other"],
        "run": "run-1", "now": NOW,
    }  # fmt: skip
    return backlog(**{**arguments, **changes})


def notes(document: dict[str, Any] | None = None, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "backlog_document": document or made(), "slo_record": SLO, "validation": validation(), "labels": Labels(),
        "recipients": {"next_protocol": "Retrospective team", "monitoring": "Monitoring team"}, "report_sha256": "a" * 64, "now": NOW,
    }  # fmt: skip
    return improvement_notes(**{**arguments, **changes})


def test_the_next_cycle_reads_what_this_one_wrote() -> None:
    """The reader of the next cycle takes the bytes, dates them and finds every item."""
    supplied = validate_backlog(document_bytes(made()), where="performance-intake-backlog.json")
    items = supplied.items["backlog"]
    assert [(item["kind"], item["service"], item["metric"]) for item in items] == [
        ("optimization", "stock", "p95"),
        ("hypothesis", "shop", "p95"),
        ("load", "shop", None),
        ("guard", "shop", "memory"),
        ("guard", "shop", "cpu"),
        ("unguarded", "shop", "p99"),
    ]
    assert [item["id"] for item in items] == [f"BLG-{n:03d}" for n in range(1, 7)]


def test_nothing_left_open_is_an_empty_backlog_and_said_in_the_notes() -> None:
    """An empty list is valid, and both headings still have content."""
    clean = validation(guards=[], unguarded=[], optimizations=["OPT-001", "OPT-002"])
    empty = made(validation=clean, hypotheses={"hypotheses": []}, load_results={})
    assert validate_backlog(document_bytes(empty), where="b").items["backlog"] == ()
    written = notes(empty, validation=clean, slo_record={"updates": []})
    assert "Nothing is left open by this cycle." in written and "monitoring stays as it is" in written
    assert markdown_problems(Artifact.IMPROVEMENT_NOTES, written) == []


def test_hostile_and_very_many_items_are_read_again() -> None:
    """Text is carried as text, an empty title becomes UNKNOWN, and the reader's limit is kept."""
    tasks = [{"id": f"X-{n}", "title": "" if n == 0 else HOSTILE, "service": "shop"} for n in range(1200)]
    items = validate_backlog(document_bytes(made(plan={"tasks": tasks})), where="b").items["backlog"]
    assert len(items) == 1000 and items[0]["title"] == "UNKNOWN" and items[1]["title"] == HOSTILE


def test_the_notes_have_two_recipients_under_two_headings() -> None:
    """The spec's protocols 22 and 19, each with who receives it."""
    written = notes()
    assert markdown_problems(Artifact.IMPROVEMENT_NOTES, written) == []
    first, second = written.split("## Recommendations for ")[1:]
    assert first.startswith("Protocol 22\n\nRecipient: Retrospective team") and second.startswith(
        "Protocol 19\n\nRecipient: Monitoring team"
    )
    assert (
        "- p95: Optimization achieved 28.9% improvement (OPT-001)." in first and "BLG-004 (guard): memory: worse after the change." in first
    )
    assert "Watch P95 at 350ms. Alerts: page: above 350 ms; ticket: above 350 ms." in second and "Watch p99 after the rollout." in second


def test_equal_labels_still_give_two_headings() -> None:
    """One heading twice would count once, and Gate 4 asks for two."""
    written = notes(labels=Labels(monitoring="Team A", next_protocol="Team A"))
    assert markdown_problems(Artifact.IMPROVEMENT_NOTES, written) == []


@pytest.mark.parametrize(
    ("percentage", "words"), [(None, "The improvement is unknown"), (-5.0, "Optimization made it 5% worse"), (0, "no improvement")]
)
def test_what_is_no_improvement_is_not_called_one(percentage: float | None, words: str) -> None:
    """A waived gate also has notes."""
    assert words in notes(validation=validation(improvement={"percentage": percentage}))


def test_sentences_keep_one_full_stop_and_others_text_is_no_markup() -> None:
    """Reasons of the judge end with a period; hostile titles are text."""
    document = made(plan={"tasks": [{"id": "X", "title": HOSTILE, "service": "shop"}]})
    written = notes(
        document, recipients={"next_protocol": HOSTILE, "monitoring": HOSTILE}, labels=Labels(monitoring="# <b>", next_protocol="|")
    )
    tokens = [t for token in MarkdownIt("gfm-like").parse(written) for t in (token, *(token.children or ()))]
    assert not {"html_block", "html_inline", "link_open", "image", "table_open"} & {t.type for t in tokens}
    assert [t.tag for t in tokens if t.type == "heading_open"] == ["h1", "h2", "h2"] and ".." not in written


def drift(**changes: Any) -> dict[str, Any]:
    """A drift as the intake report has it."""
    item = {"id": "DRIFT-0123456789abcdef", "kind": "drift", "service": "shop", "title": "p95 drifted", "reason": "+20 %", "metric": "p95"}
    return {**item, "type": "backlog", "from": "baseline_capture of demo", "taken_by": [], "before": 50.0, **changes}


def carried(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in document["items"] if "carried_by" in item]


def test_a_drift_is_handed_on_until_a_cycle_proves_that_its_metric_is_better() -> None:
    """Under its own id, with its figures, through as many cycles as it takes."""
    (item,) = carried(made(inherited=[drift()], validation=validation(status="inconclusive")))
    assert (item["id"], item["before"], item["carried_by"]) == ("DRIFT-0123456789abcdef", 50.0, ["run-1"])
    assert {"type", "from", "taken_by"} & item.keys() == set()
    (again,) = carried(made(inherited=[{**item, "type": "backlog"}], validation=validation(status="fail"), run="run-2"))
    assert again == {**item, "carried_by": ["run-1", "run-2"]}
    assert carried(made(inherited=[item], validation=validation(status="pass"))) == []


def test_an_improvement_of_another_metric_or_service_settles_no_drift() -> None:
    """Only that of the very metric does."""
    passed = validation(status="pass")
    assert len(carried(made(inherited=[drift(metric="p99")], validation=passed))) == 1
    assert len(carried(made(inherited=[drift(service="stock")], validation=passed))) == 1


def test_what_is_about_services_that_were_not_considered_is_handed_on_and_the_rest_found_anew() -> None:
    """A cycle of one service must not forget what the one before it said about another."""
    left = {"id": "BLG-001", "kind": "hypothesis", "service": "pay", "title": "slow", "reason": "open", "metric": None, "from": "run-0"}
    document = made(inherited=[left, {**left, "service": "shop"}], considered=["shop"])
    (item,) = carried(document)
    assert (item["service"], item["carried_by"]) == ("pay", ["run-1"])
    ids = [one["id"] for one in document["items"]]
    assert len(ids) == len(set(ids))
    validate_backlog(document_bytes(document), where="x")


def test_a_drift_that_two_sources_offer_is_handed_on_once() -> None:
    """An id that comes twice would make the whole backlog invalid."""
    document = made(inherited=[drift(), drift()])
    assert len(carried(document)) == 1
    validate_backlog(document_bytes(document), where="x")
