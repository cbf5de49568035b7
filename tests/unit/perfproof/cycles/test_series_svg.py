"""Pictures of series: well formed, escaped, and true to their numbers."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from perfproof.cycles.series_svg import pairs_svg, series_svg

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314  our own text


def test_each_value_is_a_dot_and_larger_is_higher() -> None:
    """The ordinate of a picture grows downwards."""
    dots = parsed(series_svg([1.0, 3.0, 2.0], title="t", unit="ms")).findall(f"{SVG}circle")
    heights = [-float(dot.attrib["cy"]) for dot in dots]
    assert heights[0] < heights[2] < heights[1]
    assert [float(d.attrib["cx"]) for d in dots] == sorted(float(d.attrib["cx"]) for d in dots)


def test_a_missing_value_breaks_the_line() -> None:
    """Nothing is drawn over a gap."""
    root = parsed(series_svg([1.0, None, 2.0, 3.0, math.nan], title="t", unit="ms"))
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert len(root.findall(f"{SVG}circle")) == 3


def test_a_change_is_a_line_before_its_value() -> None:
    """Between the value before and the first one after."""
    root = parsed(series_svg([1.0, 1.0, 9.0, 9.0], changes=[2], title="t", unit="ms"))
    (line,) = root.findall(f"{SVG}line")
    dots = [float(d.attrib["cx"]) for d in root.findall(f"{SVG}circle")]
    assert dots[1] < float(line.attrib["x1"]) < dots[2]


@pytest.mark.parametrize("values", [[], [None], [math.nan, math.inf]])
def test_without_a_value_the_picture_says_so(values: list[float | None]) -> None:
    """In its title, which a screen reader reads."""
    assert parsed(series_svg(values, title="t", unit="ms")).findtext(f"{SVG}title") == "t: no value"


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [-1e308, 1e308], [0.0, 5e-324]])
def test_every_place_is_inside_the_picture(values: list[float]) -> None:
    """One value, equal values, and a span that overflows."""
    for dot in parsed(series_svg(values, title="t", unit="ms")).findall(f"{SVG}circle"):
        assert 0 <= float(dot.attrib["cx"]) <= 640
        assert 0 <= float(dot.attrib["cy"]) <= 160


def test_hostile_text_stays_text() -> None:
    """In the title and in the unit."""
    for made in (
        series_svg([1.0], title="</title><script>x</script>\x00", unit='"><a href="javascript:x">'),
        pairs_svg([(1.0, 2.0)], title="</title><script>x</script>\x00", unit='"><a href="javascript:x">'),
    ):
        root = parsed(made)
        allowed = {"svg", "title", "circle", "polyline", "text", "line", "rect", "path"}
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed
        assert "<script" not in made


def test_promised_and_realized_are_bars_from_zero() -> None:
    """A loss hangs below, a missing figure has no bar."""
    root = parsed(pairs_svg([(20.0, 10.0), (None, -5.0)], title="t", unit="%"))
    bars = [(bar.attrib["class"], float(bar.attrib["y"]), float(bar.attrib["height"])) for bar in root.findall(f"{SVG}rect")]
    assert [name for name, _, _ in bars] == ["pp-promised", "pp-realized", "pp-realized"]
    zero = bars[0][1] + bars[0][2]
    assert bars[0][2] == pytest.approx(2 * bars[1][2], abs=0.2)
    assert bars[2][1] == pytest.approx(zero, abs=0.2)


def words(svg: str) -> list[str]:
    return [str(one.text) for one in parsed(svg).findall(f"{SVG}text")]


def test_one_value_has_one_figure_beside_its_dot_and_its_day_below() -> None:
    """The first cycle of a team: an axis that says the same figure at both ends would say nothing."""
    made = series_svg([81.8], title="t", unit="%", ends=("2026-11-24", "2026-11-24"))
    assert words(made) == ["%", "81.8", "2026-11-24"]
    figure = parsed(made).findall(f"{SVG}text")[1]
    (dot,) = parsed(made).findall(f"{SVG}circle")
    assert abs(float(figure.attrib["y"]) - float(dot.attrib["cy"])) < 6
    assert parsed(made).findtext(f"{SVG}title") == "t: 1 value, 81.8 %"


def test_figures_of_the_axis_are_told_apart_and_do_not_cover_each_other() -> None:
    """More digits where four are the same; no zero on top of a value beside it."""
    assert words(series_svg([100.001, 100.002], title="t", unit="ms"))[1:] == ["100.002", "100.001"]
    for values in ([-0.1, 100.0], [-50.0, 0.5], [-3.0, 4.0]):
        heights = [float(one.attrib["y"]) for one in parsed(series_svg(values, title="t", unit="ms")).findall(f"{SVG}text")[1:]]
        assert all(abs(a - b) >= 13 for place, a in enumerate(heights) for b in heights[:place])


def test_labels_end_before_the_plot_begins() -> None:
    """The longest figure with four digits; the unit stands above."""
    figures = parsed(series_svg([-1.234e-300, 1.234e300], title="t", unit="requests/s")).findall(f"{SVG}text")[1:]
    for one in figures:
        # Digits of a font of 11 are at most 7 wide.
        assert one.attrib["text-anchor"] == "end" and float(one.attrib["x"]) - 7 * len(str(one.text)) >= 0


@pytest.mark.parametrize("count", [2, 3, 40, 400])
def test_the_days_stand_below_the_first_and_the_last_value(count: int) -> None:
    """As far as the picture has room, and never beside each other's value."""
    root = parsed(series_svg([float(n) for n in range(count)], title="t", unit="ms", ends=("2026-11-01", "2026-11-24")))
    first, last = root.findall(f"{SVG}text")[-2:]
    dots = [float(dot.attrib["cx"]) for dot in root.findall(f"{SVG}circle")]
    assert (first.text, last.text) == ("2026-11-01", "2026-11-24")
    assert abs(float(first.attrib["x"]) - dots[0]) <= 40 and abs(float(last.attrib["x"]) - dots[-1]) <= 40
