"""People of a protocol file against the accounts of an Airflow: who is missing, who may only look, and what nobody can answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from perfproof.config import Protocol, load_protocol
from perfproof.doctor.finding import Finding
from perfproof.doctor.people import Accounts, judge_auth_manager, judge_people

DEMO = (Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml").read_text()
NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
EVERYBODY = {f"demo-{name}": "user" for name in ("owner", "sre", "security", "engineer")}


def demo(old: str = "", new: str = "") -> Protocol:
    assert not old or DEMO.count(old) == 1
    return load_protocol((DEMO.replace(old, new) if old else DEMO).encode(), where="demo.yaml")


def judged(protocol: Protocol, known: Mapping[str, str] | None = EVERYBODY, *, reason: str | None = None) -> list[Finding]:
    """What is not right about the people."""
    accounts = Accounts("SimpleAuthManager", known, reason=reason)
    return [f for f in judge_people(protocol, accounts, now=NOW) if f.state.value != "ok"]


def test_a_protocol_whose_people_have_accounts_is_right() -> None:
    """Nothing to say."""
    assert judged(demo()) == []


def test_a_missing_account_is_named_once_and_what_follows_from_it_too() -> None:
    """The person, and all the steps that nobody can answer then in one finding."""
    missing, steps = judged(demo(), {name: role for name, role in EVERYBODY.items() if name != "demo-sre"})
    assert (missing.code, missing.got) == ("DOC-202", "demo-sre")
    assert steps.code == "DOC-205" and "load_test_authorization, gate_1_decision" in steps.where
    assert "SRE Lead" in steps.what


def test_who_only_looks_cannot_answer() -> None:
    """A viewer holds a role and may not mark."""
    (found,) = judged(demo(), {**EVERYBODY, "demo-sre": "viewer"})
    assert (found.code, found.got) == ("DOC-203", "demo-sre: viewer")


def test_the_only_approver_of_a_plan_may_not_own_its_work() -> None:
    """The protocol file is valid, and no plan about that optimization can be approved."""
    sre = "people: [{id: demo-sre, name: demo-sre (demo account)}]"
    found = judged(demo(sre, sre.replace("demo-sre", "demo-engineer")))
    assert {f.code for f in found} == {"DOC-204"}, found
    assert all("step plan" in f.where for f in found)


def test_a_manager_that_cannot_be_asked_is_not_checked_and_the_steps_are() -> None:
    """Nobody is called missing who was not looked for."""
    (found,) = judged(demo(), None, reason="FabAuthManager does not tell a command who its users are")
    assert found.state.value == "not checked" and "FabAuthManager" in found.what


def test_everybody_as_administrator_makes_approvals_anonymous() -> None:
    """One switch of the simple auth manager, and no approval tells who gave it."""
    (found,) = judge_auth_manager(Accounts("SimpleAuthManager", {}, all_admins=True))
    assert found.code == "DOC-201"
    assert list(judge_auth_manager(Accounts("SimpleAuthManager", {}))) == []
