"""One cycle through a real stack while its parts are killed: at each planned moment one kill, a restart, and a look at what is left."""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cells import KILLED, Cell, Moment, Victim
from disturbances import disturb
from invariants import Scene, as_done, findings
from people import Stubborn
from processes_of_airflow import TaskProcess, task_processes
from smallest_protocol import write_protocol
from stack import PATIENCE_SECONDS, Stack, eventually, tolerant
from witness import Witness, references_in

from perfproof.evidence import EntryType, EvidenceStore, LocalBackend
from perfproof.evidence.trust import read_trust_root
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify
from perfproof.run_key import run_key
from perfproof_airflow.commands.run import DAG
from perfproof_demo.airflow_home import COMPONENTS
from perfproof_demo.cycle import Choice
from perfproof_demo.postgres_server import passwords

RIDE_SECONDS = 2400.0
# How often an operator clears what halted before the ride counts as stuck.
CLEARS = 3
# Halts that a busy machine deserves: unstable environment, a generator that stood still or could not start in time, too few samples.
STARVED = ("LOD-404", "LOD-311", "LOD-312", "ART-320")


@dataclass(slots=True)
class Record:
    """What came of a cell."""

    cell: Cell
    killed_at: float = 0.0
    recovery_seconds: float | None = None
    findings: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    tries: frozenset[tuple[str, int, int]] = frozenset()
    reached: bool = False


