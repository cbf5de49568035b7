"""What states are called on the pages, and the tone in which they are shown: closed sets, unknown ones are shown as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its tone: good, bad, warning, active or neutral."""

    text: str
    tone: str


CYCLE_STATES: Mapping[str, Word] = {
    "running": Word("Running", "active"),
    "waiting": Word("Waiting", "warning"),
    "passed": Word("Passed", "good"),
    "waived": Word("Passed with a waiver", "warning"),
    "halted": Word("Halted", "bad"),
    "failed": Word("Failed", "bad"),
    "unreadable": Word("Not readable", "bad"),
}
GATE_OUTCOMES: Mapping[str, Word] = {
    "PASS": Word("Pass", "good"),
    "FAIL": Word("Fail", "bad"),
    "INDETERMINATE": Word("Undecided", "warning"),
    "WAIVED": Word("Waived", "warning"),
}
APPROVAL_STATES: Mapping[str, Word] = {
    "open": Word("Waiting", "warning"),
    "decided": Word("Decided", "good"),
    "granted": Word("Granted", "good"),
    "rejected": Word("Rejected", "bad"),
    "refused": Word("Refused", "bad"),
    "expired": Word("Expired", "bad"),
    "void": Word("Void", "neutral"),
    "replaced": Word("Asked again", "neutral"),
    "closed": Word("Closed", "neutral"),
}
TEST_OUTCOMES: Mapping[str, Word] = {
    "completed": Word("Completed", "good"),
    "stopped": Word("Stopped", "bad"),
    "aborted": Word("Aborted", "bad"),
}
VERDICTS: Mapping[str, Word] = {
    "proved": Word("Proved", "good"),
    "not proved": Word("Not proved", "bad"),
}
VERIFICATIONS: Mapping[str, Word] = {
    "verified": Word("Verified", "good"),
    "waived": Word("Verified, with waivers or a low assurance", "warning"),
    "unfinished": Word("Whole so far, not finished", "active"),
    "usage": Word("Could not be checked", "warning"),
    "tampered": Word("Tampered", "bad"),
}
ITEM_KINDS: Mapping[str, Word] = {
    "opened": Word("Opened", "neutral"),
    "closed": Word("Closed", "good"),
    "handoff": Word("Handed off", "good"),
    "announcement": Word("Announced", "neutral"),
    "gate": Word("Gate", "neutral"),
    "decision": Word("Decision", "active"),
    "waiver": Word("Waiver", "warning"),
    "waiver_refused": Word("Waiver refused", "bad"),
    "asked": Word("Asked", "active"),
    "granted": Word("Granted", "good"),
    "rejected": Word("Rejected", "bad"),
    "refused": Word("Refused", "bad"),
    "expired": Word("Expired", "bad"),
    "void": Word("Void", "neutral"),
    "conflict": Word("Conflict", "bad"),
    "reminded": Word("Reminded", "neutral"),
    "escalated": Word("Escalated", "warning"),
    "load_tests": Word("Load", "neutral"),
    "error": Word("Error", "bad"),
    "publications": Word("Evidence", "neutral"),
    "slo_updated": Word("SLO updated", "good"),
    "notified": Word("Sent", "neutral"),
    "notify_failed": Word("Not sent", "warning"),
    "note": Word("Note", "neutral"),
}


def word(table: Mapping[str, Word], key: Any, nothing: str = "Not yet") -> Word:
    """The word for `key` in `table`; `nothing` for None; what is not in the table is shown as it is, neutrally."""
    if key is None:
        return Word(nothing, "neutral")
    return table.get(str(key)) or Word(str(key), "neutral")


def step_name(step: Any) -> str:
    """A step as a heading: `load_test_authorization` is `Load test authorization`."""
    text = str(step or "request").replace("_", " ")
    return text[:1].upper() + text[1:]
