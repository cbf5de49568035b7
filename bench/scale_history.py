"""A year of hourly captures: what joining a capture, its comparison, the page and `perfproof changes` cost as the history grows.

Nothing of Airflow runs. The history is made of a document that the real capture code measured, with drawn values: each metric changes
its level every 25 days, to half as much again and back, so that there are changes to find, to keep and to offer to an intake.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import random
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from scale_figures import Timing, growth_table, took
from scale_protocol import NAME, protocol_document, service_name, write_workspace

from perfproof.baseline import baseline_document, cells_of
from perfproof.baseline_comparison import compare_with_history
from perfproof.capture_changes import changes_document
from perfproof.history import part_path
from perfproof.intake_inbox import drift_item
from perfproof.moments import stamp
from perfproof.telemetry import MetricSpec, Series, document_bytes, sha256_hex
from perfproof_airflow.captures import CHANGES, COMPARED, Captures, kept_history
from perfproof_airflow.hooks.baseline import measure_service
from perfproof_airflow.hooks.workspace import Workspace
from perfproof_airflow.inbox import Inbox

SIZES = (100, 1_000, 4_000, 8_760)
HOUR = timedelta(hours=1)
START = datetime(2024, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
LEVEL_HOURS = 600
NOISE = 0.03


class Recorded:
    """A source of metrics that recorded the same value at every moment."""

    collection_method = "recorded"

    def query_range_raw(
        self, spec: MetricSpec, *, service: str, instance: str, start: float, end: float, step: float, rate_window: float,
        fetched_at: datetime,
    ) -> tuple[Series, bytes]:  # fmt: skip
        """One sample each step."""
        del instance, rate_window
        times = tuple(start + number * step for number in range(1 + math.floor((end - start) / step + 1e-9)))
        value, answer = (150.0 if spec.name.endswith("p99") else 50.0), b"{}"
        series = Series(
            metric=spec.name, service=service, unit=spec.unit, source=spec.source, query=spec.query, start=start, end=end, step=step,
            times=times, values=(value,) * len(times), fetched_at=fetched_at, raw_sha256=sha256_hex(answer),
        )  # fmt: skip
        return series, answer

    def probe(self, probe: str, *, at: float) -> int:
        """Always there."""
        del probe, at
        return 1


def level(place: int, hour: int) -> float:
    """The level of the metric in that place at an hour: 1 or 1.5, changed every 600 hours, each metric at hours of its own."""
    return 1.5 if (hour + 29 * place) // LEVEL_HOURS % 2 else 1.0


@dataclass(frozen=True, slots=True)
class MadeHistory:
    """The history of one protocol below `root`, hour by hour. `part` is a service's part as the capture measured it."""

    root: Path
    captures: Captures
    parts: tuple[dict[str, Any], ...]
    baseline: dict[str, Any]
    seed: int

    @classmethod
    def make(cls, root: Path, *, services: int, metrics: int, seed: int) -> MadeHistory:
        """An empty history of a protocol with `services` services of `metrics` metrics each."""
        write_workspace(root, protocol_document(services=services, metrics=metrics))
        os.environ["AIRFLOW__PERFPROOF__WORKSPACE"] = str(root)
        first = Captures.of(NAME, start=START, end=START + HOUR, now=LATER)
        hooks = dict.fromkeys((source.name for source in first.protocol.sources), Recorded())
        parts = tuple(
            measure_service(first.protocol, service, window=first.window, hooks=hooks, build=None, fetched_at=LATER, judge_sources=False)
            for service in first.protocol.services
        )
        baseline = baseline_document(
            [cell for part in parts for cell in cells_of(part)],
            window=parts[0]["window"],
            protocol_sha256=first.protocol.digest,
            services=first.protocol.services,
            builds={part["service"]: None for part in parts},
            adherence={key: value for part in parts for key, value in part["adherence"].items()},
            now=LATER,
        )
        return cls(root, first, parts, baseline, seed)

    @property
    def directory(self) -> Path:
        """Where its captures lie."""
        return self.root / self.captures.directory / NAME

    def at(self, hour: int) -> Captures:
        """The captures of the interval that begins `hour` hours after the first."""
        start = START + hour * HOUR
        return Captures(self.captures.protocol, start, start + HOUR, LATER, self.captures.workspace, self.captures.directory)

    def fill(self, first: int, end: int) -> None:
        """Writes the captures from hour `first` to before `end`, with the changes and drifts that were reported until then."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for hour in range(first, end):
            (self.directory / self.at(hour).name).write_bytes(document_bytes(self._dated(self.baseline, hour)))
        records = self.reported(end)
        (self.directory / CHANGES).write_bytes(document_bytes(changes_document(records)))
        drifts = [drift_item(r, protocol=NAME, length=HOUR, evidence=[]) for r in records if r["kind"] == "regression"]
        Inbox(NAME, f"{self.captures.directory}/{NAME}", self.captures.workspace).open(drifts)

    def write_parts(self, hour: int) -> list[dict[str, str]]:
        """References to the parts of the interval at `hour`, as the mapped tasks leave them."""
        captures, references = self.at(hour), []
        for part in self.parts:
            path = part_path(captures.directory, NAME, captures.name, part["service"])
            data = document_bytes(self._dated(part, hour))
            captures.workspace.write(path, data)
            references.append({"name": path, "sha256": sha256_hex(data)})
        return references

    def reported(self, end: int) -> list[dict[str, Any]]:
        """The changes of level before hour `end`, as the captures report them: a day after each, when it is sure."""
        found = []
        for place, cell in enumerate(self.baseline["cells"]):
            hours = [hour for hour in range(1, end - 24) if level(place, hour) != level(place, hour - 1)]
            found += [self._record(cell, place, hour) for hour in hours]
        return sorted(found, key=lambda record: (record["at"], record["series"]))

    def _record(self, cell: dict[str, Any], place: int, hour: int) -> dict[str, Any]:
        before, after = (cell["value"] * level(place, moment) for moment in (hour - 1, hour))
        worse = (after > before) == (cell["direction"] == "lower_is_better")
        return {
            "series": f"{cell['service']}/{cell['metric_name']}", "unit": cell["unit"], "at": stamp(START + hour * HOUR),
            "kind": "regression" if worse else "improvement", "before": before, "after": after,
            "percent": round(100 * (after - before) / before, 2), "p": 1e-9, "reported_by": self.at(hour + 24).name.removesuffix(".json"),
            "beside": [],
        }  # fmt: skip

    def _dated(self, document: dict[str, Any], hour: int) -> dict[str, Any]:
        start = START + hour * HOUR
        drawn = random.Random(self.seed * 1_000_003 + hour)
        cells = []
        for place, cell in enumerate(document["cells"]):
            value = cell["value"] * level(place, hour) * (1 + drawn.gauss(0, NOISE))
            cells.append({**cell, "value": float(f"{value:.6g}"), "timestamp": stamp(start + HOUR)})
        return {**document, "window": {**document["window"], "start": stamp(start), "end": stamp(start + HOUR)}, "cells": cells}


def newest_read(directory: Path, *, count: int) -> list[Any]:
    """The floor of whatever looks at the newest captures: names listed, `count` files read, JSON parsed, nothing checked."""
    names = sorted(path.name for path in directory.iterdir() if path.name[0] == "2")
    return [json.loads((directory / name).read_bytes()) for name in names[-count:]]


Work = tuple[str, str, Callable[[int], tuple[float, float]]]


def measurements(made: MadeHistory, *, times: int) -> list[Work]:
    """What is measured at each size: its name, its floor in words, and (seconds, floor) at that many captures."""

    def floor(count: int = COMPARED) -> float:
        return took(lambda: newest_read(made.directory, count=count), times=times)

    def joined(size: int) -> tuple[float, float]:
        prepared = [(made.at(size + number), made.write_parts(size + number)) for number in range(times)]
        waiting = iter(prepared)

        def record() -> None:
            captures, references = next(waiting)
            captures.record(references)

        return took(record, times=times), floor()

    def judged(size: int) -> tuple[float, float]:
        current, workspace = made.baseline, made.captures.workspace

        def compare() -> None:
            history = kept_history(workspace, made.captures.directory, NAME, until=made.at(size).start)
            compare_with_history(current, history, limit_percent=200)

        return took(compare, times=times), floor()

    def searched(size: int) -> tuple[float, float]:
        return took(lambda: changes_printed(made.directory)), took(lambda: newest_read(made.directory, count=size))

    def page_new(size: int) -> tuple[float, float]:
        del size
        found = []
        for _ in range(times):
            with page_server(made) as get:
                found.append(took(lambda: get(service_name(0))))
        return median(found), floor()

    def page_again(size: int) -> tuple[float, float]:
        del size
        with page_server(made) as get:
            get(service_name(0))
            return took(lambda: get(service_name(0)), times=5), took(lambda: sorted(made.directory.iterdir()), times=5)

    read = f"the newest {COMPARED} files read, as plain JSON"
    return [
        ("a capture joins the history (record_baseline)", read, joined),
        ("the comparison with the history, files read", read, judged),
        ("page of baselines, nothing in memory", read, page_new),
        ("page of baselines, again", "the directory listed", page_again),
        ("perfproof changes DIR, the whole history", "all files read, as plain JSON", searched),
    ]


def changes_printed(directory: Path) -> str:
    """What `perfproof changes` prints about a directory of captures."""
    from perfproof.cli import main

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main(["changes", str(directory)])
    return output.getvalue()


@contextlib.contextmanager
def page_server(made: MadeHistory) -> Iterator[Callable[[str], bytes]]:
    """Gets the page of baselines of a service over HTTP on loopback."""
    from pages import served

    from perfproof.evidence import MemoryBackend
    from perfproof_airflow.web.capture_history import CaptureHistory
    from perfproof_airflow.web.cycles import CycleReader

    reader = CycleReader(MemoryBackend(), history=CaptureHistory(Workspace(made.root), made.captures.directory))
    with served(reader) as address:

        def get(service: str) -> bytes:
            with urllib.request.urlopen(f"{address}/baselines?service={service}", timeout=600) as answer:  # noqa: S310  our own server
                return bytes(answer.read())

        yield get


def history_part(root: Path, *, sizes: tuple[int, ...], services: int, metrics: int, times: int, seed: int) -> str:
    """Grows the history through `sizes` and measures at each; the table."""
    made = MadeHistory.make(root, services=services, metrics=metrics, seed=seed)
    work = measurements(made, times=times)
    found: dict[str, list[Timing]] = {name: [] for name, _, _ in work}
    filled = 0
    for size in sizes:
        made.fill(filled, size)
        filled = size
        for name, _, measure in work:
            seconds, floor = measure(size)
            found[name].append(Timing(size, seconds, floor))
        for extra in range(size, size + times):
            (made.directory / made.at(extra).name).unlink(missing_ok=True)
        shutil.rmtree(made.directory / "parts", ignore_errors=True)
    reported = len(made.reported(filled))
    title = f"{services} service{'s' if services > 1 else ''} with {metrics} metrics, hourly captures; {reported} changes were reported"
    return f"{title}\n\n{growth_table([(name, floor, found[name]) for name, floor, _ in work])}"
