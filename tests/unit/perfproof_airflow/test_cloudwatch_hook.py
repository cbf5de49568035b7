"""The CloudWatch hook against answers that botocore's Stubber compares with the service's own model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from perfproof.cloudwatch.expressions import Selection
from perfproof.cloudwatch.periods import Periods
from perfproof.errors import ConfigError, TelemetryError
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit, sha256_hex
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.aws_service import MAX_PAGES, AwsService
from perfproof_airflow.hooks.cloudwatch import CALL_SAMPLES, CloudWatchHook
from perfproof_airflow.hooks.http_answers import ATTEMPTS, Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
END = NOW - timedelta(minutes=10)
TIMES = "AWS/ApplicationELB TargetResponseTime{LoadBalancer=app/$service/1,TargetGroup=$instance} p95 Seconds"
RATIO = "100 * (AWS/ApplicationELB HTTPCode_Target_5XX_Count{LoadBalancer=app/x/1} Sum Count) / (N R Sum Count)"


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


def made_client() -> Any:
    settings = client_settings()
    return boto3.client("cloudwatch", region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK", config=settings)


@contextmanager
def stubbed(clock: Clock | None = None, **options: Any) -> Iterator[tuple[CloudWatchHook, Stubber]]:
    """A hook whose client is stubbed; all answers must have been asked for at the end."""
    clock = clock or Clock()
    client = made_client()
    with Stubber(client) as stubber:
        yield CloudWatchHook(client=client, sleep=clock.sleep, clock=clock, **options), stubber
        stubber.assert_no_pending_responses()


def spec(query: str, unit: Unit = Unit.MILLISECONDS) -> MetricSpec:
    return MetricSpec("api_p95", MetricKind.LATENCY, unit, Direction.LOWER, "cloudwatch", query)


def asked(hook: CloudWatchHook, query: str = f"1000 * {TIMES}", *, unit: Unit = Unit.MILLISECONDS, **changes: Any) -> tuple[Series, bytes]:
    """Five minutes that ended ten minutes ago."""
    times = {"start": END.timestamp() - 240, "end": END.timestamp(), "step": 60, "rate_window": 300, "fetched_at": NOW, **changes}
    return hook.query_range_raw(spec(query, unit), service="orders", instance="tg/1", **times)


def result(*values: float, name: str = "m0", status: str = "Complete", first: int = 0, **more: Any) -> dict[str, Any]:
    """Values of the window's minutes from the `first` on; CloudWatch stamps the begin of a minute."""
    starts = [END - timedelta(minutes=5 - first - number) for number in range(len(values))]
    return {"Id": name, "Timestamps": starts, "Values": list(values), "StatusCode": status, **more}


def page(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"MetricDataResults": list(results), **more}


def test_a_percentile_is_asked_as_it_stands_and_scaled_here() -> None:
    """One request for the statistic over whole periods; samples at the ends of the periods, in the metric's unit."""
    expected = {
        "MetricDataQueries": [
            {
                "Id": "m0",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/ApplicationELB",
                        "MetricName": "TargetResponseTime",
                        "Dimensions": [{"Name": "LoadBalancer", "Value": "app/orders/1"}, {"Name": "TargetGroup", "Value": "tg/1"}],
                    },
                    "Period": 60,
                    "Stat": "p95",
                    "Unit": "Seconds",
                },
            }
        ],
        "StartTime": END - timedelta(minutes=5),
        "EndTime": END,
        "ScanBy": "TimestampAscending",
        "MaxDatapoints": CALL_SAMPLES,
    }
    with stubbed() as (hook, stubber):
        stubber.add_response("get_metric_data", page(result(0.25, 0.5)), expected)
        series, raw = asked(hook)
    assert series.times == (END.timestamp() - 240, END.timestamp() - 180)
    assert series.values == (250.0, 500.0)
    assert series.query == f"1000 * {TIMES}".replace("$service", "orders").replace("$instance", "tg/1")
    assert (series.source, series.unit, series.raw_sha256) == ("cloudwatch", Unit.MILLISECONDS, sha256_hex(raw))
    (line,) = [json.loads(line) for line in raw.decode().splitlines()]
    assert line["answer"]["MetricDataResults"][0]["Values"] == [0.25, 0.5]


