"""What is wrong with an installation: facts that somebody gathered in, findings out. Nothing is opened or asked here."""

from __future__ import annotations

from perfproof.doctor.finding import Answer, Area, Finding, State
from perfproof.doctor.report import as_json, as_text, exit_code

__all__ = ["Answer", "Area", "Finding", "State", "as_json", "as_text", "exit_code"]
