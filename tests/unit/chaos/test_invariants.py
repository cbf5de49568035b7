"""The checker of the kill matrix finds what it is there to find: each invariant is broken once, and named."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "chaos"))

from cells import MOMENTS, RIDES, Victim, chosen, drawn, mixed
from invariants import Scene, findings
from witness import Done, Mark, Witness, references_in

from perfproof.evidence import Actor, Attempt, EvidenceStore, LocalBackend, idempotency
from perfproof.run_key import run_key

NOW = datetime(2025, 2, 16, 10, tzinfo=UTC)
RUN = run_key("performance_optimization", "manual__1")
ACTOR = Actor(kind="task", id="t", auth="A1")
REQUEST = f"{RUN}__load_test_authorization__1__r0a1"


class Cycle:
    """A little run that is written by hand."""

    def __init__(self, root: Path) -> None:
        self.store = EvidenceStore(LocalBackend(root), RUN)
        self.directory = root / RUN
        self.store.open_run(genesis={"dag_id": "performance_optimization", "run_id": "manual__1"}, time=NOW, actor=ACTOR)
        self.count = 0

    def say(self, kind: str, body: dict[str, Any]) -> None:
        """One entry more."""
        self.count += 1
        self.store.append(type=kind, body=body, idem=idempotency(kind, str(self.count), 0, []), time=NOW, actor=ACTOR)

    def publish(self, name: str, data: bytes, *, task: str = "prerequisites.verify") -> str:
        """The digest of what a task published."""
        self.count += 1
        attempt = Attempt(dag_id="performance_optimization", task_id=task, map_index=-1, try_number=1, ti_id="1")
        idem = idempotency("publish", str(self.count), 0, [])
        return self.store.publish(name, data, idem=idem, time=NOW, actor=ACTOR, attempt=attempt).sha256

    def approve(self, step: str = "load_test_authorization") -> None:
        """A request and its answer."""
        self.say("approval.requested", {"request_id": REQUEST, "step": step})
        self.say("approval.granted", {"request_id": REQUEST, "step": step, "role": "sre_lead", "person": {"id": "demo-sre"}})


@pytest.fixture
def cycle(tmp_path: Path) -> Cycle:
    """An open run with one artifact."""
    made = Cycle(tmp_path)
    made.publish("hypothesis-log.md", b"first")
    return made


def scene(cycle: Cycle, **parts: Any) -> Scene:
    """What the rig saw of it."""
    witness = Witness(marks=[Mark(REQUEST, "sre_lead", "demo-sre", 200)])
    witness.observe(cycle.store.entries())
    return replace(Scene(cycle.directory, witness), **parts)


def test_a_sound_run_has_no_findings(cycle: Cycle) -> None:
    """Else every finding below would mean nothing."""
    cycle.approve()
    cycle.say("loadtest.started", {"scenario": "peak"})
    digest = cycle.publish("load-test-results.json", b"{}")
    done = [Done("prerequisites.verify", -1, (("load-test-results.json", digest),))]
    assert findings(scene(cycle, done=done, secrets=["s3cret-value"], survived=[3.0]), ended=True) == []


def lose_the_tail(cycle: Cycle, seen: Scene) -> Scene:
    """The last entry is gone although somebody had read it."""
    last = max((cycle.directory / "log").iterdir())
    last.unlink()
    return seen


def rewrite(cycle: Cycle, seen: Scene) -> Scene:
    """The witness knows another entry under this number."""
    seen.witness.entries[1] = "0" * 64
    return seen


def success_without_evidence(cycle: Cycle, seen: Scene) -> Scene:
    """Airflow calls a task done whose artifact is not committed."""
    return replace(seen, done=[Done("intake.establish", -1, (("baseline-metrics.json", "1" * 64),))])


def change_an_object(cycle: Cycle, seen: Scene) -> Scene:
    """A bit of an artifact is another."""
    path = next(p for p in (cycle.directory / "objects" / "sha256").iterdir() if p.read_bytes() == b"first")
    path.chmod(0o644)
    path.write_bytes(b"First")
    return seen


def record_what_nobody_did(cycle: Cycle, seen: Scene) -> Scene:
    """An approval by somebody who did not act."""
    cycle.say("approval.requested", {"request_id": REQUEST, "step": "plan"})
    cycle.say("approval.granted", {"request_id": REQUEST, "step": "plan", "role": "product_owner", "person": {"id": "nobody"}})
    return seen


def forget_an_answer(cycle: Cycle, seen: Scene) -> Scene:
    """Airflow took a mark, and the log says nothing of it."""
    return seen


def grant_twice(cycle: Cycle, seen: Scene) -> Scene:
    """The same act counts two times."""
    cycle.approve()
    cycle.say("approval.granted", {"request_id": REQUEST, "step": "x", "role": "sre_lead", "person": {"id": "demo-sre"}})
    return seen


def load_without_authorization(cycle: Cycle, seen: Scene) -> Scene:
    """A load test starts before the SRE lead agreed."""
    cycle.say("loadtest.started", {"scenario": "peak"})
    return seen


def pass_a_failed_gate(cycle: Cycle, seen: Scene) -> Scene:
    """Phase 2 works although gate 1 failed and nobody waived it."""
    cycle.say("gate.evaluated", {"gate": 1, "outcome": "FAIL"})
    cycle.publish("evidence/profile-shop.json", b"{}", task="diagnostics.profile_transactions")
    return seen


def close_twice(cycle: Cycle, seen: Scene) -> Scene:
    """The handoff is completed two times."""
    cycle.say("handoff.completed", {"a": 1})
    cycle.say("handoff.completed", {"a": 2})
    return seen


def keep_sending(cycle: Cycle, seen: Scene) -> Scene:
    """A load generator outlives its controller."""
    return replace(seen, survived=[12.0])


def leak(cycle: Cycle, seen: Scene) -> Scene:
    """A password in an artifact."""
    cycle.publish("evidence/note.txt", b"the word is s3cret-value here")
    return replace(seen, secrets=["s3cret-value"])


@pytest.mark.parametrize(
    ("harm", "invariant", "words"),
    [
        (lose_the_tail, "I1", "entry 1 is lost"),
        (rewrite, "I1", "entry 1 is lost"),
        (success_without_evidence, "I1", "baseline-metrics.json, which is not committed"),
        (change_an_object, "I5", "objects/sha256"),
        (record_what_nobody_did, "I3", "which nobody did"),
        (forget_an_answer, "I4", "left no trace"),
        (grant_twice, "I6", "is granted 2 times"),
        (load_without_authorization, "I2", "loadtest.started without load_test_authorization"),
        (pass_a_failed_gate, "I2", "gate 1 is FAIL"),
        (close_twice, "I6", "2 times handoff.completed"),
        (keep_sending, "I7", "lived 12 s after its controller"),
        (leak, "I9", "a secret lies in"),
    ],
)
def test_each_invariant_is_broken_once_and_named(cycle: Cycle, harm: Callable[[Cycle, Scene], Scene], invariant: str, words: str) -> None:
    """The finding begins with the invariant and says what it is."""
    found = findings(harm(cycle, scene(cycle)), ended=True)
    assert any(text.startswith(invariant) and words in text for text in found), found


def test_references_are_found_wherever_a_task_returned_them() -> None:
    """In lists and mappings; a citation without an address is none."""
    reference = {"name": "a.json", "sha256": "1" * 64, "uri": "file:///a"}
    assert references_in({"x": [reference, {"name": "b", "sha256": "2" * 64}], "y": None}) == [("a.json", "1" * 64)]


def test_the_matrix_has_every_part_at_every_moment() -> None:
    """F01 to F30: five parts at six moments, the api-server with a short and a long absence."""
    cells = [cell for ride in RIDES.values() for cell in ride]
    assert len({cell.id for cell in cells}) == len(cells)
    for victim in (Victim.SCHEDULER, Victim.TRIGGERER, Victim.SUPERVISOR, Victim.TASK):
        assert {cell.moment for cell in cells if cell.victim is victim} == set(MOMENTS)
    for down in (5.0, 60.0):
        assert {cell.moment for cell in cells if cell.victim is Victim.API_SERVER and cell.down == down} == set(MOMENTS)


def test_cells_are_chosen_by_id_and_by_range() -> None:
    """`--cells F01-F03,F39.0`: three of one ride, one of another."""
    assert [cell.id for ride in chosen("F01-F03,F39.0").values() for cell in ride] == ["F01", "F02", "F03", "F39.0"]


def test_mixed_rides_hold_the_same_cells_in_the_order_of_a_cycle() -> None:
    """None is lost or doubled; at most one at a moment, and the first ride kills different parts."""
    rides = mixed(RIDES)
    assert sorted(c.id for ride in rides.values() for c in ride) == sorted(c.id for ride in RIDES.values() for c in ride)
    for cells in rides.values():
        order = [MOMENTS.index(cell.moment) for cell in cells]
        assert order == sorted(set(order))
    assert len({cell.victim for cell in rides["mixed 1"]}) >= 4


def test_a_seed_draws_the_same_schedule_again() -> None:
    """Twelve kills; each ride has them in the order of a cycle, at most one at a moment."""
    assert drawn(12, 7) == drawn(12, 7) != drawn(12, 8)
    assert sum(map(len, drawn(12, 7).values())) == 12
    for cells in drawn(12, 7).values():
        order = [MOMENTS.index(cell.moment) for cell in cells]
        assert order == sorted(set(order))
