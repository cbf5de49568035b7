"""What the scheduler imports for the tasks."""

from __future__ import annotations

import subprocess
import sys

# Its own process: nothing else here shall find Great Expectations and matplotlib imported by a test.
CHECK = """
import sys
import perfproof_airflow.preload
print(" ".join(name for name in sys.argv[1:] if name not in sys.modules))
"""
# What a gate, a plot, an approval and a phase would import for themselves.
WANTED = (
    "great_expectations", "pandas", "matplotlib.figure", "perfproof.gates.assembly", "perfproof.expectations.frame_check",
    "perfproof.report_plots", "perfproof_airflow.cycle", "perfproof_airflow.governance_steps", "perfproof_airflow.phases.optimization",
    "perfproof_airflow.sensors.approval_log", "perfproof_airflow.triggers.approval",
)  # fmt: skip


def test_preloading_imports_what_the_tasks_need() -> None:
    """Every name in its lists is a module, and afterwards a task finds its modules there."""
    done = subprocess.run([sys.executable, "-c", CHECK, *WANTED], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].strip() == ""
