"""Approvals as the protocol's sensors make them: a request, a signed act for each role, the rules, a record, a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from perfproof.approvals import (
    APPROVAL,
    GATE_DECISION,
    Act,
    Asked,
    Channel,
    Decision,
    Note,
    Question,
    Request,
    SigningKey,
    open_request,
    sign,
)
from perfproof.approvals import Evidence as Cited
from perfproof.approvals.record import record_body
from perfproof.approvals.standing import requested_body
from perfproof.artifacts import Artifact
from perfproof.config import Person, Protocol
from perfproof.evidence import Actor, EntryType, EvidenceStore, idempotency
from perfproof.evidence.checkpoints import sign_checkpoint
from perfproof.moments import stamp

ACT_KEY = SigningKey("acts", bytes(range(2, 34)))
REQUESTER = "demo-requester"


def as_it_is(value: Any) -> Any:
    """No change."""
    return value


class Approving:
    """What a cycle that is being written asks of people; the first holder of each role answers."""

    store: EvidenceStore
    protocol: Protocol
    now: Any
    plan: Any
    references: dict[str, dict[str, str]]
    put: Any
    log: Any

    def signed(self) -> None:
        """A checkpoint, as after each gate and each record."""
        if self.plan.key is not None:
            sign_checkpoint(self.store, key=self.plan.key, time=self.now)

    def approve(self, step: str, name: str) -> list[dict[str, Any]]:
        """An approval of every role of `step`, as the producers ask for one."""
        return self.decide(step, [name], shown={"about": name})

    def decide(
        self, step: str, evidence: Sequence[str], *, comment: str = "", decision: Decision = Decision.APPROVE, **asked: Any
    ) -> list[dict[str, Any]]:
        """The records of a decision of every role: asked, answered by a signed act, examined, kept."""
        request = self.ask(step, evidence, gate=decision is not Decision.APPROVE, **asked)
        return [self.answer(request, role, comment=comment, decision=decision) for role in request.asked]

    def ask(
        self,
        step: str,
        evidence: Sequence[str],
        *,
        shown: dict[str, Any],
        map_index: int = -1,
        round_: int = 0,
        attempt: int = 1,
        note: Note = Note.OPTIONAL,
        gate: bool = False,
        owner: str | None = None,
        alter: Callable[[Request], Request] = as_it_is,
        alter_body: Callable[[dict[str, Any]], dict[str, Any]] = as_it_is,
    ) -> Request:
        """A request in the log."""
        names = [owner or role for role in self.protocol.approvals.steps[step]]
        if gate:
            names = list(dict.fromkeys([*names, "product_owner", "sre_lead"]))
        roles = tuple(self._asked(name, owner) for name in names)
        own = [] if owner else [REQUESTER]
        if step == "plan":
            own += [task["owner"] for task in json.loads(self.store.read(Artifact.OPTIMIZATION_PLAN))["tasks"]]
        question = Question(
            run=self.store.run,
            dag_id="performance_optimization",
            run_id=self.plan.run_id,
            step=step,
            map_index=map_index,
            round=round_,
            question=f"Do you approve {step}?",
            options=GATE_DECISION if gate else APPROVAL,
            roles=roles,
            evidence=tuple(Cited(self.references[n]["name"], self.references[n]["sha256"]) for n in evidence),
            shown=shown,
            note=note,
            forbidden=tuple(sorted(set(own))),
        )
        self.now += timedelta(seconds=1)
        size, head = self.store.head()
        request = alter(
            open_request(
                question,
                attempt=attempt,
                roles=tuple(r.role for r in roles),
                log_size=size,
                log_head=head,
                now=self.now.replace(microsecond=0),
                expires_after_days=7,
            )
        )
        self.log(EntryType.APPROVAL_REQUESTED, alter_body(requested_body(request)))
        return request

    def _asked(self, name: str, owner: str | None) -> Asked:
        if owner is not None:
            person = self.protocol.person(owner) or Person(owner, owner)
            return Asked(role="task_owner", label="Owner of the task", people=(person,))
        held = self.protocol.roles[name]
        return Asked(role=name, label=held.label, people=held.people, deputies=held.deputies)

    def answer(
        self,
        request: Request,
        asked: Asked,
        *,
        comment: str = "",
        decision: Decision = Decision.APPROVE,
        alter_act: Callable[[Act], Act] = as_it_is,
        alter_record: Callable[[dict[str, Any]], dict[str, Any]] = as_it_is,
        key: SigningKey = ACT_KEY,
    ) -> dict[str, Any]:
        """The act of the first person of a role, and its record in the log and as a file of its own, signed."""
        self.now += timedelta(seconds=30)
        act = alter_act(
            Act(
                actor_id=asked.people[0].id,
                actor_name=asked.people[0].id,
                state="failed" if decision is Decision.REJECT else "success",
                dag_id="performance_approvals",
                run_id=request.request_id,
                task_id="approve",
                map_index=request.map_index_of(asked.role),
                ti_id="ti",
                try_number=1,
                time=stamp(self.now),
                note=comment if decision in APPROVAL else f"{decision}: {comment}",
                decision=None,
                channel=Channel.MARK,
                conf_sha256=request.sha256,
                key_id=key.id,
            )
        )
        record = alter_record(record_body(request, asked=asked, act=act, signed_act=sign(act, key=key), decision=decision, comment=comment))
        self.now += timedelta(seconds=1)
        entry = self.store.append(
            type=EntryType.APPROVAL_REJECTED if decision is Decision.REJECT else EntryType.APPROVAL_GRANTED,
            body=record,
            idem=idempotency("decided", f"{request.request_id}/{asked.role}", len(self.store.entries()), []),
            time=self.now,
            actor=Actor("person", act.actor_id, record["assurance"]),
        )
        self.put(f"approvals/{request.request_id}.{asked.role}.json", dict(entry.body))
        self.signed()
        return {**record, "record_sha256": entry.sha256}
