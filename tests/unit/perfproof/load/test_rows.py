"""The rows file and percentiles."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

import numpy as np
import pytest

from perfproof.errors import LoadError
from perfproof.load.plan import LoadPlan
from perfproof.load.rows import NoAnswer, Rows, make_rows, percentile, read_rows, write_rows

HEADER = "intended_start,start,end,status,transaction,ok\n"


def test_rows_survive_their_file(plan: LoadPlan, rows_of: Callable[..., Rows]) -> None:
    """Dropped rows included, and the same rows give the same bytes."""
    rows = rows_of(plan, status=lambda due: -1 if due > 10 else 200)
    data = write_rows(rows)
    again = read_rows(data, where="rows")
    assert write_rows(again) == data == write_rows(rows)
    for name in ("intended_start", "start", "end"):
        assert np.array_equal(getattr(again, name), getattr(rows, name), equal_nan=True)
    assert again.transaction.tolist() == rows.transaction.tolist()
    assert again.ok.tolist() == rows.ok.tolist()
    assert (~again.sent).sum() == (rows.status == NoAnswer.DROPPED).sum() > 0


def test_a_hostile_transaction_name_stays_one_field() -> None:
    """Commas, quotes and line breaks."""
    name = 'a,"b\n=1+1'
    rows = make_rows(intended_start=[0], start=[0], end=[1], status=[200], transaction=[name])
    assert read_rows(write_rows(rows), where="rows").transaction.tolist() == [name]


def test_no_rows_are_rows() -> None:
    """A test that was stopped before its first request."""
    assert len(read_rows(write_rows(make_rows(intended_start=[], start=[], end=[], status=[], transaction=[])), where="rows")) == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "LOD-421"),
        ("start,end\n", "LOD-421"),
        (HEADER + "0,0,1,200,a\n", "LOD-422"),
        (HEADER + "0,0,1,200,a,0\n", "LOD-422"),
        (HEADER + "0,0,1,500,a,1\n", "LOD-422"),
        (HEADER + "0,1,0.5,200,a,1\n", "LOD-422"),
        (HEADER + "1,0,2,200,a,1\n", "LOD-422"),
        (HEADER + "0,,1,200,a,1\n", "LOD-422"),
        (HEADER + "0,nan,1,200,a,1\n", "LOD-422"),
        (HEADER + "0,0,inf,200,a,1\n", "LOD-422"),
        (HEADER + "0,0,1,-1,a,0\n", "LOD-422"),
        (HEADER + "0,0,1,-9,a,0\n", "LOD-422"),
        (HEADER + "x,0,1,200,a,1\n", "LOD-422"),
        (HEADER + '0,0,1,200,"a,1\n', "LOD-421"),
    ],
)
def test_a_row_that_cannot_be_is_an_error(text: str, code: str) -> None:
    """A changed file does not pass for a measurement."""
    with pytest.raises(LoadError) as caught:
        read_rows(gzip.compress(text.encode()), where="rows")
    assert caught.value.code == code


@pytest.mark.parametrize("data", [b"", b"plain text", gzip.compress(HEADER.encode(), mtime=0)[:-9]])
def test_what_is_no_gzip_is_an_error(data: bytes) -> None:
    """Empty, plain or cut off."""
    with pytest.raises(LoadError) as caught:
        read_rows(data, where="rows")
    assert caught.value.code == "LOD-421"


def slow_percentile(values: list[float], percent: float) -> float:
    """The first value, in rising order, that enough of the values do not exceed."""
    return next(v for v in sorted(values) if 100 * sum(w <= v for w in values) >= percent * len(values) - 1e-9)


def test_percentiles_are_the_oracle_s() -> None:
    """Nearest rank by counting."""
    source = random.Random(3)
    for _ in range(300):
        values = [float(source.randrange(30)) for _ in range(source.randrange(1, 120))]
        for percent in (50, 95, 99):
            assert percentile(np.array(values), percent) == slow_percentile(values, percent)
    assert percentile(np.array([]), 95) is None


def test_latency_counts_from_the_intended_start() -> None:
    """A request that could only start 800 ms late was slow, whatever the service took then."""
    rows = make_rows(intended_start=[1.0], start=[1.8], end=[1.81], status=[200], transaction=["a"])
    assert rows.latency_ms[0] == pytest.approx(810)
    assert rows.service_time_ms[0] == pytest.approx(10)
