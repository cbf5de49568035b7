"""Who is asked, and who cannot answer because they ask for it themselves or own it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import load_protocol
from perfproof.parameters import read_parameters
from perfproof.preview import preview
from perfproof.role_checks import STEPS

DEMO = Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OTHER = {"id": "other", "name": "Somebody Else"}


def made(change: Callable[[dict[str, Any]], Any] = lambda document: None, *, requester: str | None = None, **raw: Any) -> dict[str, Any]:
    """The preview of the demo after `change`."""
    document = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    change(document)
    protocol = load_protocol(yaml.safe_dump(document).encode(), where="demo.yaml")
    return preview(protocol, read_parameters({"protocol": "demo", **raw}, protocol), requester=requester, now=NOW)


def answers(document: dict[str, Any], step: str) -> dict[str, str]:
    return {p["id"]: p["answers"] for a in document["asked"] if a["step"] == step for r in a["roles"] for p in r["people"]}


def answerable(document: dict[str, Any]) -> dict[str, str]:
    return {a["step"]: a["answerable"] for a in document["asked"]}


def halting(document: dict[str, Any]) -> set[str]:
    return {m["name"] for m in document["missing"] if m["kind"] == "people" and m["halts"]}


def test_every_step_of_the_protocol_is_asked_once_and_each_optimization_on_its_own() -> None:
    """In the order of the run; nothing is forgotten."""
    document = made()
    steps = [a["step"] for a in document["asked"]]
    assert set(steps) == set(STEPS)
    assert [a["subject"] for a in document["asked"] if a["step"] == "implementation"] == ["OPT-001", "OPT-002", "OPT-003", "OPT-004"]
    assert [a["order"] for a in document["asked"]] == list(range(1, len(steps) + 1))
    assert sorted(a["phase"] for a in document["asked"]) == [a["phase"] for a in document["asked"]]


def test_with_a_stranger_as_requester_everybody_can_answer() -> None:
    """Nothing is missing of people, whatever the plan takes."""
    document = made(requester="demo-performance")
    assert set(answerable(document).values()) == {"yes"}
    assert not halting(document)


@pytest.mark.parametrize("requester", ["demo-sre", "DEMO-SRE", "demo-sre (demo account)"])
def test_who_triggers_does_not_answer(requester: str) -> None:
    """By id or name in any spelling; the steps that only this person answers halt the run, gate decisions only if they are asked."""
    document = made(requester=requester)
    assert answers(document, "load_test_authorization") == {"demo-sre": "no"}
    assert answers(document, "plan") == {"demo-owner": "yes", "demo-sre": "no"}
    assert halting(document) == {"load_test_authorization", "plan", "slo_updates"}
    assert answerable(document)["gate_1_decision"] == "no"


def test_a_second_holder_of_the_role_answers_instead() -> None:
    """The first still may not."""
    document = made(lambda d: d["roles"]["sre_lead"]["people"].append(OTHER), requester="demo-sre")
    assert answers(document, "load_test_authorization") == {"demo-sre": "no", "other": "yes"}
    assert not halting(document)


def test_the_owner_of_a_named_optimization_does_not_approve_the_plan() -> None:
    """Named in the form, it is in the plan for sure."""

    def owned(document: dict[str, Any]) -> None:
        document["optimizations"][0]["owner"] = "demo-sre"

    document = made(owned, requester="demo-performance", optimizations=["OPT-001"])
    assert answers(document, "plan")["demo-sre"] == "no"
    assert halting(document) == {"plan"}


def test_the_owner_of_one_of_several_may_be_able_to() -> None:
    """It depends on what the findings support, so it is told and does not count as halting."""

    def owned(document: dict[str, Any]) -> None:
        document["optimizations"][0]["owner"] = "demo-sre"

    document = made(owned, requester="demo-performance")
    assert answers(document, "plan")["demo-sre"] == "depends"
    assert answerable(document)["plan"] == "depends"
    assert not halting(document)
    assert [m["name"] for m in document["missing"] if m["kind"] == "people"] == ["plan"]


def test_the_owner_of_all_of_them_cannot_approve_any_plan() -> None:
    """Whatever is planned is his own."""

    def owned(document: dict[str, Any]) -> None:
        for item in document["optimizations"]:
            item["owner"] = "demo-sre"

    assert halting(made(owned, requester="demo-performance")) == {"plan"}


def test_an_owner_says_that_his_own_work_is_done() -> None:
    """That approves nothing, so also a requester may."""
    document = made(requester="demo-engineer")
    assert answers(document, "implementation") == {"demo-engineer": "yes"}
    assert not halting(document)


def test_nobody_answers_for_two_roles_of_one_step() -> None:
    """Two roles, two holders of both, one of them bars himself: one person is left for two signatures."""

    def both(document: dict[str, Any]) -> None:
        for role in ("product_owner", "sre_lead"):
            document["roles"][role]["people"] = [{"id": "a", "name": "A"}, {"id": "b", "name": "B"}]

    document = made(both, requester="a")
    assert {"plan", "slo_updates"} == halting(document)
    assert "need a person each" in next(a["reason"] for a in document["asked"] if a["step"] == "plan")


@pytest.mark.parametrize(("first", "last", "shown"), [("2026-11-20", "2026-11-30", True), ("2026-12-01", "2026-12-02", True),
                                                     ("2026-11-01", "2026-11-23", False)])  # fmt: skip
def test_deputies_are_shown_with_their_days_until_these_are_over(first: str, last: str, shown: bool) -> None:
    """From the day of the preview on."""
    entry = {"id": "dep", "name": "Deputy", "stands_for": "demo-sre", "first_day": first, "last_day": last}
    document = made(lambda d: d["roles"]["sre_lead"].update(deputies=[entry]), requester="demo-performance")
    assert (answers(document, "load_test_authorization").get("dep") == "yes") is shown


def test_a_deputy_of_a_barred_only_holder_cannot_answer() -> None:
    """Else the requester would choose who answers in his place."""
    entry = {"id": "dep", "name": "Deputy", "stands_for": "demo-sre", "first_day": "2026-11-20", "last_day": "2026-11-30"}
    document = made(lambda d: d["roles"]["sre_lead"].update(deputies=[entry]), requester="demo-sre")
    assert answers(document, "load_test_authorization") == {"demo-sre": "no", "dep": "no"}


def test_task_owner_in_a_step_about_no_task_is_nobody() -> None:
    """The run could not ask anybody there."""
    document = made(lambda d: d["approvals"]["steps"].update(plan=["task_owner"]), requester="demo-performance")
    assert "plan" in halting(document)


def test_without_a_requester_it_is_said_that_this_was_not_looked_at() -> None:
    """An unnamed requester is no proof that all can answer."""
    assert any("nobody was named" in words for words in made()["unchecked"])
    assert not any("nobody was named" in words for words in made(requester="x")["unchecked"])
    assert made(requester="")["run"]["requester"] is None
