"""Plots: honest about what is missing, safe with names of others, the same bytes for the same figures."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest

from perfproof.plots import blocks_plot, load_plot
from perfproof.report.svg import inline_svg
from perfproof.report_plots import intervals_plot, load_curve_plot

HOSTILE = "$\\frac{1}{0}$ <script>x</script> & \x1b[31m \x00 \ud800 " + "long " * 50


def words(svg: bytes) -> str:
    root = ET.fromstring(svg)  # noqa: S314  a picture that this test has just drawn
    return " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text"))


def load(name: str, *latency: float | None) -> dict[str, object]:
    return {"scenario": name, "latency": dict(zip(("p50", "p95", "p99"), latency, strict=True))}


def test_the_same_figures_give_the_same_bytes() -> None:
    """Plots are evidence with a digest."""
    first, second = (blocks_plot(metric="p95", unit="ms", before=[3.0, 4.0], after=[1.0, 2.0]) for _ in range(2))
    assert first == second
    assert load_plot([load("peak", 1.0, 2.0, 3.0)], limit_p95=250) == load_plot([load("peak", 1.0, 2.0, 3.0)], limit_p95=250)


def test_the_median_of_an_even_number_of_blocks_is_their_middle() -> None:
    """As the judge's: 1 and 3 have the median 2."""
    assert "baseline, median 2 " in words(blocks_plot(metric="p95", unit="ms", before=[1.0, 3.0], after=[5.0])) + " "


def test_blocks_without_a_value_are_left_out() -> None:
    """None and NaN are no zero."""
    shown = words(blocks_plot(metric="p95", unit="ms", before=[None, 4.0, math.nan], after=[2.0]))
    assert "baseline, median 4" in shown and "candidate, median 2" in shown


@pytest.mark.parametrize("values", [[], [None, None]])
def test_no_blocks_are_said(values: list[float | None]) -> None:
    """An empty plot says why."""
    assert "no block has a value" in words(blocks_plot(metric="p95", unit="ms", before=values, after=[]))


def test_percentiles_without_enough_samples_have_no_mark() -> None:
    """A missing percentile is no latency of zero, whether it is None, missing or the whole part is."""
    shown = load_plot([load("peak", 40.0, 126.0, None), {"scenario": "failure", "latency": None}, {"scenario": "stress"}], limit_p95=250)
    assert "p95" in words(shown) and "p99" not in words(shown) and "failure" in words(shown)
    assert "target of p95: 250 ms" in words(shown)


@pytest.mark.parametrize("scenarios", [[], [{"scenario": "peak", "latency": {}}], [load("peak", None, None, None)]])
def test_no_latency_is_said(scenarios: list[dict[str, object]]) -> None:
    """Without any percentile there is no axis to read."""
    assert "no scenario has a latency" in words(load_plot(scenarios, limit_p95=None))


def test_a_latency_of_zero_is_drawn_on_a_linear_axis() -> None:
    """A logarithmic axis has no zero and would drop the mark."""
    drawn = load_plot([load("peak", 0.0, 1.0, 2.0)], limit_p95=None)
    assert re.search(r">0(\.0+)?<", drawn.decode())


def test_names_of_others_are_plain_text() -> None:
    """A dollar sign starts no formula, markup is escaped, and the picture passes the check of the report."""
    for drawn in (
        blocks_plot(metric=HOSTILE, unit=HOSTILE, before=[1.0], after=[2.0]),
        load_plot([load(HOSTILE, 1.0, 2.0, 3.0)], limit_p95=None),
    ):
        assert "\\frac" in words(drawn) and "<script" not in drawn.decode() and b"\x1b" not in drawn
        assert inline_svg(drawn, prefix="p1-") is not None


def lines(svg: bytes) -> list[str]:
    """The texts of a picture, one for each line."""
    return [str(one.text) for one in ET.fromstring(svg).iter() if one.tag.endswith("}text")]  # noqa: S314  a picture of this test


LONG = "checkout_service_orders_history_latency_p99_production"


def test_a_long_metric_stands_on_two_lines_beside_its_interval() -> None:
    """Not cut before its end says which metric it is, and not so long that the plot has no room."""
    shown = lines(intervals_plot([{"name": LONG, "value": 3.0, "low": 1.0, "high": 4.0, "limit": None}, {"name": "rss", "value": 1.0}]))
    first = next(text for text in shown if text.startswith("checkout"))
    assert first + shown[shown.index(first) + 1] == LONG and "rss" in shown
    assert all(len(text) <= 70 for text in shown)


def test_a_name_without_separators_is_broken_anyway_and_its_rest_is_marked_as_cut() -> None:
    """Ninety letters: thirty, twenty-nine and an ellipsis."""
    shown = lines(intervals_plot([{"name": "x" * 90, "value": 3.0}]))
    assert "x" * 30 in shown and "x" * 29 + "…" in shown


def test_scenarios_with_long_names_stand_side_by_side() -> None:
    """No label is wider than the part of the axis that it has."""
    shown = lines(load_plot([load(f"a scenario with a long name {place}", 1.0, 2.0, 3.0) for place in range(6)], limit_p95=None))
    assert all(len(text) <= 9 for text in shown if text.startswith(("a scen", "with")))


def test_a_long_metric_stands_above_the_plot_of_its_blocks() -> None:
    """Turned beside the axis it would be longer than the axis."""
    shown = lines(blocks_plot(metric=LONG, unit="ms", before=[1.0], after=[2.0]))
    assert LONG in shown and "ms" in shown


def test_a_logarithmic_axis_has_figures_to_read() -> None:
    """From 120 to 800 ms there is no power of ten at all."""
    shown = lines(load_plot([load("peak", 120.0, 300.0, 800.0)], limit_p95=None))
    assert {"200", "500"} <= set(shown)


def test_the_legend_of_a_load_curve_is_not_in_the_plot() -> None:
    """Below both axes: where lines run cannot be foreseen."""
    drawn = load_curve_plot(
        [{"rate": 10, "p95": 20.0, "throughput": 10}, {"rate": 20, "p95": 900.0, "throughput": 15}], target_rate=15, highest_good=10
    )
    places = {str(one.text): one.attrib for one in ET.fromstring(drawn).iter() if one.tag.endswith("}text")}  # noqa: S314  of this test
    heights = {name: float(where["y"]) for name, where in places.items()}
    assert all(heights[name] > heights["offered (requests/s)"] for name in ("p95", "to be carried", "answered", "highest within targets"))
