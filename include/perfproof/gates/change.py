"""The change that a validation report claims, read from its evidence: improvement, regressions, and what is not decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from perfproof.artifacts import Artifact
from perfproof.config import Mode, Thresholds
from perfproof.gates.figures import as_float, at, differs, found, items, mappings, number, plain, round_to, rounded, share, text_at, unlike
from perfproof.schemas import sample_problems
from perfproof.telemetry import Direction

REGRESSION = "regression"
NO_REGRESSION = "no regression"
SHORT, PROVED = "short", "proved"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Regression:
    """A guard metric that got worse by more than its margin. `percentage` is None where the baseline is zero.

    `worsening` is the judge's estimate, in what `scale` says.
    """

    metric: str
    baseline: Decimal | None
    optimized: Decimal | None
    percentage: Decimal | None
    worsening: Decimal | None = None
    scale: str = ""

    @property
    def in_words(self) -> str:
        """`memory_utilization 75 to 88 (17.3% worse)`."""
        sides = " to ".join("?" if v is None else plain(v) for v in (self.baseline, self.optimized))
        worse = "" if self.percentage is None else f" ({plain(round_to(self.percentage, 1))}% worse)"
        return f"{self.metric} {sides}{worse}"

    def document(self) -> dict[str, Any]:
        """The regression in the spec's shape, and the judge's estimate if there is one."""
        judged = {} if self.worsening is None else {"worsening": as_float(self.worsening), "scale": self.scale}
        return {
            "metric": self.metric,
            "baseline": as_float(self.baseline),
            "optimized": as_float(self.optimized),
            "regression_percentage": rounded(self.percentage),
            **judged,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """What the evidence says.

    `improvement` is the plain change in percent, or the upper end of its interval where that is below the threshold.
    `proved` is the lower end, `decided` whether more blocks could not change a short improvement, and `blocks` the valid
    ones a side (baseline, candidate).
    """

    metric: str
    baseline: Decimal | None
    optimized: Decimal | None
    improvement: Decimal | None
    proved: Decimal | None
    decided: bool
    blocks: tuple[int, int]
    verdict_reason: str
    regressions: tuple[Regression, ...]
    undecided_guards: tuple[Document, ...]
    complaints: tuple[str, ...]
    in_words: str

    @property
    def undecided(self) -> list[str]:
        """Each guard that is not decided, with its reason."""
        return [
            f"{text_at(g, 'metric')} is {text_at(g, 'label') or 'without a label'}: {text_at(g, 'reason')}" for g in self.undecided_guards
        ]


def read_change(
    validation: Document,
    *,
    measurement: Document | None,
    rejudged: Document | None,
    direction: Direction,
    thresholds: Thresholds,
    mode: Mode,
) -> Change:
    """The change that `validation` reports. Figures come from `rejudged` if there is one, else from the report's two values."""
    source = rejudged if rejudged is not None else validation
    baseline, optimized = number(at(source, "baseline", "value")), number(at(source, "optimized", "value"))
    absolute, percentage = improvement(baseline, optimized, higher=direction is Direction.HIGHER)
    regressions = _regressions(source)
    undecided = tuple(g for g in mappings(source, "guards") if _label(g) not in (REGRESSION, NO_REGRESSION))
    label = text_at(source, "verdict", "label")
    lower = _lower_end(source, label, thresholds) if measurement is not None else None
    complaints = _declared(validation, absolute, percentage, regressions, undecided, thresholds)
    if rejudged is not None:
        complaints += _against(validation, rejudged)
    elif measurement is not None:
        complaints.append("the report was not judged anew from its measurement")
    return Change(
        metric=text_at(source, "target_metric"),
        baseline=baseline,
        optimized=optimized,
        improvement=_judged(source, label, percentage, thresholds),
        proved=lower,
        decided=mode is Mode.POINT or label == SHORT,
        blocks=_blocks(measurement),
        verdict_reason=_verdict_reason(source, measurement),
        regressions=regressions,
        undecided_guards=undecided,
        complaints=tuple(complaints),
        in_words=_in_words(source, baseline, optimized, percentage),
    )


def improvement(before: Decimal | None, after: Decimal | None, *, higher: bool) -> tuple[Decimal | None, Decimal | None]:
    """How much better `after` is than `before`: absolutely and in percent. A baseline of zero or less has no percentage."""
    if before is None or after is None:
        return None, None
    absolute = after - before if higher else before - after
    return absolute, share(absolute, before) if before > 0 else None


def _judged(source: Document, label: str, percentage: Decimal | None, thresholds: Thresholds) -> Decimal | None:
    """The plain change; but the interval's upper end where the judge says short although the plain change reaches the threshold."""
    upper = number(at(source, "verdict", "ci_high"))
    if percentage is None or label != SHORT or percentage < Decimal(str(thresholds.improvement)):
        return percentage
    return upper


def _lower_end(source: Document, label: str, thresholds: Thresholds) -> Decimal | None:
    """The interval's lower end; None where it reaches the threshold and the judge still has a reason not to call it proved."""
    lower = number(at(source, "verdict", "ci_low"))
    return None if lower is not None and lower >= Decimal(str(thresholds.improvement)) and label != PROVED else lower


