"""CloudWatch as a source of metrics: single statistics through GetMetricData, the arithmetic between them here."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from perfproof.answers.refusal import AnswerRefusal
from perfproof.cloudwatch.answers import MetricPages
from perfproof.cloudwatch.expressions import Expression, Selection, dimension_list, filled_expression, query_text, selections
from perfproof.cloudwatch.periods import HOUR, Periods, step_objection, whole_periods
from perfproof.cloudwatch.queries import parse_query
from perfproof.cloudwatch.values import unit_objection, values_of
from perfproof.telemetry import MetricSpec, Series, sha256_hex
from perfproof_airflow.hooks.aws_service import NOT_PERMITTED, AwsService, Denied, Question
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

CALL_QUERIES = 500
CALL_SAMPLES = 100_800
MAX_POINTS = 1_000_000
# GetMetricStatistics, asked for nothing but the unit, answers 1,440 samples at most; one or two more than the span may touch it.
UNIT_SAMPLES = 1_400
PROBE_SECONDS = 900
PROBE_PERIOD = 60
# Publishers send a minute's figures after the minute; until then a sum is too low and a percentile is of some of the values.
SETTLE_SECONDS = 60.0


class CloudWatchHook:
    """Asks CloudWatch at an Airflow Connection of type aws. Nothing is opened before the first question.

    Periods that ended less than `settle_seconds` before the fetch are not asked for: they may be incomplete, so they are missing.
    `client` replaces the Connection in tests.
    """

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_cloudwatch"
    conn_type = "aws"
    hook_name = "Amazon CloudWatch"
    collection_method = "CloudWatch GetMetricData"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "cloudwatch",
        client: Any = None,
        limits: Limits | None = None,
        settle_seconds: float = SETTLE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection_id = connection_id
        self.source = source
        self.settle_seconds = settle_seconds
        self._service = AwsService("cloudwatch", connection_id, source=source, client=client, limits=limits, sleep=sleep, clock=clock)

    def query_range_raw(
        self,
        spec: MetricSpec,
        *,
        service: str,
        instance: str,
        start: float,
        end: float,
        step: float,
        rate_window: float,
        fetched_at: datetime,
    ) -> tuple[Series, bytes]:
        """The samples of `spec` after `start - step` and up to `end` (seconds since the epoch), one every `step`, and the answers.

        CloudWatch's periods begin at multiples of their length since the epoch, so the samples are at such multiples, whatever
        `start` is. A sample covers exactly `step` seconds, `rate_window` has no use here. The answers are lines of JSON, as
        botocore parsed them. Raises ConfigError for what is no query, QueryRefused for a step that CloudWatch does not keep, a
        unit that differs, and answers that are not complete, Unreachable when asking later may help, TelemetryError otherwise.
        """
        expression = filled_expression(parse_query(spec.query), service=service, instance=instance)
        periods = self._periods(spec, start, end, step, fetched_at)
        question = self._service.question()
        samples: dict[Selection, dict[float, float]] = {}
        if periods.count:
            silent = self._check_unit(spec, expression, periods, question)
            samples = self.samples(list(dict.fromkeys(selections(expression))), periods, question)
            if unknown := [selection for selection in silent if samples[selection]]:
                # GetMetricStatistics had nothing to say of a metric that has samples after all.
                raise self._service.refused(
                    713,
                    f"CloudWatch tells no unit of {spec.name}",
                    query_text(unknown[0]),
                    "name the unit behind the statistic in the query",
                )
        times, values = values_of(expression, samples, period=step) if samples else ((), ())
        raw = question.raw
        series = Series(
            metric=spec.name, service=service, unit=spec.unit, source=self.source, query=query_text(expression), start=start, end=end,
            step=step, times=times, values=values, fetched_at=fetched_at.astimezone(UTC), raw_sha256=sha256_hex(raw),
        )  # fmt: skip
        return series, raw

    def probe(self, probe: str, *, at: float) -> int:
        """The number of samples that the query's metrics have in the quarter of an hour before `at`. Raises TelemetryError for none."""
        expression = parse_query(probe)
        periods = whole_periods(at - PROBE_SECONDS + PROBE_PERIOD, at, PROBE_PERIOD, settled=at)
        found = self.samples(list(dict.fromkeys(selections(expression))), periods, self._service.question())
        if not (number := sum(map(len, found.values()))):
            raise self._service.refused(
                723, "the probe returns no sample", query_text(expression), "check region, account, names and dimensions; they are exact"
            )
        return number

    def samples(self, wanted: Sequence[Selection], periods: Periods, question: Question) -> dict[Selection, dict[float, float]]:
        """The samples of the different selections in `wanted`, end of period to value, in calls of 500 selections and 100,800 samples."""
        found: dict[Selection, dict[float, float]] = {selection: {} for selection in wanted}
        for first in range(0, len(wanted), CALL_QUERIES):
            chunk = wanted[first : first + CALL_QUERIES]
            for part in _parts(periods, CALL_SAMPLES // len(chunk)):
                for selection, samples in self._part(chunk, part, question).items():
                    found[selection].update(samples)
        return found

    def _part(self, wanted: Sequence[Selection], periods: Periods, question: Question) -> dict[Selection, dict[float, float]]:
        asked = {f"m{number}": selection for number, selection in enumerate(wanted)}
        parameters = {
            "MetricDataQueries": [_metric_query(name, selection, periods) for name, selection in asked.items()],
            "StartTime": _moment(periods.first),
            "EndTime": _moment(periods.behind),
            "ScanBy": "TimestampAscending",
            "MaxDatapoints": CALL_SAMPLES,
        }
        for attempt in count():
            pages = MetricPages(asked, periods, AnswerRefusal(self._service.where, QueryRefused))
            for page in question.pages("get_metric_data", parameters):
                pages.add(page)
            if not pages.failed:
                break
            if not question.pause(attempt):
                raise Unreachable(
                    722, where=self._service.where, what="CloudWatch has an internal error with a metric", got=query_text(pages.failed[0]),
                    fix="look at AWS's own state, then clear this task",
                )  # fmt: skip
        pages.require_complete()
        return pages.samples

    def _periods(self, spec: MetricSpec, start: float, end: float, step: float, fetched_at: datetime) -> Periods:
        if not all(map(math.isfinite, (start, end, step))) or step <= 0 or end < start:
            raise self._service.refused(724, "not a range", f"{start} to {end} step {step}", "give start before end and a positive step")
        now = fetched_at.timestamp()
        objection = step_objection(step, age=now - (start - step))
        if objection is not None:
            raise self._service.refused(712, f"no samples for {spec.name} in steps of {step:g} s", None, objection)
        periods = whole_periods(start, end, step, settled=now - self.settle_seconds)
        if periods.count > MAX_POINTS:
            raise self._service.refused(
                724, f"too many points for {spec.name}", periods.count, "choose a larger step", expected=f"at most {MAX_POINTS}"
            )
        return periods

    def _check_unit(self, spec: MetricSpec, expression: Expression, periods: Periods, question: Question) -> list[Selection]:
        """GetMetricData tells no unit. Where the query does not either, GetMetricStatistics says in which the metric is published.

        Returns the selections of which it has no sample. Raises QueryRefused for a unit that is not the metric's.
        """
        units: dict[Selection, str] = {}
        silent: list[Selection] = []
        for selection in dict.fromkeys(selections(expression)):
            # The count of samples is a count, whatever was counted.
            if selection.statistic == "SampleCount":
                continue
            unit = selection.unit or self._published(selection, periods, question)
            if unit is None:
                silent.append(selection)
            else:
                units[selection] = unit
        objection = unit_objection(expression, units, spec.unit)
        if objection is not None:
            raise self._service.refused(
                713, f"{spec.name} has another unit in the protocol file than in its query", objection,
                "convert it in the query, 1000 * … for seconds as ms", expected=spec.unit.value,
            )  # fmt: skip
        return silent

    def _published(self, selection: Selection, periods: Periods, question: Question) -> str | None:
        span = periods.behind - periods.first
        parameters = {
            **_metric(selection),
            "StartTime": _moment(periods.first),
            "EndTime": _moment(periods.behind),
            "Period": HOUR * math.ceil(span / HOUR / UNIT_SAMPLES),
            "Statistics": ["SampleCount"],
        }
        try:
            answer = question.call("get_metric_statistics", parameters)
        except Denied as denied:
            if denied.aws_code not in NOT_PERMITTED:
                raise
            raise self._service.refused(
                727, f"the unit of {query_text(selection)} cannot be looked up", denied.aws_code,
                "name the unit behind the statistic in the query, or permit cloudwatch:GetMetricStatistics",
            ) from denied  # fmt: skip
        units = sorted({str(point.get("Unit") or "None") for point in answer.get("Datapoints") or []})
        if len(units) > 1:
            shown = f"{query_text(selection)} is published in several units"
            raise self._service.refused(713, shown, ", ".join(units), "name one behind the statistic in the query")
        return units[0] if units else None


def _parts(periods: Periods, most: int) -> Iterator[Periods]:
    """`periods` in parts of at most `most`."""
    span = most * periods.length
    for first in range(periods.first, periods.behind, span):
        yield Periods(first, min(first + span, periods.behind), periods.length)


def _metric_query(name: str, selection: Selection, periods: Periods) -> dict[str, Any]:
    statistic: dict[str, Any] = {"Metric": _metric(selection), "Period": periods.length, "Stat": selection.statistic}
    if selection.unit is not None:
        statistic["Unit"] = selection.unit
    return {"Id": name, "MetricStat": statistic}


def _metric(selection: Selection) -> dict[str, Any]:
    return {"Namespace": selection.namespace, "MetricName": selection.metric, "Dimensions": dimension_list(selection)}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
