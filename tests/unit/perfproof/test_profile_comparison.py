"""Comparison of profiles: did the named functions shrink, and what grew beside them?"""

from __future__ import annotations

import pytest

from perfproof.errors import ProfileError
from perfproof.profile_comparison import ProfileComparison, ProfileVerdict, compare_profiles
from perfproof.profiles import Profile, Weight
from perfproof.share_changes import Change

MAIN = "main (app.py)"


def profile(*, encode: int, join: int, other: int = 0, weight: Weight = Weight.SAMPLES, observed: float = 0) -> Profile:
    """main calls encode (which hashes) and join; `other` is something beside."""
    stacks = {(MAIN, "encode (app.py)", "hash"): encode, (MAIN, "join (app.py)"): join, (MAIN, "other (app.py)"): other}
    return Profile({stack: n for stack, n in stacks.items() if n}, weight=weight, observed=observed)


def compared(before: Profile | list[Profile], after: Profile | list[Profile], *named: str) -> ProfileComparison:
    sides = [side if isinstance(side, list) else [side] for side in (before, after)]
    return compare_profiles(sides[0], sides[1], named=named)


def test_a_named_function_that_became_cheaper_is_consistent() -> None:
    """By its share with callees: encode itself never was the innermost frame."""
    found = compared(profile(encode=600, join=400), profile(encode=100, join=400), "encode")
    assert found.verdict is ProfileVerdict.CONSISTENT
    assert "encode shrank: 60.0 % before, 20.0 % after" in found.reason
    assert found.named[0].change is Change.SHRUNK
    assert found.totals["encode (app.py)"] == (0.6, 0.2)


def test_what_only_fills_the_room_did_not_grow() -> None:
    """join's share doubles because encode went; of what lies outside of encode it is what it was."""
    found = compared(profile(encode=600, join=400), profile(encode=0, join=400), "encode (app.py)")
    assert {c.function: c.change for c in found.own}["join (app.py)"] is Change.GROWN
    assert found.grew == ()
    assert found.named[0].change is Change.GONE


def test_what_grew_beside_the_named_function_is_told() -> None:
    """The work moved to something new."""
    found = compared(profile(encode=600, join=400), profile(encode=100, join=400, other=300), "encode")
    assert [c.function for c in found.grew] == ["other (app.py)"]
    assert found.verdict is ProfileVerdict.CONSISTENT


def test_a_named_function_that_kept_its_share_is_not_consistent() -> None:
    """With enough samples to exclude that a fifth of it went."""
    found = compared(profile(encode=6000, join=4000), profile(encode=5990, join=4010), "encode")
    assert found.verdict is ProfileVerdict.NOT_CONSISTENT
    assert "did not shrink" in found.reason


def test_a_named_function_that_grew_is_not_consistent_whatever_the_others_did() -> None:
    """All named functions have to shrink."""
    found = compared(profile(encode=600, join=200, other=200), profile(encode=100, join=500, other=400), "encode", "join")
    assert found.verdict is ProfileVerdict.NOT_CONSISTENT
    assert "join grew" in found.reason


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (profile(encode=30, join=20), profile(encode=0, join=900), "50 samples before are too few"),
        (profile(encode=60, join=40), profile(encode=50, join=50), "too few samples to tell"),
        (
            profile(encode=6000, join=4000, weight=Weight.BYTES),
            profile(encode=60, join=40, weight=Weight.BYTES),
            "sampling error is not known",
        ),
    ],
)
def test_too_little_is_undecided(before: Profile, after: Profile, words: str) -> None:
    """Few samples, a wide interval, or an unknown sampling error never confirm nor refute."""
    found = compared(before, after, "encode")
    assert found.verdict is ProfileVerdict.UNDECIDED
    assert words in found.reason


def test_a_function_that_was_never_there_is_undecided() -> None:
    """A misspelt name proves nothing."""
    found = compared(profile(encode=600, join=400), profile(encode=100, join=400), "encoder")
    assert found.verdict is ProfileVerdict.UNDECIDED
    assert "encoder is not in the profile before" in found.reason


def test_without_a_named_function_there_is_no_verdict() -> None:
    """The changes are told, and nothing is confirmed."""
    found = compared(profile(encode=600, join=400), profile(encode=100, join=400))
    assert (found.verdict, found.named, found.grew) == (None, (), ())
    assert {c.function: c.change for c in found.own}["hash"] is Change.SHRUNK


def test_several_memory_profiles_can_decide() -> None:
    """Three a side show by themselves how much bytes vary, where one has no error of its own."""
    before = [profile(encode=6000 + d, join=4000, weight=Weight.BYTES) for d in (0, 40, -50)]
    after = [profile(encode=1000 + d, join=4000, weight=Weight.BYTES) for d in (0, 30, -20)]
    found = compared(before, after, "encode")
    assert found.verdict is ProfileVerdict.CONSISTENT
    assert found.named[0].p is not None
    assert found.profiles == (3, 3)


def test_time_is_compared_with_time_only() -> None:
    """Samples and seconds are both shares of the time; bytes are not."""
    seconds = profile(encode=100 * 10**7, join=400 * 10**7, weight=Weight.NANOSECONDS, observed=500)
    assert compared(profile(encode=600, join=400), seconds, "encode").verdict is ProfileVerdict.CONSISTENT
    with pytest.raises(ProfileError, match="PRO-107"):
        compared(profile(encode=600, join=400), profile(encode=1, join=1, weight=Weight.BYTES))
    with pytest.raises(ProfileError, match="PRO-105"):
        compared(profile(encode=600, join=400), Profile({}))
    with pytest.raises(ProfileError, match="PRO-105"):
        compared([], profile(encode=600, join=400))
