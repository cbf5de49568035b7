"""Waivers: each thing that is wrong has its own code, and only a covered gate becomes WAIVED."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perfproof.errors import WaiverError
from perfproof.waivers import Decision, apply_waivers, check_waiver, note_fields, read_waiver

RESULT = "ab" * 32
WHY = "The vendor's driver is fixed next week, see CHG-12."


def signed(kit: Any, role: str, **changes: Any) -> dict[str, Any]:
    """A decision record of the person who holds `role`."""
    person = kit.ROLES[role].people[0]
    return {"role": role, "person": {"id": person.id, "name": person.name}, "decision": "waiver", **changes}


def grant(kit: Any, result: Any, *, fields: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Asks for a waiver of the improvement, good unless changed."""
    arguments = {
        "result": result if isinstance(result, dict) else result.document(),
        "result_sha256": RESULT,
        "run": "run-1",
        "fields": {"criterion": "improvement", "justification": WHY, "expires_at": "2025-03-01T00:00:00Z", **(fields or {})},
        "approvals": [signed(kit, "product_owner")],
        "roles": kit.ROLES,
        "required": ("product_owner",),
        "requester": "eve",
        "now": kit.NOW,
    }
    return check_waiver(**{**arguments, **changes})


def short(cycle: Any) -> Any:
    """Gate 3 over an improvement of 6.7 percent."""
    cycle.validation["optimized"]["value"] = 420
    cycle.validation["improvement"] = {"absolute": 30, "percentage": 6.7, "meets_threshold": False}
    cycle.validation["status"] = "fail"
    return cycle.gate_3()


def regressed(cycle: Any, *metrics: str) -> Any:
    """Gate 3 over regressions of 17.3 percent in each metric."""
    cycle.validation["regressions"] = [
        {"metric": m, "baseline": 75, "optimized": 88, "regression_percentage": 17.3} for m in metrics or ("memory_utilization",)
    ]
    cycle.validation.update(regression_count=len(metrics) or 1, status="fail")
    return cycle.gate_3()


def outcome(result: Any, *waivers: Any, **changes: Any) -> Decision:
    """What the gate comes to with these waivers."""
    document = result if isinstance(result, dict) else result.document()
    arguments = {"result": document, "result_sha256": RESULT, "run": "run-1", "waivers": waivers}
    return apply_waivers(**{**arguments, **changes})


def test_a_documented_justification_waives_a_short_improvement(cycle: Any, kit: Any) -> None:
    """The spec's "or documented justification": WAIVED, never PASS."""
    result = short(cycle)
    waiver = grant(kit, result)
    assert outcome(result, now=kit.NOW) is Decision.FAIL
    assert outcome(result, waiver, now=kit.NOW) is Decision.WAIVED
    assert Decision.WAIVED.lets_through and not Decision.FAIL.lets_through and not Decision.INDETERMINATE.lets_through


def test_a_waiver_survives_its_document(cycle: Any, kit: Any) -> None:
    """Written and read again it is the same."""
    waiver = grant(kit, short(cycle))
    assert read_waiver(waiver.document()) == waiver
    assert waiver.document()["approver"] == "Ada Okoro (ada)"
    with pytest.raises(WaiverError, match="WAV-122"):
        read_waiver({"gate": 3})


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown gate": ("WAV-101", {"fields": {"gate": 7}}),
    "gate as text": ("WAV-101", {"fields": {"gate": "3"}}),
    "another gate": ("WAV-112", {"fields": {"gate": 2}}),
    "blanket": ("WAV-103", {"fields": {"criterion": "*"}}),
    "blanket in words": ("WAV-103", {"fields": {"criterion": "all"}}),
    "several criteria": ("WAV-103", {"fields": {"criterion": "improvement,regressions"}}),
    "no criterion": ("WAV-103", {"fields": {"criterion": None}}),
    "a criterion that is met": ("WAV-104", {"fields": {"criterion": "regressions"}}),
    "a criterion of another gate": ("WAV-104", {"fields": {"criterion": "baseline_completeness"}}),
    "no justification": ("WAV-106", {"fields": {"justification": None}}),
    "19 characters": ("WAV-106", {"fields": {"justification": "Because it is so no"}}),
    "blanks": ("WAV-106", {"fields": {"justification": " " * 40}}),
    "one letter many times": ("WAV-106", {"fields": {"justification": "x" * 40}}),
    "no expiry": ("WAV-107", {"fields": {"expires_at": None}}),
    "expiry in words": ("WAV-107", {"fields": {"expires_at": "next week"}}),
    "expiry without zone": ("WAV-107", {"fields": {"expires_at": "2025-03-01T00:00:00"}}),
    "expired": ("WAV-108", {"fields": {"expires_at": "2025-02-16T17:59:59Z"}}),
    "expires now": ("WAV-108", {"fields": {"expires_at": "2025-02-16T18:00:00Z"}}),
    "31 days": ("WAV-109", {"fields": {"expires_at": "2025-03-19T00:00:00Z"}}),
    "another run": ("WAV-112", {"fields": {"run": "run-2"}}),
    "another result": ("WAV-113", {"fields": {"result_sha256": "cd" * 32}}),
    "after the handoff": ("WAV-119", {"closed": True}),
    "no approval": ("WAV-110", {"approvals": []}),
    "no required role": ("WAV-110", {"required": ()}),
    "who asked approves": ("WAV-111", {"requester": "ADA"}),
}


