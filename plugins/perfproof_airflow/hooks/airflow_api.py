"""Airflow's own REST API, through the Connection `perfproof_api`: only for clearing what a retry has to run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from perfproof.errors import GateError
from perfproof_airflow import settings
from perfproof_airflow.rest import address_of

if TYPE_CHECKING:
    from perfproof_airflow.cycle import Cycle

TIMEOUT_SECONDS = 20.0


def clear_from(cycle: Cycle, task_id: str) -> None:
    """Clears `task_id` and all after it in the running run. Raises GateError saying what to clear by hand if it cannot."""
    connection = _connection(settings.api_connection())
    by_hand = f"clear {task_id} with everything downstream in run {cycle.run_id}"
    if connection is None:
        raise GateError(311, where="retry", what="there is no Connection perfproof_api to retry with", fix=by_hand)
    body: dict[str, Any] = {
        "dry_run": False,
        "dag_run_id": cycle.run_id,
        "task_ids": [task_id],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }
    try:
        with httpx.Client(base_url=address_of(connection), timeout=TIMEOUT_SECONDS, trust_env=False, follow_redirects=False) as client:
            login = client.post("/auth/token", json={"username": connection.login, "password": connection.password})
            login.raise_for_status()
            headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
            client.post(f"/api/v2/dags/{quote(cycle.dag_id)}/clearTaskInstances", json=body, headers=headers).raise_for_status()
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise GateError(312, where="retry", what="the run could not be cleared", got=str(error), fix=by_hand) from None


def _connection(name: str) -> Any:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get(name)
    except AirflowNotFoundException:
        return None
