"""`perfproof changes FILE|DIR|-`: where did a series of measurements change its level?

Exit codes: 0 no regression, or only acknowledged ones; 1 a regression; 2 usage or unreadable input; 4 no regression, but some series
is too short to show one. With `--format json -` it reads {"id": [numbers]} and prints {"id": [index]}, the first value of each new
regime, and 0 means answered.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfproof.change_points import Change, Found, Kind, Rules, fewest_values, find_changes
from perfproof.change_points.acknowledged import NOTHING_ACKNOWLEDGED, Acknowledgement, read_acknowledged
from perfproof.commands.junit import Case, Outcome, junit
from perfproof.commands.number_files import BLOCK_SECONDS, DIRECTIONS, file_bytes, series_in
from perfproof.errors import ArtifactError, ParameterError, quoted
from perfproof.inputs.number_series import NumberSeries


@dataclass(frozen=True, slots=True)
class Result:
    """One series, what was found in it, and for each change who accepted it (None: nobody)."""

    series: NumberSeries
    found: Found
    accepted: tuple[Acknowledgement | None, ...]
    too_short: bool

    @property
    def regressed(self) -> bool:
        """Whether a regression is there that nobody has accepted."""
        return any(c.kind is Kind.REGRESSION and a is None for c, a in zip(self.found.changes, self.accepted, strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The series, what counts as a change, and how the answer is written."""
    rules = Rules()
    parser.add_argument("path", type=Path, metavar="FILE|DIR|-", help="CSV, JSON, rows of a load test or Parquet; - for standard input")
    parser.add_argument("--format", choices=("csv", "json"), help="of standard input, or of files whose name does not tell")
    parser.add_argument("--metric", help="column, key, or p50, p95, p99 of load-test rows")
    parser.add_argument("--direction", choices=tuple(DIRECTIONS), default="lower", help="what is better (default lower)")
    parser.add_argument("--block-seconds", type=float, default=BLOCK_SECONDS, help="length of a block of load-test rows (default 60)")
    parser.add_argument(
        "--alpha", type=float, default=rules.alpha, help=f"false alarms per series without a change (default {rules.alpha})"
    )
    parser.add_argument(
        "--min-segment", type=int, default=rules.min_segment, help=f"fewest values of a regime (default {rules.min_segment})"
    )
    parser.add_argument(
        "--min-change",
        type=float,
        default=100 * rules.min_change,
        help=f"percent below which nothing is reported (default {100 * rules.min_change:g})",
    )
    parser.add_argument("--min-effect", type=float, default=rules.min_effect, help="smallest Cliff's delta, 0 to 1 (default 0.474)")
    parser.add_argument("--acknowledged", type=Path, metavar="FILE.json", help="changes that are accepted, with reason and by whom")
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="print everything as JSON")
    written.add_argument("--junit", action="store_true", help="print JUnit XML, one case per series")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the series with its changes (one series only)")


def run(options: argparse.Namespace) -> int:
    """Reads, searches, prints."""
    rules = _rules(options)
    series = series_in(options.path, form=options.format, metric=options.metric, block_seconds=_positive(options.block_seconds))
    results = _results(options, series, rules)
    if options.plot:
        _draw(results, options.plot)
    if options.json:
        sys.stdout.write(_json(results, rules))
    elif options.junit:
        sys.stdout.write(junit("perfproof changes", [_case(result, rules) for result in results]))
    elif str(options.path) == "-" and options.format == "json":
        sys.stdout.write(json.dumps({r.series.name: [change.index for change in r.found.changes] for r in results}) + "\n")
        return 0
    else:
        sys.stdout.write("".join(f"{line}\n" for result in results for line in _lines(result, rules)))
    if any(result.regressed for result in results):
        return 1
    return 4 if any(result.too_short for result in results) or not results else 0


def _results(options: argparse.Namespace, series: Sequence[NumberSeries], rules: Rules) -> list[Result]:
    acknowledged = NOTHING_ACKNOWLEDGED
    if options.acknowledged:
        acknowledged = read_acknowledged(file_bytes(options.acknowledged), where=str(options.acknowledged))
        acknowledged.require_known([one.name for one in series], where=str(options.acknowledged))
    results = []
    for one in series:
        found = find_changes(one.values, direction=one.direction or DIRECTIONS[options.direction], rules=rules)
        accepted = acknowledged.of(one.name, [change.index for change in found.changes], times=one.times)
        results.append(Result(one, found, tuple(accepted), len(one.values) - found.missing < fewest_values(rules)))
    return results


