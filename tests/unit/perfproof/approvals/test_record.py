"""What the log says about an answer, whatever somebody stored as one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785

from perfproof.approvals import APPROVAL, Asked, Question, open_request, refusal_body
from perfproof.config import Person

REQUEST = open_request(
    Question(
        run="run-0123456789abcdef", dag_id="d", run_id="run", step="plan", map_index=-1, round=0, question="Approve?", options=APPROVAL,
        roles=(Asked("po", "PO", (Person("ann", "Ann"),)),), evidence=(), shown={},
    ),
    attempt=1, roles=("po",), log_size=1, log_head="b" * 64, now=datetime(2026, 12, 1, tzinfo=UTC), expires_after_days=7,
)  # fmt: skip


@pytest.mark.parametrize("stored", [None, 7, float("nan"), 2**70, "\ud800", {"note": "\udfff"}, "x" * 10_000, ["\x00"]])
def test_a_refusal_keeps_what_was_found_in_a_form_that_the_log_can_hold(stored: Any) -> None:
    """Cut to size; nothing that somebody stores can keep the refusal from being written."""
    body = refusal_body(REQUEST, role="po", code="APR-401", reason="no signed act", actor=None, signed_act=stored)
    assert len(rfc8785.dumps(body)) < 4000
    assert (body["found"] is None) is (stored is None)
