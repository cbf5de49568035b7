"""What is asked of CloudWatch Logs Insights about a window of logs, and what its result rows say.

Three queries give one item: how many events and their latency, how many errors, and the most frequent errors. The errors are
counted by a query of their own, since the groups of the third one end at a limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perfproof.errors import TelemetryError
from perfproof.moments import stamp

TOP_ERRORS = 10
MAX_TEXT = 200
MAX_GROUPS = 50
MAX_CONDITION = 2_000
PERCENTILES = (50, 95, 99)
# A name as Logs Insights writes it: with dots for JSON, in backticks when it holds other characters.
FIELD = re.compile(r"[@A-Za-z_][A-Za-z0-9_.@]{0,200}|`[^`\n]{1,200}`")
LOG_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class LogQuestion:
    """Which logs are meant: their groups, which events count (`filter`), which of those are errors, and the fields to read.

    `error` and `filter` are conditions as Logs Insights writes them. `latency_ms` is a field in milliseconds.
    """

    log_groups: tuple[str, ...]
    error: str
    filter: str | None = None
    latency_ms: str | None = None
    message: str = "@message"


@dataclass(frozen=True, slots=True)
class LogQueries:
    """The three queries of a question."""

    totals: str
    errors: str
    top_errors: str


def log_question(text: str | None, *, where: str) -> LogQuestion:
    """The question in `text`: a line each of `log_groups: A, B`, `error: CONDITION`, and where wanted `filter:`, `latency_ms:`, `message:`.

    Raises TelemetryError (740) for anything else.
    """
    given: dict[str, str] = {}
    for line in (text or "").splitlines():
        if not line.strip():
            continue
        key, colon, value = line.partition(":")
        if not colon or key.strip() not in LogQuestion.__dataclass_fields__ or key.strip() in given or not value.strip():
            raise _no_question(where, line)
        given[key.strip()] = value.strip()
    groups = tuple(group.strip() for group in given.get("log_groups", "").split(","))
    if not all(map(LOG_GROUP.fullmatch, groups)) or len(set(groups)) != len(groups) or len(groups) > MAX_GROUPS:
        raise _no_question(where, given.get("log_groups"), f"1 to {MAX_GROUPS} names of log groups")
    if "error" not in given:
        raise _no_question(where, text, "a line error:, the condition that makes an event an error")
    for key in ("latency_ms", "message"):
        if key in given and not FIELD.fullmatch(given[key]):
            raise _no_question(where, given[key], f"the name of a field for {key}")
    for key in ("error", "filter"):
        if len(given.get(key, "")) > MAX_CONDITION:
            raise _no_question(where, given[key], f"at most {MAX_CONDITION} characters for {key}")
    return LogQuestion(groups, given["error"], given.get("filter"), given.get("latency_ms"), given.get("message", "@message"))


def log_queries(question: LogQuestion) -> LogQueries:
    """The queries in the language of Logs Insights (CWLI)."""
    wanted = [f"filter {question.filter}"] if question.filter else []
    errors = [*wanted, f"filter {question.error}"]
    latency = [f"pct({question.latency_ms}, {p}) as p{p}" for p in PERCENTILES] if question.latency_ms else []
    return LogQueries(
        totals=" | ".join([*wanted, f"stats {', '.join(['count(*) as events', *latency])}"]),
        errors=" | ".join([*errors, "stats count(*) as errors"]),
        top_errors=" | ".join([*errors, f"stats count(*) as n by {question.message} as text", "sort n desc", f"limit {TOP_ERRORS}"]),
    )


def log_item(*, totals: Any, errors: Any, top_errors: Any, question: LogQuestion, start: float, end: float, where: str) -> dict[str, Any]:
    """{events, errors, latency_ms: {p50, p95, p99} | null, top_errors: [{text, count}], window: {start, end}} of three results.

    A result is the `results` of GetQueryResults: rows of {field, value}. Raises TelemetryError: 744 when there is no event, since
    logs without an event are missing logs and not a service without errors; 743 for rows that are no answer to the queries.
    """
    total = _row(totals, where)
    events = _count(total.get("events", "0"), where) if total else 0
    if not events:
        raise TelemetryError(
            744, where=where, what="no log event in the window", got=", ".join(question.log_groups),
            fix="check log groups, filter and region; or that the service writes its log",
        )  # fmt: skip
    failed = _row(errors, where)
    count = _count(failed.get("errors", "0"), where) if failed else 0
    top = [(_text(row.get("text")), _count(row.get("n"), where)) for row in _rows(top_errors, where)][:TOP_ERRORS]
    listed = sum(number for _, number in top)
    if count > events or listed > count or (count > 0 and not top):
        got = f"{events} events, {count} errors, {listed} in the most frequent"
        raise _no_answer(where, "the counts of the three queries contradict each other", got)
    return {
        "events": events,
        "errors": count,
        "latency_ms": _latency(total, question, where),
        "top_errors": [{"text": text, "count": number} for text, number in top],
        "window": {"start": stamp(datetime.fromtimestamp(start, UTC)), "end": stamp(datetime.fromtimestamp(end, UTC))},
    }


def _latency(total: Mapping[str, str], question: LogQuestion, where: str) -> dict[str, float] | None:
    """Null when no field was named, and when no event has it: Logs Insights then leaves the column out."""
    if question.latency_ms is None or not any(total.get(f"p{p}") for p in PERCENTILES):
        return None
    values = [_number(total.get(f"p{p}"), where) for p in PERCENTILES]
    if sorted(values) != values:
        raise _no_answer(where, "percentiles out of order", values)
    return {f"p{p}": value for p, value in zip(PERCENTILES, values, strict=True)}


def _row(result: Any, where: str) -> dict[str, str]:
    """The one row of a count, {} for none: Logs Insights answers no row when nothing matches."""
    rows = _rows(result, where)
    if len(rows) > 1:
        raise _no_answer(where, "a count in several rows", len(rows))
    return rows[0] if rows else {}


def _rows(result: Any, where: str) -> list[dict[str, str]]:
    if not isinstance(result, Sequence) or isinstance(result, str):
        raise _no_answer(where, "no rows", result)
    rows: list[dict[str, str]] = []
    for cells in result:
        row: dict[str, str] = {}
        for cell in cells:
            if isinstance(cell.get("field"), str) and isinstance(cell.get("value"), str):
                row[cell["field"]] = cell["value"]
        rows.append(row)
    return rows


def _count(text: str | None, where: str) -> int:
    value = _number(text, where)
    if value != int(value):
        raise _no_answer(where, "a count that is not whole", text)
    return int(value)


def _number(text: str | None, where: str) -> float:
    value = float(text) if text is not None and NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value) or value > 2**53:
        raise _no_answer(where, "not a number", text)
    return value


def _text(text: str | None) -> str:
    """The message of an error as data, cut; who prints it escapes it. UNKNOWN for events without the field."""
    if text is None:
        return "UNKNOWN"
    clean = text[: MAX_TEXT + 1].encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= MAX_TEXT else clean[: MAX_TEXT - 1] + "…"


def _no_question(
    where: str, got: Any, expected: str = "lines log_groups:, error:, and any of filter: latency_ms: message:"
) -> TelemetryError:
    return TelemetryError(
        740, where=where, what="not a question for Logs Insights", got=got, expected=expected, fix="correct the query of the source"
    )


def _no_answer(where: str, what: str, got: Any) -> TelemetryError:
    return TelemetryError(743, where=where, what=what, got=got, fix="check error, filter and the fields of the source's query")
