"""Two load tests of one tool, judged by their blocks of time; and what keeps a verdict from being one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from perfproof.comparison import (
    GuardLabel,
    GuardVerdict,
    TargetLabel,
    TargetVerdict,
    judge_error_rate,
    judge_error_rate_target,
    judge_guard,
    judge_target,
)
from perfproof.config import Mode
from perfproof.load_files.figures import SHARES
from perfproof.load_files.form import LoadFile, Requests
from perfproof.load_files.time_blocks import Block, blocks_of
from perfproof.statistics.percentiles import samples_beyond_maximum
from perfproof.telemetry import Direction, Unit

LATENCIES = ("p50", "p95", "p99")
METRICS = (*LATENCIES, "error_rate", "throughput")
ERROR_FLOOR_POINTS = 0.5
LOAD_TOLERANCE = 0.10
MOST_DROPPED = 0.005
# A route with a smaller share on one side does not move a percentile of all requests.
ROUTE_SHARE = 0.01


class Answer(StrEnum):
    """The answer about two files, as exit codes and JUnit have it."""

    PASS = "pass"  # noqa: S105  no secret
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `threshold`: an improvement of so many percent; without it: no regression beyond `margin` percent."""

    metric: str = "p95"
    threshold: float | None = None
    margin: float = 5.0
    confidence: float = 0.95
    mode: Mode = Mode.PROVED
    block_seconds: float = 60.0
    skip_seconds: float = 0.0
    name: str | None = None


Verdict = TargetVerdict | GuardVerdict


@dataclass(frozen=True, slots=True)
class LoadComparison:
    """The answer, the verdicts it rests on (none where the files cannot be compared), and why it is not what they say."""

    answer: Answer
    verdicts: tuple[Verdict, ...]
    reasons: tuple[str, ...]


def compare_files(before: LoadFile, after: LoadFile, question: Question, *, names: tuple[str, str]) -> LoadComparison:
    """Judges `question.metric`, and the error rate beside it, so that failing more does not pass for being faster.

    `names` are those of the files. Summaries, different tools, different routes and unsent load leave no verdict; a file that
    cannot show all failures, and another load, keep a verdict from being given that they could have made. Raises LoadError
    or ParameterError for blocks that cannot be laid.
    """
    against = _not_comparable(before, after, question, names)
    if against or before.requests is None or after.requests is None:
        return LoadComparison(Answer.INCONCLUSIVE, (), tuple(against))
    sides = [
        blocks_of(requests, seconds=question.block_seconds, skip_seconds=question.skip_seconds, name=question.name, where=name)
        for requests, name in ((before.requests, names[0]), (after.requests, names[1]))
    ]
    verdicts = _verdicts(sides[0], sides[1], question)
    answers = [_answer(verdict) for verdict in verdicts]
    answer = next((a for a in (Answer.FAIL, Answer.INCONCLUSIVE) if a in answers), Answer.PASS)
    reasons = _doubts(answer, before, after, sides, question)
    if answer is not Answer.FAIL:
        reasons += _without_value(sides, question, names)
    return LoadComparison(Answer.INCONCLUSIVE if reasons else answer, verdicts, tuple(reasons))


def _verdicts(before: Sequence[Block], after: Sequence[Block], question: Question) -> tuple[Verdict, ...]:
    metric, threshold, confidence, mode = question.metric, question.threshold, question.confidence, question.mode
    counts = [[(block.errors, block.requests) for block in side] for side in (before, after)]
    if metric == "error_rate" and threshold is not None:
        return (
            judge_error_rate_target(
                metric, before=counts[0], after=counts[1], threshold_percent=threshold, mode=mode, confidence=confidence
            ),
        )
    errors = judge_error_rate(
        "error_rate", before=counts[0], after=counts[1], floor_points=ERROR_FLOOR_POINTS, confidence=confidence, mode=mode,
        margin=question.margin / 100 if metric == "error_rate" else 0.0,
    )  # fmt: skip
    if metric == "error_rate":
        return (errors,)
    throughput = metric == "throughput"
    unit, direction = (Unit.PER_SECOND, Direction.HIGHER) if throughput else (Unit.MILLISECONDS, Direction.LOWER)
    values = [[block.throughput if throughput else block.latency_ms[metric] for block in side] for side in (before, after)]
    if threshold is not None:
        target = judge_target(metric, unit, direction, values[0], values[1], threshold_percent=threshold, mode=mode, confidence=confidence)
        return target, errors
    guard = judge_guard(
        metric, unit, direction, values[0], values[1], margin=question.margin / 100, floor=0.0, confidence=confidence, mode=mode
    )
    return guard, errors


