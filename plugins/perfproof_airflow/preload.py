"""Imports what the tasks of a cycle need: `import perfproof_airflow.preload` in the `airflow_local_settings.py` of the scheduler.

Airflow runs a task in a fork: of the scheduler (LocalExecutor) or of a Celery worker. What was imported before the fork is there in the
task. Without this each task imports it anew, and a gate imports Great Expectations for seconds.
"""

from __future__ import annotations

import importlib

LIBRARIES = (
    "great_expectations.expectations",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pandas",
    "pyarrow.pandas_compat",
)
# What the steps import when they run, beside what these modules import themselves.
CORE = (
    "perfproof.approvals.request_notifications",
    "perfproof.capacity_report",
    "perfproof.cost_change",
    "perfproof.cycles.view",
    "perfproof.diagnostics",
    "perfproof.evidence.checkpoints",
    "perfproof.evidence.manifest",
    "perfproof.gates.assembly",
    "perfproof.handoff",
    "perfproof.hypothesis_results",
    "perfproof.instrumentation",
    "perfproof.load.observed_peak",
    "perfproof.load.recovery",
    "perfproof.load.results",
    "perfproof.plots",
    "perfproof.report.html",
    "perfproof.report.markdown",
    "perfproof.report_plots",
    "perfproof.slo",
    "perfproof.slos.exports",
    "perfproof.traces.slowest",
    "perfproof.validation",
)
TASKS = (
    "candidate_steps", "capacity_steps", "captures", "governance_steps", "handoff_steps", "hooks.airflow_api", "hooks.aws_prices",
    "hooks.system_state", "instrumentation_steps", "load_steps", "measure_steps", "notifiers", "notifying.telling", "operators.approve",
    "phases.completion", "phases.diagnostics", "phases.governance", "phases.intake_and_baseline", "phases.optimization",
    "phases.prerequisites", "plan_steps", "profile_steps", "protected", "report_evidence", "sensors.approval_log", "sensors.decisions",
    "target_history", "triggers.approval",
)  # fmt: skip

for name in (*LIBRARIES, *CORE, *(f"perfproof_airflow.{task}" for task in TASKS)):
    importlib.import_module(name)