def test_a_window_between_the_minutes_has_the_periods_that_end_in_it() -> None:
    """A window that ends at :17 is measured by the whole minutes that ended in it."""
    with stubbed() as (hook, stubber):
        window = {"StartTime": END - timedelta(minutes=5), "EndTime": END}
        stubber.add_response(
            "get_metric_data", page(result(1, 2, 3, 4, 5)), {"MetricDataQueries": ANY, "ScanBy": ANY, "MaxDatapoints": ANY, **window}
        )
        series, _ = asked(hook, start=END.timestamp() - 240 + 17, end=END.timestamp() + 17)
    assert series.times == tuple(END.timestamp() - 60 * back for back in (4, 3, 2, 1, 0))


def test_what_may_not_be_complete_yet_is_not_asked_for() -> None:
    """Periods that ended less than the settle time before the fetch are missing, and with them all nothing is asked."""
    fetched = END + timedelta(seconds=100)
    with stubbed(settle_seconds=120) as (hook, stubber):
        window = {"StartTime": END - timedelta(minutes=5), "EndTime": END - timedelta(minutes=1)}
        stubber.add_response(
            "get_metric_data", page(result(1, 2, 3, 4)), {"MetricDataQueries": ANY, "ScanBy": ANY, "MaxDatapoints": ANY, **window}
        )
        series, _ = asked(hook, fetched_at=fetched)
        assert series.times[-1] == END.timestamp() - 60
        empty, raw = asked(hook, start=END.timestamp(), fetched_at=fetched)
    assert (empty.values, raw) == ((), b"")


def test_a_ratio_is_two_selections_and_the_arithmetic_is_here() -> None:
    """Both in one request; where the denominator is zero or missing there is no error rate."""
    with stubbed() as (hook, stubber):
        answer = page(result(1, 2, 0, 4, name="m0"), result(10, 40, 0, name="m1"))
        stubber.add_response("get_metric_data", answer)
        series, _ = asked(hook, RATIO, unit=Unit.PERCENT)
    assert series.values[:2] == (10.0, 5.0)
    assert math.isnan(series.values[2]) and len(series.values) == 3


def test_pages_are_followed_to_the_end() -> None:
    """PartialData with a token goes on; the samples of the pages are one series."""
    with stubbed() as (hook, stubber):
        stubber.add_response("get_metric_data", page(result(1, 2, status="PartialData"), NextToken="t1"))
        common = {"MetricDataQueries": ANY, "StartTime": ANY, "EndTime": ANY, "ScanBy": ANY, "MaxDatapoints": ANY}
        stubber.add_response("get_metric_data", page(result(status="PartialData"), NextToken="t2"), {**common, "NextToken": "t1"})
        stubber.add_response("get_metric_data", page(result(3, first=2)), {**common, "NextToken": "t2"})
        series, raw = asked(hook)
    assert series.values == (1000.0, 2000.0, 3000.0)
    assert len(raw.splitlines()) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page(result(1, status="PartialData")), "TEL-720 .*not complete .*got PartialData"),
        (page(result(status="Forbidden")), "TEL-720 .*forbids a metric"),
        (page(result(1, Messages=[{"Code": "x", "Value": "some data is missing"}])), "TEL-720 .*some data is missing"),
        (page(result(1), Messages=[{"Code": "MaxMetricsExceeded", "Value": "Maximum number"}]), "TEL-720 .*Maximum number"),
        (page(), "TEL-720 .*not complete"),
        ({}, "TEL-721 .*without results"),
        (page(result(1, name="m7")), "TEL-721 .*not asked for"),
        (page(result(1), result(2)), "TEL-721 .*several series"),
        (page({**result(1, 2), "Values": [1.0]}), "TEL-721 .*differ in number"),
        (page(result(1, first=-1)), "TEL-721 .*starts at no asked period"),
        (page(result(1, first=5)), "TEL-721 .*starts at no asked period"),
        (page({**result(1), "Timestamps": [END - timedelta(seconds=90)]}), "TEL-721 .*starts at no asked period"),
        (page({**result(1, 2), "Timestamps": [END - timedelta(minutes=2)] * 2}), "TEL-721 .*repeated or out of order"),
        (
            page({**result(1, 2), "Timestamps": [END - timedelta(minutes=2), END - timedelta(minutes=3)]}),
            "TEL-721 .*repeated or out of order",
        ),
    ],
)
def test_an_answer_that_is_not_whole_is_refused(answer: dict[str, Any], words: str) -> None:
    """Partial at the end, forbidden, with a message, or not what was asked: this query is not measured, others may be."""
    with stubbed() as (hook, stubber):
        stubber.add_response("get_metric_data", answer)
        with pytest.raises(QueryRefused, match=words):
            asked(hook)


