"""What stands below each picture of the report, and what those hear of it who cannot see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfproof.judging.verdicts import Scale
from perfproof.report.blocks import figure, percent
from perfproof.report.minute import true_range

LATENCY = "evidence/latency-distribution.svg"
INTERVALS = "evidence/change-intervals.svg"
GAINS = "evidence/gain-history.svg"
CURVE = "evidence/capacity-curve-"
POINTS = " (points)"
# The first word that a name holds decides.
CAPTIONS = {
    CURVE: "Latency and answered rate as the offered rate climbs (stress test, before the change)",
    LATENCY: "Latency of every measured request: the middle block of each side, in the band from the lowest block to the highest",
    INTERVALS: "How far each metric is from before, with its interval; the tick is the limit that decides",
    GAINS: "Promised and realized gains of the validated changes, oldest first",
    "evidence/profile-comparison-": "What the change moved (differential flame graph: red grew, blue shrank)",
    "evidence/profile-candidate-": "Where the time of the candidate goes (flame graph)",
    "flame": "Where the time goes (flame graph)",
    "evidence/load": "Latency of each load scenario",
    "blocks": "Measured blocks of both sides",
}


def captions(names: Iterable[str]) -> dict[str, str]:
    """The caption of each of these pictures."""
    return {name: next((text for word, text in CAPTIONS.items() if word in name), name) for name in names}


def curve_name(service: str) -> str:
    """Evidence name of the load curve of a service."""
    return f"{CURVE}{service}.svg"


def changes(validation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """{name, value, low, high, limit} of the target and each guard, better is positive, for `perfproof.report_plots.intervals_plot`."""
    verdict = validation.get("verdict") or {}
    found = [
        {
            "name": f"{validation.get('target_metric')} (target)",
            "value": verdict.get("improvement_percent"),
            "low": verdict.get("ci_low"),
            "high": verdict.get("ci_high"),
            "limit": verdict.get("threshold_percent"),
        }
    ]
    for guard in validation.get("guards") or ():
        # A worsening turned round: its upper end is the lower end of what got better.
        value, low, high, margin = (_negative(guard.get(key)) for key in ("worsening", "ci_high", "ci_low", "margin_percent"))
        if guard.get("scale") == Scale.UNIT.value:
            # In ms or MiB, from zero: it has no place on an axis of percent.
            value = low = high = None
        unit = POINTS if "points" in str(guard.get("scale")) else ""
        found.append({"name": f"{guard.get('metric')}{unit}", "value": value, "low": low, "high": high, "limit": margin})
    return found


def _negative(value: Any) -> float | None:
    return -float(value) + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else None


def descriptions(
    names: Iterable[str], *, validation: Mapping[str, Any], capacity: Mapping[str, Any], profiles: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """What can be seen in each of these pictures, in words."""
    services = {curve_name(str(s.get("service"))): s for s in capacity.get("services") or ()}
    graphs = {f"evidence/profile-{p.get('service')}-flame-graph.svg": p for p in profiles}
    told: dict[str, str] = {}
    for name in names:
        if name == INTERVALS:
            told[name] = " ".join(f"{c['name']}: {_change(c)}" for c in changes(validation))
        elif name == LATENCY or "blocks" in name:
            told[name] = _sides(validation)
        elif name in services:
            told[name] = _curve(services[name])
        elif name in graphs:
            told[name] = _hot(graphs[name])
    return told


def _change(change: Mapping[str, Any]) -> str:
    if not isinstance(change["value"], int | float):
        return "no percentage."
    unit = "points" if change["name"].endswith(POINTS) else "percent"
    ends = " to ".join("open" if change[end] is None else f"{change[end]:.4g}" for end in ("low", "high"))
    return f"{change['value']:+.4g} {unit}, interval {ends}."


def _sides(validation: Mapping[str, Any]) -> str:
    before, after = (validation.get(side) or {} for side in ("baseline", "optimized"))
    measured = f"{figure(before.get('value'), before.get('unit'))} before and {figure(after.get('value'), after.get('unit'))} after"
    return f"{validation.get('target_metric')}: {measured}. {true_range(validation.get('verdict') or {})}".strip()


def _curve(service: Mapping[str, Any]) -> str:
    steps = (service.get("capacity") or {}).get("steps") or ()
    return " ".join(
        f"{figure(s.get('rate'), 'req/s')} offered: {figure(s.get('throughput'), 'req/s')} answered, p95 {figure(s.get('p95'), 'ms')}."
        for s in steps
    )


def _hot(profile: Mapping[str, Any]) -> str:
    hot = (profile.get("hot_functions") or ())[:3]
    return "Most time of their own: " + ", ".join(f"{h.get('function')} {percent(h.get('self_percent'))}" for h in hot) if hot else ""
