"""The demo's approvers: five accounts of its Airflow, each acting through the REST API as that person and nobody else.

They are a demonstration of the way, not of the judgement: they agree to everything that is asked, and halt at a gate that
did not pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from perfproof_airflow.rest import AirflowApi
from perfproof_demo.airflow_home import AirflowHome
from perfproof_demo.deployment import current, deploy, rollback
from perfproof_demo.settings import DemoSettings, Side

APPROVALS = "performance_approvals"
TASK = "approve"
# Airflow 3.3 can fail a task that is answered within about two seconds of its parking (apache/airflow issue 67287).
SETTLE_SECONDS = 5.0
WAITING = "awaiting_input"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One open question: the task to mark, and who may."""

    run_id: str
    map_index: int
    step: str
    role: str
    people: tuple[str, ...]
    shown: dict[str, Any]


@dataclass(slots=True)
class Approvers:
    """Answers what the run `prefix` asks. `optimization` is what the engineer deploys when asked to implement."""

    settings: DemoSettings
    home: AirflowHome
    reader: AirflowApi
    optimizations: tuple[str, ...]
    tell: Callable[[str], None]
    _sessions: dict[str, AirflowApi] = field(default_factory=dict)
    _first_seen: dict[tuple[str, int], float] = field(default_factory=dict)
    _deployed: dict[str, str] = field(default_factory=dict)

    def waiting(self, run_key: str) -> list[Waiting]:
        """What waits for a person now."""
        found = []
        for run in self.reader.runs(APPROVALS, limit=50):
            conf = run.get("conf") or {}
            if run["state"] != "running" or conf.get("run") != run_key:
                continue
            roles = {role["role"]: role for role in conf.get("roles", [])}
            for task in self.reader.tasks(APPROVALS, run["dag_run_id"]):
                if task["task_id"] == TASK and task["state"] == WAITING and 0 <= task["map_index"] < len(conf["asked"]):
                    role = conf["asked"][task["map_index"]]
                    people = tuple(person["id"] for person in roles[role]["people"])
                    found.append(Waiting(run["dag_run_id"], task["map_index"], conf["step"], role, people, conf["shown"]))
        return found

    def act(self, waiting: list[Waiting]) -> None:
        """Answers each question that has stood for five seconds."""
        moment = time.monotonic()
        for question in waiting:
            seen = self._first_seen.setdefault((question.run_id, question.map_index), moment)
            if moment - seen >= SETTLE_SECONDS:
                self._answer(question)

    def _answer(self, question: Waiting) -> None:
        person, note = question.people[0], self._note(question)
        answer = self._session(person).mark(APPROVALS, question.run_id, TASK, state="success", map_index=question.map_index, note=note)
        if answer.status_code == httpx.codes.OK:
            self.tell(f"{person} marked {question.step} complete: {note}")
        elif answer.status_code != httpx.codes.CONFLICT:  # somebody was faster
            self.tell(f"{person} could not mark {question.step}: HTTP {answer.status_code}")

    def _note(self, question: Waiting) -> str:
        if question.step == "implementation":
            return f"change {self._implement(question.run_id)}"
        if question.step == "rollback":
            return f"change {rollback(self.settings).change}: the candidate is back to the baseline's build"
        if question.step.startswith("gate_"):
            return "halt: the demo's approvers do not waive"
        return "agreed in the demo"

    def _implement(self, run_id: str) -> str:
        """Deploys once for all optimizations of a round; each of them is marked with the same change."""
        round_ = run_id.rpartition("__r")[2].partition("a")[0]
        if round_ not in self._deployed:
            self.tell(f"demo-engineer deploys {'+'.join(self.optimizations) or 'unchanged code'} to the candidate")
            self._deployed[round_] = deploy(self.settings, Side.CANDIDATE, self.optimizations).change
        build = current(self.settings, Side.CANDIDATE)
        return f"{self._deployed[round_]}, build {build.build if build else 'UNKNOWN'}"

    def close(self) -> None:
        """Closes the people's connections."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def _session(self, person: str) -> AirflowApi:
        if person not in self._sessions:
            self._sessions[person] = AirflowApi(self.home.url, person, self.home.password(person))
        return self._sessions[person]
