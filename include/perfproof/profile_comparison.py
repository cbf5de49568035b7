"""What a change moved between profiles: which functions shrank, grew, appeared or went, as far as the samples can tell.

Shares are compared, so profiles may be of different length. They add up to 1: where one function shrinks, the others grow
without a change of their own. What grew beside the named functions is therefore asked of the time outside of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfproof.errors import ProfileError
from perfproof.profiles import Profile, Weight, merge, own_weights, total_weights
from perfproof.share_changes import Change, ShareChange, Side, changes_of

# A share of 25 percent is known to +-11 points (95 percent confidence) from 60 samples; from fewer nothing is said.
MIN_SAMPLES = 60
# Smaller differences of own shares are not worth a line, however surely they are there.
LEAST = 0.005
# A named function that may still have lost this part of its share is not said to have kept it.
SHRINK = 0.2
TIMES = frozenset({Weight.SAMPLES, Weight.NANOSECONDS})


class ProfileVerdict(StrEnum):
    """Whether the profiles are what they would be if the named functions had become cheaper."""

    CONSISTENT = "consistent"
    NOT_CONSISTENT = "not consistent"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class ProfileComparison:
    """`own`: every function by its own share; `totals`: (before, after) shares with callees. The largest change comes first.

    `named`: the functions that were to shrink, by their share with callees. `grew`: those that certainly grew, by their own
    share of what lies outside of the named ones. `verdict` is None where no function was named. `samples` are those of both sides,
    0 where not known; `profiles` how many there were.
    """

    own: tuple[ShareChange, ...]
    totals: Mapping[str, tuple[float, float]]
    named: tuple[ShareChange, ...]
    grew: tuple[ShareChange, ...]
    verdict: ProfileVerdict | None
    reason: str
    samples: tuple[int, int]
    profiles: tuple[int, int]


def compare_profiles(before: Sequence[Profile], after: Sequence[Profile], *, named: Sequence[str] = ()) -> ProfileComparison:
    """What changed from `before` to `after`, each one or several profiles, normalised.

    With two profiles a side at least, each function is tested over the profiles, and all together by Benjamini and Hochberg's
    procedure; otherwise the sampling error of the shares decides (`perfproof.share_changes`). `named` are functions, as a
    profile writes them or without their file. Raises ProfileError for a profile without samples, or of another kind.
    """
    _check(before, after)
    both = (merge(before, where="profiles before"), merge(after, where="profiles after"))
    samples = (both[0].samples, both[1].samples)
    own = changes_of(_side(before, own_weights), _side(after, own_weights), least=LEAST)
    whole = [total_weights(profile) for profile in both]
    totals = {f: (whole[0][f] / both[0].total, whole[1][f] / both[1].total) for f in whole[0].keys() | whole[1].keys()}
    meant = {name: frozenset(f for f in totals if f == name or f.partition(" (")[0] == name) for name in named}
    if not named:
        return ProfileComparison(own, totals, (), (), None, "no function was named", samples, (len(before), len(after)))

    def shares(profile: Profile) -> dict[str, int]:
        return {name: sum(w for stack, w in profile.stacks.items() if not functions.isdisjoint(stack)) for name, functions in meant.items()}

    changed = {c.function: c for c in changes_of(_side(before, shares), _side(after, shares), least=0.0)}
    wanted = tuple(changed[name] if name in changed else _unseen(name) for name in dict.fromkeys(named))
    outside = [[_without(profile, frozenset().union(*meant.values())) for profile in side] for side in (before, after)]
    grew: tuple[ShareChange, ...] = ()
    if all(profile.total for side in outside for profile in side):
        rest = changes_of(_side(outside[0], own_weights), _side(outside[1], own_weights), least=LEAST)
        grew = tuple(c for c in rest if c.change in (Change.NEW, Change.GROWN))
    verdict, reason = _verdict(wanted, samples)
    return ProfileComparison(own, totals, wanted, grew, verdict, reason, samples, (len(before), len(after)))


def _check(before: Sequence[Profile], after: Sequence[Profile]) -> None:
    for name, side in (("before", before), ("after", after)):
        if not side or not all(profile.total for profile in side):
            raise ProfileError(105, where=f"profile {name}", what="no samples to compare", fix="profile the service under load")
    kinds = {profile.weight for side in (before, after) for profile in side}
    # A share of samples and a share of seconds are both shares of the time.
    if len(kinds) > 1 and not kinds <= TIMES:
        raise ProfileError(
            107, where="profiles", what="not of the same kind", got=", ".join(sorted(kinds)), expected="one kind of weight on both sides",
            fix="compare time with time and memory with memory",
        )  # fmt: skip


def _side(profiles: Sequence[Profile], weights: Callable[[Profile], Mapping[str, int]]) -> Side:
    return Side(
        tuple({f: w / profile.total for f, w in weights(profile).items()} for profile in profiles), tuple(p.samples for p in profiles)
    )


def _without(profile: Profile, functions: frozenset[str]) -> Profile:
    """What lies outside of `functions`; of its samples it has the same part as of the weight."""
    stacks = {stack: weight for stack, weight in profile.stacks.items() if functions.isdisjoint(stack)}
    observed = profile.observed * sum(stacks.values()) / profile.total
    return Profile(stacks, weight=profile.weight, observed=observed)


def _unseen(name: str) -> ShareChange:
    return ShareChange(name, 0.0, 0.0, None, None, None, Change.UNKNOWN)


def _verdict(named: Sequence[ShareChange], samples: tuple[int, int]) -> tuple[ProfileVerdict, str]:
    for name, count in zip(("before", "after"), samples, strict=True):
        if 0 < count < MIN_SAMPLES:
            return ProfileVerdict.UNDECIDED, f"{count} samples {name} are too few, at least {MIN_SAMPLES} are needed"
    found = [_named_verdict(change) for change in named]
    for verdict in (ProfileVerdict.NOT_CONSISTENT, ProfileVerdict.UNDECIDED):
        against = [reason for kind, reason in found if kind is verdict]
        if against:
            return verdict, "; ".join(against)
    return ProfileVerdict.CONSISTENT, "; ".join(reason for _, reason in found)


def _named_verdict(named: ShareChange) -> tuple[ProfileVerdict, str]:
    shares = f"{100 * named.before:.1f} % before, {100 * named.after:.1f} % after"
    if not named.before:
        return ProfileVerdict.UNDECIDED, f"{named.function} is not in the profile before"
    if named.change in (Change.SHRUNK, Change.GONE):
        return ProfileVerdict.CONSISTENT, f"{named.function} shrank: {shares}"
    if named.change in (Change.GROWN, Change.NEW):
        return ProfileVerdict.NOT_CONSISTENT, f"{named.function} grew: {shares}"
    if named.low is None:
        return ProfileVerdict.UNDECIDED, f"{named.function}: {shares}, but the sampling error is not known; take several profiles a side"
    if named.low <= -SHRINK * named.before:
        return ProfileVerdict.UNDECIDED, f"{named.function}: {shares}, too few samples to tell"
    return ProfileVerdict.NOT_CONSISTENT, f"{named.function} did not shrink: {shares}"