@pytest.mark.parametrize(("code", "changes"), REFUSED.values(), ids=REFUSED.keys())
def test_each_refusal_has_its_own_code(cycle: Any, kit: Any, code: str, changes: dict[str, Any]) -> None:
    """Everything that a waiver must be, one at a time."""
    with pytest.raises(WaiverError) as caught:
        grant(kit, short(cycle), **changes)
    assert caught.value.code == code
    assert len(str(caught.value).splitlines()) == 1


def test_thirty_days_are_allowed(cycle: Any, kit: Any) -> None:
    """The thirtieth day, to its end."""
    assert grant(kit, short(cycle), fields={"expires_at": "2025-03-18T23:59:59Z"}).expires_at.day == 18


@pytest.mark.parametrize("person", [{"id": "eve", "name": "Eve"}, {"id": "ben", "name": "Ben Larsen"}, {"id": "", "name": ""}])
def test_an_approver_must_hold_the_role(cycle: Any, kit: Any, person: dict[str, str]) -> None:
    """Somebody else's name under the role is refused."""
    with pytest.raises(WaiverError, match="WAV-110"):
        grant(kit, short(cycle), approvals=[signed(kit, "product_owner", person=person)], requester="mia")


def test_an_approval_that_decided_something_else_is_none(cycle: Any, kit: Any) -> None:
    """A retry is no waiver."""
    with pytest.raises(WaiverError, match="WAV-110"):
        grant(kit, short(cycle), approvals=[signed(kit, "product_owner", decision="retry")])


def test_a_gate_that_passed_is_not_waived(cycle: Any, kit: Any) -> None:
    """There is nothing to excuse."""
    with pytest.raises(WaiverError, match="WAV-102"):
        grant(kit, cycle.gate_3())


@pytest.mark.parametrize("spoil", ["integrity", "approval"])
def test_integrity_and_approvals_cannot_be_waived(cycle: Any, kit: Any, spoil: str) -> None:
    """Neither by asking nor by a waiver that exists nevertheless."""
    if spoil == "integrity":
        cycle.validation["regression_count"] = 1
        result, criterion = cycle.gate_3(), "integrity_findings"
    else:
        result, criterion = cycle.gate_3(plan_approved=False), "plan_approvals_missing"
    with pytest.raises(WaiverError, match="WAV-105"):
        grant(kit, result, fields={"criterion": criterion})
    forged = read_waiver({**grant(kit, short(cycle)).document(), "criterion": criterion})
    assert outcome(result, forged, now=kit.NOW) is Decision.FAIL


BOTH = ("product_owner", "sre_lead")


def test_a_regression_needs_both_roles_metric_and_limit(cycle: Any, kit: Any) -> None:
    """Product owner and SRE lead, up to a limit that covers what was measured."""
    result = regressed(cycle)
    fields = {"criterion": "regressions", "metric": "memory_utilization", "limit": 20.0}
    waiver = grant(kit, result, fields=fields, approvals=[signed(kit, r) for r in BOTH])
    assert [a.role for a in waiver.approvers] == list(BOTH)
    assert outcome(result, waiver, now=kit.NOW) is Decision.WAIVED


REGRESSIONS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "one role": ("WAV-114", {}, ("product_owner",)),
    "no metric": ("WAV-115", {"metric": None}, BOTH),
    "no limit": ("WAV-115", {"limit": None}, BOTH),
    "limit as text": ("WAV-115", {"limit": "much"}, BOTH),
    "limit NaN": ("WAV-115", {"limit": float("nan")}, BOTH),
    "limit true": ("WAV-115", {"limit": True}, BOTH),
    "another metric": ("WAV-116", {"metric": "cpu_utilization"}, BOTH),
    "a limit below what was measured": ("WAV-118", {"limit": 17.2}, BOTH),
}


