"""Who answers: each thing that a protocol file may not say about it is one clear line."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import Protocol, load_protocol
from perfproof.config.people import Deputy
from perfproof.errors import ConfigError

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
DEPUTY = {"id": "dora", "name": "Dora D.", "stands_for": "demo-owner", "first_day": "2026-12-01", "last_day": "2026-12-31"}


def document() -> dict[str, Any]:
    """The demo's protocol, to be changed."""
    found: dict[str, Any] = copy.deepcopy(yaml.safe_load(DEMO.read_text()))
    return found


def load(protocol: dict[str, Any]) -> Protocol:
    return load_protocol(yaml.safe_dump(protocol).encode(), where="demo.yaml")


def refusal(protocol: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(protocol)
    line = str(caught.value)
    assert "demo.yaml" in line and "\n" not in line
    return line


def with_deputies(*deputies: dict[str, Any]) -> dict[str, Any]:
    protocol = document()
    protocol["roles"]["product_owner"]["deputies"] = list(deputies)
    return protocol


def test_a_deputy_is_read_with_days_as_people_write_them() -> None:
    """Unquoted dates stay what they are: text."""
    text = DEMO.read_text().replace(
        "    people: [{id: demo-owner, name: demo-owner (demo account)}]\n",
        "    people: [{id: demo-owner, name: demo-owner (demo account)}]\n"
        "    deputies: [{id: dora, name: Dora D., stands_for: demo-owner, first_day: 2026-12-01, last_day: 2026-12-31}]\n",
    )
    protocol = load_protocol(text.encode(), where="demo.yaml")
    assert protocol.roles["product_owner"].deputies == (Deputy("dora", "Dora D.", "demo-owner", "2026-12-01", "2026-12-31"),)
    assert protocol.roles["security"].deputies == ()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"stands_for": "nobody"}, "CFG-175", "not a person of this role"),
        ({"stands_for": "demo-sre"}, "CFG-175", "not a person of this role"),
        ({"id": "demo-owner"}, "CFG-174", "nobody stands in for himself"),
        ({"id": "Demo-Owner"}, "CFG-174", "nobody stands in for himself"),
        ({"id": " "}, "CFG-136", "without id or name"),
        ({"name": ""}, "CFG-136", "without id or name"),
        ({"name": "SRE Lead"}, "CFG-137", "not a person"),
        ({"first_day": "2027-01-01"}, "CFG-177", "the first day is after the last"),
        ({"last_day": "2027-03-01"}, "CFG-177", "91 days"),
        ({"first_day": "2026-02-30"}, "CFG-177", "not a day"),
        ({"first_day": "20261201"}, "CFG-177", "not a day"),
        ({"last_day": "2026-12-31T10:00:00Z"}, "CFG-177", "not a day"),
        ({"last_day": ""}, "CFG-177", "not a day"),
        ({"from": "2026-12-01"}, "CFG-120", "unknown key"),
        ({"last_day": 20261231}, "CFG-123", "wrong type"),
    ],
)
def test_what_a_deputy_may_not_be(change: dict[str, Any], code: str, words: str) -> None:
    """With the place in the file."""
    line = refusal(with_deputies({**DEPUTY, **change}))
    assert line.startswith(code) and words in line and "roles.product_owner" in line


def test_a_deputy_who_holds_the_role_already_is_refused() -> None:
    """In whatever case the id is written."""
    protocol = with_deputies({**DEPUTY, "id": "DORA"})
    protocol["roles"]["product_owner"]["people"].append({"id": "dora", "name": "Dora D."})
    assert refusal(protocol).startswith("CFG-176")


def test_ninety_days_are_the_most() -> None:
    """Both ends counted."""
    assert load(with_deputies({**DEPUTY, "last_day": "2027-02-28"}))
    assert "91 days" in refusal(with_deputies({**DEPUTY, "last_day": "2027-03-01"}))


