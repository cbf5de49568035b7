"""People who go on although Airflow dies under their hands, and whose acts the rig writes down."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx
from witness import Mark, Witness

from perfproof_demo.approvers import TASK, Approvers, Waiting

RETRIES_OF_A_GATE = 3


@dataclass(slots=True)
class Stubborn(Approvers):
    """Answers everything but the steps in `held`; asks for a retry when a gate did not pass because its measurement was disturbed."""

    witness: Witness = field(default_factory=Witness)
    held: set[str] = field(default_factory=set)
    retried: dict[str, set[str]] = field(default_factory=dict)
    paused: bool = False

    def step(self, run_key: str) -> None:
        """One look at what waits, with an answer to each that has stood long enough. An Airflow that is not there is asked again later."""
        try:
            self.act([question for question in self.waiting(run_key) if question.step not in self.held])
        except (httpx.HTTPError, KeyError, ValueError):
            self.close()

    def _answer(self, question: Waiting) -> None:
        person, note = question.people[0], self._note(question)
        try:
            answer = self._session(person).mark(
                "performance_approvals", question.run_id, TASK, state="success", map_index=question.map_index, note=note
            )
        except httpx.HTTPError:
            self.witness.marks.append(Mark(question.run_id, question.role, person, None))
            raise
        self.witness.marks.append(Mark(question.run_id, question.role, person, answer.status_code))
        if answer.status_code == httpx.codes.OK:
            self.tell(f"{person} marked {question.step}: {note}")

    def _note(self, question: Waiting) -> str:
        if question.step.startswith("gate_"):
            asked = self.retried.setdefault(question.step, set())
            asked.add(question.run_id)
            return "retry" if len(asked) <= RETRIES_OF_A_GATE else "halt: disturbed too often"
        return Approvers._note(self, question)
