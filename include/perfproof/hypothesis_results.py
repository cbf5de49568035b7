"""Hypotheses after the measurement: did removing the suspected cause change the metric that it was suspected for?

This is the strongest evidence that a cycle gives for a cause, and it overrules the diagnostics. It says nothing where it cannot: about
another metric, about several causes that were removed at once, or while the interval holds both "nothing" and "as much as asked".
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """What the measurement shows of removing a cause."""

    IMPROVED = "improved"
    NONE = "none"
    UNDECIDED = "undecided"


def mark_by_result(hypotheses: Mapping[str, Any], *, plan: Mapping[str, Any], validation: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `hypotheses` in which those that the measured optimizations name are confirmed or refuted by the result.

    `plan` is optimization-plan.json, whose tasks name a hypothesis; `validation` is optimization-validation-report.json. Confirmed if
    the whole interval of the improvement is above zero; refuted if it reaches zero and its upper end is below the improvement that
    was asked for. Such a hypothesis gains `result` {optimizations, metric, effect, improvement_percent, ci_low, ci_high, status_before};
    one whose status the result cannot decide keeps it, and its reason says why.
    """
    updated = copy.deepcopy(dict(hypotheses))
    measured = [str(name) for name in validation.get("optimizations") or [validation["optimization_id"]]]
    tasks = {str(task["id"]): task for task in plan["tasks"]}
    named = {name: tasks[name].get("hypothesis") if name in tasks else None for name in measured}
    effect, told = _effect(validation)
    for hypothesis in updated["hypotheses"]:
        own = [name for name in measured if named[name] == hypothesis["id"]]
        if not own:
            continue
        before = str(hypothesis["status"])
        obstacle = _obstacle(hypothesis, validation, others=[name for name in measured if name not in own])
        decided = Effect.UNDECIDED if obstacle else effect
        if decided is not Effect.UNDECIDED:
            hypothesis["status"] = "confirmed" if decided is Effect.IMPROVED else "refuted"
        hypothesis["status_reason"] = _reason(hypothesis, own, validation, told=told, obstacle=obstacle, effect=decided)
        verdict = validation["verdict"]
        hypothesis["result"] = {
            "optimizations": own, "metric": validation["target_metric"], "effect": decided.value, "status_before": before,
            **{key: verdict.get(key) for key in ("improvement_percent", "ci_low", "ci_high")},
        }  # fmt: skip
    return updated


def _effect(validation: Mapping[str, Any]) -> tuple[Effect, str]:
    """The effect on the target metric, and the interval in words."""
    verdict = validation["verdict"]
    low, high, asked = (verdict.get(key) for key in ("ci_low", "ci_high", "threshold_percent"))
    if low is None or high is None:
        return Effect.UNDECIDED, "not known as an interval"
    words = f"{low:g} to {high:g} percent"
    if low > 0:
        return Effect.IMPROVED, words
    return (Effect.NONE if asked is not None and high < asked else Effect.UNDECIDED), words


def _obstacle(hypothesis: Mapping[str, Any], validation: Mapping[str, Any], *, others: Sequence[str]) -> str | None:
    """Why the result says nothing about this hypothesis, None if it does."""
    if validation.get("service") not in (None, hypothesis["service"]):
        return f"{validation['service']} was measured, and this is about {hypothesis['service']}"
    if validation["target_metric"] != hypothesis["metric"]:
        return f"{validation['target_metric']} was measured, and this is about {hypothesis['metric']}"
    if others:
        return f"measured together with {', '.join(others)}: the parts of the effect cannot be told apart"
    return None


def _reason(
    hypothesis: Mapping[str, Any], own: Sequence[str], validation: Mapping[str, Any], *, told: str, obstacle: str | None, effect: Effect
) -> str:
    names, metric, earlier = ", ".join(own), validation["target_metric"], str(hypothesis["status_reason"])
    if obstacle:
        return f"{earlier} The result of {names} does not decide it: {obstacle}."
    turn = "" if validation.get("interleaved", True) else ", measured one after the other"
    match effect:
        case Effect.IMPROVED:
            result = f"Removing it ({names}) improved {metric} by {told}{turn}."
        case Effect.NONE:
            asked = validation["verdict"]["threshold_percent"]
            result = f"Removing it ({names}) improved {metric} by {told}{turn}: less than the {asked:g} percent asked for, perhaps nothing."
        case Effect.UNDECIDED:
            return f"{earlier} The result of {names} does not decide it: the improvement of {metric} is {told}{turn}."
    return f"{result} Before: {earlier}"
