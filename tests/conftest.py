"""Lets tests of several kinds import what they share, which lies beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
sys.path.insert(0, str(Path(__file__).parent))
