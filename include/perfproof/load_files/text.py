"""A load file and a comparison of two as lines for a terminal. Names are the tool's, so they are quoted."""

from __future__ import annotations

from collections.abc import Sequence

from perfproof.errors import quoted
from perfproof.load_files.comparison import LoadComparison
from perfproof.load_files.figures import Figures, Percentile
from perfproof.load_files.form import LoadFile, Part

MOST_NAMES_SHOWN = 20
NAME_LENGTH = 60


def file_text(file: LoadFile, *, figures: Figures | None, by_name: Sequence[Figures], blocks: str, limits: Sequence[str]) -> str:
    """The figures of a file, of its names, and their limits. `blocks` says what blocks there are."""
    lines = [f"{file.tool} {file.form}"]
    if figures is not None:
        lines += [*_figures(figures), blocks, *_table(by_name)]
    elif file.summary is not None:
        rate = f", {file.summary.rate:.4g} requests/s" if file.summary.rate is not None else ""
        lines += [f"{_part(file.summary.total)}{rate} (as the tool says)", *_parts(file.summary.parts)]
    if file.dropped:
        lines.append(f"dropped by the tool: {file.dropped} iterations that should have been sent")
    lines += [f"left out: {quoted(sentence)}" for sentence in file.left_out]
    return "\n".join([*lines, *_limits(limits)]) + "\n"


def comparison_text(comparison: LoadComparison, *, limits: Sequence[str], left_out: Sequence[str]) -> str:
    """The answer, each verdict with its reason, and the limits of both files."""
    lines = [comparison.answer.value]
    lines += [f"because {quoted(reason)}" for reason in comparison.reasons]
    for verdict in comparison.verdicts:
        lines.append(f"{quoted(verdict.metric)}: {verdict.label.value}: {quoted(verdict.reason, 600)}")
        if verdict.runs_needed:
            lines.append(f"blocks still needed: {verdict.runs_needed} a side")
    lines += [f"left out: {quoted(sentence)}" for sentence in left_out]
    return "\n".join([*lines, *_limits(limits)]) + "\n"


def _figures(figures: Figures) -> list[str]:
    rate = figures.error_rate
    return [
        f"{figures.requests} requests in {figures.seconds:.4g} s, {figures.rate:.4g} requests/s, {figures.throughput:.4g} good answers/s",
        f"errors: {figures.errors}, {100 * rate.estimate:.3g} % (95 % interval {100 * rate.low:.3g} to {100 * rate.high:.3g} %)",
        *(f"{label}: {_percentile(percentile)}" for label, percentile in figures.latency.items()),
    ]


def _percentile(percentile: Percentile) -> str:
    if percentile.value is None:
        return percentile.reason or "not known"
    low, high = ("?" if end is None else f"{end:.4g}" for end in (percentile.low, percentile.high))
    note = f"; {percentile.reason}" if percentile.reason else ""
    return f"{percentile.value:.4g} ms (95 % interval {low} to {high} ms{note})"


def _table(by_name: Sequence[Figures]) -> list[str]:
    if len(by_name) < 2:
        return []
    rows = ["by name: requests, errors, p50, p95, p99 in ms (- where there are too few, or it is a failed request)"]
    for one in by_name[:MOST_NAMES_SHOWN]:
        values = ", ".join("-" if p.value is None else f"{p.value:.4g}" for p in one.latency.values())
        rows.append(f"  {quoted(one.name, NAME_LENGTH)}: {one.requests}, {one.errors}, {values}")
    return rows + _more(len(by_name))


def _parts(parts: Sequence[Part]) -> list[str]:
    return [f"  {_part(part)}" for part in parts[:MOST_NAMES_SHOWN]] + _more(len(parts))


def _part(part: Part) -> str:
    counts = [
        "requests not known" if part.requests is None else f"{part.requests} requests",
        "errors not known" if part.errors is None else f"{part.errors} errors",
    ]
    latency = [f"{label} {value:.4g} ms" for label, value in part.latency_ms.items()]
    return f"{quoted(part.name, NAME_LENGTH)}: {', '.join(counts + latency)}"


def _more(names: int) -> list[str]:
    return [f"  and {names - MOST_NAMES_SHOWN} more"] if names > MOST_NAMES_SHOWN else []


def _limits(limits: Sequence[str]) -> list[str]:
    return ["what these numbers cannot support:", *(f"- {sentence}" for sentence in limits)] if limits else []
