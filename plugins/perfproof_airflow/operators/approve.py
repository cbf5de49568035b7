"""The task that a person marks complete: one per role of a request, parked without a slot until somebody answers.

This is Airflow's own human-in-the-loop operator; what makes the answer an approval is the signed act beside it and the record
that the protocol run writes after it has examined that act.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, get_current_context, task
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException

from perfproof.announcements import one_line
from perfproof.approvals.act import read_act
from perfproof.approvals.request import Asked, Decision, Note, Request, canonical_sha256, read_request
from perfproof.approvals.rules import TASK_ID
from perfproof.approvals.shown import body, subject
from perfproof.errors import ApprovalError
from perfproof.moments import stamp
from perfproof_airflow.api.act_listener import ACT_KEY
from perfproof_airflow.api.answer_listener import ANSWER_KEY
from perfproof_airflow.api.form_act import COMMENT, sign_form_answer
from perfproof_airflow.api.signing_key import worker_key, worker_ring

if TYPE_CHECKING:
    from airflow.sdk import Context

COMMENT_TITLES = {Note.OPTIONAL: "Comment", Note.CHANGE_REFERENCE: "Change reference (commit, pull request, ticket or build)"}


def request_of(context: Context) -> Request:
    """The request that this run of `performance_approvals` carries. Raises ApprovalError for a run that somebody made by hand."""
    dag_run = context["dag_run"]
    request = read_request(dag_run.conf, where=f"run {dag_run.run_id}")
    if request.request_id != dag_run.run_id:
        raise ApprovalError(
            422, where=f"run {dag_run.run_id}", what="the run carries another request", got=request.request_id,
            fix="requests are opened by the protocol run, not by hand",
        )  # fmt: skip
    return request


@task(task_id="publish_request")
def publish_request() -> list[dict[str, str]]:
    """Checks the request of this run; returns role and label of everybody who is asked, in the order of the mapped tasks."""
    try:
        request = request_of(get_current_context())
    except ApprovalError as error:
        raise AirflowFailException(str(error)) from None
    return [{"role": asked.role, "role_label": asked.label} for asked in request.asked]


class ApproveOperator(HITLOperator):
    """Asks one role. Form, respondents and deadline come from the request when the task runs.

    :param role: the role that is asked; mapped over the request's roles.
    :param role_label: what the grid shows instead of a map index.
    """

    # The request's texts are data: nothing of them is ever rendered as a template.
    template_fields: Collection[str] = ()

    def __init__(self, *, role: str, role_label: str, task_id: str = TASK_ID, **kwargs: Any) -> None:
        super().__init__(task_id=task_id, subject=task_id, options=["Approve", "Reject"], **kwargs)
        self.role = role
        self.role_label = role_label

    def execute(self, context: Context) -> None:
        """Puts the question and parks. Takes over the answer to a failed try; an expired request is not asked again."""
        request, asked = self._asked(context)
        kept = self._answer_of_failed_try(context)
        if kept is not None:
            self.log.info("taking over the answer to an earlier try")
            self._finish(context, kept)
            return
        remaining = request.expires_at - datetime.now(UTC)
        if remaining.total_seconds() <= 0:
            raise AirflowFailException(f"the request expired at {stamp(request.expires_at)}; nobody decided")
        self.subject = subject(request, role=self.role)
        self.body = body(request, role=self.role)
        self.options = [o.capitalize() for o in request.question.options]
        respondents = asked.respondents(start=request.requested_at, end=request.expires_at)
        self.assigned_users = [{"id": who.id, "name": who.name} for who in respondents]
        self.params = ParamsDict({COMMENT: Param("", type=["string", "null"], title=COMMENT_TITLES[request.question.note])})
        self.response_timeout = remaining
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Signs the form's answer as the act of the person whom Airflow authenticated. A rejection shows red."""
        request, _ = self._asked(context)
        person, chosen = event.get("responded_by_user"), event.get("chosen_options") or []
        known = [option.capitalize() for option in request.question.options]
        # A timeout has no person: nobody approves by waiting.
        if "error" in event or person is None or len(chosen) != 1 or chosen[0] not in known:
            raise AirflowFailException("nobody answered before the request expired; nobody decided")
        signed = sign_form_answer(
            context["ti"],
            conf=context["dag_run"].conf,
            actor_id=str(person["id"]),
            actor_name=str(person["name"]),
            chosen=chosen[0],
            fields=event.get("params_input"),
            responded_at=event["responded_at"],
            key=worker_key(),
        )
        self._finish(context, signed)

    def _answer_of_failed_try(self, context: Context) -> dict[str, Any] | None:
        stored = context["task_state_store"].get(ANSWER_KEY)
        if stored is None:
            return None
        # Outside of the try: without its keys the task fails and keeps the answer, instead of asking the person again.
        ti, ring = context["ti"], worker_ring()
        try:
            act = read_act(stored, key=ring, where=f"{ti.run_id} {self.role}")
        except ApprovalError as error:
            self.log.warning("%s", error)
            return None
        same = (act.run_id, act.map_index, act.conf_sha256) == (ti.run_id, ti.map_index, canonical_sha256(context["dag_run"].conf or {}))
        return dict(stored) if same and isinstance(stored, dict) and act.try_number < ti.try_number else None

    def _finish(self, context: Context, signed: dict[str, Any]) -> None:
        """Leaves the act where the protocol run looks for it. Only then is the kept answer dropped: a clear asks anew."""
        context["ti"].xcom_push(key=ACT_KEY, value=signed)
        context["task_state_store"].delete(ANSWER_KEY)
        self.log.info("%s decided %s", one_line(signed["actor_name"]), signed["decision"])
        if signed["decision"] == Decision.REJECT:
            raise AirflowFailException(f"rejected by {signed['actor_name']}")

    def _asked(self, context: Context) -> tuple[Request, Asked]:
        try:
            request = request_of(context)
        except ApprovalError as error:
            raise AirflowFailException(str(error)) from None
        asked = request.question.role(self.role)
        if asked is None:
            raise AirflowFailException(f"the request does not ask the role {self.role}")
        return request, asked
