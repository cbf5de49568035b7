"""Whether the approvals in a log hold, for somebody who was not there: each request and each decision against everything around it.

Nothing but the log, its objects and, where they are given, the keys of acts is needed. A request is a witness: it names size and head
of the log when it was made, so whoever answered it has seen that the log began so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from perfproof.approvals.act import SIGNATURE, Act, read_act, sign
from perfproof.approvals.keys import SigningKey
from perfproof.approvals.record import about
from perfproof.approvals.request import Request, canonical_sha256, read_request
from perfproof.approvals.rules import Granted, Refused, Rejected, examine
from perfproof.approvals.standing import GRANTED, REFUSED, REJECTED, REQUESTED, VOID
from perfproof.config import Protocol, load_protocol
from perfproof.config_checks import MAX_EXPIRY_DAYS, TASK_OWNER
from perfproof.errors import ApprovalError, EvidenceError, PerfproofError
from perfproof.evidence.inspection import tampered
from perfproof.evidence.manifest import genesis_of
from perfproof.evidence.records import PUBLICATIONS, Entry
from perfproof.evidence.store import EvidenceStore
from perfproof.evidence.verdict import Finding
from perfproof.gates.figures import mappings, text_at
from perfproof.moments import parse_stamp
from perfproof.strict import build, read_json

PLAN = "optimization-plan.json"
# What an owner says of their own work: nobody is excluded, and it is asked anew in each round, as decisions about gates are.
OWNER_STEPS = ("implementation", "rollback")
_FRESH = re.compile(r"gate_[1-4]_decision|implementation|rollback")
_TEXTS = ("request_id", "step", "role", "decision", "decided_at")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Origin:
    """What the genesis of a run fixes: its protocol file, and who triggered it (empty if nobody is known)."""

    protocol: Protocol
    triggered_by: str

    @classmethod
    def of(cls, store: EvidenceStore) -> Origin:
        """The origin of the run. Raises PerfproofError if the genesis names no protocol file that can be read."""
        genesis = genesis_of(store, store.entries())
        digest = text_at(genesis, "protocol_sha256")
        if not _HEX.fullmatch(digest):
            raise EvidenceError(532, where="genesis", what="it names no protocol file", fix="restore it from a copy")
        protocol = load_protocol(store.get_object(digest), where="protocol file of the genesis")
        return cls(protocol, text_at(genesis, "triggered_by"))


@dataclass(frozen=True, slots=True)
class Proved:
    """What was found about the approvals: the decisions that hold, with the requests they answer, and the findings about all others."""

    decisions: tuple[tuple[Entry, Request], ...]
    findings: tuple[Finding, ...]


def prove_decisions(store: EvidenceStore, origin: Origin, *, keys: Mapping[str, SigningKey] | None = None) -> Proved:
    """Every request and decision of the log, each against what the log says before it. With `keys` each act must be signed by one."""
    ledger = _Ledger(store, origin, keys)
    findings: list[Finding] = []
    for entry in store.entries():
        findings += [tampered(f"log/{entry.seq:08d}.json", problem) for problem in ledger.read(entry)]
    return Proved(tuple(ledger.decisions), tuple(findings))


@dataclass(slots=True)
class _Ledger:
    """The log as far as it was read."""

    store: EvidenceStore
    origin: Origin
    keys: Mapping[str, SigningKey] | None
    entries: list[Entry] = field(default_factory=list)
    live: dict[str, str] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    bodies: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    ended: set[tuple[str, str]] = field(default_factory=set)
    decisions: list[tuple[Entry, Request]] = field(default_factory=list)

    def read(self, entry: Entry) -> list[str]:
        """What is wrong with the next entry, as far as it is about approvals."""
        problems: list[str] = []
        if entry.type in PUBLICATIONS:
            problems = list(self._kept(entry))
            self.live[entry.body["name"]] = entry.body["sha256"]
        elif entry.type == REQUESTED:
            problems = list(self._request(entry))
        elif entry.type in (GRANTED, REJECTED):
            problems = list(self._decision(entry))
        elif entry.type in (REFUSED, VOID):
            self.ended.add((text_at(entry.body, "request_id"), text_at(entry.body, "role")))
        self.entries.append(entry)
        return problems

    def _kept(self, entry: Entry) -> Iterator[str]:
        name = entry.body["name"]
        if not name.startswith("approvals/"):
            return
        body = next((b for (request, role), b in self.bodies.items() if name == f"approvals/{request}.{role}.json"), None)
        if body is None:
            yield f"{name} is published, but no decision before it is in the log"
            return
        try:
            if read_json(self.store.get_object(entry.body["sha256"]), where=name) != body:
                yield f"{name} is not the decision that the log holds"
        except PerfproofError as error:
            yield f"{name} cannot be read: {error.what}"

    def _request(self, entry: Entry) -> Iterator[str]:
        body = entry.body
        try:
            request = read_request(body.get("request"), where="request")
            hashed = canonical_sha256(body["request"])
        except (PerfproofError, ValueError) as error:
            yield f"not a request: {error.what if isinstance(error, PerfproofError) else 'no JSON that can be hashed'}"
            return
        question = request.question
        said = {**about(request), "request_sha256": hashed}
        wrong = [key for key, value in said.items() if body.get(key) != value]
        if wrong:
            yield f"the request does not give its {', '.join(wrong)}"
        elif question.run != entry.run:
            yield f"a request of another run: {question.run}"
        elif request.request_id in self.requests:
            yield f"the request {request.request_id} is in the log twice"
        elif not 1 <= request.log_size <= entry.seq or self.entries[request.log_size - 1].sha256 != request.log_head:
            yield "the log did not have the size and head that whoever answers has seen"
        else:
            self.requests[request.request_id] = request
            yield from self._open_too_long(request)
            yield from self._not_excluded(request)

    def _open_too_long(self, request: Request) -> Iterator[str]:
        days = min(self.origin.protocol.approvals.expires_after_days, MAX_EXPIRY_DAYS)
        # Both moments were cut to seconds.
        if request.expires_at - request.requested_at > timedelta(days=days, seconds=1):
            yield f"the request can be answered for more than {days:g} days"

    def _not_excluded(self, request: Request) -> Iterator[str]:
        question = request.question
        if question.step in OWNER_STEPS:
            return
        excluded = {self.origin.triggered_by} - {""}
        if question.step == "plan":
            excluded |= {text_at(task, "owner") for task in mappings(self.plan(request), "tasks")}
        for person in sorted(excluded - set(question.forbidden)):
            yield f"the request lets {person} answer, who triggered the run or owns what is decided"

    def plan(self, request: Request) -> Mapping[str, Any]:
        """The plan that the request is about; empty if it cannot be read, which the inspection of objects names."""
        digest = next((e.sha256 for e in request.question.evidence if e.name == PLAN), self.live.get(PLAN, ""))
        try:
            document = read_json(self.store.get_object(digest), where=PLAN)
        except PerfproofError:
            return {}
        return document if isinstance(document, dict) else {}

    def _decision(self, entry: Entry) -> Iterator[str]:
        body = entry.body
        if not all(isinstance(body.get(key), str) for key in _TEXTS) or not isinstance(body.get("act"), dict):
            yield "not a decision: keys are missing or of another type"
            return
        request, key = self.requests.get(body["request_id"]), (body["request_id"], body["role"])
        if request is None:
            yield f"decides the request {body['request_id']}, which is not in the log before it, or does not hold"
            return
        problems = [*self._out_of_place(key, body), *self._moved(request), *self._examined(entry, request)]
        self.bodies.setdefault(key, body)
        if not problems:
            self.decisions.append((entry, request))
        yield from problems

    def _out_of_place(self, key: tuple[str, str], body: Mapping[str, Any]) -> Iterator[str]:
        if key in self.bodies:
            yield f"a second decision of {body['role']} on the request {body['request_id']}"
        if key in self.ended:
            yield f"a decision of {body['role']} on a request that was refused or voided before"

    def _moved(self, request: Request) -> Iterator[str]:
        for evidence in request.question.evidence:
            if self.live.get(evidence.name) != evidence.sha256:
                yield f"decides on {evidence.name} {evidence.sha256}, which was not the live version"

    def _examined(self, entry: Entry, request: Request) -> Iterator[str]:
        """The rules of `examine`, on the stored act; the signature by a key that is not known is put aside for it."""
        body, stored = entry.body, entry.body["act"]
        try:
            act = build(Act, {k: v for k, v in stored.items() if k != SIGNATURE}, where="act", error=ApprovalError)
            signature = stored.get(SIGNATURE)
            if not isinstance(signature, str) or not _HEX.fullmatch(signature):
                raise ApprovalError(401, where="act", what="it has no signature", fix="restore the entry from a copy")
            if self.keys is not None:
                _signed(stored, act, self.keys)
            stand_in = SigningKey(act.key_id, bytes(32))
            unsigned = sign(act, key=stand_in)
            verdict = examine(
                request,
                role=body["role"],
                stored_act=unsigned,
                key=stand_in,
                question=request.question,
                records=self._standing(request),
                now=entry.moment,
            )
        except PerfproofError as error:
            yield f"the act does not count: {error.what}"
            return
        if isinstance(verdict, Refused):
            yield f"the act decides nothing: {verdict.code} {verdict.reason}"
            return
        if (entry.type == REJECTED) != isinstance(verdict, Rejected):
            yield f"the act is {'a rejection' if isinstance(verdict, Rejected) else 'no rejection'}"
        yield from _differing(verdict, body, signature)
        if (entry.actor.kind, entry.actor.id, entry.actor.auth) != ("person", act.actor_id, body.get("assurance")):
            yield "the entry names another person, or another assurance, than the record"
        if not self._holds(body["role"], act, request):
            yield f"by the protocol file {act.actor_id} does not hold the role {body['role']}"

    def _standing(self, request: Request) -> list[Mapping[str, Any]]:
        """The decisions about the same question that stood when this one was made."""
        asked = request.question
        same_round = _FRESH.fullmatch(asked.step) is not None
        found: dict[str, Mapping[str, Any]] = {}
        for entry, other in self.decisions:
            about = other.question
            same = (about.step, about.map_index, about.subject_sha256) == (asked.step, asked.map_index, asked.subject_sha256)
            if same and (about.round == asked.round or (entry.type == GRANTED and not same_round)):
                found[entry.body["role"]] = entry.body
        return list(found.values())

    def _holds(self, role: str, act: Act, request: Request) -> bool:
        protocol, moment = self.origin.protocol, parse_stamp(act.time)
        if role != TASK_OWNER:
            return role in protocol.roles and protocol.roles[role].may_answer(act.actor_id, at=moment)
        tasks = mappings(self.plan(request), "tasks")
        number = 0 if request.question.step == "rollback" else request.question.map_index
        if not 0 <= number < len(tasks):
            return False
        owner = text_at(tasks[number], "owner")
        deputies = (deputy for named in protocol.roles.values() for deputy in named.deputies)
        return act.actor_id == owner or any(d.id == act.actor_id and d.stands_for == owner and d.stands_in_at(moment) for d in deputies)


def _signed(stored: Mapping[str, Any], act: Act, keys: Mapping[str, SigningKey]) -> None:
    key = keys.get(act.key_id)
    if key is None:
        raise ApprovalError(402, where="act", what=f"signed with the key {act.key_id}, which is not among the given ones", fix="see keys")
    read_act(dict(stored), key=key, where="act")


def _differing(verdict: Granted | Rejected, body: Mapping[str, Any], signature: str) -> Iterator[str]:
    made = {**verdict.record, "act": {**verdict.record["act"], SIGNATURE: signature}}
    # A record of an older version lacks what a newer one would say with null.
    wrong = sorted(key for key in made.keys() | body.keys() if made.get(key) != body.get(key))
    if wrong:
        yield f"the record says something else than request and act: {', '.join(wrong)}"
