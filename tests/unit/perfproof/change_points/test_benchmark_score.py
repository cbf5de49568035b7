"""The benchmark's own counting: a score that flatters would be worse than none."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from modules import load

BENCH = Path(__file__).parents[4] / "bench"


@pytest.fixture(scope="module")
def labelled() -> ModuleType:
    """bench/labelled.py, which is no package."""
    return load("bench_labelled", BENCH / "labelled.py")


def test_one_answer_explains_one_label(labelled: ModuleType) -> None:
    """Two labels near one answer: one is missed. Two answers near one label: one is extra."""
    data = labelled.Labelled({"a": [], "b": [], "c": []}, {"a": [50, 53], "b": [50], "c": []})
    score = labelled.score({"a": [52], "b": [46, 54], "c": [7]}, data)
    assert (score.labels, score.found, score.extra) == (3, 2, 2)
    assert (score.unchanged, score.alarmed) == (1, 1)
    assert score.f1 == pytest.approx(2 * 2 / (4 + 2 + 1))


def test_beyond_the_margin_is_missed(labelled: ModuleType) -> None:
    """Five away counts, six does not."""
    data = labelled.Labelled({"a": []}, {"a": [50]})
    assert labelled.score({"a": [55]}, data).found == 1
    assert labelled.score({"a": [56]}, data).found == 0


@pytest.mark.parametrize(
    ("answers", "labels", "expected"),
    [
        ([], [], 1.0),
        ([5], [5], 1.0),
        # The segments 0-5 and 5-10 each overlap the whole by half.
        ([], [5], 0.5),
        # 0-10 is best covered by 0-5 or 5-10, by half.
        ([5], [], 0.5),
        # 0-5 by 0-4: 4/5; 5-10 by 4-10: 5/6.
        ([4], [5], (5 * 4 / 5 + 5 * 5 / 6) / 10),
    ],
)
def test_the_covering_weighs_the_best_overlap(labelled: ModuleType, answers: list[int], labels: list[int], expected: float) -> None:
    """Of ten values, computed by hand."""
    assert labelled.covering(answers, labels, length=10) == pytest.approx(expected)


def test_both_layouts_are_read(labelled: ModuleType, tmp_path: Path) -> None:
    """Labels count from 0 and name the first value of the new regime."""
    (tmp_path / "series.json").write_text(json.dumps({"x": [1, None, 3], "y": [1]}))
    (tmp_path / "labels.json").write_text(json.dumps({"x": [2]}))
    assert labelled.read_labelled(tmp_path).labels == {"x": [2], "y": []}
    other = tmp_path / "other"
    (other / "data").mkdir(parents=True)
    (other / "metadata").mkdir()
    (other / "data" / "0.csv").write_text("Index,GHC,Measurement\n1,1,10\n2,1,10\n3,2,20\n")
    (other / "metadata" / "dataset_details.csv").write_text("Type;Dataset;Change Point\nregression;0.csv;2\n")
    read = labelled.read_labelled(other)
    assert read.series["0.csv"][read.labels["0.csv"][0]] == 20
    with pytest.raises(ValueError, match="neither"):
        labelled.read_labelled(tmp_path / "other" / "data")
