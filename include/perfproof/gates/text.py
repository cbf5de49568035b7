"""The protocol's block for a gate that did not pass, word for word."""

from __future__ import annotations

from perfproof.announcements import one_line
from perfproof.gates.result import GATE_NAMES

# Required actions: gates 1, 2 and 4 from the spec's Gate Failure Handling, gate 3 from its Error Handling sample.
REQUIRED_ACTIONS = {
    1: "Fill telemetry gaps; rerun baseline capture before proceeding.",
    2: "Extend diagnostics or add scenarios; rerun validation.",
    3: "Refine optimization, rerun validation, or adjust targets with approval.",
    4: "Obtain missing approvals; finalize report; redistribute communications.",
}
RETRIES = {
    1: "Fill telemetry gaps and retry baseline capture",
    2: "Extend diagnostics and retry validation",
    3: "Refine optimization and retry validation",
    4: "Obtain missing approvals and retry governance",
}
WAIVE = "Request gate waiver with justification"
HALT = "Halt protocol execution"


def options(gate: int) -> tuple[str, str, str]:
    """The three options of a gate that did not pass: retry, waiver, halt."""
    return RETRIES[gate], WAIVE, HALT


def gate_failed(gate: int, *, criteria: str, actual: str) -> str:
    """The `[RAY GATE FAILED: …]` block of `gate`. `criteria` and `actual` are put on one line each."""
    name = f"{GATE_NAMES[gate]} Gate"
    retry, waive, halt = options(gate)
    return (
        f"[RAY GATE FAILED: {name}]\n"
        f"> \"Quality gate '{name}' failed.\n"
        f"> Criteria: {one_line(criteria)}\n"
        f"> Actual: {one_line(actual)}\n"
        f"> Required action: {REQUIRED_ACTIONS[gate]}\n"
        ">\n"
        "> Options:\n"
        f"> 1. {retry}\n"
        f"> 2. {waive}\n"
        f'> 3. {halt}"'
    )


def percent(value: float, *, threshold: float) -> str:
    """`value` with one decimal, or as many as it takes that rounding does not carry it over `threshold`."""
    for digits in range(1, 13):
        shown = f"{value:.{digits}f}"
        if (float(shown) >= threshold) == (value >= threshold):
            break
    return (shown.rstrip("0").rstrip(".") or "0") + "%"


def counted(number: int, noun: str) -> str:
    """`1 regression`, `2 regressions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
