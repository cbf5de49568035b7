"""Fifty cycles at once in a real Airflow, against one alone: how long they take together, and whether anything was mixed.

A cycle here is three tasks, evidence, a question that a person answers, and an end that reads the evidence (`scale_cycle`). What
tests/e2e/test_many_runs.py asserts about fifty of them is counted here and printed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scale_figures import table

if TYPE_CHECKING:
    from airflow_rig import Rig

CYCLE = "scale_cycle"
RUNS = 50
PERSON = "demo-sre"
PATIENCE_SECONDS = 3_600.0
# Opened, evidence, request, decision, its record, the end.
ENTRIES = ("run.opened", "artifact.published", "approval.requested", "approval.granted", "artifact.published", "run.closed")


@dataclass(frozen=True, slots=True)
class Expected:
    """What the log of one cycle holds: its key, its request, what it published and was closed with, and its note."""

    run: str
    request: str
    content: str
    note: str


@dataclass(frozen=True, slots=True)
class Together:
    """`runs` cycles at once. Seconds from the first trigger until all waited, and from the first mark until all were over."""

    runs: int
    until_waiting: float
    until_over: float
    mixed: tuple[str, ...]


def mixed(entries: Sequence[Mapping[str, Any]], expected: Expected) -> list[str]:
    """What in a run's log belongs to another run, is missing or is there twice, in words; `entries` have run, type and body."""
    found = [f"{expected.run}: an entry of {entry['run']}" for entry in entries if entry["run"] != expected.run]
    types = sorted(str(entry["type"]) for entry in entries)
    if types != sorted(ENTRIES):
        found.append(f"{expected.run}: entries {', '.join(types)}")
    wanted = {
        "approval.requested": ("request_id", expected.request),
        "approval.granted": ("comment", expected.note),
        "run.closed": ("outcome", expected.content),
    }
    for entry in entries:
        key, value = wanted.get(str(entry["type"]), ("", None))
        if key and entry["body"].get(key) != value:
            found.append(f"{expected.run}: {entry['type']} with {key} {entry['body'].get(key)!r} in place of {value!r}")
    return found


def together(rig: Rig, *, runs: int, named: str) -> Together:
    """Triggers, waits until all wait, answers all, waits until all are over, and looks into every log."""
    from perfproof.run_key import run_key

    api = rig.as_("requester")
    names = [f"{named}-{number}" for number in range(runs)]
    begun = time.monotonic()
    for number, name in enumerate(names):
        api.trigger(CYCLE, run_id=name, conf={"content": f"plan {number} of {named}"})
    requests = [rig.request_of(CYCLE, name, seconds=PATIENCE_SECONDS) for name in names]
    waiting = time.monotonic() - begun
    rig.settled(CYCLE, names[-1])
    marked = time.monotonic()

    def answer(number: int) -> int:
        return rig.mark(PERSON, requests[number], note=f"about {names[number]}")

    rig.as_(PERSON)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(answer, range(runs)))
    if set(answers) != {200}:
        raise AssertionError(f"marks were answered {sorted(set(answers))}")
    for name in names:
        ended = api.wait_for_run(CYCLE, name, seconds=PATIENCE_SECONDS)["state"]
        if ended != "success":
            raise AssertionError(f"{name} ended {ended}")
    over = time.monotonic() - marked
    problems: list[str] = []
    for number, name in enumerate(names):
        entries = [{"run": entry.run, "type": entry.type, "body": entry.body} for entry in rig.store(CYCLE, name).entries()]
        expected = Expected(run_key(CYCLE, name), requests[number], f"plan {number} of {named}", f"about {name}")
        problems += mixed(entries, expected)
    return Together(runs, waiting, over, tuple(problems))


def running_part(root: Path, *, runs: int) -> str:
    """One cycle alone and then `runs` at once in an Airflow below `root`; the table."""
    from scale_rig import scale_rig

    with scale_rig(root) as rig:
        # The first run of an Airflow also pays for what is loaded once.
        together(rig, runs=1, named="first")
        return running_table([together(rig, runs=1, named="alone"), together(rig, runs=runs, named="many")])


def running_table(found: Sequence[Together]) -> str:
    """Markdown; the floor of each row is the first one's time for each run."""
    alone = found[0]
    floor = alone.until_waiting + alone.until_over
    rows = []
    for one in found:
        whole = one.until_waiting + one.until_over
        share = whole / one.runs / (floor / alone.runs)
        rows.append(
            [one.runs, f"{one.until_waiting:.1f}", f"{one.until_over:.1f}", f"{whole / one.runs:.2f}", f"{share:.2f}", len(one.mixed)]
        )
    words = "".join(f"\n- {line}" for one in found for line in one.mixed)
    heads = ["cycles at once", "until all wait (s)", "from marks to all over (s)", "a cycle (s)", "ratio to one alone", "mixed"]
    return table(heads, rows) + (f"\n{words}" if words else "")
