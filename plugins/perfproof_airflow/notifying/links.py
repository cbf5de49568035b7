"""Addresses of pages of this Airflow, for people who read a notification."""

from __future__ import annotations

from urllib.parse import quote

from perfproof.approvals import Request

APPROVALS_DAG = "performance_approvals"


def run_link(dag_id: str, run_id: str) -> str:
    """The page of a run, or an empty text where `[api] base_url` is not set: a guessed address helps nobody."""
    from airflow.sdk.configuration import conf

    base = (conf.get("api", "base_url", fallback="") or "").strip().rstrip("/")
    return f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}" if base else ""


def request_link(request: Request) -> str:
    """The task to mark, or the run with all of them where several roles are asked."""
    run = run_link(APPROVALS_DAG, request.request_id)
    return f"{run}/tasks/approve/mapped/0" if run and len(request.roles) == 1 else run
