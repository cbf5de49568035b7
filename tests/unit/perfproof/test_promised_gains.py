"""What plans promised against what validations found, over cycles."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from markdown_it import MarkdownIt

from perfproof.artifacts import Artifact
from perfproof.config import Labels
from perfproof.errors import ArtifactError
from perfproof.improvement import backlog, improvement_notes
from perfproof.inputs.backlog import validate_backlog
from perfproof.inputs.gain_records import read_gain_records
from perfproof.promised_gains import MAX_RECORDS, gain_record, promised_gains
from perfproof.schemas import markdown_problems
from perfproof.strict import read_json
from perfproof.telemetry import Direction, document_bytes

NOW = datetime(2025, 2, 16, 18, 0, tzinfo=UTC)


def task(name: str, gain: float, *, cause: str = "code_hot_path", **changes: Any) -> dict[str, Any]:
    """A task of a plan: its owner states half as much again as the plan expects."""
    figures = {"expected_gain_percent": gain, "stated_gain_percent": 1.5 * gain, "gain_bound_percent": gain}
    return {"id": name, "title": f"Change {name}", "service": "shop", "owner": "kim", "cause": cause, **figures, **changes}


def validation(*done: str, realized: float | None, low: float | None = None, high: float | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "validation_date": "2025-02-16T17:00:00Z", "optimization_id": done[0], "optimizations": list(done), "target_metric": "p95",
        "service": "shop", "improvement": {"percentage": realized}, "verdict": {"ci_low": low, "ci_high": high}, "status": "pass",
        **changes,
    }  # fmt: skip


def record(digest: str = "a", *, gain: float = 40.0, realized: float | None = 30.0, **changes: Any) -> dict[str, Any]:
    """A record of one optimization, of another validation for each `digest`."""
    made = gain_record(
        plan={"tasks": [task("OPT-001", gain, cause=changes.pop("cause", "code_hot_path"))]},
        validation=validation("OPT-001", realized=realized, **changes), validation_sha256=digest * 64, run="run-1",
    )  # fmt: skip
    assert made is not None
    return made


def made(earlier: list[dict[str, Any]], own: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "earlier": earlier, "own": own, "plan": {"tasks": [task("OPT-001", 40), task("OPT-009", 5)]}, "run": "run-2", "now": NOW,
        "carried_from": None, "reason": None,
    }  # fmt: skip
    return promised_gains(**{**arguments, **changes})


def test_a_promise_is_what_the_plan_expected_within_its_bound() -> None:
    """What the owner stated beyond it stays beside it."""
    found = record(gain=40.0, realized=30.0, low=25.0, high=35.0)
    assert (found["promised_percent"], found["stated_percent"], found["realized_percent"], found["ratio"]) == (40.0, 60.0, 30.0, 0.75)
    assert (found["realized_low"], found["realized_high"], found["bounded"]) == (25.0, 35.0, True)
    assert "owner" not in json.dumps(found)


@pytest.mark.parametrize(
    ("low", "high", "realized", "kept"),
    [
        (41.0, 60.0, 50.0, "kept"),
        (40.0, 60.0, 50.0, "kept"),
        (20.0, 39.9, 30.0, "short"),
        (30.0, 50.0, 41.0, "undecided"),
        (None, None, 90.0, "undecided"),
        (-5.0, 5.0, 0.0, "short"),
        (None, None, None, "unknown"),
    ],
)
def test_a_promise_is_kept_or_short_only_where_the_interval_says_so(low: Any, high: Any, realized: Any, kept: str) -> None:
    """An interval that holds the promise decides nothing, and no figure is unknown."""
    assert record(realized=realized, low=low, high=high)["kept"] == kept


def test_what_was_measured_together_promised_together() -> None:
    """Half and a fifth less leave 0.5 x 0.8 of the time; of a rate they multiply."""
    plan = {"tasks": [task("OPT-001", 50), task("OPT-002", 20, cause="database_contention"), task("OPT-003", 30)]}
    told = validation("OPT-001", "OPT-002", realized=45.0)
    found = gain_record(plan=plan, validation=told, validation_sha256="a" * 64, run="r")
    assert found is not None
    assert (found["promised_percent"], found["cause"], [o["id"] for o in found["optimizations"]]) == (
        60.0,
        "several causes",
        ["OPT-001", "OPT-002"],
    )
    rate = gain_record(plan=plan, validation=told, validation_sha256="a" * 64, run="r", direction=Direction.HIGHER)
    assert rate is not None and rate["promised_percent"] == 80.0


def test_together_says_nothing_of_each() -> None:
    """Each is counted as measured together, with no figure of its own."""
    plan = {"tasks": [task("OPT-001", 50), task("OPT-002", 20)]}
    both = gain_record(plan=plan, validation=validation("OPT-001", "OPT-002", realized=45.0), validation_sha256="c" * 64, run="r")
    assert both is not None
    entries = {e["id"]: e for e in made([record("a")], [both])["by_optimization"]}
    assert (entries["OPT-001"]["validated"], entries["OPT-001"]["measured_together"], entries["OPT-001"]["ratio"]) == (1, 1, 0.75)
    assert (entries["OPT-002"]["validated"], entries["OPT-002"]["measured_together"], entries["OPT-002"]["ratio"]) == (0, 1, None)
    assert made([record("a")], [both])["by_cause"][0]["validated"] == 2


def test_sums_over_cycles_are_those_of_a_slow_count() -> None:
    """Of each cause: averages of promised and realized, and the ratio of their sums."""
    records = [
        record(letter, gain=gain, realized=realized, cause=cause)
        for letter, gain, realized, cause in (
            ("1", 40, 30, "code_hot_path"), ("2", 20, 25, "code_hot_path"), ("3", 10, None, "code_hot_path"),
            ("4", 50, -5, "database_contention"),
        )
    ]  # fmt: skip
    code, database = made(records[:2], records[2:])["by_cause"]
    assert (code["validated"], code["unknown"], code["promised_percent"], code["realized_percent"]) == (3, 1, 30.0, 27.5)
    assert code["ratio"] == round(55 / 60, 3) and database["ratio"] == -0.1


def test_scaling_promise_and_result_leaves_the_ratio() -> None:
    """Half the gain of half the promise."""
    assert record(gain=40, realized=30)["ratio"] == record(gain=20, realized=15)["ratio"]


def test_a_validation_counts_once_however_often_it_is_handed_on() -> None:
    """A retry of phase 4, or a backlog that already holds it."""
    assert made([record("a"), record("b")], [record("b"), record("c")])["records"] == [record("a"), record("b"), record("c")]


def test_what_was_planned_and_not_done_is_named() -> None:
    """A promise that nobody tried to keep is none that was broken."""
    found = made([], [record("a")])
    assert [n["id"] for n in found["not_implemented"]] == ["OPT-009"]
    assert (
        gain_record(plan={"tasks": [task("OPT-009", 5)]}, validation=validation("OPT-001", realized=5.0), validation_sha256="a", run="r")
        is None
    )


def handed_on(document: dict[str, Any]) -> bytes:
    made_backlog = backlog(
        plan={"tasks": []}, hypotheses={"hypotheses": []}, validation=validation("OPT-001", realized=30.0), load_results={},
        considered=["shop"], run="run-2", now=NOW, promised=document,
    )  # fmt: skip
    return document_bytes(made_backlog)


def test_three_cycles_carry_the_history_in_the_backlog() -> None:
    """Each reads the bytes that the one before wrote; nothing else is needed."""
    carried: list[dict[str, Any]] = []
    for letter in "abc":
        data = handed_on(made(carried, [record(letter)]))
        validate_backlog(data, where="performance-intake-backlog.json")
        carried = read_gain_records(read_json(data, where="b"), where="b")
    assert [r["validation_sha256"][0] for r in carried] == ["a", "b", "c"]
    assert made(carried, [])["by_optimization"][0]["validated"] == 3


def test_a_backlog_of_an_older_version_has_no_history() -> None:
    """It is valid, and the history begins now."""
    data = document_bytes({"schema_version": 1, "created_at": "2025-02-16T18:00:00Z", "run": "r", "items": []})
    assert validate_backlog(data, where="b").items["backlog"] == ()
    assert read_gain_records(read_json(data, where="b"), where="b") == []


def test_the_history_is_bounded_and_loses_the_oldest() -> None:
    """A file that grows forever is refused one day."""
    many = [{**record("a"), "validation_sha256": f"{n:064d}"} for n in range(MAX_RECORDS + 3)]
    kept = made(many, [])["records"]
    assert len(kept) == MAX_RECORDS and kept[-1]["validation_sha256"].endswith(str(MAX_RECORDS + 2))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"promised_percent": "40"}, "ART-820"),
        ({"realized_percent": True}, "ART-820"),
        ({"kept": "perhaps"}, "ART-820"),
        ({"optimizations": []}, "ART-820"),
        ({"optimizations": [{"id": "x"}]}, "ART-820"),
        ({"optimizations": "OPT-001"}, "ART-820"),
        ({"run": None}, "ART-820"),
    ],
)
def test_a_damaged_history_is_refused_by_name(change: dict[str, Any], code: str) -> None:
    """A file that somebody edited does not become a ratio."""
    document = json.loads(handed_on(made([], [record("a")])))
    document["promised_gains"][0].update(change)
    with pytest.raises(ArtifactError) as error:
        validate_backlog(json.dumps(document).encode(), where="backlog")
    assert error.value.code == code and "promised_gains[0]" in error.value.where


def test_too_many_records_and_one_twice_are_refused() -> None:
    """As a list of another type is."""
    document = json.loads(handed_on(made([], [record("a")])))
    one = document["promised_gains"][0]
    many = [{**copy.deepcopy(one), "validation_sha256": str(n)} for n in range(MAX_RECORDS + 1)]
    for records, code in (({"a": 1}, "ART-820"), ([one, one], "ART-822"), (many, "ART-821")):
        with pytest.raises(ArtifactError) as error:
            read_gain_records({"promised_gains": records}, where="b")
        assert error.value.code == code


def test_the_notes_say_how_well_promises_were_kept() -> None:
    """Below the first heading, and hostile names are text."""
    hostile = record("b", cause="<script>x</script> [l](http://e.example)")
    written = improvement_notes(
        backlog_document={"items": []}, slo_record={"updates": []}, validation=validation("OPT-001", realized=30.0), labels=Labels(),
        recipients={"next_protocol": "A", "monitoring": "B"}, report_sha256="a" * 64, now=NOW, promised=made([record("a")], [hostile]),
    )  # fmt: skip
    assert markdown_problems(Artifact.IMPROVEMENT_NOTES, written) == []
    assert "code hot path: 1 validated change, promised 40 % and realized 30 % on average, 0.75 of the promise" in written
    kinds = {t.type for token in MarkdownIt("gfm-like").parse(written) for t in (token, *(token.children or ()))}
    assert not {"html_block", "html_inline", "link_open"} & kinds
