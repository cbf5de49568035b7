"""`perfproof slo backtest --history FILE`: pages, tickets and budget of an objective over a history of your own."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from perfproof.commands.number_files import DIRECTIONS, columns_in
from perfproof.errors import ArtifactError, ParameterError, quoted
from perfproof.input_file import read_input
from perfproof.inputs.tables import TIMES, numbers
from perfproof.moments import parse_stamp
from perfproof.slos.backtest import BackTest, Incident, back_test, back_test_document, back_test_words
from perfproof.slos.burn_rates import DAY, Traffic, alerts_document, burn_rate_alerts
from perfproof.slos.history import History, events_history, threshold_history
from perfproof.slos.indicator import SliKind
from perfproof.slos.objective import TRAFFIC
from perfproof.slos.targets import availability_objective
from perfproof.strict import read_json

SHOWN, NOT_SHOWN = 0, 4
GOOD, BAD, TOTAL = "good", "bad", "total"
MAX_INCIDENTS = 1 << 20


def add_backtest_arguments(parser: argparse.ArgumentParser) -> None:
    """The history, the objective or objectives, and what is to be found in it."""
    group = parser.add_argument_group("of backtest")
    group.add_argument("--history", type=Path, metavar="FILE", help="CSV, JSON or Parquet: time, and good or bad and total; or a metric")
    group.add_argument("--objective", type=float, metavar="PERCENT", help="share of the events that must be good")
    group.add_argument("--old-objective", type=float, metavar="PERCENT", help="replay this one too")
    group.add_argument("--metric", help="the column that is compared with --target")
    group.add_argument("--target", type=float, help="the metric's target, in its unit")
    group.add_argument("--old-target", type=float, help="replay this one too")
    group.add_argument("--direction", choices=tuple(DIRECTIONS), default="lower", help="what is better of the metric (default lower)")
    group.add_argument("--step", type=float, metavar="SECONDS", help="from one reading to the next (default: as the times tell)")
    group.add_argument("--incidents", type=Path, metavar="FILE.json", help="a list of {name, start, end}: when would each have been seen?")
    group.add_argument("--min-events", type=float, help="low-traffic guard: fewest events in the long window")
    group.add_argument("--min-bad", type=float, help="low-traffic guard: fewest bad events in the long window")
    group.add_argument("--json", action="store_true", help="print everything as JSON")


def run_backtest(options: argparse.Namespace) -> int:
    """Reads the history, replays, prints."""
    _check(options)
    table = columns_in(options.history)
    times = _times(table, str(options.history))
    events = options.metric is None
    incidents = _incidents(options.incidents) if options.incidents else []
    results: dict[str, BackTest] = {}
    for name, percent, target in _cases(options):
        history = _history(options, table, times, target)
        default = TRAFFIC[SliKind.REQUESTS if events else SliKind.SAMPLES]
        traffic = Traffic(
            default.min_events if options.min_events is None else options.min_events,
            default.min_bad if options.min_bad is None else options.min_bad,
        )
        alerts = burn_rate_alerts(percent, traffic=traffic, period=options.period_days * DAY)
        results[name] = back_test(history, alerts=alerts, incidents=incidents)
    kept = availability_objective(_history(options, table, times, options.target))
    if options.json:
        document = {name: {"alerts": alerts_document(result.alerts), **back_test_document(result)} for name, result in results.items()} | {
            "availability": {"percent": kept.percent, "kept": kept.kept, "low": kept.low, "proved": kept.proved, "reason": kept.reason}
        }
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.write("".join(f"{quoted(line, 400)}\n" for line in _lines(results)))
        sys.stdout.write(f"objective that the history supports, day by day: {kept.reason}{'; proved' if kept.proved else ''}\n")
    return SHOWN if all(result.shown for result in results.values()) else NOT_SHOWN


def _check(options: argparse.Namespace) -> None:
    if options.history is None or options.objective is None:
        raise ParameterError(373, where="backtest", what="missing", expected="--history FILE --objective PERCENT", fix="give both")
    if (options.metric is None) != (options.target is None):
        raise ParameterError(
            373, where="backtest", what="--metric and --target belong together", fix="give both, or neither for counted events"
        )
    if options.old_target is not None and options.target is None:
        raise ParameterError(373, where="--old-target", what="no --target beside it", fix="give both")
    checks: Mapping[str, bool] = {
        "--objective": 0 < options.objective <= 100,
        "--old-objective": options.old_objective is None or 0 < options.old_objective <= 100,
        "--period-days": 0 < options.period_days <= 366,
        "--step": options.step is None or 0 < options.step < math.inf,
        "--min-events": options.min_events is None or 0 <= options.min_events < math.inf,
        "--min-bad": options.min_bad is None or 0 <= options.min_bad < math.inf,
        "--target": options.target is None or math.isfinite(options.target),
        "--old-target": options.old_target is None or math.isfinite(options.old_target),
    }
    for name, holds in checks.items():
        if not holds:
            value = getattr(options, name[2:].replace("-", "_"))
            raise ParameterError(374, where=name, what="out of range", got=value, fix="see perfproof slo --help")


def _cases(options: argparse.Namespace) -> list[tuple[str, float, float | None]]:
    cases = [("new", options.objective, options.target)]
    if options.old_objective is not None or options.old_target is not None:
        old = options.objective if options.old_objective is None else options.old_objective
        cases.append(("old", old, options.target if options.old_target is None else options.old_target))
    return cases


def _history(options: argparse.Namespace, table: Mapping[str, Sequence[Any]], times: Sequence[float], target: float | None) -> History:
    where = str(options.history)
    if target is not None:
        values = numbers(_column(table, options.metric, where), where=f"{where} {options.metric}")
        return threshold_history(times, values, target=target, direction=DIRECTIONS[options.direction], step=options.step, where=where)
    total = numbers(_column(table, TOTAL, where), where=f"{where} {TOTAL}")
    if GOOD in table:
        good: Sequence[float] = numbers(table[GOOD], where=f"{where} {GOOD}")
    else:
        bad = numbers(_column(table, BAD, where), where=f"{where} {BAD}")
        good = [t - b for t, b in zip(total, bad, strict=True)]
    return events_history(times, good, total, step=options.step, where=where)


def _column(table: Mapping[str, Sequence[Any]], name: str, where: str) -> Sequence[Any]:
    if name not in table:
        raise ArtifactError(585, where=where, what="no such column", got=name, expected=", ".join(table), fix="rename it, or name another")
    return table[name]


def _times(table: Mapping[str, Sequence[Any]], where: str) -> list[float]:
    name = next((name for name in TIMES if name in table), None)
    if name is None:
        raise ArtifactError(585, where=where, what="no column with times", expected=" | ".join(TIMES), fix="add one")
    return [_moment(cell, f"{where} {name}[{place}]") for place, cell in enumerate(table[name])]


def _moment(cell: Any, where: str) -> float:
    """Seconds since the epoch of a number or of an ISO 8601 text with a time zone."""
    if isinstance(cell, datetime) and cell.tzinfo is not None:
        return cell.timestamp()
    try:
        return float(cell)
    except (TypeError, ValueError):
        return parse_stamp(cell, where=where).timestamp()


def _incidents(path: Path) -> list[Incident]:
    document = read_json(read_input(path, limit=MAX_INCIDENTS, error=ArtifactError, number=469), where=str(path))
    if not isinstance(document, list) or not all(isinstance(i, dict) and {"name", "start", "end"} <= set(i) for i in document):
        raise ArtifactError(586, where=str(path), what="no list of incidents", expected="[{name, start, end}, …]", fix="correct the file")
    found = [
        Incident(str(i["name"]), _moment(i["start"], f"{path}[{place}].start"), _moment(i["end"], f"{path}[{place}].end"))
        for place, i in enumerate(document)
    ]
    for place, incident in enumerate(found):
        if not incident.start < incident.end < math.inf:
            raise ArtifactError(586, where=f"{path}[{place}]", what="ends before it begins", got=incident.name, fix="correct the file")
    return found


def _lines(results: Mapping[str, BackTest]) -> list[str]:
    lines = []
    for name, result in results.items():
        lines += [f"{name} objective {result.alerts.percent:g} %: {line}" for line in back_test_words(result)]
        lines += [f"  {alert.words}" for alert in result.alerts.alerts]
        lines += [f"  left out: {reason}" for reason in result.alerts.left_out]
    return lines
