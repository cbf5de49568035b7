"""`optimization-validation-report.json`: what the measured blocks say about a change, with everything it rests on.

A validation that cannot be made (no valid block, another service, one build on both sides, a target that blocks do not
measure) raises ArtifactError, the halt of the spec. One that can be made always yields a document; whether it is good
enough is Gate 3's to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from perfproof.calibration import Calibration, GuardBlocks, calibrate, with_wider_margins
from perfproof.config import GuardKind, Judge, Service, Thresholds
from perfproof.judging.documents import (
    calibration_document,
    guard_document,
    number,
    regression_document,
    verdict_document,
)
from perfproof.judging.drift import drift_document
from perfproof.judging.guarded import values_of
from perfproof.judging.looks import Course, follow, read_design
from perfproof.judging.measured_blocks import Block, Kind, Located, Side, interleaved, locate, part, read_blocks, refuse
from perfproof.judging.question import Question
from perfproof.judging.samples import samples_document
from perfproof.judging.sequential import Stop
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, TargetLabel, TargetVerdict
from perfproof.moments import stamp
from perfproof.statistics.percent_change import exact, one_decimal

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
ONE_AFTER_THE_OTHER = " Measured one after the other, not interleaved: a change of the environment in between would look the same."


def validate_change(
    *,
    measurement: Mapping[str, Any],
    baseline_document: Mapping[str, Any],
    baseline_ref: Mapping[str, str],
    plan_ref: Mapping[str, str],
    measurement_ref: Mapping[str, str],
    service: Service,
    target_metric: str,
    optimization_ids: Sequence[str],
    thresholds: Thresholds,
    judge: Judge,
    now: datetime,
) -> dict[str, Any]:
    """The validation report as a document. Raises ArtifactError if no validation is possible.

    The refs are {"name", "sha256"} of what the report traces to. status: pass only when the target passes in the judge's
    mode and every guard shows no regression; fail when the target is short or a guard regressed; else inconclusive.
    """
    where = str(measurement_ref.get("name", "measurement"))
    builds, seconds = _checked(measurement, service, optimization_ids, where)
    every = read_blocks(measurement, where=where)
    blocks = tuple(b for b in every if b.valid)
    for side in Side:
        if not any(b.side is side for b in blocks):
            reasons = sorted({r for b in every if b.side is side for r in b.invalid_reasons})
            raise refuse(
                320,
                where,
                f"validation not possible: no valid block of the {side}",
                "measure again",
                got="; ".join(reasons) or None,
            )
    target = locate(target_metric, service)
    in_turn = bool(part(measurement, "interleaved", bool, where=where)) and interleaved(blocks)
    question = Question(service, target, thresholds, judge, seconds)
    design = read_design(measurement, confidence=judge.confidence, where=where)
    course = follow(design, every, question, where=where) if design else None
    if course:
        answer, blocks = course.answer, course.main
        every = tuple(b for b in every if not b.figures["confirmation"])
    else:
        answer = question.answer(blocks, confidence=judge.confidence)
    verdict, guards, reported = answer.target, answer.guards, list(answer.reported)
    if not in_turn:
        verdict = replace(verdict, reason=verdict.reason + ONE_AFTER_THE_OTHER)
        guards = tuple(replace(g, reason=g.reason + ONE_AFTER_THE_OTHER) for g in guards)
        reported = [{**entry, "reason": entry["reason"] + ONE_AFTER_THE_OTHER} for entry in reported]
    # After the judge, which refuses values that are no numbers.
    drift = drift_document(target, service.name, values_of(blocks, Side.BASELINE, target, block_seconds=seconds), baseline_document)
    calibration = _calibrate(blocks, target, service, thresholds=thresholds, judge=judge, block_seconds=seconds)
    guards = with_wider_margins(guards, calibration, mode=judge.mode)
    regressions = [regression_document(g) for g in guards if g.label is GuardLabel.REGRESSION]
    return {
        "validation_date": stamp(now),
        "optimization_id": optimization_ids[0],
        "target_metric": target.name,
        "baseline": _side(verdict.baseline, target, blocks, Side.BASELINE),
        "optimized": _side(verdict.optimized, target, blocks, Side.CANDIDATE),
        "improvement": {
            "absolute": number(verdict.absolute),
            "percentage": None if verdict.improvement_percent is None else one_decimal(exact(verdict.improvement_percent)),
            "meets_threshold": verdict.meets_threshold,
        },
        "regressions": regressions,
        "regression_count": len(regressions),
        "status": _status(verdict, guards),
        "service": service.name,
        "optimizations": list(optimization_ids),
        "mode": judge.mode.value,
        "interleaved": in_turn,
        "sequential": course.document(stopped_because=_stopped(course, measurement)) if course else None,
        "verdict": verdict_document(verdict),
        "guards": [guard_document(g) for g in guards],
        "unguarded": reported,
        "builds": builds,
        "drift": drift,
        "calibration": calibration_document(calibration),
        "samples": samples_document(every, blocks, target, block_seconds=seconds, confidence=judge.confidence),
        "traces_to": {"baseline": _ref(baseline_ref), "plan": _ref(plan_ref), "measurement": _ref(measurement_ref)},
    }


def _ref(reference: Mapping[str, str]) -> dict[str, str]:
    return {
        "name": part(reference, "name", str, where="reference"),
        "sha256": part(reference, "sha256", str, where="reference"),
    }


def _checked(measurement: Mapping[str, Any], service: Service, optimization_ids: Sequence[str], where: str) -> tuple[dict[str, str], float]:
    """The builds and the seconds of a block, after everything that makes a validation impossible by itself."""
    if not optimization_ids:
        raise refuse(321, where, "validation not possible: no optimization is named", "name what was implemented")
    measured_service = part(measurement, "service", str, where=where)
    if measured_service != service.name:
        raise refuse(
            322, where, "validation not possible: another service was measured", "measure the service of the optimization",
            got=measured_service, expected=service.name,
        )  # fmt: skip
    declared = part(measurement, "builds", Mapping, where=where)
    builds = {side.value: part(declared, side.value, str, where=f"{where}.builds") for side in Side}
    if not all(b.strip() for b in builds.values()):
        raise refuse(
            323,
            f"{where}.builds",
            "validation not possible: a build has no id",
            "let the endpoint answer its build",
            got=declared,
        )
    if builds[Side.BASELINE] == builds[Side.CANDIDATE]:
        raise refuse(
            324, f"{where}.builds", "validation not possible: both sides ran the same build", "deploy the candidate, then clear this task",
            got=builds[Side.CANDIDATE],
        )  # fmt: skip
    seconds = part(measurement, "block_seconds", (int, float), where=where)
    if not 0 < seconds < float("inf"):
        raise refuse(325, f"{where}.block_seconds", "validation not possible: not a duration", "measure again", got=seconds)
    return builds, float(seconds)


def _stopped(course: Course, measurement: Mapping[str, Any]) -> str:
    """Why no more was measured: by the rule, or as the document says (an authorization that was used up, say)."""
    if isinstance(course.step, Stop):
        return course.step.reason
    looks = measurement.get("looks")
    last = looks[-1] if isinstance(looks, list) and looks else None
    if isinstance(last, Mapping) and last.get("next") == "stop" and isinstance(last.get("reason"), str):
        return str(last["reason"])
    return "the measurement ended before its rule said so, and does not say why"


def _side(value: float | None, target: Located, blocks: Sequence[Block], side: Side) -> dict[str, Any]:
    first = next(b for b in blocks if b.side is side)
    return {"value": number(value), "unit": target.unit.value, "timestamp": first.started_at}


def _status(verdict: TargetVerdict, guards: Sequence[GuardVerdict]) -> str:
    if verdict.label is TargetLabel.SHORT or any(g.label is GuardLabel.REGRESSION for g in guards):
        return FAIL
    if verdict.passes and all(g.label is GuardLabel.NO_REGRESSION for g in guards):
        return PASS
    return INCONCLUSIVE


def _calibrate(
    blocks: Sequence[Block],
    target: Located,
    service: Service,
    *,
    thresholds: Thresholds,
    judge: Judge,
    block_seconds: float,
) -> Calibration:
    guards = []
    for guard in service.guards:
        if guard.kind is GuardKind.ERROR_RATE:
            continue
        metric = Located(guard.name, Kind.GUARD, guard.unit, guard.direction, key=guard.name)
        values = values_of(blocks, Side.BASELINE, metric, block_seconds=block_seconds)
        if all(v is not None for v in values):
            known = tuple(v for v in values if v is not None)
            guards.append(GuardBlocks(guard.name, guard.unit, guard.direction, known, guard.margin, guard.floor))
    values = values_of(blocks, Side.BASELINE, target, block_seconds=block_seconds)
    return calibrate(
        [float("nan") if v is None else v for v in values],
        metric=target.name,
        unit=target.unit,
        direction=target.direction,
        threshold_percent=thresholds.improvement,
        mode=judge.mode,
        confidence=judge.confidence,
        guards=guards,
    )