def test_pages_without_end_are_refused() -> None:
    """A token that comes back ends the reading."""
    with stubbed() as (hook, stubber):
        for _ in range(2):
            stubber.add_response("get_metric_data", page(result(status="PartialData"), NextToken="again"))
        with pytest.raises(QueryRefused, match=r"TEL-725"):
            asked(hook)


def test_more_pages_than_any_answer_has_are_refused() -> None:
    """New tokens for ever end too."""
    with stubbed() as (hook, stubber):
        for number in range(MAX_PAGES):
            stubber.add_response("get_metric_data", page(result(status="PartialData"), NextToken=f"t{number}"))
        with pytest.raises(QueryRefused, match=rf"TEL-725 .*{MAX_PAGES + 1} pages"):
            asked(hook)


def test_pages_that_are_too_large_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept as evidence of one question has a limit over all pages."""
    monkeypatch.setattr("perfproof_airflow.hooks.aws_service.MAX_ALL_BYTES", 300)
    with stubbed() as (hook, stubber):
        for number in range(2):
            stubber.add_response("get_metric_data", page(result(1, status="PartialData", first=number), NextToken=f"t{number}"))
        with pytest.raises(TelemetryError, match=r"TEL-717 .*too large together"):
            asked(hook)


def test_no_data_is_an_empty_series() -> None:
    """Complete and empty: the cell says NODATA; nothing is filled in."""
    with stubbed() as (hook, stubber):
        stubber.add_response("get_metric_data", page(result()))
        series, _ = asked(hook)
    assert (series.times, series.values) == ((), ())


def test_an_internal_error_is_asked_again() -> None:
    """The whole part is asked anew after a pause, and only the good answer counts."""
    clock = Clock()
    with stubbed(clock) as (hook, stubber):
        stubber.add_response("get_metric_data", page(result(9, status="InternalError")))
        stubber.add_response("get_metric_data", page(result(1)))
        series, raw = asked(hook)
    assert (series.values, clock.pauses, len(raw.splitlines())) == ((1000.0,), [0.5], 2)


def test_an_internal_error_that_stays_may_be_asked_later() -> None:
    """After all attempts it is Unreachable, so the task is tried again; it is never an empty series."""
    with stubbed() as (hook, stubber):
        for _ in range(ATTEMPTS):
            stubber.add_response("get_metric_data", page(result(1, status="InternalError")))
        with pytest.raises(Unreachable, match=r"TEL-722 .*TargetResponseTime"):
            asked(hook)


@pytest.mark.parametrize(
    ("code", "status"),
    [("Throttling", 400), ("ThrottlingException", 400), ("LimitExceeded", 400), ("InternalServiceFault", 500), ("SomethingNew", 503)],
)
def test_throttling_and_passing_trouble_are_retried_with_growing_pauses(code: str, status: int) -> None:
    """Three refusals and then the answer."""
    clock = Clock()
    with stubbed(clock) as (hook, stubber):
        for _ in range(ATTEMPTS - 1):
            stubber.add_client_error("get_metric_data", code, "Rate exceeded", http_status_code=status)
        stubber.add_response("get_metric_data", page(result(1)))
        assert asked(hook)[0].values == (1000.0,)
    assert clock.pauses == [0.5, 1.0, 2.0]


def test_throttling_that_stays_ends_within_the_total_time() -> None:
    """No attempt begins that the limit does not leave room for."""
    clock = Clock()
    with stubbed(clock, limits=Limits(total_seconds=1.2)) as (hook, stubber):
        for _ in range(2):
            stubber.add_client_error("get_metric_data", "Throttling", "Rate exceeded", http_status_code=400)
        with pytest.raises(Unreachable, match=r"TEL-718 .*Throttling: Rate exceeded"):
            asked(hook)
    assert clock.time <= 1.2


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException"])
def test_a_missing_permission_says_which(code: str) -> None:
    """No retry helps, and the policy needs one line."""
    with stubbed() as (hook, stubber):
        stubber.add_client_error("get_metric_data", code, "no", http_status_code=400)
        with pytest.raises(TelemetryError, match=r"TEL-716 .*permit cloudwatch:GetMetricData") as caught:
            asked(hook)
    assert not isinstance(caught.value, QueryRefused | Unreachable)


@pytest.mark.parametrize("code", ["InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "UnrecognizedClientException"])
def test_bad_credentials_are_the_connections(code: str) -> None:
    """The fix names the Connection."""
    with stubbed() as (hook, stubber):
        stubber.add_client_error("get_metric_data", code, "no", http_status_code=403)
        with pytest.raises(TelemetryError, match=r"TEL-716 .*correct the credentials of the Connection"):
            asked(hook)


def test_what_aws_finds_wrong_with_a_query_is_said() -> None:
    """ValidationError is the query's, so other queries go on."""
    with stubbed() as (hook, stubber):
        stubber.add_client_error("get_metric_data", "ValidationError", "The value p95 …", http_status_code=400)
        with pytest.raises(QueryRefused, match=r"TEL-719 .*ValidationError: The value p95"):
            asked(hook)


