"""A cycle of the demo that goes on in a thread, while people trigger it, answer it and look at it in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from threading import Event, Thread
from typing import Any

from cycle_stage import Stage

from perfproof.evidence import EntryType, EvidenceStore, LocalBackend
from perfproof.run_key import run_key
from perfproof_airflow.commands.run import DAG, Ending
from perfproof_demo.approvers import Approvers, Waiting
from perfproof_demo.cycle import EVIDENCE, Choice, Demo
from perfproof_demo.settings import DemoSettings
from perfproof_demo.traffic import renew_lease

LEASE_SECONDS = 20.0


@contextmanager
def visited(settings: DemoSettings) -> Iterator[None]:
    """The shop keeps its users until the block ends, also while no cycle runs: the next baseline needs them."""
    over = Event()

    def stay() -> None:
        while not over.wait(LEASE_SECONDS):
            renew_lease(settings)

    thread = Thread(target=stay, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class TriggeredElsewhere(Demo):
    """The demo, whose run somebody triggers in a browser once its protocol file is written."""

    asked_for: Event = field(default_factory=Event)
    run_ids: Queue[str] = field(default_factory=Queue)

    def begin(self, choice: Choice) -> dict[str, Any]:
        """The run, as soon as there is one."""
        self.asked_for.set()
        return {"run_id": self.run_ids.get(timeout=120), "optimization": choice.optimization, "approve": choice.approve, "ended": False}


class AllButTheBrowsers(Approvers):
    """Answers what nobody answers in a browser. What is left to browsers is named by parts of a request's id."""

    by_hand: set[str] = set()  # noqa: RUF012  one for the file

    def act(self, waiting: list[Waiting]) -> None:
        """Answers each question that has stood for five seconds, and is nobody else's."""
        super().act([one for one in waiting if not any(part in one.run_id for part in self.by_hand)])


@dataclass
class Cycle:
    """A cycle that goes on in a thread while people look at it."""

    stage: Stage
    run_id: str = ""
    ending: Ending | None = None
    _thread: Thread | None = None

    def begin(self, demo: Demo) -> None:
        """Lets the cycle run on its own."""
        self._thread = Thread(target=self._run, args=(demo,), daemon=True)
        self._thread.start()

    def _run(self, demo: Demo) -> None:
        stage = Stage(demo)
        self.ending, _ = stage.run(AllButTheBrowsers)

    @property
    def run(self) -> str:
        """The key of its evidence."""
        return run_key(DAG, self.run_id)

    @property
    def store(self) -> EvidenceStore:
        """Its evidence."""
        return EvidenceStore(LocalBackend(self.stage.demo.workspace / EVIDENCE), self.run)

    def ended(self, *, seconds: float) -> Ending | None:
        """How it ended. None if it went wrong or takes longer."""
        assert self._thread is not None
        self._thread.join(seconds)
        return self.ending

    def granted_to(self, step: str) -> list[dict[str, Any]]:
        """What is recorded about each approval of a step."""
        return [entry.body for entry in self.store.of_type(EntryType.APPROVAL_GRANTED) if entry.body["step"] == step]
