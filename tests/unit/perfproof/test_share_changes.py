"""Changes of shares: intervals of counting, Welch's test over profiles, and how often the same program alarms."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from perfproof.share_changes import Change, ShareChange, Side, changes_of

LETTERS = "abcdefgh"


def side(*counts: dict[str, int], known: bool = True) -> Side:
    """Profiles by samples per function."""
    totals = [sum(one.values()) for one in counts]
    shares = tuple({f: n / total for f, n in one.items()} for one, total in zip(counts, totals, strict=True))
    return Side(shares, tuple(total if known else 0 for total in totals))


def drawn(draw: random.Random, n: int = 400) -> dict[str, int]:
    return dict(Counter(draw.choices(LETTERS, weights=range(1, 9), k=n)))


def names(changes: tuple[ShareChange, ...]) -> dict[str, Change]:
    return {c.function: c.change for c in changes}


def test_new_gone_grown_and_shrunk_are_told_apart() -> None:
    """Shares, not counts, are compared: twice the samples is no growth."""
    before = {"old": 500, "big": 400, "small": 100}
    after = {"new": 1000, "big": 200, "small": 800}
    expected = {"old": Change.GONE, "new": Change.NEW, "big": Change.SHRUNK, "small": Change.GROWN}
    assert names(changes_of(side(before), side(after), least=0.005)) == expected


def test_a_difference_within_counting_noise_is_no_change() -> None:
    """40 and 45 of 100 samples do not differ; 4,000 and 4,500 of 10,000 do."""
    few = names(changes_of(side({"a": 40, "b": 60}), side({"a": 45, "b": 55}), least=0.005))
    many = names(changes_of(side({"a": 4000, "b": 6000}), side({"a": 4500, "b": 5500}), least=0.005))
    assert few == {"a": Change.UNCHANGED, "b": Change.UNCHANGED}
    assert many == {"a": Change.GROWN, "b": Change.SHRUNK}


def test_without_the_number_of_samples_nothing_is_claimed() -> None:
    """The difference is shown, its error is not known, and no name is given to it."""
    for one in changes_of(side({"a": 90, "b": 10}, known=False), side({"a": 10, "b": 90}), least=0.005):
        assert (one.low, one.high, one.p, one.change) == (None, None, None, Change.UNKNOWN)


@pytest.mark.parametrize("profiles", [1, 3])
@pytest.mark.parametrize("known", [True, False])
def test_swapping_the_sides_negates_the_answer(profiles: int, known: bool) -> None:
    """after - before turns its sign, the interval its ends, grown becomes shrunk and new becomes gone."""
    turned = {Change.NEW: Change.GONE, Change.GROWN: Change.SHRUNK, Change.GONE: Change.NEW, Change.SHRUNK: Change.GROWN}
    draw = random.Random(4)
    for _ in range(30):
        one = side(*({"a": draw.randint(1, 300), "b": draw.randint(0, 300), "c": 100} for _ in range(profiles)), known=known)
        two = side(*({"a": draw.randint(0, 300), "c": draw.randint(1, 300), "d": 50} for _ in range(profiles)), known=known)
        there = {c.function: c for c in changes_of(one, two, least=0.005)}
        for back in changes_of(two, one, least=0.005):
            other = there[back.function]
            assert (back.before, back.after) == (other.after, other.before)
            assert back.change is turned.get(other.change, other.change)
            assert back.p == pytest.approx(other.p) if other.p is not None else back.p is None
            if back.low is not None and back.high is not None:
                assert other.low == pytest.approx(-back.high)
                assert other.high == pytest.approx(-back.low)


def test_several_profiles_are_tested_as_welch_did() -> None:
    """Where the profiles differ more than counting does, p and interval are scipy's."""
    from scipy.stats import false_discovery_control, ttest_ind

    draw = random.Random(6)
    one = [{"a": draw.randint(100, 900), "b": draw.randint(100, 900), "c": 100} for _ in range(5)]
    two = [{"a": draw.randint(100, 900), "b": draw.randint(100, 900), "c": 100} for _ in range(4)]
    found = {c.function: c for c in changes_of(side(*one, known=False), side(*two, known=False), least=0.0)}
    values = {f: [[n[f] / sum(n.values()) for n in counts] for counts in (one, two)] for f in "abc"}
    slow = {f: ttest_ind(after, before, equal_var=False) for f, (before, after) in values.items()}
    adjusted = dict(zip("abc", false_discovery_control([slow[f].pvalue for f in "abc"]), strict=True))
    for function in "abc":
        interval = slow[function].confidence_interval(0.95)
        assert found[function].p == pytest.approx(adjusted[function])
        assert found[function].low == pytest.approx(interval.low)
        assert found[function].high == pytest.approx(interval.high)


def test_profiles_that_agree_by_luck_do_not_prove_more_than_counting_can() -> None:
    """Two profiles of 20 samples with exactly 8 and 9 of a function are no difference without error."""
    found = changes_of(side({"a": 8, "b": 12}, {"a": 8, "b": 12}), side({"a": 9, "b": 11}, {"a": 9, "b": 11}), least=0.005)
    assert set(names(found).values()) == {Change.UNCHANGED}


@pytest.mark.parametrize("profiles", [1, 3])
def test_the_same_program_rarely_alarms(profiles: int) -> None:
    """Samplings of one distribution are called changed in well under 2 percent of the functions."""
    draw = random.Random(7)
    alarms = functions = 0
    for _ in range(150):
        one, two = (side(*(drawn(draw) for _ in range(profiles))) for _ in range(2))
        changes = changes_of(one, two, least=0.005)
        functions += len(changes)
        alarms += sum(c.change is not Change.UNCHANGED for c in changes)
    assert functions > 1000
    assert alarms / functions < 0.02


def test_several_profiles_find_a_change_that_is_there() -> None:
    """Five profiles a side of 400 samples show that a function fell from 22 to 12 percent."""
    draw = random.Random(8)
    before = side(*(drawn(draw) for _ in range(5)))
    after = side(*(dict(Counter(draw.choices(LETTERS, weights=(1, 2, 3, 4, 5, 6, 7, 3.5), k=400))) for _ in range(5)))
    assert names(changes_of(before, after, least=0.005))["h"] is Change.SHRUNK
