"""`perfproof judge --slo slo.yaml` and `--kayenta canary.json`: values in files, judged by the rules of another gate.

For --slo, AFTER holds one evaluation (a value per SLI) and BEFORE the earlier ones, oldest first, a column per SLI and, where the
file asks which passed, a column `result`. For --kayenta both sides hold a column of values per metric.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfproof.commands.junit import Case, Outcome, junit
from perfproof.commands.number_files import columns_in, file_bytes
from perfproof.errors import quoted
from perfproof.imported_rules.kayenta import CanaryResult, Classification, judge_canary, read_canary_config
from perfproof.imported_rules.keptn import Earlier, Evaluated, Status, evaluate, read_slo
from perfproof.imported_rules.keptn_file import Included, Slo
from perfproof.imported_rules.scores import Answer, Range
from perfproof.inputs.shapes import refusal
from perfproof.inputs.tables import TIMES, Table, is_number, numbers

RESULT = "result"
EXIT = {Answer.PASS: 0, Answer.FAIL: 1, Answer.WARNING: 4, Answer.INCONCLUSIVE: 4}
# What is neither passed nor failed must not look like a pass in JUnit.
OUTCOMES = {
    Status.PASS: Outcome.PASS, Status.INFO: Outcome.PASS, Status.FAIL: Outcome.FAILURE,
    Status.WARNING: Outcome.ERROR, Status.INCONCLUSIVE: Outcome.ERROR,
}  # fmt: skip
CLASSIFIED = {
    Classification.PASS: Outcome.PASS, Classification.HIGH: Outcome.FAILURE, Classification.LOW: Outcome.FAILURE,
    Classification.NODATA: Outcome.ERROR, Classification.NODATA_FAIL: Outcome.FAILURE, Classification.UNDECIDED: Outcome.ERROR,
}  # fmt: skip
ANSWERS = {Answer.PASS: Outcome.PASS, Answer.FAIL: Outcome.FAILURE, Answer.WARNING: Outcome.ERROR, Answer.INCONCLUSIVE: Outcome.ERROR}


def judge_by_slo(rules: Path, before: Path, after: Path, *, form: str) -> int:
    """Judges by Keptn's `slo.yaml`, prints as `form` (text, json, junit), and answers the exit code."""
    slo = read_slo(file_bytes(rules), where=str(rules))
    now, history = evaluations(columns_in(after), where=str(after)), evaluations(columns_in(before), where=str(before))
    if len(now) != 1:
        raise refusal(474, str(after), "not one evaluation", "give one value per SLI", got=len(now), expected=1)
    _check_results(slo, history, where=str(before))
    found = evaluate(slo, now[0].values, history)
    cases = [(j.sli, OUTCOMES[j.status], f"{j.status.value}: {j.reason}") for j in found.objectives]
    _write(form, found.answer, found.reason, cases, _slo_document(found))
    return EXIT[found.answer]


def judge_by_canary(rules: Path, before: Path, after: Path, *, form: str) -> int:
    """Judges by Kayenta's canary configuration, prints as `form` (text, json, junit), and answers the exit code."""
    config = read_canary_config(file_bytes(rules), where=str(rules))
    sides = [_metrics(columns_in(path), [m.name for m in config.metrics], where=str(path)) for path in (before, after)]
    found = judge_canary(config, sides[0], sides[1])
    cases = [(m.name, CLASSIFIED[m.classification], f"{m.classification.value}: {m.reason}") for m in found.metrics]
    _write(form, found.answer, found.reason, cases, _canary_document(found))
    return EXIT[found.answer]


def evaluations(table: Table, *, where: str) -> list[Earlier]:
    """One evaluation per row of `table`, which has a column per SLI; or one of all rows, if its columns are `sli` and `value`.

    Columns of times and texts are left alone, but for `result` (pass, warning, fail, or empty). Raises ArtifactError 474.
    """
    if list(table) == ["sli", "value"]:
        names = [str(name) for name in table["sli"]]
        if len(set(names)) != len(names):
            raise refusal(474, where, "two values for one SLI", "remove one")
        return [Earlier(dict(zip(names, numbers(table["value"], where=f"{where} column value"), strict=True)))]
    lengths = {len(cells) for cells in table.values()}
    if len(lengths) > 1:
        raise refusal(474, where, "columns of different lengths", "write null where a value is missing", got=sorted(lengths))
    results = [_result(cell, where=where) for cell in table[RESULT]] if RESULT in table else [None] * max(lengths, default=0)
    columns = {
        name: numbers(cells, where=f"{where} column {name}")
        for name, cells in table.items()
        if name != RESULT and name.lower() not in TIMES and (not cells or any(is_number(cell) for cell in cells))
    }
    return [Earlier({name: values[row] for name, values in columns.items()}, result) for row, result in enumerate(results)]


def _result(cell: Any, *, where: str) -> Answer | None:
    word = "" if cell is None else str(cell).strip().lower()
    if word in ("", "null"):
        return None
    if word not in tuple(Answer):
        raise refusal(474, f"{where} column {RESULT}", "not a result", "write pass, warning or fail", got=cell)
    return Answer(word)


def _check_results(slo: Slo, history: Sequence[Earlier], *, where: str) -> None:
    """Which of them passed cannot be guessed."""
    included = slo.comparison.include_result_with_score
    if included is not Included.ALL and history and all(earlier.result is None for earlier in history):
        raise refusal(
            474, where, f"no column {RESULT}, and only evaluations with {included.value} count",
            f"add the column {RESULT}, or set include_result_with_score to all",
        )  # fmt: skip


def _metrics(table: Table, names: Sequence[str], *, where: str) -> Mapping[str, Sequence[float]]:
    return {name: numbers(table[name], where=f"{where} column {name}") for name in names if name in table}


def _write(form: str, answer: Answer, reason: str, cases: Sequence[tuple[str, Outcome, str]], document: dict[str, Any]) -> None:
    if form == "json":
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    elif form == "junit":
        total = Case("total score", ANSWERS[answer], f"{answer.value}: {reason}")
        sys.stdout.write(junit("perfproof judge", [*(Case(*case) for case in cases), total]))
    else:
        lines = [f"{quoted(name)}: {quoted(text)}" for name, _, text in cases]
        sys.stdout.write("\n".join([*lines, f"total score: {answer.value}", quoted(reason)]) + "\n")


def _slo_document(found: Evaluated) -> dict[str, Any]:
    return {
        "rules": "keptn",
        "answer": found.answer.value,
        "score": _range(found.score),
        "earlier_evaluations": found.earlier,
        "reason": found.reason,
        "objectives": [
            {
                "sli": j.sli,
                "status": j.status.value,
                "value": j.value,
                "compared_with": j.compared,
                "score": _range(j.score),
                "weight": j.weight,
                "key_sli": j.key_sli,
                "reason": j.reason,
            }
            for j in found.objectives
        ],
    }


def _canary_document(found: CanaryResult) -> dict[str, Any]:
    return {
        "rules": "kayenta",
        "answer": found.answer.value,
        "score": _range(found.score),
        "groups": {name: _range(score) for name, score in found.groups.items()},
        "reason": found.reason,
        "metrics": [
            {
                "name": m.name,
                "classification": m.classification.value,
                "groups": list(m.groups),
                "critical": m.critical,
                "shift": None if m.change is None else m.change.estimate,
                "ci_low": _finite(m.change.low if m.change else None),
                "ci_high": _finite(m.change.high if m.change else None),
                "effect": _finite(m.effect),
                "reason": m.reason,
            }
            for m in found.metrics
        ],
    }


def _range(score: Range) -> list[float]:
    return [score.low, score.high]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
