"""CloudWatch's alarms as a source of alerts: what is watched, and what was in ALARM in a window."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from perfproof.cloudwatch.alarm_items import alarm_items
from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.aws_service import AwsService
from perfproof_airflow.hooks.http_answers import Limits

PAGE = 100
MAX_ALARMS = 10_000
MAX_CHANGES = 20_000
TYPES = ("MetricAlarm", "CompositeAlarm")
# What CloudWatch keeps of an alarm's history.
HISTORY_DAYS = 30


class CloudWatchAlarmsHook:
    """Asks for alarms and their history at an Airflow Connection of type aws. `client` replaces the Connection in tests."""

    conn_name_attr = "connection_id"
    default_conn_name = "perfproof_cloudwatch"
    conn_type = "aws"
    hook_name = "Amazon CloudWatch alarms"

    def __init__(
        self,
        connection_id: str = default_conn_name,
        *,
        source: str = "cloudwatch_alarms",
        client: Any = None,
        limits: Limits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection_id = connection_id
        self.source = source
        self._service = AwsService("cloudwatch", connection_id, source=source, client=client, limits=limits, sleep=sleep, clock=clock)

    def items(self, *, query: str | None, start: float, end: float, fetched_at: datetime) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
        """`{"alerts": [...]}` of the window (seconds since the epoch), and the answers as lines of JSON.

        `query` is how the names of the alarms begin, None for all. History older than HISTORY_DAYS is gone: a window that begins
        earlier is refused, since it would look like a quiet one. Raises QueryRefused, Unreachable, TelemetryError.
        """
        age_days = (fetched_at.timestamp() - start) / 86_400
        if age_days > HISTORY_DAYS:
            raise self._service.refused(
                728, "CloudWatch has no history of alarms from so long ago", f"{age_days:.0f} days", "choose a window that begins later",
                expected=f"at most {HISTORY_DAYS} days",
            )  # fmt: skip
        question = self._service.question()
        prefix = {"AlarmNamePrefix": query} if query else {}
        alarms: list[dict[str, Any]] = []
        for page in question.pages("describe_alarms", {"AlarmTypes": list(TYPES), "MaxRecords": PAGE, **prefix}):
            alarms += [*_listed(page, "MetricAlarms"), *_listed(page, "CompositeAlarms")]
            self._require_few(alarms, MAX_ALARMS, "alarms")
        changes: list[dict[str, Any]] = []
        # Until now: what lasted through the whole window has its end behind it.
        until = datetime.fromtimestamp(max(end, fetched_at.timestamp()), UTC)
        window = {"StartDate": datetime.fromtimestamp(start, UTC), "EndDate": until}
        for kind in TYPES:
            asked = {"HistoryItemType": "StateUpdate", "AlarmTypes": [kind], "ScanBy": "TimestampAscending", "MaxRecords": PAGE, **window}
            for page in question.pages("describe_alarm_history", asked):
                found = _listed(page, "AlarmHistoryItems")
                # The history knows whole names only, so a prefix is looked for here.
                changes += [item for item in found if str(item.get("AlarmName", "")).startswith(query or "")]
                self._require_few(changes, MAX_CHANGES, "changes of state")
        return {"alerts": alarm_items(alarms, changes, end=end, source=self.source)}, question.raw

    def _require_few(self, found: list[dict[str, Any]], most: int, what: str) -> None:
        if len(found) > most:
            raise self._service.refused(
                729, f"too many {what}", len(found), "name how the alarms begin, or a shorter window", expected=f"at most {most}"
            )


def _listed(page: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = page.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise TelemetryError(726, where=name, what="not a list of CloudWatch", got=found, fix="check endpoint_url of the Connection")
    return found
