"""Waivers of a gate's criterion: what they are, when one may be granted, and what a gate comes to with them."""

from __future__ import annotations

from perfproof.waivers.rules import check_waiver, note_fields
from perfproof.waivers.waiver import Approver, Decision, Waiver, apply_waivers, read_waiver

__all__ = ["Approver", "Decision", "Waiver", "apply_waivers", "check_waiver", "note_fields", "read_waiver"]
