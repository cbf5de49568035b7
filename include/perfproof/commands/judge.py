"""`perfproof judge BEFORE AFTER`: did a metric get worse (or, with --threshold, better by that much), as far as these values can tell?

Exit codes: 0 no regression, or the improvement is there; 1 a regression, or the improvement is not there; 2 usage or unreadable
input; 4 inconclusive: these values do not decide. With --slo or --kayenta: 0 pass, 1 fail, 4 warning or inconclusive.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from perfproof.commands.changes import write_picture
from perfproof.commands.junit import Case, Outcome, junit
from perfproof.commands.number_files import BLOCK_SECONDS, DIRECTIONS, is_rows, runs_in
from perfproof.comparison import GuardLabel, GuardVerdict, TargetLabel, TargetVerdict, judge_guard, judge_target
from perfproof.config import Mode
from perfproof.errors import ParameterError, quoted
from perfproof.inputs.number_series import NumberSeries
from perfproof.telemetry import Unit

PASS, FAIL, INCONCLUSIVE = 0, 1, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Both sides, the question, and how the answer is written."""
    parser.add_argument("before", type=Path, help="one value per run: CSV, JSON, Parquet; or rows of load tests, a file or a directory")
    parser.add_argument("after", type=Path, help="the same of the other side")
    parser.add_argument("--metric", help="column, key, or p50, p95, p99 of load-test rows")
    parser.add_argument("--direction", choices=tuple(DIRECTIONS), default="lower", help="what is better (default lower)")
    parser.add_argument(
        "--mode", choices=tuple(mode.value for mode in Mode), default=Mode.PROVED.value, help="what decides (default proved)"
    )
    parser.add_argument("--threshold", type=float, metavar="PERCENT", help="ask for an improvement of so much instead of for no regression")
    parser.add_argument("--margin", type=float, default=5.0, metavar="PERCENT", help="how much worse is tolerated (default 5)")
    parser.add_argument("--floor", type=float, default=0.0, help="the same in the unit of the values; the larger one counts")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the interval (default 0.95)")
    parser.add_argument("--block-seconds", type=float, default=BLOCK_SECONDS, help="length of a block of load-test rows (default 60)")
    rules = parser.add_mutually_exclusive_group()
    rules.add_argument("--slo", type=Path, metavar="FILE.yaml", help="judge AFTER by this slo.yaml of Keptn; BEFORE: earlier evaluations")
    rules.add_argument("--kayenta", type=Path, metavar="FILE.json", help="judge by this canary configuration of Kayenta")
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="print everything as JSON")
    written.add_argument("--junit", action="store_true", help="print JUnit XML")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw both distributions")


def run(options: argparse.Namespace) -> int:
    """Reads both sides, judges, prints."""
    _check(options)
    if options.slo or options.kayenta:
        return _imported(options)
    before, after = (runs_in(path, metric=options.metric, block_seconds=options.block_seconds) for path in (options.before, options.after))
    unit = Unit.MILLISECONDS if is_rows(options.before) and is_rows(options.after) else Unit.COUNT
    verdict = _verdict(options, before, after, unit)
    code = _exit_code(verdict)
    if options.plot:
        from perfproof.series_plots import distributions_plot

        write_picture(options.plot, distributions_plot(metric=before.name, before=before.values, after=after.values))
    if options.json:
        sys.stdout.write(json.dumps(_document(verdict, code), indent=2, allow_nan=False) + "\n")
    elif options.junit:
        outcome = {PASS: Outcome.PASS, FAIL: Outcome.FAILURE, INCONCLUSIVE: Outcome.ERROR}[code]
        sys.stdout.write(junit("perfproof judge", [Case(verdict.metric, outcome, f"{verdict.label.value}: {verdict.reason}")]))
    else:
        needed = f"runs still needed: {verdict.runs_needed} a side\n" if verdict.runs_needed else ""
        sys.stdout.write(f"{quoted(verdict.metric)}: {verdict.label.value}\n{quoted(verdict.reason)}\n{needed}")
    return code


def _imported(options: argparse.Namespace) -> int:
    from perfproof.commands.imported import judge_by_canary, judge_by_slo

    unused = [name for name in ("metric", "threshold", "plot") if getattr(options, name) is not None]
    if unused:
        raise ParameterError(333, where=f"--{unused[0]}", what="does not go together with the rules of another gate", fix="leave it out")
    form = "json" if options.json else "junit" if options.junit else "text"
    if options.slo:
        return judge_by_slo(options.slo, options.before, options.after, form=form)
    return judge_by_canary(options.kayenta, options.before, options.after, form=form)


def _check(options: argparse.Namespace) -> None:
    checks = {
        "--threshold": options.threshold is None or 0 < options.threshold < math.inf,
        "--margin": 0 <= options.margin < math.inf,
        "--floor": 0 <= options.floor < math.inf,
        "--confidence": 0.5 <= options.confidence <= 0.999,
        "--block-seconds": 0 < options.block_seconds < math.inf,
    }
    for name, holds in checks.items():
        if not holds:
            value = getattr(options, name[2:].replace("-", "_"))
            raise ParameterError(331, where=name, what="out of range", got=value, fix="see perfproof judge --help")


def _verdict(options: argparse.Namespace, before: NumberSeries, after: NumberSeries, unit: Unit) -> TargetVerdict | GuardVerdict:
    direction, mode = DIRECTIONS[options.direction], Mode(options.mode)
    if options.threshold is not None:
        return judge_target(
            before.name, unit, direction, before.values, after.values,
            threshold_percent=options.threshold, mode=mode, confidence=options.confidence,
        )  # fmt: skip
    return judge_guard(
        before.name, unit, direction, before.values, after.values,
        margin=options.margin / 100, floor=options.floor, confidence=options.confidence, mode=mode,
    )  # fmt: skip


def _exit_code(verdict: TargetVerdict | GuardVerdict) -> int:
    if isinstance(verdict, GuardVerdict):
        return {GuardLabel.NO_REGRESSION: PASS, GuardLabel.REGRESSION: FAIL, GuardLabel.INCONCLUSIVE: INCONCLUSIVE}[verdict.label]
    if verdict.passes:
        return PASS
    # `met` in mode `proved`: the estimate is there, the proof is not.
    return FAIL if verdict.label is TargetLabel.SHORT else INCONCLUSIVE


def _document(verdict: TargetVerdict | GuardVerdict, code: int) -> dict[str, Any]:
    words = {PASS: "pass", FAIL: "fail", INCONCLUSIVE: "inconclusive"}
    fields = {name: _finite(value) for name, value in asdict(verdict).items() if name != "unit"}
    return {"question": "regression" if isinstance(verdict, GuardVerdict) else "improvement", "answer": words[code], **fields}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
