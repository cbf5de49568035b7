"""Figures, moments and durations as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from perfproof import markdown as md

MINUTE, HOUR, DAY = 60, 3600, 86_400


def figure(value: Any) -> str | Markup:
    """A figure with four significant digits, large ones grouped in thousands; text as it is, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _grouped(f"{value:,}")
    if isinstance(value, float):
        if not math.isfinite(value):
            return "not a number" if math.isnan(value) else "without a bound"
        if abs(value) >= 1000:
            return _grouped(f"{value:,.0f}")
        return f"{value:.4g}"
    return str(value)


def _grouped(text: str) -> Markup:
    # Ready for the page: a space that is no plain one would be shown as an escape.
    return escape(text.replace(",", "\N{NARROW NO-BREAK SPACE}"))


def moment(value: Any) -> Markup:
    """`<time>` for an aware datetime or a stamp of the log: to the second, in UTC."""
    if value is None or value == "":
        return Markup("–")
    when = value if isinstance(value, datetime) else _read(str(value))
    if when is None or when.tzinfo is None:
        return escape(md.visible(str(value)[:80]))
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(utc.isoformat(timespec="seconds"), utc.strftime("%Y-%m-%d %H:%M:%S"))


def _read(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def duration(seconds: Any) -> str:
    """`3 d 4 h`, `2 h 5 min`, `4 min 10 s`, `7 s`; a dash for nothing."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not math.isfinite(seconds):
        return "–"
    left = max(0, round(seconds))
    if left >= DAY:
        return f"{left // DAY} d {left % DAY // HOUR} h"
    if left >= HOUR:
        return f"{left // HOUR} h {left % HOUR // MINUTE} min"
    if left >= MINUTE:
        return f"{left // MINUTE} min {left % MINUTE} s"
    return f"{left} s"
