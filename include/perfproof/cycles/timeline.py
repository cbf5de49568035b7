"""The log as a time line: phases, and in each what happened, with neighbouring publications, load tests and deliveries in one item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfproof.cycles import bodies
from perfproof.cycles.phases import NAMES, phase_of
from perfproof.cycles.timeline_items import DELIVERIES, delivered, item_of, published
from perfproof.evidence.records import PUBLICATIONS, Entry, EntryType


def cycle_timeline(entries: Sequence[Entry]) -> dict[str, Any]:
    """The phases in the order in which they were gone through, each with its items; a phase that is retried is there again."""
    line = _Line()
    for entry in entries:
        line.add(entry)
    return {"run": entries[0].run if entries else None, "phases": line.phases}


class _Line:
    def __init__(self) -> None:
        self.phases: list[dict[str, Any]] = []
        # The item that each task's next publication, load test or delivery still belongs to.
        self._open: dict[tuple[str, str, int], dict[str, Any]] = {}
        self._tests: dict[str, dict[str, Any]] = {}

    def add(self, entry: Entry) -> None:
        self._begin(entry)
        if entry.type in PUBLICATIONS:
            self._collapse(entry, "publications", published(entry), "artifacts")
        elif entry.type in DELIVERIES:
            self._collapse(entry, DELIVERIES[entry.type], delivered(entry), "deliveries")
        elif entry.type.value.startswith("loadtest.") and entry.type is not EntryType.LOADTEST_AUTHORISED:
            self._load_test(entry)
        else:
            for key in [key for key in self._open if key[1:] == _task(entry)]:
                del self._open[key]
            self._items.append(item_of(entry))

    @property
    def _items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.phases[-1]["items"]
        return items

    def _begin(self, entry: Entry) -> None:
        phase = phase_of(entry)
        last = self.phases[-1] if self.phases else None
        if last is None or (phase is not None and phase != last["phase"]):
            name = NAMES[phase] if phase is not None else None
            self.phases.append({"phase": phase, "name": name, "started_at": entry.time, "ended_at": entry.time, "items": []})
            self._open.clear()
        else:
            last["ended_at"] = entry.time

    def _collapse(self, entry: Entry, kind: str, part: dict[str, Any], parts: str) -> None:
        key = (kind, *_task(entry))
        item = self._open.get(key)
        if item is None:
            item = {**item_of(entry), "kind": kind, parts: [], "count": 0}
            self._open[key] = item
            self._items.append(item)
        item[parts].append(part)
        item["count"], item["until"] = len(item[parts]), entry.time
        item["title"] = f"{item['count']} {_WORDS[kind]}" if item["count"] > 1 else item["title"]

    def _load_test(self, entry: Entry) -> None:
        plan = str(entry.body.get("plan_sha256"))
        if entry.type is not EntryType.LOADTEST_STARTED and plan in self._tests:
            ended = self._tests[plan]
            ended["ended_at"] = entry.time
            ended |= {key: bodies.text(entry.body, key) for key in ("outcome", "reason", "build")}
            return
        started = entry.type is EntryType.LOADTEST_STARTED
        test = {
            "seq": entry.seq,
            "test": bodies.whole(entry.body, "test"),
            "target": bodies.text(entry.body, "target"),
            "started_at": entry.time if started else None,
            "ended_at": None if started else entry.time,
            **{key: None if started else bodies.text(entry.body, key) for key in ("outcome", "reason", "build")},
        }
        if started:
            self._tests[plan] = test
        scenario = bodies.text(entry.body, "scenario")
        key = ("load_tests", *_task(entry))
        item = self._open.get(key)
        if item is None or item["scenario"] != scenario:
            item = {**item_of(entry), "kind": "load_tests", "scenario": scenario, "tests": []}
            self._open[key] = item
            self._items.append(item)
        item["tests"].append(test)
        count = len(item["tests"])
        item["title"] = f"{count} load tests: {scenario}" if count > 1 else f"Load test: {scenario}"


_WORDS = {"publications": "artifacts published", "notified": "deliveries", "notify_failed": "deliveries failed"}


def _task(entry: Entry) -> tuple[str, int]:
    return (entry.attempt.task_id, entry.attempt.map_index) if entry.attempt else ("", -1)
