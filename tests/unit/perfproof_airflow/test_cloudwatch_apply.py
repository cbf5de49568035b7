"""Approved alarms against botocore's Stubber, and against a CloudWatch of the test's own that keeps what is put."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from botocore.validate import ParamValidator

from perfproof.config import CloudWatchTarget, load_protocol
from perfproof.errors import ArtifactError, TelemetryError
from perfproof.slos.alarm_changes import alarm_changes, before_document, differing, put_again, settings_of, wanted_alarms
from perfproof.slos.cloudwatch import cloudwatch_alarms
from perfproof.slos.objective import objective_of
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.cloudwatch_apply import CloudWatchApplyHook

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
ACTION = "arn:aws:sns:eu-west-1:123456789012:pages"
TARGET = CloudWatchTarget(connection="aws_alarms", actions=(ACTION,))
TAGS = [{"Key": "managed-by", "Value": "perfproof"}, {"Key": "perfproof-service", "Value": "shop"}]
ASKED = {"AlarmNamePrefix": "perfproof-", "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 100}
Wanted = list[tuple[str, dict[str, Any]]]


def aws() -> Any:
    return boto3.client("cloudwatch", region_name="eu-west-1", aws_access_key_id="AK", aws_secret_access_key="SK", config=client_settings())


def arn(name: str) -> str:
    return f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"


class CloudWatch:
    """The operations that are used, over alarms in memory; every request is checked by the service model that botocore ships."""

    def __init__(self) -> None:
        self.real = aws()
        self.meta = self.real.meta
        self.alarms: dict[str, tuple[str, dict[str, Any]]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.calls: list[tuple[str, str]] = []
        self.fails_after: int | None = None
        self.rewrites: dict[str, Any] = {}

    def _check(self, operation: str, parameters: dict[str, Any]) -> None:
        shape = self.meta.service_model.operation_model(operation).input_shape
        report = ParamValidator().validate(parameters, shape)
        assert not report.has_errors(), report.generate_report()

    def _put(self, kind: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        self._check(operation, parameters)
        if self.fails_after is not None and len(self.puts()) >= self.fails_after:
            raise ClientError(
                {"Error": {"Code": "InvalidParameterValue", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation
            )
        name = parameters["AlarmName"]
        self.calls.append((operation, name))
        settings = {key: value for key, value in parameters.items() if key != "Tags"}
        if name not in self.alarms:
            self.tags[arn(name)] = parameters.get("Tags", [])
        filled = {
            "AlarmArn": arn(name),
            "OKActions": [],
            "InsufficientDataActions": [],
            "StateUpdatedTimestamp": datetime(2025, 2, 16, tzinfo=UTC),
        }
        if "Metrics" in settings:
            settings["Metrics"] = list(reversed(settings["Metrics"]))
        self.alarms[name] = (kind, {**filled, **settings, **self.rewrites})
        return {}

    def puts(self) -> list[str]:
        return [name for operation, name in self.calls if operation.startswith("Put")]

    def put_metric_alarm(self, **parameters: Any) -> dict[str, Any]:
        return self._put("MetricAlarms", "PutMetricAlarm", parameters)

    def put_composite_alarm(self, **parameters: Any) -> dict[str, Any]:
        import re

        for name in re.findall(r'ALARM\("([^"]+)"\)', parameters["AlarmRule"]):
            assert name in self.alarms, f"{name} is not there yet"
        return self._put("CompositeAlarms", "PutCompositeAlarm", parameters)

    def describe_alarms(self, **parameters: Any) -> dict[str, Any]:
        self._check("DescribeAlarms", parameters)
        found: dict[str, Any] = {"MetricAlarms": [], "CompositeAlarms": []}
        for name, (kind, alarm) in sorted(self.alarms.items()):
            if name.startswith(parameters["AlarmNamePrefix"]):
                found[kind].append(alarm)
        return found

    def list_tags_for_resource(self, **parameters: Any) -> dict[str, Any]:
        self._check("ListTagsForResource", parameters)
        return {"Tags": self.tags[parameters["ResourceARN"]]}


def exported(target: CloudWatchTarget = TARGET, *, value: float = 120) -> Wanted:
    shop = load_protocol(DEMO.read_bytes(), where="demo.yaml").service("shop")
    objective = objective_of(shop, metric="orders_latency_p95", target=value, slo=shop.slos[0])
    return wanted_alarms(cloudwatch_alarms([objective], namespace=target.namespace, actions=target.actions, prefix=target.prefix))


def applied(cloudwatch: CloudWatch, wanted: Wanted, target: CloudWatchTarget = TARGET) -> Any:
    """All steps of one try: what it changed."""
    hook = CloudWatchApplyHook(target, client=cloudwatch, sleep=lambda _: None)
    found, _ = hook.found(wanted)
    before = before_document(wanted, found, connection=target.connection)
    hook.put(wanted, found, service="shop")
    return alarm_changes(wanted, before=before, after=hook.read_back(wanted))


def test_every_alarm_is_made_with_its_tags_composite_ones_last() -> None:
    """And what is read back has an ARN for each."""
    cloudwatch, wanted = CloudWatch(), exported()
    changes = applied(cloudwatch, wanted)
    assert [c.state for c in changes] == ["created"] * len(wanted) and all(c.arn == arn(c.name) for c in changes)
    kinds = [operation for operation, _ in cloudwatch.calls if operation.startswith("Put")]
    assert kinds == sorted(kinds, reverse=True) and kinds.count("PutCompositeAlarm") == 2
    assert all(name.startswith("perfproof-shop-") for name in cloudwatch.alarms)
    assert all(tags == TAGS for tags in cloudwatch.tags.values())


def test_a_second_time_nothing_is_put() -> None:
    """Although CloudWatch lists settings in another order, with state and defaults."""
    cloudwatch, wanted = CloudWatch(), exported()
    applied(cloudwatch, wanted)
    before = len(cloudwatch.puts())
    assert {c.state for c in applied(cloudwatch, wanted)} == {"unchanged"} and len(cloudwatch.puts()) == before


def test_only_what_differs_is_put_and_settings_that_people_made_stay() -> None:
    """A threshold that was moved by hand goes back; an OK action that somebody added is kept."""
    cloudwatch, wanted = CloudWatch(), exported()
    applied(cloudwatch, wanted)
    name = wanted[0][1]["AlarmName"]
    cloudwatch.alarms[name][1].update(Threshold=0.9, OKActions=["arn:aws:sns:eu-west-1:123456789012:ok"])
    cloudwatch.calls.clear()
    changes = applied(cloudwatch, wanted)
    assert [(c.name, c.settings) for c in changes if c.state == "changed"] == [(name, ("Threshold",))]
    assert cloudwatch.puts() == [name] and cloudwatch.alarms[name][1]["OKActions"] == ["arn:aws:sns:eu-west-1:123456789012:ok"]


def test_a_try_that_failed_half_way_is_gone_on_with() -> None:
    """One line, and then the same end as without the failure."""
    cloudwatch, wanted = CloudWatch(), exported()
    cloudwatch.fails_after = 3
    with pytest.raises(ArtifactError, match=r"^ART-910 .*CloudWatch refuses the alarm .*InvalidParameterValue") as error:
        applied(cloudwatch, wanted)
    assert "\n" not in str(error.value)
    cloudwatch.fails_after = None
    applied(cloudwatch, wanted)
    other = CloudWatch()
    applied(other, wanted)
    assert cloudwatch.alarms == other.alarms and len(cloudwatch.puts()) == len(wanted)


@pytest.mark.parametrize("tags", [[], [{"Key": "managed-by", "Value": "somebody"}]])
def test_an_alarm_of_somebody_else_is_not_touched(tags: list[dict[str, str]]) -> None:
    """Its name is ours, its tags are not: nothing is put at all."""
    cloudwatch, wanted = CloudWatch(), exported()
    name = wanted[2][1]["AlarmName"]
    cloudwatch.alarms[name] = ("MetricAlarms", {"AlarmName": name, "AlarmArn": arn(name)})
    cloudwatch.tags[arn(name)] = tags
    with pytest.raises(ArtifactError, match=rf"ART-909 .*{name}"):
        applied(cloudwatch, wanted)
    assert cloudwatch.puts() == []


def test_a_composite_alarm_under_the_name_of_a_metric_alarm_is_not_touched() -> None:
    """Putting would fail half-way."""
    cloudwatch, wanted = CloudWatch(), exported()
    name = wanted[0][1]["AlarmName"]
    cloudwatch.alarms[name] = ("CompositeAlarms", {"AlarmName": name, "AlarmArn": arn(name)})
    cloudwatch.tags[arn(name)] = TAGS
    with pytest.raises(ArtifactError, match="ART-909"):
        applied(cloudwatch, wanted)


def test_an_alarm_without_the_prefix_is_never_put() -> None:
    """An export that was made for another prefix."""
    cloudwatch = CloudWatch()
    with pytest.raises(ArtifactError, match="ART-908"):
        applied(cloudwatch, exported(replace(TARGET, prefix="other-")))
    assert cloudwatch.calls == []


def test_alarms_that_are_not_in_this_update_are_named_and_left() -> None:
    """Whoever made them."""
    cloudwatch = CloudWatch()
    applied(cloudwatch, exported())
    hook = CloudWatchApplyHook(TARGET, client=cloudwatch, sleep=lambda _: None)
    _, others = hook.found(exported()[1:])
    assert others == (exported()[0][1]["AlarmName"],)


def test_an_alarm_that_reads_otherwise_than_it_was_put_is_an_error() -> None:
    """Something changes it at the same time."""
    cloudwatch = CloudWatch()
    cloudwatch.rewrites = {"ComparisonOperator": "LessThanThreshold"}
    with pytest.raises(ArtifactError, match=r"ART-911 .*ComparisonOperator"):
        applied(cloudwatch, exported())


def test_what_was_there_before_can_be_put_again() -> None:
    """The settings without state and tags, in the form that the operation takes; null for what is to be deleted."""
    cloudwatch, wanted = CloudWatch(), exported()
    applied(cloudwatch, wanted[:1])
    found, _ = CloudWatchApplyHook(TARGET, client=cloudwatch).found(wanted)
    document = json.loads(json.dumps(before_document(wanted, found, connection="c")))
    assert [alarm["settings"] is None for alarm in document["alarms"]] == [False] + [True] * (len(wanted) - 1)
    restored = document["alarms"][0]["settings"]
    cloudwatch._check("PutMetricAlarm", restored)
    assert differing(wanted[0][1], restored) == () and "StateUpdatedTimestamp" not in restored


@contextmanager
def stubbed() -> Iterator[tuple[CloudWatchApplyHook, Stubber]]:
    client = aws()
    with Stubber(client) as stubber:
        yield CloudWatchApplyHook(TARGET, client=client, sleep=lambda _: None), stubber
        stubber.assert_no_pending_responses()


def test_the_requests_are_those_of_the_service_model() -> None:
    """One new alarm, one that differs, and one that does not."""
    (_, first), (_, second), (_, third) = wanted = exported()[:3]
    there = [
        {**second, "AlarmArn": arn(second["AlarmName"]), "Threshold": 0.5, "OKActions": [ACTION], "StateValue": "OK"},
        {**third, "AlarmArn": arn(third["AlarmName"])},
    ]
    with stubbed() as (hook, stubber):
        stubber.add_response("describe_alarms", {"MetricAlarms": there[:1], "NextToken": "t"}, ASKED)
        stubber.add_response("describe_alarms", {"MetricAlarms": there[1:]}, {**ASKED, "NextToken": "t"})
        for alarm in there:
            stubber.add_response("list_tags_for_resource", {"Tags": TAGS}, {"ResourceARN": alarm["AlarmArn"]})
        stubber.add_response("put_metric_alarm", {}, {**first, "Tags": TAGS})
        stubber.add_response("put_metric_alarm", {}, {**second, "OKActions": [ACTION]})
        after = [{**alarm, "AlarmArn": arn(alarm["AlarmName"])} for _, alarm in wanted]
        stubber.add_response("describe_alarms", {"MetricAlarms": after}, ASKED)
        found, _ = hook.found(wanted)
        hook.put(wanted, found, service="shop")
        assert set(hook.read_back(wanted)) == {alarm["AlarmName"] for _, alarm in wanted}


def test_a_missing_permission_says_which() -> None:
    """In one line."""
    with stubbed() as (hook, stubber):
        stubber.add_response("describe_alarms", {})
        stubber.add_client_error("put_metric_alarm", "AccessDenied", "no", http_status_code=403)
        wanted = exported()[:1]
        found, _ = hook.found(wanted)
        with pytest.raises(TelemetryError, match=r"TEL-716 .*permit cloudwatch:PutMetricAlarm"):
            hook.put(wanted, found, service="shop")


def test_throttling_is_waited_out() -> None:
    """CloudWatch takes three alarms a second."""
    with stubbed() as (hook, stubber):
        wanted = exported()[:1]
        stubber.add_response("describe_alarms", {})
        stubber.add_client_error("put_metric_alarm", "Throttling", "Rate exceeded", http_status_code=400)
        stubber.add_response("put_metric_alarm", {})
        found, _ = hook.found(wanted)
        hook.put(wanted, found, service="shop")


def test_settings_are_compared_by_what_they_mean() -> None:
    """Numbers, and lists whose order means nothing; a true is no 1."""
    wanted = {
        "Threshold": 1,
        "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}],
        "AlarmActions": [],
        "ActionsEnabled": True,
    }
    found = {"Threshold": 1.0, "Dimensions": list(reversed(wanted["Dimensions"])), "ActionsEnabled": True, "StateValue": "OK"}
    assert differing(wanted, found) == ()
    assert differing(wanted, {**found, "ActionsEnabled": False, "AlarmActions": [ACTION]}) == ("ActionsEnabled", "AlarmActions")
    assert put_again(wanted, {"OKActions": []}) == wanted
    assert settings_of("metric", {"AlarmName": "x", "OKActions": [], "ActionsEnabled": False, "StateValue": "OK"}) == {
        "AlarmName": "x", "ActionsEnabled": False,
    }  # fmt: skip
