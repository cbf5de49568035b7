"""The four gates of Protocol 18: figures recomputed from evidence, judged once, with every reason in words."""

from __future__ import annotations

from perfproof.gates.baseline import gate_1
from perfproof.gates.diagnostics import gate_2
from perfproof.gates.governance import gate_4
from perfproof.gates.optimization import gate_3
from perfproof.gates.result import GATE_NAMES, Criterion, GateResult, Outcome

__all__ = ["GATE_NAMES", "Criterion", "GateResult", "Outcome", "gate_1", "gate_2", "gate_3", "gate_4"]
