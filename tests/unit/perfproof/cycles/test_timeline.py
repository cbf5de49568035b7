"""The log as a time line."""

from __future__ import annotations

import json
from typing import Any

from perfproof.approvals import GATE_DECISION
from perfproof.cycles.timeline import cycle_timeline
from perfproof.evidence import EntryType

LOAD = "diagnostics.run_load_tests"


def items(cycle: Any) -> list[dict[str, Any]]:
    return [item for phase in cycle_timeline(cycle.entries)["phases"] for item in phase["items"]]


def load_test(cycle: Any, number: int, scenario: str = "peak", *, ended: str | None = "finished") -> None:
    about = {"plan_sha256": f"{number:064d}", "scenario": scenario, "target": "127.0.0.1:1", "test": number}
    cycle.add(EntryType.LOADTEST_STARTED, {**about, "plan": {}}, task=LOAD)
    if ended:
        facts = {"outcome": "completed" if ended == "finished" else "aborted", "reason": None, "build": "b1"}
        cycle.add(EntryType(f"loadtest.{ended}"), {**about, **facts}, task=LOAD)


def test_phases_follow_each_other_and_a_retried_one_is_there_again(cycle: Any) -> None:
    """In the order in which they were gone through, with their times."""
    cycle.gate(1)
    cycle.gate(2, "FAIL")
    cycle.round = 1
    cycle.gate(1)
    phases = cycle_timeline(cycle.entries)["phases"]
    assert [(p["phase"], p["name"]) for p in phases] == [
        (0, "Prerequisites"), (1, "Intake and baseline"), (2, "Diagnostics"), (1, "Intake and baseline"),
    ]  # fmt: skip
    assert all(p["started_at"] <= p["ended_at"] for p in phases)


def test_every_entry_is_in_the_line_once(cycle: Any) -> None:
    """Collapsing loses nothing."""
    cycle.publish("evidence/a.json")
    cycle.publish("evidence/b.json")
    load_test(cycle, 1)
    load_test(cycle, 2)
    cycle.gate(2)
    cycle.ask()
    cycle.close()
    seen: list[int] = []
    for item in items(cycle):
        parts = item.get("artifacts") or item.get("tests")
        seen += [part["seq"] for part in parts] if parts else [item["seq"]]
    ends = [e.seq for e in cycle.entries if e.type is EntryType.LOADTEST_FINISHED]
    assert sorted(seen + ends) == [e.seq for e in cycle.entries]


def test_publications_of_one_task_are_one_item_until_it_writes_something_else(cycle: Any) -> None:
    """With how many, which, and from when to when."""
    cycle.publish("evidence/a.json")
    cycle.publish("evidence/b.json")
    cycle.announce("said", task="intake_and_baseline.build_report")
    cycle.publish("evidence/a.json")
    first, _, second = (item for item in items(cycle) if item["kind"] != "opened")
    assert (first["kind"], first["count"], first["title"]) == ("publications", 2, "2 artifacts published")
    assert [a["name"] for a in first["artifacts"]] == ["evidence/a.json", "evidence/b.json"]
    assert first["until"] > first["at"]
    assert second["artifacts"][0]["superseded"] is True


def test_load_tests_of_one_scenario_are_one_item_with_what_each_came_to(cycle: Any) -> None:
    """One that did not end has no outcome, one that was aborted has its own."""
    load_test(cycle, 1)
    load_test(cycle, 2, ended="aborted")
    load_test(cycle, 3, ended=None)
    load_test(cycle, 4, "stress")
    peak, stress = (item for item in items(cycle) if item["kind"] == "load_tests")
    assert [t["outcome"] for t in peak["tests"]] == ["completed", "aborted", None]
    assert (peak["scenario"], stress["scenario"]) == ("peak", "stress")
    assert peak["tests"][2]["ended_at"] is None


def test_a_gate_that_did_not_pass_has_figures_reasons_and_options(cycle: Any) -> None:
    """Everything that a decision about it needs."""
    cycle.gate(3, "FAIL")
    (gate,) = (item for item in items(cycle) if item["kind"] == "gate")
    assert (gate["gate"], gate["outcome"], gate["reasons"]) == (3, "FAIL", ["improvement: 8 % better"])
    assert len(gate["options"]) == 3
    assert (gate["criteria"][0]["actual"], gate["criteria"][0]["threshold"]) == (8.0, 15.0)
    assert gate["text"].startswith("[RAY GATE FAILED")


def test_a_gate_that_passed_offers_nothing(cycle: Any) -> None:
    """Options are for gates that did not pass."""
    cycle.gate(1)
    (gate,) = (item for item in items(cycle) if item["kind"] == "gate")
    assert (gate["options"], gate["reasons"]) == ([], [])


def test_approvals_errors_decisions_and_waivers_are_told_in_order(cycle: Any) -> None:
    """A gate that failed, from the question to its waiver."""
    cycle.gate(3, "FAIL")
    request = cycle.ask("gate_3_decision", options=GATE_DECISION, task="optimization.gate_3_decision")
    cycle.refuse(request, "sre_lead")
    cycle.answer(request, "product_owner", "ann", "waiver")
    cycle.waive(3, "improvement")
    cycle.decide(3, "waiver")
    cycle.fail("optimization.gate_3_decision")
    cycle.add(EntryType.APPROVAL_REMINDED, {"request_id": request.request_id, "step": "x", "roles": ["sre_lead"]}, task="t")
    told = [item for item in items(cycle) if item["seq"] >= 3]
    assert [i["kind"] for i in told] == ["asked", "refused", "granted", "waiver", "decision", "error", "reminded"]
    assert told[0]["roles"] == ["Product Owner", "SRE Lead"]
    assert (told[1]["code"], told[1]["person_name"]) == ("APR-403", "Eve")
    assert (told[2]["person"], told[2]["decision"]) == ({"id": "ann", "name": "Ann"}, "waiver")
    assert (told[5]["code"], told[5]["step"]) == ("PRO-301", "gate_3_decision")


def test_titles_are_one_line_whatever_the_log_holds(cycle: Any) -> None:
    """Line breaks and directions cannot leave it; the text beside it is what was written."""
    text = "<b>one\ntwo\u202e"
    cycle.announce(text, task="governance.x")
    item = items(cycle)[-1]
    assert ("\n" in item["title"], "\u202e" in item["title"], item["text"]) == (False, False, text)
    assert json.loads(json.dumps(item)) == item


def test_every_type_of_entry_has_an_item_even_with_an_empty_body(cycle: Any) -> None:
    """A forged log is shown, not tripped over."""
    for kind in EntryType:
        if kind not in (EntryType.RUN_OPENED, EntryType.ARTIFACT_PUBLISHED, EntryType.ARTIFACT_SUPERSEDED):
            cycle.add(kind, {}, task="governance.x")
            cycle.add(kind, {"request": 1, "person": [], "criteria": {}, "gate": None, "roles": [{}]}, task="diagnostics.x")
    shown = items(cycle)
    assert {item["kind"] for item in shown} >= {"note", "gate", "asked", "granted", "load_tests", "notified", "handoff", "slo_updated"}
    json.dumps(shown)


def test_an_empty_log_has_no_phase() -> None:
    """Nothing happened yet."""
    assert cycle_timeline([]) == {"run": None, "phases": []}
