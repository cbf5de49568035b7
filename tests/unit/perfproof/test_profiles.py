"""Profiles: collapsed stacks, normalising, merging, hot functions and paths."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from perfproof.errors import ProfileError
from perfproof.profile_formats.collapsed import collapsed, parse_collapsed
from perfproof.profile_formats.stacks import CUT, MAX_DEPTH
from perfproof.profiles import (
    Profile,
    Weight,
    hot_functions,
    hot_paths,
    merge,
    normalise,
    own_weights,
    total_weights,
)


def profile(text: str) -> Profile:
    return parse_collapsed(text, where="test")


def test_equal_stacks_are_added_up() -> None:
    """Two lines of the same stack are one stack with the sum of their samples."""
    assert profile("a;b 2\na;b 3\na 1\n").stacks == {("a", "b"): 5, ("a",): 1}


def test_an_empty_text_has_no_samples() -> None:
    """A profiler that saw nothing gives a profile of 0 samples, which the caller judges."""
    assert profile("\n \n").samples == 0


@pytest.mark.parametrize("line", ["a;b", "a;b -3", "a;b 1.5", "a;b x", "3", "a;b 9999999999999999"])
def test_a_line_that_is_no_stack_is_refused_with_its_number(line: str) -> None:
    """The error names the line, so that the file can be looked at."""
    with pytest.raises(ProfileError, match="line 2"):
        profile(f"a 1\n{line}\n")


def test_samples_without_a_stack_are_counted_apart() -> None:
    """A profiler that reads a stack while it changes may write none: a sample of nothing known."""
    parsed = profile("a 5\n 2\n; 1\n")
    assert (parsed.samples, parsed.unread) == (5, 3)
    assert normalise(parsed).unread == 3


def test_control_characters_are_made_visible() -> None:
    """A frame name from a hostile process cannot carry terminal escapes or line ends."""
    (stack,) = profile("a\x1b[31m;b\u2028c 1").stacks
    assert stack == ("a\\x1b[31m", "b\\u2028c")


def test_very_deep_stacks_are_cut_and_say_so() -> None:
    """Unbounded recursion does not make an unbounded document."""
    (stack,) = profile(";".join(["f"] * 5000) + " 1").stacks
    assert len(stack) == MAX_DEPTH + 1
    assert stack[-1] == CUT


def test_collapsed_is_the_inverse_of_parse() -> None:
    """Writing and reading a profile gives the same profile, in a fixed order."""
    text = "a 1\na;b 5\na;c d (x.py:3) 2\n"
    assert collapsed(profile(text)) == text


def test_normalising_drops_lines_threads_and_waiting_samples() -> None:
    """Profiles of two builds compare by function; a thread in Condition.wait is no CPU time, but it is counted."""
    raw = profile(
        "thread (0x7F00): MainThread;run (app.py:10);work (app.py:20) 4\n"
        "run (app.py:11);work (app.py:21) 6\n"
        "run (app.py:12);Condition.wait (threading.py:327) 90\n"
    )
    normal = normalise(raw)
    assert normal.waiting == 90
    assert ("run (app.py)", "work (app.py)") in normal.stacks
    assert normal.stacks[("run (app.py)", "work (app.py)")] >= 6


def test_own_and_total_shares_match_a_slow_count() -> None:
    """Every share equals the one counted sample by sample, recursion counting once."""
    draw = random.Random(18)
    stacks: Counter[tuple[str, ...]] = Counter()
    for _ in range(300):
        stacks[tuple(draw.choices("abcdef", k=draw.randint(1, 6)))] += draw.randint(1, 9)
    samples = [stack for stack, count in stacks.items() for _ in range(count)]
    for hot in hot_functions(Profile(stacks), limit=100):
        assert hot.own == pytest.approx(sum(s[-1] == hot.function for s in samples) / len(samples))
        assert hot.total == pytest.approx(sum(hot.function in s for s in samples) / len(samples))


def test_functions_that_only_pass_the_call_on_are_left_out() -> None:
    """The server's outer frames are in every sample and would fill the list; the function where time divides is in it."""
    hot = {
        h.function: h for h in hot_functions(profile("serve;handle;quote;parse 40\nserve;handle;quote;match 30\nserve;handle;list 30\n"))
    }
    assert "serve" not in hot
    assert "handle" not in hot
    assert hot["quote"].own == 0
    assert hot["quote"].total == pytest.approx(0.7)
    assert next(iter(hot)) == "parse"


def test_hot_paths_end_where_no_callee_is_large() -> None:
    """Each branch with a large share is one path, the largest first, down to where its time divides."""
    paths = hot_paths(
        profile("s;quote;compile;a 15\ns;quote;compile;b 15\ns;quote;compile;c 15\ns;orders;fetch 35\ns;other 20\n"), share=0.3
    )
    assert [[name for name, _ in p.frames] for p in paths] == [["s", "quote", "compile"], ["s", "orders", "fetch"]]
    assert paths[0].function == "compile"
    assert paths[0].share == pytest.approx(0.45)
    assert paths[1].own == pytest.approx(0.35)


def test_a_flat_profile_has_no_deep_path() -> None:
    """When the time divides into small parts at once, the only path is the outermost frame itself."""
    flat = profile("".join(f"s;f{i} 5\n" for i in range(20)))
    (path,) = hot_paths(flat, share=0.2)
    assert path.function == "s"
    assert hot_paths(Profile({}), share=0.2) == ()


def test_recursion_does_not_lengthen_totals() -> None:
    """A function that calls itself is counted once a sample."""
    assert total_weights(profile("a;a;a 7\n")) == {"a": 7}


def test_merging_is_commutative_and_adds_up() -> None:
    """The order of profiles does not matter, and no weight is lost; unlike weights are refused."""
    one, two = profile("a;b 2\na 1\n 4\n"), profile("a;b 3\nc 7\n")
    merged = merge([one, two], where="test")
    assert merged == merge([two, one], where="test")
    assert merged.stacks == {("a", "b"): 5, ("a",): 1, ("c",): 7}
    assert (merged.total, merged.unread) == (one.total + two.total, 4)
    with pytest.raises(ProfileError, match="PRO-103"):
        merge([one, Profile({("a",): 1}, weight=Weight.BYTES)], where="test")
    with pytest.raises(ProfileError, match="PRO-103"):
        merge([], where="test")


def test_own_shares_add_up_to_one() -> None:
    """Every sample has exactly one innermost function, whatever the profile."""
    draw = random.Random(3)
    for _ in range(50):
        stacks = {tuple(draw.choices("abcdef", k=draw.randint(1, 6))): draw.randint(1, 10**6) for _ in range(20)}
        made = Profile(stacks, weight=Weight.BYTES)
        assert sum(own_weights(made).values()) == made.total
        assert all(own_weights(made)[f] <= total <= made.total for f, total in total_weights(made).items())


def test_samples_behind_other_weights_shrink_with_what_is_dropped() -> None:
    """Half of the time was waiting: half of the samples are left."""
    made = Profile({("a",): 500, ("wait (threading.py)",): 500}, weight=Weight.NANOSECONDS, observed=80.0)
    assert normalise(made).samples == 40
    assert normalise(made).waiting == 500


def test_amounts_are_written_in_their_unit() -> None:
    """Seconds, MiB and counts."""
    assert Profile({("a",): 3 << 20}, weight=Weight.BYTES).amount == "3 MiB"
    assert Profile({("a",): 2_500_000_000}, weight=Weight.NANOSECONDS).amount == "2.5 s"
    assert Profile({("a",): 7}).amount == "7 samples"
