"""Charts: well-formed, inside their frame, and text of others as text."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfproof.pages.charts import HEIGHT, WIDTH, Interval, Line, intervals_chart, lines_chart, number, sides_chart

HOSTILE = ("<script>alert(1)</script>", '"><b>', "\u202etxt", "\x00", "&", "]]>")
VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.none(), max_size=12)


def drawn(svg: str) -> ET.Element:
    """The picture as XML. AssertionError for an element, a style or a place that is not its own."""
    root = ET.fromstring(svg)  # noqa: S314  our own
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    for one in root.iter():
        assert one.tag.rpartition("}")[2] in {"svg", "title", "g", "line", "path", "polyline", "circle", "rect", "text"}
        assert not any(name == "style" or name.startswith("on") for name in one.attrib)
        for name, most in (
            ("x", width),
            ("x1", width),
            ("x2", width),
            ("cx", width),
            ("y", height),
            ("y1", height),
            ("y2", height),
            ("cy", height),
        ):
            place = float(one.attrib.get(name, 0))
            assert math.isfinite(place) and -10 <= place <= most + 10, (one.tag, name, place)
        for pair in one.attrib.get("points", "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= width and 0 <= y <= height
    return root


@given(before=VALUES, after=VALUES)
def test_blocks_of_both_sides_are_drawn_as_far_as_they_are_numbers(before: list[Any], after: list[Any]) -> None:
    """A dot for each value before, a square for each after; nothing at all without a value."""
    svg = sides_chart(before, after, title="p95", unit="ms")
    known = [[v for v in map(number, side) if v is not None] for side in (before, after)]
    if not any(known):
        assert svg is None
        return
    tags = [one.tag.rpartition("}")[2] for one in drawn(str(svg)).iter()]
    assert (tags.count("circle"), tags.count("rect")) == (len(known[0]), len(known[1]))


@settings(max_examples=40)
@given(points=st.lists(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True) | st.none()] * 2), max_size=12))
def test_lines_stay_inside_whatever_their_values(points: list[tuple[Any, Any]]) -> None:
    """Also where values span the whole range of numbers."""
    pairs = tuple((number(x), number(y)) for x, y in points)
    svg = lines_chart([Line("p50", "pp-a", pairs)], title="t", x_label="x", y_label="y")
    known = [pair for pair in pairs if None not in pair]
    assert (svg is None) is (len(known) < 2)
    if svg is not None:
        assert len(drawn(svg).findall(".//{*}circle")) == len(known)


def test_labels_of_lines_do_not_cover_each_other() -> None:
    """Three lines that end at the same place have three labels apart, all inside the picture."""
    lines = [Line(name, "pp-a", ((1.0, 1.0), (2.0, 5.0))) for name in ("p50", "p95", "p99")]
    root = drawn(str(lines_chart(lines, title="t", x_label="x", y_label="y")))
    heights = sorted(float(one.attrib["y"]) for one in root.iter() if one.text in ("p50", "p95", "p99"))
    assert all(after - before >= 13 for before, after in pairwise(heights))
    assert heights[0] > 0
    assert heights[-1] < HEIGHT


def test_an_open_interval_reaches_the_edge_without_an_end() -> None:
    """A bound that is not known has no tick; the limit is a dashed line of its own."""
    row = Interval("m", None, 5.0, 2.0, 10.0, "pp-good")
    root = drawn(str(intervals_chart([row], title="t", unit="percent")))
    bar = root.find(".//{*}g[@class='pp-good']")
    assert bar is not None
    assert len(bar.findall("{*}line")) == 2
    assert len(root.findall(".//{*}line[@class='pp-limit']")) == 1
    assert intervals_chart([Interval("m", None, None, None, None, "pp-open")], title="t", unit="u") is None


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_text(text: str) -> None:
    """In titles, axes, lines and rows."""
    line = Line(text, "pp-a", ((1.0, 1.0), (2.0, 2.0)))
    drawn(str(lines_chart([line], title=text, x_label=text, y_label=text)))
    drawn(str(sides_chart([1.0], [2.0], title=text, unit=text)))
    drawn(str(intervals_chart([Interval(text, 1.0, 2.0, 1.5, 1.0, "pp-good")], title=text, unit=text)))


def test_a_picture_says_in_words_what_it_is() -> None:
    """For those who do not see it."""
    root = drawn(str(sides_chart([1.0], [2.0], title="p95 of each block", unit="ms")))
    assert root.attrib["role"] == "img" and root.findtext("{*}title") == "p95 of each block"
    assert root.attrib["viewBox"].startswith(f"0 0 {WIDTH} ")


def texts(svg: str | None) -> list[ET.Element]:
    return [one for one in drawn(str(svg)).iter() if one.tag.endswith("}text")]


LONG = "checkout_service_orders_history_latency_p99"


def test_long_names_stand_on_two_lines_inside_the_picture() -> None:
    """Beside an interval and at the end of a line, with twelve units a letter at most seven wide."""
    intervals = intervals_chart([Interval(LONG, 1.0, 2.0, 1.5, None, "pp-good")], title="t", unit="%")
    lines = lines_chart([Line("highest within targets", "pp-a", ((1.0, 2.0), (2.0, 3.0)))], title="t", x_label="x", y_label="y")
    for svg, name in ((intervals, LONG), (lines, "highest within targets")):
        shown = texts(svg)
        place = next(at for at, one in enumerate(shown) if str(one.text) and name.startswith(str(one.text)) and len(str(one.text)) > 5)
        assert (str(shown[place].text) + str(shown[place + 1].text)).replace(" ", "") == name.replace(" ", "")
        for one in shown[place : place + 2]:
            x, width = float(one.attrib["x"]), 7 * len(str(one.text))
            assert (x - width >= -8) if one.attrib["text-anchor"] == "end" else (x + width <= WIDTH + 8)


def test_zero_is_named_on_the_axis_of_intervals() -> None:
    """Where better ends and worse begins; an end of the axis that is close to it gives way."""
    svg = intervals_chart([Interval("cpu", -98.3, 3.0, -40.0, 5.0, "pp-good")], title="t", unit="percent")
    shown = [one.text for one in texts(svg)]
    assert "0" in shown and "-98.3" in shown and "5" not in shown


def test_the_unit_of_a_height_is_above_the_lines() -> None:
    """The highest line of the grid would strike it through."""
    svg = lines_chart([Line("p50", "pp-a", ((1.0, 2.0), (2.0, 300.0)))], title="t", x_label="x", y_label="milliseconds")
    (unit,) = [one for one in texts(svg) if str(one.text).startswith("milliseconds")]
    highest = min(float(one.attrib["y1"]) for one in drawn(str(svg)).iter() if "y1" in one.attrib)
    assert float(unit.attrib["y"]) < highest - 3
