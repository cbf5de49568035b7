"""speedscope's JSON: sampled and evented, real and hostile."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import ProfileError
from perfproof.profile_formats.content import Format, read_profile
from perfproof.profiles import Profile, Weight, hot_functions, normalise

FIXTURES = Path(__file__).parents[3] / "fixtures" / "profiles"
SAMPLED: dict[str, Any] = {
    "shared": {"frames": [{"name": "main"}, {"name": "work", "file": "app.py", "line": 7}, {"name": "rest"}]},
    "profiles": [
        {
            "type": "sampled", "name": "one", "unit": "seconds", "startValue": 0, "endValue": 1,
            "samples": [[0, 1], [0, 1], [0, 2], []], "weights": [0.01, 0.01, 0.01, 0.01],
        }
    ],
}  # fmt: skip
EVENTED: dict[str, Any] = {
    "shared": SAMPLED["shared"],
    "profiles": [
        {
            "type": "evented", "name": "one", "unit": "milliseconds", "startValue": 0, "endValue": 10,
            "events": [
                {"type": "O", "frame": 0, "at": 1}, {"type": "O", "frame": 1, "at": 2}, {"type": "C", "frame": 1, "at": 5},
                {"type": "C", "frame": 0, "at": 9},
            ],
        }
    ],
}  # fmt: skip


def read(document: Any) -> Profile:
    imported = read_profile(json.dumps(document).encode(), where="test")
    assert imported.form is Format.SPEEDSCOPE
    return imported.profile


def changed(document: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The document with other values in its only profile."""
    copied = copy.deepcopy(document)
    copied["profiles"][0] |= values
    return copied


def test_sampled_weights_are_added_up_and_their_samples_counted() -> None:
    """Three samples of 10 ms; the empty stack is a moment in which nothing ran."""
    profile = read(SAMPLED)
    assert profile.stacks == {("main", "work (app.py:7)"): 20_000_000, ("main", "rest"): 10_000_000}
    assert (profile.weight, profile.samples) == (Weight.NANOSECONDS, 3)


def test_unequal_weights_stand_for_fewer_samples() -> None:
    """One sample of 98 % of the weight is nearly the only one there is."""
    profile = read(changed(SAMPLED, weights=[0.98, 0.01, 0.01, 0]))
    assert profile.samples == 1


def test_evented_time_goes_to_the_stack_that_is_open() -> None:
    """main alone for 1 + 4 ms, work in it for 3; and no sampling error is claimed."""
    profile = read(EVENTED)
    assert profile.stacks == {("main",): 5_000_000, ("main", "work (app.py:7)"): 3_000_000}
    assert profile.samples == 0


def test_evented_self_times_match_a_slow_count() -> None:
    """Tick by tick over random nested calls: each tick belongs to the innermost open frame."""
    draw = random.Random(5)
    for _ in range(20):
        opened: list[int] = []
        events: list[dict[str, Any]] = []
        slow: Counter[tuple[str, ...]] = Counter()
        for tick in range(200):
            if opened and (draw.random() < 0.5 or len(opened) > 8):
                events.append({"type": "C", "frame": opened.pop(), "at": tick})
            else:
                opened.append(draw.randrange(3))
                events.append({"type": "O", "frame": opened[-1], "at": tick})
            if opened:
                slow[tuple("abc"[frame] for frame in opened)] += 1
        for extra, frame in enumerate(reversed(opened)):
            events.append({"type": "C", "frame": frame, "at": 200 + extra})
            if len(opened) - extra > 1:
                slow[tuple("abc"[f] for f in opened[: len(opened) - extra - 1])] += 1
        document = changed(EVENTED, events=events, unit="nanoseconds")
        document["shared"] = {"frames": [{"name": name} for name in "abc"]}
        assert read(document).stacks == slow


def test_threads_are_added_up() -> None:
    """Every profile of a file counts, in whatever order."""
    document = copy.deepcopy(SAMPLED)
    document["profiles"].append(changed(SAMPLED, samples=[[0]], weights=[0.5])["profiles"][0])
    turned = copy.deepcopy(document)
    turned["profiles"].reverse()
    assert read(document) == read(turned)
    assert read(document).total == 530_000_000


@pytest.mark.parametrize(
    "document",
    [
        changed(SAMPLED, weights=[0.01]),
        changed(SAMPLED, weights=[-1, 1, 1, 1]),
        changed(SAMPLED, weights=["1", 1, 1, 1]),
        changed(SAMPLED, weights=[True, 1, 1, 1]),
        changed(SAMPLED, samples=[[3], [], [], []]),
        changed(SAMPLED, samples=[[-1], [], [], []]),
        changed(SAMPLED, samples=[["0"], [], [], []]),
        changed(SAMPLED, samples="abcd"),
        changed(SAMPLED, unit="furlongs"),
        changed(SAMPLED, unit="none"),
        changed(SAMPLED, unit=None),
        changed(SAMPLED, type="other"),
        changed(SAMPLED, type=[]),
        changed(EVENTED, events=[{"type": "O", "frame": 0, "at": 1}]),
        changed(EVENTED, events=[{"type": "C", "frame": 0, "at": 1}]),
        changed(EVENTED, events=[{"type": "O", "frame": 0, "at": 2}, {"type": "C", "frame": 0, "at": 1}]),
        changed(EVENTED, events=[{"type": "O", "frame": 0, "at": 1}, {"type": "C", "frame": 1, "at": 2}]),
        changed(EVENTED, events=[{"type": "O", "frame": 0, "at": "1"}]),
        changed(EVENTED, startValue=None),
        {"shared": {"frames": [{"name": 1}]}, "profiles": SAMPLED["profiles"]},
        {"shared": {"frames": [{}]}, "profiles": SAMPLED["profiles"]},
        {"shared": {"frames": "main"}, "profiles": SAMPLED["profiles"]},
        {"shared": {"frames": [{"name": "a", "file": "b", "line": -1}]}, "profiles": SAMPLED["profiles"]},
        {"shared": SAMPLED["shared"], "profiles": []},
        {"shared": SAMPLED["shared"], "profiles": [1]},
        {"shared": None, "profiles": None},
        {"shared": SAMPLED["shared"], "profiles": [*SAMPLED["profiles"], *EVENTED["profiles"]]},
    ],
)
def test_what_is_not_whole_is_one_error(document: Any) -> None:
    """Wrong types, indices, weights, orders and mixed units are refused with their place."""
    with pytest.raises(ProfileError, match=r"PRO-211 test") as raised:
        read(document)
    assert "\n" not in str(raised.value)


def test_a_real_file_of_py_spy_says_what_its_collapsed_stacks_say() -> None:
    """The same program, 3 s at 100 Hz each: encode takes twice as long as join in both."""
    shares = []
    for name in ("py-spy-speedscope.json", "py-spy-raw.txt"):
        profile = normalise(read_profile((FIXTURES / name).read_bytes(), where=name).profile)
        assert profile.samples == 299
        shares.append({hot.function.partition(" ")[0]: hot.own for hot in hot_functions(profile)})
    for found in shares:
        assert found["encode"] == pytest.approx(2 / 3, abs=0.1)
        assert found["join"] == pytest.approx(1 / 3, abs=0.1)