@pytest.mark.parametrize(("code", "fields", "roles"), REGRESSIONS.values(), ids=REGRESSIONS.keys())
def test_a_waiver_of_a_regression_is_exact(cycle: Any, kit: Any, code: str, fields: dict[str, Any], roles: tuple[str, ...]) -> None:
    """Each part that is missing or wrong has its code."""
    asked = {"criterion": "regressions", "metric": "memory_utilization", "limit": 20.0, **fields}
    with pytest.raises(WaiverError) as caught:
        grant(kit, regressed(cycle), fields=asked, approvals=[signed(kit, r) for r in roles])
    assert caught.value.code == code


def test_one_person_cannot_sign_for_both_roles(cycle: Any, kit: Any) -> None:
    """Two roles, two people."""
    holder = kit.ROLES["product_owner"]
    with pytest.raises(WaiverError, match="WAV-117"):
        grant(
            kit,
            regressed(cycle),
            fields={"criterion": "regressions", "metric": "memory_utilization", "limit": 20.0},
            roles={"product_owner": holder, "sre_lead": holder},
            approvals=[signed(kit, "product_owner"), {**signed(kit, "product_owner"), "role": "sre_lead"}],
        )


def test_every_regressed_metric_needs_its_own_waiver(cycle: Any, kit: Any) -> None:
    """One of two regressions waived leaves the gate failed."""
    result = regressed(cycle, "memory_utilization", "cpu_utilization")
    waivers = [
        grant(kit, result, fields={"criterion": "regressions", "metric": m, "limit": 20.0}, approvals=[signed(kit, r) for r in BOTH])
        for m in ("memory_utilization", "cpu_utilization")
    ]
    assert outcome(result, waivers[0], now=kit.NOW) is Decision.FAIL
    assert outcome(result, *waivers, now=kit.NOW) is Decision.WAIVED


def test_every_unmet_criterion_needs_a_waiver(cycle: Any, kit: Any) -> None:
    """An improvement that is waived does not excuse an instrumentation log that is missing."""
    cycle.instrumentation_log = ""
    result = short(cycle)
    first, second = grant(kit, result), grant(kit, result, fields={"criterion": "instrumentation_gaps"})
    assert outcome(result, first, now=kit.NOW) is Decision.FAIL
    assert outcome(result, first, second, now=kit.NOW) is Decision.WAIVED


@pytest.mark.parametrize("change", ["run", "result", "expired"])
def test_a_waiver_holds_for_one_result_of_one_run_until_it_expires(cycle: Any, kit: Any, change: str) -> None:
    """Another run, another result, or a later time: FAIL again."""
    result = short(cycle)
    waiver = grant(kit, result)
    other = {"run": {"run": "run-2"}, "result": {"result_sha256": "cd" * 32}, "expired": {"now": kit.NOW + timedelta(days=20)}}
    assert outcome(result, waiver, **{"now": kit.NOW, **other[change]}) is Decision.FAIL


def test_a_gate_whose_check_did_not_run_cannot_be_waived(cycle: Any, kit: Any) -> None:
    """No criterion is unmet, so no waiver covers it: it stays what it is."""
    document = {**cycle.gate_3().document(), "outcome": "INDETERMINATE"}
    assert outcome(document, now=kit.NOW) is Decision.INDETERMINATE


def test_a_figure_that_is_not_there_cannot_be_waived(cycle: Any, kit: Any) -> None:
    """Unknown is not short."""
    cycle.validation["optimized"]["value"] = None
    with pytest.raises(WaiverError, match="WAV-120"):
        grant(kit, cycle.gate_3())


NOTES = {
    "criterion=improvement expires=2025-03-01 The driver is fixed next week.": {
        "criterion": "improvement",
        "expires_at": "2025-03-01T23:59:59Z",
        "metric": None,
        "limit": None,
        "justification": "The driver is fixed next week.",
    },
    "Criterion = regressions; metric=memory_rss, limit=20% expires=2025-03-01T00:00:00Z reason=Caches are warm.\nSee CHG-12.": {
        "criterion": "regressions",
        "expires_at": "2025-03-01T00:00:00Z",
        "metric": "memory_rss",
        "limit": 20.0,
        "justification": "Caches are warm. See CHG-12.",
    },
    "please": {"criterion": None, "expires_at": None, "metric": None, "limit": None, "justification": "please"},
    "limit=NaN metric=x": {"criterion": None, "expires_at": None, "metric": "x", "limit": "NaN", "justification": ""},
}


@pytest.mark.parametrize(("note", "fields"), NOTES.items())
def test_a_note_holds_the_fields_of_a_waiver(note: str, fields: dict[str, Any]) -> None:
    """What a person writes into the form, in any order."""
    assert note_fields(note) == fields


def test_a_field_that_stands_twice_counts_once(cycle: Any) -> None:
    """The first one counts, so that nothing can be appended to an answer unseen."""
    assert note_fields("criterion=improvement criterion=regressions")["criterion"] == "improvement"
