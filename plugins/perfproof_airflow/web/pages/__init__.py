"""The pages, one module each."""

from __future__ import annotations

from perfproof_airflow.web.pages import approvals, artifacts, baselines, cycle, cycles, plan, stop, tabs, trends

ROUTERS = tuple(module.router for module in (cycles, cycle, artifacts, stop, approvals, baselines, trends, plan, tabs))