def test_what_botocore_will_not_even_send_is_the_querys_fault() -> None:
    """A request that the service's model forbids is refused before it is sent."""
    hook = CloudWatchHook(client=made_client())
    with pytest.raises(QueryRefused, match=r"TEL-719 .*Invalid type for parameter MetricDataQueries"):
        hook._service.question().call("get_metric_data", {"MetricDataQueries": 1})


def test_more_than_500_selections_are_several_calls() -> None:
    """501 selections: 500 in one call and the last in another, and no sample goes astray."""
    wanted = [Selection("N", f"M{number}", (), "Sum") for number in range(501)]
    periods = Periods(int(END.timestamp()) - 300, int(END.timestamp()), 60)
    with stubbed() as (hook, stubber):
        many = [result(number, name=f"m{number}") for number in range(500)]
        stubber.add_response("get_metric_data", page(*many))
        stubber.add_response("get_metric_data", page(result(500)))
        question = AwsService("cloudwatch", "c", source="s", client=hook._service._given, clock=Clock()).question()
        found = hook.samples(wanted, periods, question)
    end_of_first = END.timestamp() - 240
    assert [found[selection] for selection in wanted] == [{end_of_first: float(number)} for number in range(501)]


def test_more_than_100800_samples_are_asked_in_parts() -> None:
    """Five metrics over 14.9 days of minutes: parts that touch, none above the limit, together the whole window."""
    query = " + ".join(f"N M{number} Sum Count" for number in range(5))
    minutes = 21_456
    windows: list[tuple[datetime, datetime]] = []
    with stubbed() as (hook, stubber):
        hook._service._given.meta.events.register(
            "provide-client-params.cloudwatch.GetMetricData", lambda params, **_: windows.append((params["StartTime"], params["EndTime"]))
        )
        for _ in range(2):
            stubber.add_response("get_metric_data", page(*[result(name=f"m{number}") for number in range(5)]))
        asked(hook, query, unit=Unit.COUNT, start=END.timestamp() - 60 * (minutes - 1))
    assert windows[0][0] == END - timedelta(minutes=minutes) and windows[-1][1] == END
    assert windows[0][1] == windows[1][0]
    assert all((last - first) / timedelta(minutes=1) * 5 <= CALL_SAMPLES for first, last in windows)


@pytest.mark.parametrize(
    ("published", "query", "unit", "words"),
    [
        (["Seconds"], "1000 * N T p95", Unit.MILLISECONDS, None),
        (["Seconds"], "N T p95", Unit.MILLISECONDS, "TEL-713 .*another unit .*expected ms"),
        (["Milliseconds"], "1000 * N T p95", Unit.MILLISECONDS, "TEL-713"),
        (["None"], "N T p95", Unit.MILLISECONDS, None),
        (["Seconds", "Milliseconds"], "N T p95", Unit.SECONDS, "TEL-713 .*several units"),
    ],
)
def test_a_unit_that_the_query_does_not_say_is_looked_up(published: list[str], query: str, unit: Unit, words: str | None) -> None:
    """GetMetricStatistics says in which unit the metric is published; a difference is refused before any value is read."""
    points = [{"Timestamp": END, "SampleCount": 1.0, "Unit": name} for name in published]
    expected = {
        "Namespace": "N", "MetricName": "T", "Dimensions": [], "StartTime": END - timedelta(minutes=5), "EndTime": END, "Period": 3600,
        "Statistics": ["SampleCount"],
    }  # fmt: skip
    with stubbed() as (hook, stubber):
        stubber.add_response("get_metric_statistics", {"Datapoints": points}, expected)
        if words is None:
            stubber.add_response("get_metric_data", page(result(1)))
            assert len(asked(hook, query, unit=unit)[0].values) == 1
        else:
            with pytest.raises(QueryRefused, match=words):
                asked(hook, query, unit=unit)


