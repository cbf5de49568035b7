"""What the demo shows while a cycle runs, read from the cycle's own evidence log and from Airflow's task states."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfproof.evidence import Entry, EntryType, EvidenceStore, LocalBackend
from perfproof.moments import parse_stamp

GROUPS = ("prerequisites", "intake_and_baseline", "diagnostics", "optimization", "governance", "completion")


def tell(text: str) -> None:
    """One line with the time, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stdout.flush()


@dataclass(slots=True)
class Progress:
    """Prints every new fact of a run once."""

    store: EvidenceStore
    print_line: Callable[[str], None] = tell
    _entries: int = 0
    _states: dict[tuple[str, int], str] = field(default_factory=dict)

    def show_log(self) -> None:
        """Announcements, gates, approvals, load tests and errors that were committed since the last call."""
        entries = self.store.entries()
        for entry in entries[self._entries :]:
            line = _line(entry)
            if line:
                self.print_line(line)
        self._entries = len(entries)

    def show_tasks(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Tasks that began or failed since the last call."""
        for task in tasks:
            key, state = (task["task_id"], task["map_index"]), str(task["state"])
            if self._states.get(key) == state:
                continue
            self._states[key] = state
            name = task["task_id"] + (f"[{task.get('rendered_map_index') or task['map_index']}]" if task["map_index"] >= 0 else "")
            if state == "running":
                self.print_line(f"  · {name}")
            elif state in ("failed", "upstream_failed") and state == "failed":
                self.print_line(f"  ✗ {name} failed")


def _line(entry: Entry) -> str | None:
    body = entry.body
    match entry.type:
        case EntryType.ANNOUNCE | EntryType.ERROR:
            return str(body["text"])
        case EntryType.GATE_EVALUATED:
            return f"gate {body['gate']} {body['name']}: {body['outcome']}" + (f"\n{body['text']}" if body.get("text") else "")
        case EntryType.APPROVAL_REQUESTED:
            roles = {role["role"]: role for role in body["request"]["roles"]}
            people = ", ".join(p["id"] for role in body["request"]["asked"] for p in roles[role]["people"])
            return f"  … {body['step']} waits for {people}"
        case EntryType.APPROVAL_GRANTED | EntryType.APPROVAL_REJECTED:
            return f"  ✓ {body['step']}: {body['decision']} by {body['person']['id']} as {body['role_label']} ({body['channel']})"
        case EntryType.APPROVAL_REFUSED:
            return f"  ! {body['step']}: {body['code']} {body['reason']}"
        case EntryType.LOADTEST_STARTED:
            return f"  → load test {body['test']}: {body['scenario']} on {body['target']}"
        case EntryType.DECISION_RECORDED:
            return f"  decision at gate {body['gate']}: {body['decision']}"
    return None


def phase_seconds(tasks: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """Seconds from the first start to the last end of each task group, in the protocol's order."""
    spans: dict[str, list[float]] = {}
    for task in tasks:
        group = task["task_id"].partition(".")[0]
        if task.get("start_date") and task.get("end_date"):
            moments = [parse_stamp(task[key]).timestamp() for key in ("start_date", "end_date")]
            first, last = spans.get(group, moments)
            spans[group] = [min(first, moments[0]), max(last, moments[1])]
    return [(group, spans[group][1] - spans[group][0]) for group in GROUPS if group in spans]


def open_store(root: Any, run: str) -> EvidenceStore:
    """The evidence of a run on local disk."""
    return EvidenceStore(LocalBackend(root), run)
