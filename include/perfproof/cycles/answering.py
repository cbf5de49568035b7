"""Why somebody may not answer a request, said before they try: the rules that judge an act, asked about an act that nobody made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from perfproof.approvals.act import Act, Channel, sign
from perfproof.approvals.keys import SigningKey
from perfproof.approvals.request import Decision, Request
from perfproof.approvals.rules import DAG_ID, TASK_ID, Refused, examine
from perfproof.moments import stamp

# Signs what never leaves this module: a decision needs the key of this Airflow.
_KEY = SigningKey(id="rehearsal", secret=bytes(32))
# Holds what any note must hold, so that nothing but the person and the moment can be refused.
_NOTE = "1: an answer that nobody gave"


def refusal_before_answering(
    request: Request, *, role: str, person_id: str, person_name: str, answered: Iterable[Mapping[str, Any]], at: datetime
) -> str | None:
    """Why that person's answer in `role` at that moment would decide nothing, None if it would.

    `answered` are the decisions that stand for the question: role, role_label, person, decision and round of each. The role's own is
    none of them: who asks about a role that has answered asks nothing.
    """
    options = request.question.options
    decision = Decision.APPROVE if Decision.APPROVE in options else Decision.HALT if Decision.HALT in options else options[0]
    act = Act(
        actor_id=person_id,
        actor_name=person_name,
        state="success",
        dag_id=DAG_ID,
        run_id=request.request_id,
        task_id=TASK_ID,
        map_index=request.map_index_of(role),
        ti_id="",
        try_number=1,
        time=stamp(at),
        note=_NOTE,
        decision=str(decision),
        channel=Channel.FORM,
        conf_sha256=request.sha256,
        key_id=_KEY.id,
    )
    found = examine(request, role=role, stored_act=sign(act, key=_KEY), key=_KEY, question=request.question, records=answered, now=at)
    return found.reason if isinstance(found, Refused) else None
