"""The judge of one metric: did the target improve by the threshold, did a guard get worse by more than its margin?

validate -> estimate -> classify -> verdict with a reason. "Not significant" is never "no regression", too few blocks
are never a pass, and missing values are never either. Every interval is two-sided at its stated confidence.
"""

from __future__ import annotations

from perfproof.judging.error_rate import judge_error_rate, judge_error_rate_target
from perfproof.judging.guard import judge_guard
from perfproof.judging.target import judge_target
from perfproof.judging.verdicts import GuardLabel, GuardVerdict, Scale, TargetLabel, TargetVerdict, blocks_at_least

__all__ = [
    "GuardLabel",
    "GuardVerdict",
    "Scale",
    "TargetLabel",
    "TargetVerdict",
    "blocks_at_least",
    "judge_error_rate",
    "judge_error_rate_target",
    "judge_guard",
    "judge_target",
]
