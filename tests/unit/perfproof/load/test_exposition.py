"""Metrics as an endpoint shows them."""

from __future__ import annotations

import pytest

from perfproof.errors import LoadError
from perfproof.load.exposition import series_sums


def test_series_are_summed_over_their_labels() -> None:
    """Braces, quotes and spaces in labels, timestamps and exemplars are no values."""
    text = r"""# HELP a_total Something {with} braces
# TYPE a_total counter
a_total{route="orders",note="} 9 \" {"} 2
a_total{route="quote"} 3.5 1700000000
b_bucket{le="+Inf"} 7 # {trace_id="x"} 0.5
process_cpu_seconds_total 1e1
"""
    assert series_sums(text.encode(), where="m") == {"a_total": 5.5, "b_bucket": 7.0, "process_cpu_seconds_total": 10.0}


def test_a_series_with_a_value_that_is_no_number_is_not_shown() -> None:
    """Missing is told apart from zero."""
    assert series_sums(b'a 1\nb{x="1"} NaN\nc +Inf\nb{x="2"} 3\n', where="m") == {"a": 1.0}


@pytest.mark.parametrize("data", [b"", b"# only comments\n", b"<html>login</html>", b"a\n", b"a{b 1\n", b"\xff\xfe", b"a one\n"])
def test_what_is_no_metrics_text_is_an_error(data: bytes) -> None:
    """A login page with status 200 is the usual one."""
    with pytest.raises(LoadError) as caught:
        series_sums(data, where="m")
    assert caught.value.code == "LOD-321"
