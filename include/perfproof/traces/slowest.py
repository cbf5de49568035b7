"""Which spans took the time over all slow traces, and how to come to the slow traces of a store that does not sort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TOP_SPANS = 10


def slowest_spans(items: Iterable[Mapping[str, Any]], *, service: str | None = None) -> dict[str, Any]:
    """{traces, self_ms, spans: [{service, span, ms, share_percent, traces, first_in}], unlisted_percent, selection} over trace items.

    With `service`, only over the traces that begin in it. `ms` adds up what the items list, five spans each, so a share is a lower
    bound: `unlisted_percent` of the time is in spans that no item lists. `traces` counts the items that list the span, `first_in`
    those in which nothing took longer. selection is `slowest` if every item is, else `some`; null without a trace with self times.
    """
    used = [item for item in items if item["self_ms"] and (service is None or item["service"] == service)]
    whole = sum(float(item["self_ms"]) for item in used)
    listed: dict[tuple[str, str], list[float]] = {}
    for item in used:
        for place, row in enumerate(item["self_time"]):
            sums = listed.setdefault((row["service"], row["span"]), [0.0, 0, 0])
            sums[0] += row["ms"]
            sums[1] += 1
            sums[2] += place == 0
    ranked = sorted(listed.items(), key=lambda pair: (-pair[1][0], pair[0]))
    found = sum(ms for ms, _, _ in listed.values())
    return {
        "traces": len(used),
        "self_ms": round(whole, 3) if used else None,
        "spans": [
            {
                "service": name[0], "span": name[1], "ms": round(ms, 3), "share_percent": round(100 * ms / whole, 1),
                "traces": int(traces), "first_in": int(first),
            }
            for name, (ms, traces, first) in ranked[:TOP_SPANS]
        ],
        "unlisted_percent": round(max(0.0, 100 * (1 - found / whole)), 1) if used else None,
        "selection": None if not used else "slowest" if all(item.get("selection") == "slowest" for item in used) else "some",
    }  # fmt: skip


def next_floor(durations: Sequence[int], *, floor: int) -> int | None:
    """The least duration to ask for next, when a store answered as many traces as it may and chose them itself.

    The third quartile of what was found: about a quarter of the store's traces is left, and some of them. None if it would not
    rise above `floor`.
    """
    if not durations:
        return None
    quartile = sorted(durations)[(3 * len(durations)) // 4]
    return quartile if quartile > floor else None
