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

from perfproof.approvals.act import Act, Channel, sign
from perfproof.approvals.request import Asked, Decision, Note, Request, canonical_sha256, read_request
from perfproof.approvals.rules import TASK_ID
from perfproof.approvals.shown import body, subject
from perfproof.errors import ApprovalError
from perfproof.moments import stamp
from perfproof_airflow.api.act_listener import ACT_KEY
from perfproof_airflow.api.signing_key import worker_key

if TYPE_CHECKING:
    from airflow.sdk import Context

COMMENT = "comment"
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
def publish_request() -> list[str]:
    """Checks the request of this run; returns the roles that are asked."""
    try:
        return list(request_of(get_current_context()).roles)
    except ApprovalError as error:
        raise AirflowFailException(str(error)) from None


class ApproveOperator(HITLOperator):
    """Asks one role. Form, respondents and deadline come from the request when the task runs.

    :param role: the role that is asked; mapped over the request's roles.
    """

    # The request's texts are data: nothing of them is ever rendered as a template.
    template_fields: Collection[str] = ()

    def __init__(self, *, role: str, task_id: str = TASK_ID, **kwargs: Any) -> None:
        super().__init__(task_id=task_id, subject=task_id, options=["Approve", "Reject"], **kwargs)
        self.role = role

    def execute(self, context: Context) -> None:
        """Puts the question and parks. An expired request is not asked again."""
        request, asked = self._asked(context)
        remaining = request.expires_at - datetime.now(UTC)
        if remaining.total_seconds() <= 0:
            raise AirflowFailException(f"the request expired at {stamp(request.expires_at)}; nobody decided")
        self.subject = subject(request, role=self.role)
        self.body = body(request, role=self.role)
        self.options = [o.capitalize() for o in request.question.options]
        self.assigned_users = [{"id": p.id, "name": p.name} for p in asked.people]
        self.params = ParamsDict({COMMENT: Param("", type=["string", "null"], title=COMMENT_TITLES[request.question.note])})
        self.response_timeout = remaining
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Signs the form's answer as the act of the person whom Airflow authenticated. A rejection shows red."""
        request, _ = self._asked(context)
        person = event.get("responded_by_user")
        chosen = [Decision(o.lower()) for o in event.get("chosen_options") or [] if o.lower() in request.question.options]
        if "error" in event or person is None or len(chosen) != 1:
            raise AirflowFailException("nobody answered before the request expired; nobody decided")
        ti, key = context["ti"], worker_key()
        act = Act(
            actor_id=str(person["id"]),
            actor_name=str(person["name"]),
            state="success",
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            ti_id=str(ti.id),
            try_number=ti.try_number,
            time=stamp(event["responded_at"]),
            note=(event.get("params_input") or {}).get(COMMENT) or None,
            decision=str(chosen[0]),
            channel=Channel.FORM,
            conf_sha256=canonical_sha256(context["dag_run"].conf or {}),
            key_id=key.id,
        )
        ti.xcom_push(key=ACT_KEY, value=sign(act, key=key))
        self.log.info("%s decided %s", act.actor_name, act.decision)
        if chosen[0] is Decision.REJECT:
            raise AirflowFailException(f"rejected by {act.actor_name}")

    def _asked(self, context: Context) -> tuple[Request, Asked]:
        try:
            request = request_of(context)
        except ApprovalError as error:
            raise AirflowFailException(str(error)) from None
        asked = request.question.role(self.role)
        if asked is None:
            raise AirflowFailException(f"the request does not ask the role {self.role}")
        context["role"] = asked.label  # type: ignore[typeddict-unknown-key]  # what map_index_template shows
        return request, asked
