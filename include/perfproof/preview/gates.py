"""What each gate will check, with the thresholds in force."""

from __future__ import annotations

from typing import Any

from perfproof.config import Protocol
from perfproof.expectations.suites import SUITES
from perfproof.gates.result import GATE_NAMES


def gate_documents(protocol: Protocol) -> list[dict[str, Any]]:
    """The four gates with their criteria, in the order of their tables."""
    # Gate 3 has a suite for each way to judge.
    suites = [suite for suite in SUITES.values() if suite.gate != 3 or suite.name.endswith(f"_{protocol.judge.mode.value}")]
    return [
        {
            "gate": suite.gate,
            "name": GATE_NAMES[suite.gate],
            "suite": suite.name,
            "criteria": [
                {
                    "criterion": r.criterion,
                    "words": r.words,
                    "comparison": r.comparison.value,
                    "threshold": r.value(protocol.thresholds),
                    "waivable": r.waivable,
                    "undecided": r.undecided,
                }
                for r in suite.requirements
            ],
        }
        for suite in suites
    ]
