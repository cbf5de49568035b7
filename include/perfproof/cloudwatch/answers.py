"""The pages of one GetMetricData request, read into samples; whatever is not whole or not in order is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from perfproof.answers.refusal import AnswerRefusal
from perfproof.cloudwatch.expressions import Selection, query_text
from perfproof.cloudwatch.periods import Periods

CHECK = "check that endpoint_url of the Connection is CloudWatch"


@dataclass(slots=True)
class MetricPages:
    """Collects the samples of `asked` (by the Id in the request) over `periods`, page by page.

    A sample's time is the end of its period, as a Series has it; CloudWatch sends the start. `failed` are the selections for
    which CloudWatch had an internal error: asking again may help.
    """

    asked: Mapping[str, Selection]
    periods: Periods
    refuse: AnswerRefusal
    samples: dict[Selection, dict[float, float]] = field(default_factory=dict)
    status: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.samples.update({selection: {} for selection in self.asked.values()})

    def add(self, page: Mapping[str, Any]) -> None:
        """Adds one page. Raises for a message of CloudWatch, and for results and samples that are none of the request's."""
        self._check_messages(page, "CloudWatch has a message about its answer")
        results = page.get("MetricDataResults")
        if not isinstance(results, list):
            raise self.refuse("an answer without results", results, CHECK, number=721)
        ids = [result.get("Id") if isinstance(result, dict) else result for result in results]
        if len(ids) != len(set(map(str, ids))):
            raise self.refuse("several series for one selection", f"{len(ids)} series", CHECK, number=721)
        for result in results:
            self._add_result(result)

    @property
    def failed(self) -> list[Selection]:
        """The selections that CloudWatch had an internal error with."""
        return [self.asked[name] for name, status in self.status.items() if status == "InternalError"]

    def require_complete(self) -> None:
        """Raises unless the last page has said of every selection that it is complete."""
        for name, selection in self.asked.items():
            status = self.status.get(name)
            if status == "Forbidden":
                raise self.refuse(
                    "CloudWatch forbids a metric", query_text(selection), "permit cloudwatch:GetMetricData for this account", number=720
                )
            if status != "Complete":
                raise self.refuse(
                    f"the answer for {query_text(selection)} is not complete", status, "ask for a shorter window, or later",
                    expected="Complete", number=720,
                )  # fmt: skip

    def _check_messages(self, document: Mapping[str, Any], what: str) -> None:
        if messages := document.get("Messages"):
            raise self.refuse(what, messages, "mend what it says", number=720)

    def _add_result(self, result: Any) -> None:
        name = result.get("Id") if isinstance(result, dict) else None
        selection = self.asked.get(name) if isinstance(name, str) else None
        if selection is None or not isinstance(name, str):
            raise self.refuse("a result that was not asked for", name, CHECK, number=721)
        shown = query_text(selection)
        self._check_messages(result, f"CloudWatch has a message about {shown}")
        self.status[name] = str(result.get("StatusCode"))
        moments, values = result.get("Timestamps") or [], result.get("Values") or []
        if len(moments) != len(values):
            raise self.refuse(f"times and values of {shown} differ in number", f"{len(moments)} and {len(values)}", CHECK, number=721)
        self._add_samples(selection, shown, moments, values)

    def _add_samples(self, selection: Selection, shown: str, moments: Sequence[Any], values: Sequence[Any]) -> None:
        samples, periods = self.samples[selection], self.periods
        previous = next(reversed(samples), -math.inf)
        for moment, value in zip(moments, values, strict=True):
            start = moment.timestamp() if isinstance(moment, datetime) and moment.tzinfo is not None else math.nan
            if not periods.first <= start < periods.behind or (start - periods.first) % periods.length:
                raise self.refuse(f"a sample of {shown} that starts at no asked period", moment, CHECK, number=721)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self.refuse(f"a sample of {shown} is no number", value, CHECK, number=721)
            end = start + periods.length
            if end <= previous:
                raise self.refuse(f"samples of {shown} repeated or out of order", moment, CHECK, number=721)
            samples[end] = float(value)
            previous = end
