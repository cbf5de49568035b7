"""Answers of the Prometheus HTTP API (also those of Thanos, Mimir and VictoriaMetrics), read strictly: all of an answer or an error.

An answer that its server calls partial, repaired or doubtful is refused: what is missing from it does not show in its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfproof.answers.refusal import AnswerRefusal
from perfproof.answers.sample_texts import Samples, sample_of, samples_in, samples_of
from perfproof.strict import read_json

# What JSON makes of an answer takes up to twenty times its bytes.
JSON_BYTES = 8 << 20
SAMPLES_BEGIN = b'"values":[['
# A remark on the name of a metric, which says nothing about the answer. Prometheus 2.48 to 2.54 call it a warning.
HARMLESS = "PromQL info: metric might not be a counter"


@dataclass(frozen=True, slots=True, eq=False)
class RangeSeries:
    """The samples of one series: its labels, times (seconds since the epoch) and values, in the answer's order."""

    labels: Mapping[str, str]
    samples: Samples


def range_series(body: bytes, *, status: int, path: str, refuse: AnswerRefusal) -> list[RangeSeries]:
    """The series of a range query's answer. Refuses anything else, such as native histograms."""
    rest, samples = _without_samples(body, refuse=refuse)
    data = _data(rest, status=status, path=path, refuse=refuse)
    result = data.get("result")
    if data.get("resultType") != "matrix" or not isinstance(result, list):
        raise refuse("unexpected type of result", data.get("resultType"), "check that this is a Prometheus API", expected="matrix")
    given = iter(enumerate(samples))
    series = [_series(item, given, refuse=refuse) for item in result]
    if next(given, None) is not None:
        raise refuse("samples outside a series", f"{len(samples)} lists", "check that this is a Prometheus API")
    return series


def instant_values(body: bytes, *, status: int, path: str, refuse: AnswerRefusal) -> list[float]:
    """The values of an instant query's answer, one per series, as received."""
    data = _data(body, status=status, path=path, refuse=refuse)
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar" and isinstance(result, list):
        return [sample_of(result, refuse=refuse)[1]]
    if kind != "vector" or not isinstance(result, list):
        raise refuse("unexpected type of result", kind, "ask for a vector", expected="vector")
    return [sample_of(_item(item, "histogram", refuse=refuse).get("value"), refuse=refuse)[1] for item in result]


def _without_samples(body: bytes, *, refuse: AnswerRefusal) -> tuple[bytes, list[Samples]]:
    """The answer with each list of samples replaced by its number, and the lists: what is left is small, whatever was asked.

    In JSON, what follows the beginning that is searched for is the value of a key, and a list of samples is a whole value, so
    the rest is an answer exactly if all of it was.
    """
    pieces: list[bytes] = []
    found: list[Samples] = []
    at = 0
    while (begin := body.find(SAMPLES_BEGIN, at)) >= 0:
        first = begin + len(SAMPLES_BEGIN) - 1
        end = _end(body, first)
        if end < 0:
            break
        text = body[first : end + 1]
        samples = samples_in(text)
        if samples is None:
            pairs = read_json(b"[" + text + b"]", where=refuse.where, limit=JSON_BYTES, error=refuse.error, number=276)
            samples = samples_of(pairs, refuse=refuse)
        pieces += [body[at : first - 1], b"%d" % len(found)]
        found.append(samples)
        at = end + 2
    return b"".join([*pieces, body[at:]]), found


def _end(body: bytes, first: int) -> int:
    """Where the list of samples that begins at `first` ends; -1 if it does not."""
    # There is one brace after thousands of brackets, so it is found sooner.
    brace = body.find(b"}", first)
    return brace - 2 if body[brace - 2 : brace] == b"]]" and brace > first else body.find(b"]]", first)


def _data(body: bytes, *, status: int, path: str, refuse: AnswerRefusal) -> dict[str, Any]:
    document = read_json(body, where=refuse.where, limit=JSON_BYTES, error=refuse.error, number=276)
    if not isinstance(document, dict) or document.get("status") != "success" or status >= 400:
        told = document.get("error") if isinstance(document, dict) else document
        raise refuse(f"{path} refuses the query", f"HTTP {status} {told}", "correct the query in the protocol file", number=277)
    if document.get("isPartial") not in (None, False):
        raise refuse("the answer is partial", "isPartial", "bring the missing storage nodes back", number=702)
    if remarks := _remarks(document.get("warnings")):
        raise refuse("the server warns about its answer", remarks, "mend what it warns of", number=278)
    if remarks := _remarks(document.get("infos")):
        raise refuse("the server repaired its answer or left something out", remarks, "mend what it names", number=708)
    if not isinstance(document.get("data"), dict):
        raise refuse("an answer without data", document.get("data"), "check that this is a Prometheus API")
    return dict(document["data"])


def _remarks(given: Any) -> Any:
    return [text for text in given if not str(text).startswith(HARMLESS)] if isinstance(given, list) else given


def _series(item: Any, given: Any, *, refuse: AnswerRefusal) -> RangeSeries:
    series = _item(item, "histograms", refuse=refuse)
    labels, values = series.get("metric", {}), series.get("values")
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise refuse("a series with labels that are no text", labels, "check that this is a Prometheus API")
    if isinstance(values, list):
        return RangeSeries(labels, samples_of(values, refuse=refuse))
    number, samples = next(given, (None, None)) if type(values) is int else (None, None)
    if samples is None or number != values:
        raise refuse("a series without values", values, "check that this is a Prometheus API")
    return RangeSeries(labels, samples)


def _item(item: Any, histogram: str, *, refuse: AnswerRefusal) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise refuse("not a series", item, "check that this is a Prometheus API")
    if histogram in item:
        raise refuse(
            "the answer is a native histogram, which is no number", histogram, "ask for histogram_quantile(0.95, sum(rate(...)))",
            expected="one value a moment", number=703,
        )  # fmt: skip
    return item
