"""`evidence/profile-comparison-<service>.json`: what the change moved in a service's profile. It informs; no gate reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from perfproof.config import Cause
from perfproof.differential_flame_graph import differential_flame_graph
from perfproof.findings import findings_of
from perfproof.plan import NO_FINDING
from perfproof.profile_comparison import ProfileVerdict, compare_profiles
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profiles import Profile, normalise
from perfproof.share_changes import Change, ShareChange

SHOWN = 15
Reference = Mapping[str, str]


class ComparisonStatus(StrEnum):
    """Whether the candidate's profile could be set against the baseline's."""

    COMPARED = "compared"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ProfiledSide:
    """One side: its profile document (shape of `evidence/profile-<service>.json`), the reference to it, and its collapsed stacks."""

    document: Mapping[str, Any]
    reference: Reference
    collapsed: str

    @property
    def profile(self) -> Profile:
        """The stacks, made comparable. Raises ProfileError for what are none."""
        return normalise(parse_collapsed(self.collapsed, where=self.reference["name"]))


def named_functions(plan: Mapping[str, Any], profile: Mapping[str, Any]) -> dict[str, list[str]]:
    """The functions that findings of `plan` name in the service of `profile`, each with the ids of its tasks.

    A finding of a profile names the function that carries the time. Findings of query plans name none.
    """
    found: dict[str, list[str]] = {}
    findings = findings_of([profile], None)
    for task in plan["tasks"]:
        if task["service"] != profile["service"] or task["cause"] != Cause.CODE_HOT_PATH or task["finding"] == NO_FINDING:
            continue
        # The plan adds words to the text of a finding, at its end only.
        stated = max((f for f in findings if task["finding"].startswith(f.text)), key=lambda f: len(f.text), default=None)
        names = [] if stated is None else [name for name, _ in stated.frames if stated.text.startswith(f"{name} ")]
        if names:
            found.setdefault(max(names, key=len), []).append(task["id"])
    return found


def comparison_document(
    *, service: str, before: ProfiledSide, after: ProfiledSide, named: Mapping[str, Sequence[str]], picture: Reference | None
) -> dict[str, Any]:
    """The comparison of the candidate's profile (`after`) with the baseline's (`before`).

    `named` is that of `named_functions`, `picture` cites the differential flame graph. Shares are percent, differences points. A
    profile that is inconclusive, or taken by another profiler, is not compared, and `reason` says so.
    """
    reason = why_not_comparable(before, after)
    if reason is not None:
        return inconclusive(service=service, reason=reason, before=before, after=after)
    compared = compare_profiles([before.profile], [after.profile], named=list(named))
    moved = [c for c in compared.own if c.change is not Change.UNCHANGED]
    grew = compared.grew if named else tuple(c for c in moved if c.change in (Change.NEW, Change.GROWN))
    return {
        **_head(service, before, after),
        "status": ComparisonStatus.COMPARED.value,
        "reason": None,
        "verdict": None if compared.verdict is None else compared.verdict.value,
        "verdict_reason": compared.reason if named else "no finding of the plan names a function",
        "named": [{**_change(c), "tasks": list(named[c.function])} for c in compared.named],
        "grew": [_change(c) for c in grew[:SHOWN]],
        "grew_of": "the time outside of the named functions" if named else "all samples, where every other share grows if one shrinks",
        "changed": [_change(c) for c in moved[:SHOWN]],
        "flame_graph": None if picture is None else dict(picture),
    }


def inconclusive(*, service: str, reason: str, before: ProfiledSide | None = None, after: ProfiledSide | None = None) -> dict[str, Any]:
    """The document where there is nothing to compare, or not enough."""
    return {
        **_head(service, before, after),
        "status": ComparisonStatus.INCONCLUSIVE.value,
        "reason": reason,
        "verdict": ProfileVerdict.UNDECIDED.value,
        "verdict_reason": reason,
        "named": [],
        "grew": [],
        "grew_of": None,
        "changed": [],
        "flame_graph": None,
    }


def why_not_comparable(before: ProfiledSide, after: ProfiledSide) -> str | None:
    """Why these two say nothing about the change, or None."""
    for side, name in ((before, "baseline"), (after, "candidate")):
        if side.document["status"] != "ok":
            return f"the profile of the {name} is inconclusive: {side.document['reason']}"
    profilers = [str(side.document["profiler"]).partition(" ")[0] for side in (before, after)]
    if profilers[0] != profilers[1]:
        return f"the sides were profiled by different profilers, {profilers[0]} and {profilers[1]}, which name functions differently"
    return None


def change_graph(before: ProfiledSide, after: ProfiledSide, *, service: str) -> str:
    """SVG of what changed from the baseline's profile to the candidate's."""
    builds = f"build {before.document['build']} to {after.document['build']}"
    return differential_flame_graph(before.profile, after.profile, title=f"{service}, {builds}")


def _head(service: str, before: ProfiledSide | None, after: ProfiledSide | None) -> dict[str, Any]:
    sides = {"baseline": before, "candidate": after}
    return {
        "service": service,
        "builds": {name: None if side is None else side.document["build"] for name, side in sides.items()},
        "samples": {name: None if side is None else side.document["samples"] for name, side in sides.items()},
        "profiles": {name: None if side is None else dict(side.reference) for name, side in sides.items()},
    }


def _change(change: ShareChange) -> dict[str, Any]:
    return {
        "function": change.function,
        "change": change.change.value,
        "before_percent": round(100 * change.before, 2),
        "after_percent": round(100 * change.after, 2),
        "low_points": None if change.low is None else round(100 * change.low, 2),
        "high_points": None if change.high is None else round(100 * change.high, 2),
    }