def _regressions(source: Document) -> tuple[Regression, ...]:
    """Guards with the label `regression`, and whatever else the report itself lists as a regression."""
    listed: dict[str, Document] = {text_at(r, "metric"): r for r in mappings(source, "regressions")}
    for guard in mappings(source, "guards"):
        if _label(guard) == REGRESSION:
            name = text_at(guard, "metric")
            listed[name] = {**guard, **listed.get(name, {})}
    return tuple(_regression(name, entry) for name, entry in listed.items())


def _regression(name: str, entry: Document) -> Regression:
    before, after = number(entry.get("baseline")), number(entry.get("optimized"))
    percentage = None
    if before is not None and after is not None and before > 0:
        change = share(after - before, before)
        worse = number(entry.get("regression_percentage", entry.get("worsening_percent")))
        # Which way is worse stands in the report's own sign: a drop of throughput is a regression too.
        percentage = -change if change is not None and change < 0 and worse is not None and worse > 0 else change
    return Regression(name, before, after, percentage, number(entry.get("worsening")), text_at(entry, "scale"))


def _declared(
    report: Document,
    absolute: Decimal | None,
    percentage: Decimal | None,
    regressions: Sequence[Regression],
    undecided: Sequence[Document],
    thresholds: Thresholds,
) -> list[str]:
    complaints = [f"{Artifact.VALIDATION_REPORT}: {p}" for p in sample_problems(Artifact.VALIDATION_REPORT, report)]
    threshold = Decimal(str(thresholds.improvement))
    meets = percentage is not None and percentage >= threshold
    if percentage is not None:
        complaints += found(
            differs("improvement.percentage", at(report, "improvement", "percentage"), percentage),
            differs("improvement.absolute", at(report, "improvement", "absolute"), absolute, rounding=Decimal("0.001")),
        )
    complaints += found(
        unlike("improvement.meets_threshold", at(report, "improvement", "meets_threshold"), meets),
        unlike("regression_count", report.get("regression_count"), len(items(report, "regressions"))),
    )
    if len(items(report, "regressions")) != len(regressions):
        complaints.append(f"{len(items(report, 'regressions'))} regressions are listed, the evidence gives {len(regressions)}")
    by_name = {r.metric: r for r in regressions}
    for entry in mappings(report, "regressions"):
        name = text_at(entry, "metric")
        if name in by_name and by_name[name].percentage is not None:
            complaints += found(differs(f"regression_percentage of {name}", entry.get("regression_percentage"), by_name[name].percentage))
    if report.get("status") == "pass" and not (meets and not regressions and not undecided):
        complaints.append("status declares 'pass', the evidence does not give it")
    return complaints


def _against(report: Document, rejudged: Document) -> list[str]:
    """Where the report differs from what the judge gives for the same measurement."""
    compared = (("target_metric",), ("status",), ("regression_count",), ("mode",), ("verdict", "label"))
    complaints = [
        f"{'.'.join(path)} declares {at(report, *path)!r}, the judge gives {at(rejudged, *path)!r}"
        for path in compared
        if at(report, *path) != at(rejudged, *path)
    ]
    for side in ("baseline", "optimized"):
        complaints += found(
            differs(f"{side}.value", at(report, side, "value"), number(at(rejudged, side, "value")), rounding=Decimal("0.001"))
            if at(rejudged, side, "value") is not None
            else unlike(f"{side}.value", at(report, side, "value"), None)
        )
    labels = {text_at(g, "metric"): text_at(g, "label") for g in mappings(report, "guards")}
    judged = {text_at(g, "metric"): text_at(g, "label") for g in mappings(rejudged, "guards")}
    complaints += [
        f"guard {name} is declared {labels.get(name)!r}, the judge gives {judged.get(name)!r}"
        for name in sorted(labels.keys() | judged.keys())
        if labels.get(name) != judged.get(name)
    ]
    return complaints


def _blocks(measurement: Document | None) -> tuple[int, int]:
    valid = [text_at(b, "side") for b in mappings(measurement, "blocks") if b.get("valid") is True]
    return valid.count("baseline"), valid.count("candidate")


def _label(guard: Document) -> str:
    return text_at(guard, "label").replace("_", " ").lower()


def _verdict_reason(source: Document, measurement: Document | None) -> str:
    if measurement is None:
        return "a single pair of values proves nothing, blocks of both sides are needed"
    return text_at(source, "verdict", "reason") or "the judge gave no reason"


def _in_words(source: Document, baseline: Decimal | None, optimized: Decimal | None, percentage: Decimal | None) -> str:
    sides = " to ".join("?" if v is None else plain(v) for v in (baseline, optimized))
    gained = "no percentage of it can be given" if percentage is None else f"{plain(percentage)}% better"
    return f"{text_at(source, 'target_metric') or 'the target metric'} {sides} {text_at(source, 'baseline', 'unit')}: {gained}"
