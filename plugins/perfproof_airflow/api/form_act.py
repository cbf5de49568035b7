"""The act of a form answer, made alike in the api-server and in the task."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from perfproof.approvals.act import Act, Channel, sign
from perfproof.approvals.keys import SigningKey
from perfproof.approvals.request import Decision, canonical_sha256
from perfproof.moments import stamp

COMMENT = "comment"


def sign_form_answer(
    ti: Any,
    *,
    conf: Mapping[str, Any] | None,
    actor_id: str,
    actor_name: str,
    chosen: str,
    fields: Mapping[str, Any] | None,
    responded_at: datetime,
    key: SigningKey,
) -> dict[str, Any]:
    """The signed act of who chose the option `chosen` (as the form shows it) for the task instance `ti`."""
    decision = chosen.lower()
    return sign(
        Act(
            actor_id=actor_id,
            actor_name=actor_name,
            state="failed" if decision == Decision.REJECT else "success",
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            ti_id=str(ti.id),
            try_number=ti.try_number,
            time=stamp(responded_at),
            note=(fields or {}).get(COMMENT) or None,
            decision=decision,
            channel=Channel.FORM,
            conf_sha256=canonical_sha256(conf or {}),
            key_id=key.id,
        ),
        key=key,
    )