@dataclass(slots=True)
class Ride:
    """A cycle on `stack` with the kills of `cells`, in the order of their moments. `tell` prints a line."""

    stack: Stack
    cells: Sequence[Cell]
    tell: Callable[[str], None]
    seed: int = 1
    witness: Witness = field(default_factory=Witness)
    records: list[Record] = field(default_factory=list)
    run_id: str = ""
    clears: int = 0
    halts: int = 0
    disturbed: int = 0
    errors: list[str] = field(default_factory=list)
    people: Stubborn = field(init=False)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        demo = self.stack.demo
        reader = self.stack.as_("demo-performance")
        self.people = Stubborn(demo.settings, demo.home, reader, Choice("index+batch", "auto").deployed, self._quiet, witness=self.witness)
        if any(cell.moment is Moment.WAIT and cell.victim not in (Victim.TASK, Victim.SUPERVISOR) for cell in self.cells):
            self.people.held.add("plan")

    @property
    def key(self) -> str:
        """The run's directory."""
        return run_key(DAG, self.run_id)

    @property
    def store(self) -> EvidenceStore:
        """The run's evidence, read anew."""
        return EvidenceStore(LocalBackend(self.stack.evidence), self.key)

    def begin(self) -> None:
        """Writes the protocol file, triggers the cycle, and lets the people act in a thread of their own."""
        write_protocol(self.stack)
        self.run_id = self.stack.demo.begin(Choice("index+batch", "auto"))["run_id"]
        threading.Thread(target=self._act, daemon=True).start()

    def finish(self) -> list[str]:
        """Follows the run to its end; what is wrong then."""
        deadline = time.monotonic() + RIDE_SECONDS
        try:
            while (state := self.look()) not in ("success", "failed") or (state == "failed" and self.cleared()):
                if time.monotonic() > deadline:
                    return [f"I8 the run is not over after {RIDE_SECONDS:g} s; it is {state}"]
                time.sleep(0.15 if self.waiting_for else 0.6)
            return self.final(state)
        finally:
            self._over.set()
            (self.stack.faults / "plan.json").unlink(missing_ok=True)
            self._ended()

    @property
    def waiting_for(self) -> Cell | None:
        """The next kill."""
        done = {record.cell for record in self.records}
        return next((cell for cell in self.cells if cell not in done), None)

    def look(self) -> str | None:
        """One look: remembers the log, kills if the moment has come, notes who recovered. The state of the run, None if not to be had."""
        entries = self.observe()
        tried = {(e.attempt.task_id, e.attempt.map_index, e.attempt.try_number) for e in entries if e.attempt is not None}
        for record in self.records:
            if record.recovery_seconds is None and tried - record.tries:
                record.recovery_seconds = time.monotonic() - record.killed_at
                record.findings = [*record.early, *self.check(ended=False)]
                sound = "consistent" if not record.findings else "; ".join(record.findings)
                self.tell(f"  {record.cell.id} the run goes on after {record.recovery_seconds:.1f} s: {sound}")
        cell = self.waiting_for
        if cell is not None:
            found = self.moment_of(cell)
            if found is not None:
                self.kill(cell, found, frozenset(tried))
        return self.state()

    def state(self) -> str | None:
        """The state of the run; None while the database does not say."""
        rows = self.stack.query("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", DAG, self.run_id)
        return str(rows[0][0]) if rows else None

    def observe(self) -> list[Any]:
        """The entries, which the witness remembers."""
        if not (self.stack.evidence / self.key / "log").is_dir():
            return []
        entries = self.store.entries()
        self.witness.observe(entries)
        return entries

    def moment_of(self, cell: Cell) -> list[TaskProcess] | None:
        """The task processes at the cell's moment, which may be none; None if it has not come."""
        if cell.moment is Moment.WAIT:
            return self._at_wait(cell)
        working = self.stack.working(self.run_id, cell.moment.task) if cell.moment.task else []
        if not working:
            working = self._in_group(cell.moment.group) if not cell.moment.task else []
        if not working:
            return None
        if cell.moment.loading and not self._sends(cell.moment.loading):
            return None
        return working

    def _in_group(self, group: str) -> list[TaskProcess]:
        known = self.stack.task_ids(self.run_id)
        return [p for p in task_processes(self.stack.demo.home.root) if known.get(p.ti_id, ("",))[0].startswith(group)]

    def _sends(self, scenario: str) -> bool:
        tests = self.store.of_type(EntryType.LOADTEST_STARTED, EntryType.LOADTEST_FINISHED, EntryType.LOADTEST_ABORTED)
        return bool(tests) and tests[-1].type is EntryType.LOADTEST_STARTED and tests[-1].body["scenario"] == scenario

    def _at_wait(self, cell: Cell) -> list[TaskProcess] | None:
        if not any(e.body["step"] == "plan" for e in self.observe() if e.type is EntryType.APPROVAL_REQUESTED):
            return None
        working = self.stack.working(self.run_id, "await_plan_approval")
        if cell.victim in (Victim.TASK, Victim.SUPERVISOR):
            # Nothing works while it waits: it is killed between the person's act and its record.
            answered = any("__plan__" in mark.request_id and mark.status == 200 for mark in self.witness.marks)
            return working if answered and working else None
        states = [row for row in self.stack.task_ids(self.run_id).values() if row[0].endswith("await_plan_approval")]
        return [] if states and states[0][3] == "deferred" else None

    def kill(self, cell: Cell, found: Sequence[TaskProcess], tried: frozenset[tuple[str, int, int]]) -> None:
        """Kills, waits, starts again, and lets the people go on."""
        time.sleep(cell.delay)
        self.people.paused = True
        known = self.stack.task_ids(self.run_id)
        alive = {known[p.ti_id][:3] for p in task_processes(self.stack.demo.home.root) if p.ti_id in known}
        record = Record(cell, killed_at=time.monotonic(), tries=tried | alive, reached=True)
        self.records.append(record)
        self.tell(f"  {cell.id} kills {cell.victim.value} in {cell.moment.value}")
        if cell.victim not in KILLED:
            record.early = disturb(self, cell, found)
        match cell.victim:
            case Victim.TASK:
                self.stack.signal([process.task for process in found], signal.SIGKILL)
            case Victim.SUPERVISOR:
                self.stack.signal([process.supervisor for process in found], signal.SIGKILL)
            case Victim.EVERYTHING:
                self.stack.kill_everything()
            case Victim.DATABASE:
                self.stack.restart_database()
            case _ if cell.victim in KILLED:
                self.stack.kill(cell.victim.value, children=cell.victim is Victim.API_SERVER)
        if cell.victim.value in COMPONENTS or cell.victim in (Victim.EVERYTHING, Victim.DATABASE):
            time.sleep(cell.down)
            self.stack.start_missing()
        if cell.moment is Moment.WAIT:
            self.people.held.discard("plan")
        self.people.paused = False

    def cleared(self) -> bool:
        """Whether an operator did what the halt says: cleared the task that it names, or what failed. Not after a person's halt."""
        halts = [entry.body for entry in self.store.of_type(EntryType.ERROR)]
        decided = self.store.of_type(EntryType.DECISION_RECORDED)
        if decided and decided[-1].body["decision"] == "halt":
            return False
        if self.clears >= CLEARS + self.allowed:
            return False
        fresh = halts[self.halts :]
        self.halts = len(halts)
        self.errors += [f"{body['step']}: {body['text'].splitlines()[0]}" for body in fresh] or ["nothing is logged about it"]
        self.disturbed += any(body["code"] in STARVED for body in fresh)
        self.clears += 1
        self.tell(f"  the run halted: {self.errors[-1]}")
        named = [match[1] for body in fresh if (match := re.search(r"clear (\w+)", body["text"]))]
        # Within about a second of a run's end Airflow 3.3 can leave tasks uncleared.
        time.sleep(3.0)
        api = self.stack.as_("demo-performance")
        tasks = tolerant(lambda: api.tasks(DAG, self.run_id)) or []
        ids = sorted({task["task_id"] for task in tasks if task["task_id"].rpartition(".")[2] in named})
        answer = tolerant(lambda: api.clear(DAG, self.run_id, ids, downstream=bool(ids), only_failed=not ids))
        self.tell(f"  an operator clears {', '.join(ids) or 'what failed'}: {len((answer or {}).get('task_instances', []))} tasks")
        return True

    @property
    def allowed(self) -> int:
        """How often an operator may have to clear: what the cells say, and halts because the machine was too busy to measure."""
        return self.disturbed + sum(cell.clears for cell in self.cells)

    def final(self, state: str) -> list[str]:
        """What is wrong at the end: the invariants, and that the run came to the end of a run that nobody disturbed."""
        found = self.check(ended=True)
        result = verify(self.stack.evidence / self.key, anchors=self.witness.anchors, trust=self.trust())
        if state != "success":
            found.append(f"I8 the run is {state}; {'; '.join(self.errors) or 'no error is logged'}")
        if self.clears > self.allowed:
            found.append(f"I8 an operator had to clear what halted {self.clears} times: {'; '.join(self.errors)}")
        if result.outcome is not Outcome.VERIFIED:
            found.append(f"I8 verify says {result.outcome.value}: {[f'{f.where}: {f.what}' for f in result.findings][:3]}")
        return found

    def trust(self) -> Any:
        """The trust root of the stack."""
        return read_trust_root(self.stack.trust.read_bytes(), where="trust root")

    def check(self, *, ended: bool) -> list[str]:
        """What the checker finds; only what it finds three times, for views are renewed while a run goes on."""
        found: list[str] = []
        for _ in range(1 if ended else 3):
            found = findings(self.scene(ended=ended), ended=ended)
            if not found:
                break
            time.sleep(2.0)
        return found

    def scene(self, *, ended: bool) -> Scene:
        """What the checker may ask about this run."""
        self.observe()
        done = self._done() if ended else []
        survived = list(self.stack.generators.survived.values())
        logs = (self.stack.demo.home.root / "logs",) if ended else ()
        return Scene(
            self.stack.evidence / self.key, self.witness, self.trust(), done=done, secrets=secrets_of(self.stack), survived=survived,
            places=logs,
        )  # fmt: skip

    def _done(self) -> list[Any]:
        api = self.stack.as_("demo-admin")
        tasks = eventually(lambda: tolerant(lambda: api.tasks(DAG, self.run_id)), what="the tasks of the run", seconds=PATIENCE_SECONDS)
        references = {}
        for task in tasks:
            if task["state"] == "success":
                key = (task["task_id"], task["map_index"])
                value = tolerant(lambda key=key: api.xcom(DAG, self.run_id, key[0], map_index=key[1]))  # type: ignore[misc]
                references[key] = references_in(value)
        return as_done(tasks, references)

    def _act(self) -> None:
        while not self._over.wait(1.0):
            if not self.people.paused:
                self.people.step(self.key)
        self.people.close()

    def _ended(self) -> None:
        state = self.stack.demo.state_file
        state.write_text(json.dumps({**json.loads(state.read_text()), "ended": True}) + "\n")

    def _quiet(self, text: str) -> None:
        del text


def secrets_of(stack: Stack) -> list[str]:
    """What must be nowhere in evidence or logs."""
    home = stack.demo.home
    users = [home.password(user.name) for user in home.users]
    return [*users, *map(str, passwords(stack.metadata).values()), *map(str, passwords(stack.demo.settings).values())]
