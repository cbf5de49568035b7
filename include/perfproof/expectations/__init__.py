"""The checks behind the gates: the criteria table, the Great Expectations check and its plain twin."""

from __future__ import annotations

from perfproof.expectations.frame_check import Check, FrameCheck, check_frame
from perfproof.expectations.plain_check import plain_check
from perfproof.expectations.suites import SUITES, Requirement, Suite, suite_named

__all__ = ["SUITES", "Check", "FrameCheck", "Requirement", "Suite", "check_frame", "plain_check", "suite_named"]
