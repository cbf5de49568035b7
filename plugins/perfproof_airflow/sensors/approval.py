"""Waits for people's decisions, and turns their acts into records. The only thing that a protected step may rely on.

Every time it runs, first try, retry, cleared or resumed, the sensor does the same: it reads the evidence log, examines the
acts on requests that are answered, asks whom it still has to ask, and defers. So a killed worker or triggerer loses nothing.

It is an operator and not an Airflow sensor on purpose: `soft_fail`, `never_fail` and `timeout` would turn an unanswered request
into a skip. The human-in-the-loop task that people see is another one, in the run of `performance_approvals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from perfproof.announcements import one_line
from perfproof.errors import ApprovalError, PerfproofError
from perfproof_airflow.api.signing_key import worker_ring
from perfproof_airflow.retrying import RETRYING
from perfproof_airflow.sensors.approval_runs import open_run, read_act_of, read_states
from perfproof_airflow.settings import known_secrets

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.exceptions import TaskDeferred

    from perfproof.approvals.reminders import Notice
    from perfproof.approvals.request import Question, Request
    from perfproof.approvals.rules import Refused
    from perfproof.approvals.standing import Standing
    from perfproof.evidence import EvidenceStore
    from perfproof_airflow.sensors.approval_log import ApprovalLog

# The first poll comes this long after the sensor defers; see ApprovalTrigger.
SETTLE_SECONDS = 5.0
MAX_ATTEMPTS = 25
REMIND_AFTER_HOURS = (24.0, 72.0)


class ApprovalSensor(BaseOperator):
    """Asks a step's question and succeeds when everybody who must answer has decided.

    Subclasses say what is asked (`build_question`) and where the evidence is (`open_store`).

    :param step: the protocol's name of the step, as in the protocol file's `approvals.steps`.
    :param evidence: references `{name, sha256, uri}` that the decision is bound to; XCom arguments of earlier tasks.
    :param expires_after_days: how long a request can be answered.
    :param poll_seconds: time between polls while it waits.
    :param fresh_each_round: ask again after a clear even if nothing changed (implementation, rollback, gate decisions).
    :param remind_after_hours: when people who have not answered are reminded, counted from the request.
    :param escalate_after_hours: when somebody else is told, once; None: never.

    Returns `{"decision", "records"}`: the decision (approve, retry, waiver, halt), and references to the records.
    """

    template_fields: Sequence[str] = ("step", "evidence")
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        step: str,
        evidence: Any = (),
        expires_after_days: float = 7.0,
        poll_seconds: float = 2.0,
        fresh_each_round: bool = False,
        remind_after_hours: Sequence[float] = REMIND_AFTER_HOURS,
        escalate_after_hours: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**RETRYING, **kwargs})
        self.step = step
        self.evidence = evidence
        self.expires_after_days = expires_after_days
        self.poll_seconds = poll_seconds
        self.fresh_each_round = fresh_each_round
        self.remind_after_hours = tuple(remind_after_hours)
        self.escalate_after_hours = escalate_after_hours

    def build_question(self, context: Context) -> Question:
        """What is asked, of whom, about which evidence. Called on every run of the task: it must not depend on the time."""
        raise NotImplementedError

    def open_store(self, context: Context) -> EvidenceStore:
        """The evidence of the protocol run."""
        raise NotImplementedError

    def on_asked(self, context: Context, request: Request) -> None:
        """A request was opened and people can answer."""

    def on_refused(self, context: Context, request: Request, role: str, refused: Refused) -> None:
        """An act decided nothing; `role` is asked again."""

    def on_noticed(self, context: Context, request: Request, roles: Sequence[str], notice: Notice) -> None:
        """A reminder of `request` to `roles`, or its escalation, was logged and is to be sent."""

    def on_failed(self, context: Context, error: PerfproofError, record: Mapping[str, Any] | None) -> None:
        """The task is about to fail: somebody rejected (`record`), nobody answered in time, or nobody can be asked."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Decided already: the records. Else examines what was answered, asks, and defers."""
        try:
            return self._proceed(context)
        except PerfproofError as error:
            self._fail(context, error, None)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """The same as `execute`: the event only wakes it up."""
        return self.execute(context)

    def _proceed(self, context: Context) -> dict[str, Any]:
        from perfproof_airflow.sensors.approval_log import ApprovalLog

        question = self.build_question(context)
        ledger = ApprovalLog.of(context, self.open_store(context), question)
        standing = self._standing(ledger, question)
        self._void(context, ledger, standing.outdated)
        if standing.waiting and not standing.decided and not standing.rejected:
            self._take_answers(context, ledger, question, standing)
            standing = self._standing(ledger, question)
        if standing.rejected:
            record = standing.rejected
            ledger.keep(record)
            who = f"{record['person']['name']} ({record['role_label']})"
            reason = ApprovalError(
                415, where=question.step, what=f"rejected by {who}", got=record["comment"] or None, fix="settle it, then clear this task"
            )
            self._fail(context, reason, record)
        if standing.decided:
            records = [ledger.keep(record) for record in standing.granted.values()]
            return {"decision": str(standing.decision), "records": records}
        self._ask(context, ledger, question, standing)
        waiting = self._standing(ledger, question).waiting
        wake_at = self._remind(context, ledger, waiting)
        raise self._deferral(waiting, now=ledger.now(), wake_at=wake_at)

    def _standing(self, ledger: ApprovalLog, question: Question) -> Standing:
        from perfproof.approvals.standing import read_standing

        return read_standing(ledger.entries(), question, this_round=self.fresh_each_round)

    def _void(self, context: Context, ledger: ApprovalLog, outdated: Sequence[tuple[Request, str]]) -> None:
        """Closes what was asked about other evidence, or before a clear: whoever answers it now decides nothing."""
        from perfproof.approvals.rules import Refused

        for request, role in outdated:
            changed = request.question.subject_sha256 != ledger.question.subject_sha256
            reason = "the evidence changed after the question was asked; the new evidence is asked about"
            refused = Refused("APR-408", reason if changed else "the task was cleared, and asks anew", None)
            if ledger.outdated(request, role, refused.reason):
                self.on_refused(context, request, role, refused)

    def _take_answers(self, context: Context, ledger: ApprovalLog, question: Question, standing: Standing) -> None:
        from perfproof_airflow.triggers.poll_hub import is_answered

        states = read_states({request.request_id for request in standing.waiting.values()})
        records = list(standing.granted.values())
        for role, request in standing.waiting.items():
            map_index = request.map_index_of(role)
            if request.request_id not in states:
                self._reopen(ledger, request)
            elif is_answered(states[request.request_id], map_index):
                self._take_answer(context, ledger, question, records, request=request, role=role)
            elif ledger.now() > request.expires_at:
                ledger.expired(request, role)
                raise ApprovalError(
                    412, where=question.step, what=f"nobody answered as {role} before the request expired",
                    got=request.request_id, fix="clear this task: it asks again",
                )  # fmt: skip

    def _take_answer(
        self, context: Context, ledger: ApprovalLog, question: Question, records: list[Mapping[str, Any]], *, request: Request, role: str
    ) -> None:
        from perfproof.approvals.rules import Granted, Rejected, examine_all
        from perfproof.evidence import EntryType

        stored = read_act_of(request, role=role)
        examined = examine_all(
            request, role=role, stored=stored, key=worker_ring(), question=question, records=records, now=ledger.now(),
            known_secrets=known_secrets(),
        )  # fmt: skip
        outcome = examined.found
        if isinstance(outcome, Granted | Rejected):
            kind = EntryType.APPROVAL_GRANTED if isinstance(outcome, Granted) else EntryType.APPROVAL_REJECTED
            ledger.decided(kind, outcome.record)
            records.append(outcome.record)
            for conflict, act in examined.conflicts:
                self.log.warning("%s: %s", request.request_id, one_line(conflict.reason))
                ledger.conflicting(request, role, conflict, act)
            self.log.info("%s: %s by %s", request.request_id, outcome.record["decision"], outcome.record["person"]["id"])
        else:
            self.log.warning("%s refused for %s: %s %s", request.request_id, role, outcome.code, one_line(outcome.reason))
            if ledger.refused(request, role, outcome, examined.act):
                self.on_refused(context, request, role, outcome)

    def _ask(self, context: Context, ledger: ApprovalLog, question: Question, standing: Standing) -> None:
        from perfproof.approvals.request import open_request
        from perfproof.approvals.standing import requested_body

        roles = tuple(role for role in standing.missing if role not in standing.waiting)
        attempt = standing.attempts
        while roles:
            attempt += 1
            if attempt > MAX_ATTEMPTS:
                raise ApprovalError(
                    413, where=question.step, what=f"asked {MAX_ATTEMPTS} times without a decision",
                    fix="see the refusals in the execution log, then clear this task",
                )  # fmt: skip
            size, head = ledger.head()
            request = open_request(
                question, attempt=attempt, roles=roles, log_size=size, log_head=head, now=ledger.now(),
                expires_after_days=self.expires_after_days,
            )  # fmt: skip
            # Logged first: a task that dies in between finds the request and opens its run.
            ledger.requested(request, requested_body(request))
            if self._reopen(ledger, request):
                self.on_asked(context, request)
                return

    def _reopen(self, ledger: ApprovalLog, request: Request) -> bool:
        """Opens the run of `request` if there is none; False if somebody else made another one under its id."""
        if open_run(request):
            return True
        for role in request.roles:
            ledger.void(request, role, "a run of this id exists with another configuration")
        return False

    def _remind(self, context: Context, ledger: ApprovalLog, waiting: Mapping[str, Request]) -> datetime | None:
        """Sends what is due about each open request, of the roles that still wait; returns when the next notice is due."""
        from perfproof.approvals.reminders import Schedule, due_now, read_sent

        schedule = Schedule.of_hours(self.remind_after_hours, self.escalate_after_hours)
        entries = ledger.entries()
        coming = []
        for request in {request.request_id: request for request in waiting.values()}.values():
            roles = tuple(role for role, other in waiting.items() if other.request_id == request.request_id)
            due = due_now(
                schedule, requested_at=request.requested_at, expires_at=request.expires_at, now=ledger.now(),
                sent=read_sent(entries, request.request_id),
            )  # fmt: skip
            for notice in due.notices:
                # Logged first: a task that dies in between has not sent it, one that sent it never sends it again.
                if ledger.noticed(request, roles=roles, notice=notice):
                    self.on_noticed(context, request, roles, notice)
            if due.next_at is not None:
                coming.append(due.next_at)
        return min(coming, default=None)

    def _deferral(self, waiting: Mapping[str, Request], *, now: datetime, wake_at: datetime | None) -> TaskDeferred:
        from airflow.sdk.exceptions import TaskDeferred

        from perfproof_airflow.triggers.approval import ApprovalTrigger

        return TaskDeferred(
            trigger=ApprovalTrigger(
                tasks=[(request.request_id, request.map_index_of(role)) for role, request in waiting.items()],
                not_before=now.timestamp() + SETTLE_SECONDS,
                expires_at=min(request.expires_at for request in waiting.values()).timestamp() + 1,
                poll_seconds=self.poll_seconds,
                wake_at=None if wake_at is None else wake_at.timestamp(),
            ),
            method_name="execute_complete",
        )

    def _fail(self, context: Context, error: PerfproofError, record: Mapping[str, Any] | None) -> NoReturn:
        self.on_failed(context, error, record)
        raise AirflowFailException(str(error)) from None
