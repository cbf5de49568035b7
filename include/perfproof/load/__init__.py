"""Load tests: what may be sent where, what is sent when, what came back, and what that says."""

from __future__ import annotations