@pytest.mark.parametrize(
    ("second", "refused"),
    [
        ({}, True),
        ({"first_day": "2026-12-31", "last_day": "2027-01-05"}, True),
        ({"id": "DORA", "first_day": "2026-12-31", "last_day": "2027-01-05"}, True),
        ({"first_day": "2027-01-01", "last_day": "2027-01-05"}, False),
        ({"first_day": "2026-11-01", "last_day": "2026-11-30"}, False),
        ({"first_day": "2026-11-01", "last_day": "2026-12-01"}, True),
        ({"id": "dan"}, False),
    ],
)
def test_a_deputy_stands_once_on_a_day(second: dict[str, Any], refused: bool) -> None:
    """Two deputies of one person, or two periods of one deputy, are fine."""
    protocol = with_deputies(DEPUTY, {**DEPUTY, **second})
    if refused:
        assert refusal(protocol).startswith("CFG-178")
    else:
        assert len(load(protocol).roles["product_owner"].deputies) == 2


def test_two_people_of_one_id_in_a_role_are_refused() -> None:
    """Also if only the case differs: who answered could not be told."""
    protocol = document()
    protocol["roles"]["product_owner"]["people"].append({"id": "Demo-Owner", "name": "x"})
    assert refusal(protocol).startswith("CFG-134")


@pytest.mark.parametrize("other", ["demo-owner", "DEMO-OWNER"])
def test_one_person_in_all_roles_is_refused(other: str) -> None:
    """Approvals need distinct people, and two spellings are one person."""
    protocol = document()
    for role in protocol["roles"].values():
        role["people"] = [{"id": other, "name": "x"}]
    protocol["roles"]["security"]["people"] = [{"id": "demo-owner", "name": "x"}]
    assert refusal(protocol).startswith("CFG-138")


def test_a_step_that_asks_more_roles_than_there_are_people_is_refused() -> None:
    """Nobody answers for two roles, so it could never be approved; a second holder of either is enough."""
    protocol = document()
    protocol["roles"]["sre_lead"]["people"] = [{"id": "demo-owner", "name": "x"}]
    line = refusal(protocol)
    assert line.startswith("CFG-186") and "approvals.steps.plan" in line
    protocol["roles"]["product_owner"]["people"].append({"id": "second-owner", "name": "y"})
    assert load(protocol)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"remind_after_hours": [0]}, "CFG-179", "not hours that rise"),
        ({"remind_after_hours": [-1]}, "CFG-179", "not hours that rise"),
        ({"remind_after_hours": [24, 24]}, "CFG-179", "not hours that rise"),
        ({"remind_after_hours": [72, 24]}, "CFG-179", "not hours that rise"),
        ({"remind_after_hours": list(range(1, 33))}, "CFG-179", "at most 30"),
        ({"remind_after_hours": "24"}, "CFG-123", "wrong type"),
        ({"remind_after_hours": None}, "CFG-123", "wrong type"),
        ({"escalate_after_hours": 100}, "CFG-179", "belong together"),
        ({"escalate_to": "security"}, "CFG-179", "belong together"),
        ({"escalate_after_hours": 100, "escalate_to": "boss"}, "CFG-142", "unknown role"),
        ({"escalate_after_hours": 0, "escalate_to": "security"}, "CFG-179", "never happens"),
        ({"escalate_after_hours": 168, "escalate_to": "security"}, "CFG-179", "never happens"),
        ({"expires_after_days": 31}, "CFG-139", "out of range"),
        ({"expires_after_days": 0}, "CFG-139", "out of range"),
        ({"poll_seconds": 0}, "CFG-139", "out of range"),
    ],
)
def test_times_that_cannot_be_meant(change: dict[str, Any], code: str, words: str) -> None:
    """Each with its own line."""
    protocol = document()
    protocol["approvals"].update(change)
    line = refusal(protocol)
    assert line.startswith(code) and words in line and "approvals" in line


def test_reminders_have_a_default_and_escalation_has_none() -> None:
    """After one and three days; and what is written is taken."""
    approvals = load(document()).approvals
    assert (approvals.remind_after_hours, approvals.escalate_after_hours, approvals.escalate_to) == ((24.0, 72.0), None, None)
    protocol = document()
    protocol["approvals"].update({"remind_after_hours": [], "escalate_after_hours": 100, "escalate_to": "security"})
    approvals = load(protocol).approvals
    assert (approvals.remind_after_hours, approvals.escalate_after_hours, approvals.escalate_to) == ((), 100.0, "security")
