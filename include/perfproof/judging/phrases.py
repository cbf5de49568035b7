"""The words and figures of a verdict's reason."""

from __future__ import annotations

import math

from perfproof.statistics.sample_size import MOST_BLOCKS

# A ratio beyond this says that one side hardly varies; its digits would say nothing more.
MOST_TIMES = 1000


def figure(value: float, *, bound: float | None = None) -> str:
    """`value` with one decimal, or with as many as it takes to see on which side of `bound` it lies."""
    decimals = 1
    while bound is not None and decimals < 6 and value != bound and round(value, decimals) == round(bound, decimals):
        decimals += 1
    return f"{value + 0.0:.{decimals}f}"


def plain(value: float) -> str:
    """A bound as a person writes it: 15, 14.5."""
    return f"{value:.4g}"


def confidence_text(confidence: float) -> str:
    """`95 %`, `97.1 %`; more digits only where they tell it from 100 %."""
    percent = 100 * confidence
    return f"{plain(round(percent, 1) if percent < 99.9 else percent)} %"


def between(low: float, high: float, unit: str, *, bound: float | None = None) -> str:
    """`2.2 to 3.1 %`; an end at infinity in words: `2.2 % or more`, `up to 3.1 %`, `without ends`."""
    if not math.isfinite(low) and not math.isfinite(high):
        return "without ends"
    if not math.isfinite(low):
        return f"up to {figure(high, bound=bound)} {unit}"
    if not math.isfinite(high):
        return f"{figure(low, bound=bound)} {unit} or more"
    return f"{figure(low, bound=bound)} to {figure(high, bound=bound)} {unit}"


def worse_or_better(value: float, unit: str, *, bound: float | None = None) -> str:
    """`2.2 % worse` or `3.1 % better`; `worse without a bound` at infinity."""
    if math.isinf(value):
        return f"{'better' if value < 0 else 'worse'} without a bound"
    text = figure(abs(value), bound=bound)
    return f"{text} {unit} {'better' if value < 0 else 'worse'}"


def more_blocks(runs: int) -> str:
    """How many blocks would decide, as a sentence."""
    if runs >= MOST_BLOCKS:
        return f"{MOST_BLOCKS} or more blocks a side would be needed: choose a quieter metric or longer blocks."
    return f"About {runs} more block{'' if runs == 1 else 's'} a side would decide."


def too_few(blocks: tuple[int, int], needed: int) -> str:
    """That a side has too few blocks, as a sentence."""
    missing = max(1, needed - min(blocks))
    return f"{blocks[0]} and {blocks[1]} blocks decide nothing: {missing} more a side {'is' if missing == 1 else 'are'} needed."


def dependent(autocorrelation: float, effective: float, blocks: int) -> str:
    """That neighbouring blocks tell too little that is new, as a sentence."""
    return (
        f"Neighbouring blocks depend on each other (autocorrelation {autocorrelation:.2f}), so {blocks} blocks a side tell as much as"
        f" {effective:.1f} independent ones: make blocks longer."
    )


def spread_warning(ratio: float, p: float) -> str:
    """That the candidate varies differently, as a sentence."""
    if not math.isfinite(ratio):
        return f"The candidate's blocks vary, the baseline's do not (p {p:.2g})."
    if ratio <= 0:
        return f"The baseline's blocks vary, the candidate's do not (p {p:.2g}), whatever their median does."
    times, word = (ratio, "more") if ratio > 1 else (1 / ratio, "less")
    often = f"{times:.1f}" if times <= MOST_TIMES else f"over {MOST_TIMES}"
    return f"The candidate's blocks vary {often} times {word} than the baseline's (p {p:.2g}), whatever their median does."
