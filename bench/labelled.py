"""Series with labelled changes from a directory, and how well a list of answers fits the labels.

Two layouts: `series.json` {"id": [numbers]} with `labels.json` {"id": [first index of each new regime]}; or `data/*.csv` (column
Measurement) with `metadata/dataset_details.csv` (Type;Dataset;Change Point), as SAP's data set of performance regressions has them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

MARGIN = 5

Answers = Mapping[str, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Series by id, and the labelled indices of each."""

    series: dict[str, list[float]]
    labels: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Score:
    """Labels found within the margin, alarms that no label explains, series without a label that got an alarm, and the covering.

    The covering is the mean over the series, from 0 to 1.
    """

    labels: int
    found: int
    extra: int
    unchanged: int
    alarmed: int
    covering: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall over all series together; 1 if there is nothing to find and nothing was."""
        total = 2 * self.found + self.extra + self.labels - self.found
        return 2 * self.found / total if total else 1.0


def read_labelled(directory: Path) -> Labelled:
    """The labelled series of a directory. ValueError for another layout."""
    if (directory / "series.json").is_file():
        given = _json(directory / "series.json")
        series = {name: [float("nan") if v is None else float(v) for v in values] for name, values in given.items()}
        labels = _json(directory / "labels.json")
        return Labelled(series, {name: [int(at) for at in labels.get(name, [])] for name in series})
    details = directory / "metadata" / "dataset_details.csv"
    if not details.is_file():
        raise ValueError(f"{directory}: neither series.json nor metadata/dataset_details.csv")
    series, found = {}, {}
    with details.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter=";"):
            name, last = row["Dataset"], int(row["Change Point"])
            with (directory / "data" / name).open(newline="", encoding="utf-8") as data:
                series[name] = [float(line["Measurement"]) for line in csv.DictReader(data)]
            # The label is the last good value, counted from 1: counted from 0 that is the first bad one.
            found[name] = [last] if last else []
    return Labelled(series, found)


def score(answers: Answers, labelled: Labelled) -> Score:
    """How `answers` fit: each label is matched with at most one answer not further away than the margin, and the other way round."""
    found = extra = alarmed = 0
    for name, labels in labelled.labels.items():
        left = sorted(answers.get(name, []))
        alarmed += not labels and bool(left)
        for label in labels:
            near = [at for at in left if abs(at - label) <= MARGIN]
            if near:
                left.remove(min((abs(at - label), at) for at in near)[1])
                found += 1
        extra += len(left)
    total = sum(len(labels) for labels in labelled.labels.values())
    every = [covering(answers.get(name, []), labels, length=len(labelled.series[name])) for name, labels in labelled.labels.items()]
    unchanged = sum(1 for labels in labelled.labels.values() if not labels)
    return Score(total, found, extra, unchanged, alarmed, fmean(every) if every else 1.0)


def covering(answers: Sequence[int], labels: Sequence[int], *, length: int) -> float:
    """How well the segments that `answers` cut cover those of `labels`: for each the best overlap (Jaccard), weighted by length.

    Source: G. van den Burg and C. Williams, "An Evaluation of Change Point Detection Algorithms" (2020).
    """
    if not length:
        return 1.0
    cut = list(pairwise([0, *sorted({a for a in answers if 0 < a < length}), length]))
    total = 0.0
    for begin, end in pairwise([0, *sorted({a for a in labels if 0 < a < length}), length]):
        overlaps = (max(0, min(end, b) - max(begin, a)) / (max(end, b) - min(begin, a)) for a, b in cut)
        total += (end - begin) * max(overlaps)
    return total / length


def _json(path: Path) -> dict[str, list[float]]:
    document: dict[str, list[float]] = json.loads(path.read_text(encoding="utf-8"))
    return document