def _rules(options: argparse.Namespace) -> Rules:
    checks = {
        "--alpha": 0 < options.alpha < 1,
        "--min-segment": options.min_segment >= 2,
        "--min-change": 0 <= options.min_change < math.inf,
        "--min-effect": 0 <= options.min_effect <= 1,
    }
    for name, holds in checks.items():
        if not holds:
            value = getattr(options, name[2:].replace("-", "_"))
            raise ParameterError(331, where=name, what="out of range", got=value, fix="see perfproof changes --help")
    return Rules(options.alpha, options.min_segment, options.min_change / 100, options.min_effect)


def _positive(seconds: float) -> float:
    if not 0 < seconds < math.inf:
        raise ParameterError(331, where="--block-seconds", what="out of range", got=seconds, fix="give a positive number")
    return seconds


def _lines(result: Result, rules: Rules) -> list[str]:
    series, found = result.series, result.found
    name = quoted(series.name)
    lines = [
        f"{name}: {_words(series, change)}" + (f" ({quoted(accepted.words)})" if accepted else "")
        for change, accepted in zip(found.changes, result.accepted, strict=True)
    ]
    if lines:
        return lines
    measured = len(series.values) - found.missing
    beside = "".join(f", {count} {what}" for count, what in ((found.missing, "missing"), (len(found.outliers), "single outliers")) if count)
    if result.too_short:
        return [f"{name}: {measured} values are too few: at least {fewest_values(rules)} can show a change{beside}"]
    return [f"{name}: no change in {measured} values{beside}"]


def _words(series: NumberSeries, change: Change) -> str:
    time = f" ({quoted(series.times[change.index])})" if series.times else ""
    share = "from zero" if math.isinf(change.percent) else f"{change.percent:+.1f} %"
    return f"{change.kind.value} at {change.index}{time}: {change.before:.6g} -> {change.after:.6g}, {share}, p {change.p:.2g}"


def _case(result: Result, rules: Rules) -> Case:
    outcome = Outcome.FAILURE if result.regressed else Outcome.ERROR if result.too_short else Outcome.PASS
    return Case(result.series.name, outcome, "\n".join(_lines(result, rules)))


def _json(results: Sequence[Result], rules: Rules) -> str:
    document = {
        "rules": {
            "alpha": rules.alpha,
            "min_segment": rules.min_segment,
            "min_change": rules.min_change,
            "min_effect": rules.min_effect,
        },
        "series": [_document(result) for result in results],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _document(result: Result) -> dict[str, Any]:
    series, found = result.series, result.found
    changes = [
        {
            "index": change.index,
            "time": series.times[change.index] if series.times else None,
            "kind": change.kind.value,
            "before": change.before,
            "after": change.after,
            "percent": None if math.isinf(change.percent) else change.percent,
            "cliffs_delta": change.effect,
            "p": change.p,
            "acknowledged": {"reason": accepted.reason, "by": accepted.by} if accepted else None,
        }
        for change, accepted in zip(found.changes, result.accepted, strict=True)
    ]
    return {
        "name": series.name,
        "values": len(series.values),
        "missing": found.missing,
        "too_short": result.too_short,
        "autocorrelation": found.correlation,
        "outliers": list(found.outliers),
        "changes": changes,
    }


def _draw(results: Sequence[Result], path: Path) -> None:
    from perfproof.series_plots import history_plot

    if len(results) != 1:
        raise ParameterError(332, where="--plot", what="several series", got=len(results), fix="name one with --metric, or one file")
    series, found = results[0].series, results[0].found
    picture = history_plot(metric=series.name, values=series.values, changes=[c.index for c in found.changes], outliers=found.outliers)
    write_picture(path, picture)


def write_picture(path: Path, picture: bytes) -> None:
    """Writes a drawn file. Raises ArtifactError where that is not possible."""
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise ArtifactError(469, where=str(path), what="cannot be written", got=error.strerror, fix="choose another file") from None
