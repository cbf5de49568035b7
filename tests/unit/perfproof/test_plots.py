"""Plots: honest about what is missing, safe with names of others, the same bytes for the same figures."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest

from perfproof.plots import blocks_plot, load_plot
from perfproof.report.svg import inline_svg

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