def _answer(verdict: Verdict) -> Answer:
    if isinstance(verdict, GuardVerdict):
        return {
            GuardLabel.NO_REGRESSION: Answer.PASS,
            GuardLabel.REGRESSION: Answer.FAIL,
            GuardLabel.INCONCLUSIVE: Answer.INCONCLUSIVE,
        }[verdict.label]
    if verdict.passes:
        return Answer.PASS
    return Answer.FAIL if verdict.label is TargetLabel.SHORT else Answer.INCONCLUSIVE


def _not_comparable(before: LoadFile, after: LoadFile, question: Question, names: tuple[str, str]) -> list[str]:
    found = []
    for file, name in zip((before, after), names, strict=True):
        if file.requests is None:
            found.append(f"{name} is a summary ({file.tool} {file.form}): without requests there is no noise to compare with")
        elif file.dropped > MOST_DROPPED * (file.dropped + len(file.requests)):
            found.append(f"{name}: {file.dropped} iterations were dropped, so the load was not the one that was asked for")
    if before.tool is not after.tool:
        found.append(f"{before.tool} and {after.tool} measure latency in different ways")
    if question.name is None and before.requests is not None and after.requests is not None:
        shares = [_shares(requests) for requests in (before.requests, after.requests)]
        for name, own, other in ((names[1], shares[0], shares[1]), (names[0], shares[1], shares[0])):
            missing = sorted(route for route, share in own.items() if share >= ROUTE_SHARE and route not in other)
            if missing:
                found.append(f"{name} has no request of {', '.join(missing[:5])}: choose a route that both have with --name")
    return found


def _without_value(sides: Sequence[Sequence[Block]], question: Question, names: tuple[str, str]) -> list[str]:
    """Why blocks have no value, which decides nothing."""
    if question.metric not in LATENCIES:
        return []
    needed, found = samples_beyond_maximum(SHARES[question.metric]), []
    for name, blocks in zip(names, sides, strict=True):
        lacking = [block for block in blocks if block.latency_ms[question.metric] is None]
        few = sum(1 for block in lacking if block.requests < needed)
        if few:
            found.append(f"{few} of {len(blocks)} blocks of {name} have fewer than the {needed} requests that {question.metric} needs")
        if len(lacking) > few:
            failed = f"{len(lacking) - few} of {len(blocks)} blocks of {name}"
            found.append(f"in {failed} {question.metric} is a failed request, which counts as slower than all others")
    return found


def _shares(requests: Requests) -> dict[str, float]:
    counts = np.bincount(requests.name, minlength=len(requests.names)) / len(requests)
    return {name: float(share) for name, share in zip(requests.names, counts, strict=True) if share}


def _doubts(answer: Answer, before: LoadFile, after: LoadFile, sides: Sequence[Sequence[Block]], question: Question) -> list[str]:
    """Why an answer that the verdicts give is none."""
    found = []
    if answer is Answer.PASS and not (before.without_answer and after.without_answer):
        found.append(f"{after.tool} writes no row for a request without an answer, so it cannot show that there were no more of them")
    if question.metric in LATENCIES and answer is not Answer.INCONCLUSIVE:
        old, new = (sum(block.requests for block in side) / (len(side) * question.block_seconds) for side in sides)
        if (answer is Answer.PASS and new < old * (1 - LOAD_TOLERANCE)) or (answer is Answer.FAIL and new > old * (1 + LOAD_TOLERANCE)):
            found.append(f"the load was another: {old:.4g} requests/s before and {new:.4g} after, and {answer.value} may come from that")
    return found
