"""Clocks: how far this machine's differs from those that its evidence is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from perfproof.doctor.finding import Area, Finding, ok, problem, unchecked

AREA = Area.CLOCK


class Tolerance(Enum):
    """What differences hurt, in seconds, and why."""

    # Acts are refused 300 s off; a reminder, an expiry and a deputy's day are read by both clocks.
    SERVER = (60.0, "acts and expiries are dated by one clock and read by the other")
    # A window of telemetry is asked for by this clock; blocks are a minute long or less, and rates look back 10 s.
    TELEMETRY = (5.0, "windows are cut by this clock out of what the other one recorded")
    # A lease on a target is renewed every 15 s and free after 60 s.
    BUCKET = (30.0, "signatures of requests and leases of load tests compare both clocks")

    def __init__(self, seconds: float, why: str) -> None:
        self.seconds = seconds
        self.why = why


@dataclass(frozen=True, slots=True)
class Clock:
    """Another clock: `ahead` are the seconds by which it is ahead of this machine's, known to `within`; None: not read, for `reason`."""

    name: str
    tolerance: Tolerance
    ahead: float | None
    within: float = 0.0
    reason: str | None = None


def judge_clocks(clocks: Sequence[Clock]) -> Iterator[Finding]:
    """A finding for each clock."""
    if not clocks:
        yield unchecked(
            AREA, "this machine's clock", "there is no other clock to compare it with", fix="give a protocol file and an account"
        )
    for clock in clocks:
        if clock.ahead is None:
            yield unchecked(AREA, f"clock of {clock.name}", clock.reason or "it tells no time")
            continue
        way = "ahead of" if clock.ahead >= 0 else "behind"
        told = f"{abs(clock.ahead):.1f} s {way} this machine, within {clock.within:.1f} s"
        if abs(clock.ahead) - clock.within > clock.tolerance.seconds:
            yield problem(
                AREA, 601, where=f"clock of {clock.name}", what=f"differs from this machine's: {clock.tolerance.why}", got=told,
                expected=f"at most {clock.tolerance.seconds:g} s",
                fix="let both machines follow the same time servers (chronyc tracking shows whether)",
            )  # fmt: skip
        else:
            yield ok(AREA, f"clock of {clock.name}", told)