def test_a_metric_without_samples_has_no_unit_to_compare() -> None:
    """Nothing published is an empty series; samples whose unit nobody tells are refused."""
    for answer in (result(), result(1)):
        with stubbed() as (hook, stubber):
            stubber.add_response("get_metric_statistics", {"Datapoints": []})
            stubber.add_response("get_metric_data", page(answer))
            if answer["Values"]:
                with pytest.raises(QueryRefused, match=r"TEL-713 .*tells no unit"):
                    asked(hook, "N T p95")
            else:
                assert asked(hook, "N T p95")[0].values == ()


def test_a_unit_that_may_not_be_looked_up_can_be_written_down() -> None:
    """An account without cloudwatch:GetMetricStatistics is told both ways out."""
    with stubbed() as (hook, stubber):
        stubber.add_client_error("get_metric_statistics", "AccessDenied", "no", http_status_code=403)
        with pytest.raises(QueryRefused, match=r"TEL-727 .*name the unit behind the statistic .*permit cloudwatch:GetMetricStatistics"):
            asked(hook, "1000 * N T p95")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": 45}, "TEL-712 .*use a step of 60 s"),
        ({"step": 30, "start": END.timestamp() - 4 * 3600}, "TEL-712 .*use a step of 60 s"),
        ({"start": END.timestamp() - 20 * 86_400}, "TEL-712 .*use a step of 300 s"),
        ({"step": 0}, "TEL-724 .*not a range"),
        ({"start": END.timestamp() + 1}, "TEL-724 .*not a range"),
        ({"start": math.nan}, "TEL-724 .*not a range"),
    ],
)
def test_a_range_that_cannot_be_asked_is_refused_before_asking(changes: dict[str, Any], words: str) -> None:
    """The error says which step to use."""
    with stubbed() as (hook, _), pytest.raises(QueryRefused, match=words):
        asked(hook, **changes)


def test_what_is_no_query_is_an_error_of_the_protocol_file() -> None:
    """Nothing is asked."""
    with stubbed() as (hook, _), pytest.raises(ConfigError, match="CFG-711"):
        asked(hook, "sum(rate(x[5m]))")


def test_the_probe_counts_samples() -> None:
    """A quarter of an hour of minutes before the moment."""
    with stubbed() as (hook, stubber):
        window = {"StartTime": END - timedelta(minutes=15), "EndTime": END}
        stubber.add_response(
            "get_metric_data", page(result(1, 2, 3)), {"MetricDataQueries": ANY, "ScanBy": ANY, "MaxDatapoints": ANY, **window}
        )
        assert hook.probe("N M Sum", at=END.timestamp() + 20) == 3


def test_a_probe_without_samples_is_no_access() -> None:
    """An empty answer may be another region or a misspelt name."""
    with stubbed() as (hook, stubber):
        stubber.add_response("get_metric_data", page(result()))
        with pytest.raises(QueryRefused, match=r"TEL-723 .*check region, account, names and dimensions"):
            hook.probe("N M Sum", at=END.timestamp())


def test_a_connection_that_is_not_defined_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever credentials the machine has are not used in its place."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(TelemetryError, match=r"TEL-710 Connection nowhere: not defined"):
        asked(CloudWatchHook("nowhere"))


def test_a_connection_without_a_region_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fix says where the region goes."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_CLOUDWATCH", json.dumps({"conn_type": "aws", "login": "AK", "password": "SK"}))
    with pytest.raises(TelemetryError, match=r"TEL-710 Connection perfproof_cloudwatch: .*region_name in its extra"):
        asked(CloudWatchHook())
