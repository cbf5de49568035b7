"""Flame graphs: valid XML, widths that are shares, no script, the same bytes, limits."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from perfproof.differential_flame_graph import differential_flame_graph
from perfproof.flame_graph import MAX_FRAMES, WIDTH, flame_graph
from perfproof.profiles import Profile

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "</text><script>alert(1)</script>\"'&\x07\ufffe;"


def boxes(svg: str) -> dict[str, tuple[float, float, float]]:
    """Tooltip to (left, top, width) of every frame."""
    root = ET.fromstring(svg)  # noqa: S314
    found = {}
    for group in root.iter(f"{SVG}g"):
        title, rectangle = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        if title is not None and rectangle is not None:
            found[title.text or ""] = tuple(float(rectangle.attrib[k]) for k in ("x", "y", "width"))
    return found  # type: ignore[return-value]


def test_width_is_the_share_of_samples() -> None:
    """A frame in a quarter of the samples is a quarter of the graph wide, and stands above its caller."""
    found = boxes(flame_graph(Profile({("main", "a"): 75, ("main", "b"): 25}), title="t"))
    assert found["b: 25.0 %"][2] == pytest.approx(WIDTH / 4, abs=0.5)
    assert found["a: 75.0 %"][1] < found["main: 100.0 %"][1]
    assert found["b: 25.0 %"][0] >= found["a: 75.0 %"][0] + found["a: 75.0 %"][2]


def test_children_lie_within_their_caller() -> None:
    """No frame sticks out of the frame it stands on."""
    found = boxes(flame_graph(Profile({("m", "x", "p"): 3, ("m", "x", "q"): 2, ("m", "y"): 5}), title="t"))
    x = next(v for k, v in found.items() if k.startswith("x"))
    for name in ("p", "q"):
        box = next(v for k, v in found.items() if k.startswith(name))
        assert x[0] <= box[0]
        assert box[0] + box[2] <= x[0] + x[2] + 0.5


def test_hostile_names_stay_text() -> None:
    """Markup, quotes, control characters and non-characters of a frame name cannot leave their text node."""
    svg = flame_graph(Profile({(NASTY, "b"): 9}), title=NASTY)
    root = ET.fromstring(svg)  # noqa: S314
    assert not [e for e in root.iter() if e.tag.endswith("script")]
    assert "<script" not in svg
    assert not re.search(r"\son[a-z]+=", svg)
    assert "href" not in svg


def test_lone_surrogates_do_not_break_the_file() -> None:
    """A name that is not valid Unicode is drawn with a replacement, and the file can be written."""
    flame_graph(Profile({("\udc80x",): 1}), title="t").encode("utf-8")


def test_the_same_profile_gives_the_same_bytes() -> None:
    """Order of insertion does not matter."""
    one = Profile({("m", "a"): 1, ("m", "b"): 2})
    two = Profile({("m", "b"): 2, ("m", "a"): 1})
    assert flame_graph(one, title="t") == flame_graph(two, title="t")


def test_difference_colours_growth_red_and_shrinkage_blue() -> None:
    """Red channel dominates what grew, blue what shrank; what is gone stays visible."""
    svg = differential_flame_graph(Profile({("m", "gone"): 50, ("m", "kept"): 50}), Profile({("m", "kept"): 100}), title="t")
    found = boxes(svg)
    assert found["gone: 50.0 % before, 0.0 % after (-50.0 points)"][2] == pytest.approx(WIDTH / 4, abs=0.5)
    fills = dict(re.findall(r"<g><title>(\w+):[^<]*</title><rect [^>]*fill=\"#(\w+)\"", svg))
    assert fills["gone"].endswith("f5")
    assert fills["kept"].startswith("f5")
    assert fills["m"] == "f5f5f5"


def test_a_difference_is_safe_and_always_the_same() -> None:
    """Hostile names stay text, the order of insertion does not matter, there is no script, and a side may be empty."""
    one, two = Profile({(NASTY, "b"): 9, ("c",): 1}), Profile({("c",): 4, (NASTY, "b"): 2})
    svg = differential_flame_graph(one, two, title=NASTY)
    ET.fromstring(svg)  # noqa: S314
    assert "<script" not in svg
    assert svg == differential_flame_graph(Profile({("c",): 1, (NASTY, "b"): 9}), two, title=NASTY)
    assert "0 samples after" in differential_flame_graph(one, Profile({}), title="t")


def test_swapping_the_sides_swaps_the_colours() -> None:
    """What is red from a to b is blue from b to a, at the same place and width."""
    one, two = Profile({("m", "x"): 30, ("m", "y"): 70}), Profile({("m", "x"): 60, ("m", "y"): 40})
    there, back = differential_flame_graph(one, two, title="t"), differential_flame_graph(two, one, title="t")
    fill = re.compile(r'<title>(\w+): [^<]*</title><rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="16" fill="#(\w+)"')
    assert [m[:3] for m in fill.findall(there)] == [m[:3] for m in fill.findall(back)]
    for (name, *_, red), (_, *_, blue) in zip(fill.findall(there), fill.findall(back), strict=True):
        if name in "xy":
            assert red != blue
            assert (red[:2], red[4:]) == (blue[4:], blue[:2])


def test_an_empty_profile_is_drawn_as_such() -> None:
    """No samples is a graph that says 0 samples, not a division by zero."""
    assert "0 samples" in flame_graph(Profile({}), title="t")


def test_huge_profiles_are_limited_and_say_so() -> None:
    """Very many and very deep frames are cut, and the caption counts what is missing."""
    wide = Profile({("m", f"f{i}", f"g{i}"): 1 for i in range(3000)} | {("m", *(f"d{i}" for i in range(300))): 3000})
    svg = flame_graph(wide, title="t")
    assert svg.count("<rect") <= MAX_FRAMES + 1
    assert "not drawn" in svg
    assert len(svg) < 2_000_000
