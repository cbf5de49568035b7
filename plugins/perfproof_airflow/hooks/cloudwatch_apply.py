"""Approved alarms into CloudWatch: what is there is read first, only what differs is put, and then everything is read back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perfproof.config import CloudWatchTarget
from perfproof.errors import ArtifactError
from perfproof.slos.alarm_changes import COMPOSITE, METRIC, Alarm, differing, put_again
from perfproof_airflow.hooks.aws_service import AwsService
from perfproof_airflow.hooks.http_answers import Limits
from perfproof_airflow.hooks.refused import QueryRefused

PAGE = 100
# By what an alarm is known as made here. A name alone could be anybody's.
TAG, MADE_BY = "managed-by", "perfproof"
LISTS = {
    METRIC: ("MetricAlarms", "MetricAlarm", "put_metric_alarm"),
    COMPOSITE: ("CompositeAlarms", "CompositeAlarm", "put_composite_alarm"),
}
Wanted = Sequence[tuple[str, Alarm]]


class CloudWatchApplyHook:
    """Makes alarms at an Airflow Connection of type aws. `client` replaces the Connection in tests.

    Needs `cloudwatch:` DescribeAlarms, ListTagsForResource, PutMetricAlarm, PutCompositeAlarm and TagResource.
    """

    def __init__(
        self, target: CloudWatchTarget, *, client: Any = None, limits: Limits | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.target = target
        self._where = f"instrumentation.cloudwatch ({target.connection})"
        self._service = AwsService(
            "cloudwatch", target.connection, source="instrumentation.cloudwatch", client=client, limits=limits, region=target.region,
            sleep=sleep,
        )  # fmt: skip

    def found(self, wanted: Wanted) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
        """The alarms that are there under the names of `wanted`, and the names of others that begin with the prefix.

        Raises ArtifactError 908 for a name without the prefix, 909 for an alarm that was made by somebody else or is of another kind.
        """
        kinds = {str(alarm["AlarmName"]): kind for kind, alarm in wanted}
        stray = next((name for name in kinds if not name.startswith(self.target.prefix)), None)
        if stray is not None:
            raise ArtifactError(
                908, where=self._where, what="an alarm without the prefix is not touched", got=stray, fix="export the alarms again"
            )
        there = self._listed()
        found = {name: alarm for name, (_, alarm) in there.items() if name in kinds}
        for name, alarm in found.items():
            if there[name][0] != kinds[name] or not self._made_here(alarm):
                raise ArtifactError(
                    909, where=self._where, what=f"an alarm of that name has not the tag {TAG}={MADE_BY}, or is of another kind",
                    got=name, fix="choose another prefix, or delete that alarm",
                )  # fmt: skip
        return found, tuple(name for name in there if name not in kinds)

    def put(self, wanted: Wanted, found: Mapping[str, Alarm], *, service: str) -> None:
        """Puts each alarm that `found` has not or has otherwise; new ones get the tags. Raises ArtifactError 910 for a refused one."""
        for kind, alarm in wanted:
            there = found.get(str(alarm["AlarmName"]))
            if there is not None and not differing(alarm, there):
                continue
            parameters = put_again(alarm, there)
            if there is None:
                tags = {TAG: MADE_BY, "perfproof-service": service}
                parameters["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
            try:
                # A question for each: together they may take longer than one may.
                self._service.question().call(LISTS[kind][2], parameters)
            except QueryRefused as error:
                raise ArtifactError(
                    910, where=self._where, what=f"CloudWatch refuses the alarm {alarm['AlarmName']}", got=error.got,
                    fix="correct prefix, namespace or actions of instrumentation.cloudwatch, then clear this task",
                ) from error  # fmt: skip

    def read_back(self, wanted: Wanted) -> dict[str, dict[str, Any]]:
        """The alarms as they are now. Raises ArtifactError 911 for one that is missing or differs from what was put."""
        there = self._listed()
        for _, alarm in wanted:
            name = str(alarm["AlarmName"])
            different = differing(alarm, there[name][1] if name in there else None)
            if different or not there[name][1].get("AlarmArn"):
                raise ArtifactError(
                    911, where=self._where, what="an alarm that was put reads otherwise", got=f"{name}: {', '.join(different)}",
                    fix="see who else changes it, then clear this task",
                )  # fmt: skip
        return {str(alarm["AlarmName"]): there[str(alarm["AlarmName"])][1] for _, alarm in wanted}

    def _listed(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Kind and description of each alarm whose name begins with the prefix."""
        asked = {"AlarmNamePrefix": self.target.prefix, "AlarmTypes": [LISTS[kind][1] for kind in (METRIC, COMPOSITE)], "MaxRecords": PAGE}
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for page in self._service.question().pages("describe_alarms", asked):
            for kind, (key, _, _) in LISTS.items():
                found |= {str(alarm["AlarmName"]): (kind, alarm) for alarm in page.get(key, ())}
        return found

    def _made_here(self, alarm: Alarm) -> bool:
        answer = self._service.question().call("list_tags_for_resource", {"ResourceARN": alarm["AlarmArn"]})
        return any((tag.get("Key"), tag.get("Value")) == (TAG, MADE_BY) for tag in answer.get("Tags", ()))
