"""Approvals: what is asked (request), what a person did (act), what counts as a decision (rules), what is kept (record).

A protected step never trusts a task state. It takes the signed act, examines it, and writes a record that is bound to the
request, the person, the moment and the SHA-256 of everything that was shown.
"""

from __future__ import annotations

from perfproof.approvals.act import Act, Channel, read_act, sign
from perfproof.approvals.keys import KeyRing, RetiredKey, SigningKey, read_key, read_ring
from perfproof.approvals.record import is_about, record_body, refusal_body
from perfproof.approvals.request import (
    APPROVAL,
    GATE_DECISION,
    Asked,
    Decision,
    Evidence,
    Note,
    Question,
    Request,
    canonical_sha256,
    open_request,
    read_request,
    request_id_of,
)
from perfproof.approvals.rules import Granted, Refused, Rejected, examine

__all__ = [
    "APPROVAL",
    "GATE_DECISION",
    "Act",
    "Asked",
    "Channel",
    "Decision",
    "Evidence",
    "Granted",
    "KeyRing",
    "Note",
    "Question",
    "Refused",
    "Rejected",
    "Request",
    "RetiredKey",
    "SigningKey",
    "canonical_sha256",
    "examine",
    "is_about",
    "open_request",
    "read_act",
    "read_key",
    "read_request",
    "read_ring",
    "record_body",
    "refusal_body",
    "request_id_of",
    "sign",
]
