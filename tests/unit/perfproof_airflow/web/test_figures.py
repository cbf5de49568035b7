"""Figures, moments and durations as the pages write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from perfproof_airflow.web.figures import duration, figure, moment


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"), (True, "yes"), (0, "0"), (12345, "12\u202f345"), (81.3491, "81.35"), (0.000123456, "0.0001235"),
        (1234567.8, "1\u202f234\u202f568"),
        (float("nan"), "not a number"), (float("-inf"), "without a bound"), (float("inf"), "without a bound"), ("text", "text"),
    ],
)  # fmt: skip
def test_a_figure_has_four_digits_that_matter(value: Any, shown: str) -> None:
    """And a missing one is no zero."""
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "–"), (0, "0 s"), (59.6, "1 min 0 s"), (3661, "1 h 1 min"), (90_000, "1 d 1 h"), (float("nan"), "–"), (True, "–")],
)
def test_a_duration_is_said_in_two_units(seconds: Any, shown: str) -> None:
    """Nobody reads 90000 seconds."""
    assert duration(seconds) == shown


def test_a_moment_is_written_in_utc_for_people_and_machines() -> None:
    """From the log's stamps, from datetimes of any zone; nothing is a dash, and what is no moment is only text."""
    written = '<time datetime="2026-11-24T12:50:28+00:00">2026-11-24 12:50:28 UTC</time>'
    assert moment("2026-11-24T12:50:28.377Z") == written
    assert moment(datetime(2026, 11, 24, 12, 50, 28, tzinfo=UTC)) == written
    assert moment("2026-11-24T13:50:28+01:00") == written
    assert moment(None) == "–"
    assert moment("2026-11-24T12:50:28") == "2026-11-24T12:50:28"
    assert moment('<b onclick="x">\u202e') == "&lt;b onclick=&#34;x&#34;&gt;\\u202e"
