"""A small client of Airflow's REST API, as one person uses it: log in, trigger, look, mark, answer, clear."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

TIMEOUT_SECONDS = 30.0
# [api] maximum_page_limit of an Airflow that was not configured otherwise.
PAGE = 100
FINISHED = frozenset(("success", "failed"))


def address_of(connection: Any) -> str:
    """The base URL that a Connection to an Airflow names."""
    return f"{connection.schema or 'http'}://{connection.host}:{connection.port}"


@dataclass(slots=True)
class AirflowApi:
    """The API of the Airflow at `base_url`, as `user`. Logs in when it is first used.

    What reads raises httpx.HTTPStatusError on refusal. What acts on a task (`mark`, `mark_many`, `mark_run`, `answer`) returns the
    response, because a refusal is an answer there.
    """

    base_url: str
    user: str
    password: str = field(repr=False)
    transport: httpx.BaseTransport | None = None
    _client: httpx.Client | None = field(default=None, repr=False)

    @property
    def client(self) -> httpx.Client:
        """The client, logged in."""
        if self._client is None:
            client = httpx.Client(base_url=self.base_url, timeout=TIMEOUT_SECONDS, transport=self.transport)
            answer = client.post("/auth/token", json={"username": self.user, "password": self.password})
            answer.raise_for_status()
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            self._client = client
        return self._client

    def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """The DAG, or None while Airflow does not know it."""
        answer = self.client.get(f"/api/v2/dags/{quote(dag_id)}")
        return None if answer.status_code == httpx.codes.NOT_FOUND else _json(answer)

    def import_errors(self) -> list[dict[str, Any]]:
        """What kept DAG files from being imported."""
        return list(_json(self.client.get("/api/v2/importErrors"))["import_errors"])

    def unpause(self, dag_id: str) -> None:
        """Lets the scheduler run the DAG."""
        _json(self.client.patch(f"/api/v2/dags/{quote(dag_id)}", json={"is_paused": False}))

    def trigger(self, dag_id: str, *, run_id: str | None = None, conf: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The new run of `dag_id`."""
        body = {"logical_date": None, "conf": dict(conf or {}), **({"dag_run_id": run_id} if run_id else {})}
        return dict(_json(self.client.post(f"/api/v2/dags/{quote(dag_id)}/dagRuns", json=body)))

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One run."""
        return dict(_json(self.client.get(_run_path(dag_id, run_id))))

    def runs(self, dag_id: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """The runs of `dag_id`, newest first."""
        parameters: dict[str, str | int] = {"limit": limit, "order_by": "-run_after"}
        return list(_json(self.client.get(f"/api/v2/dags/{quote(dag_id)}/dagRuns", params=parameters))["dag_runs"])

    def wait_for_run(self, dag_id: str, run_id: str, *, seconds: float, poll_seconds: float = 0.5) -> dict[str, Any]:
        """The run when it is over. TimeoutError after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            run = self.run(dag_id, run_id)
            if run["state"] in FINISHED:
                return run
            time.sleep(poll_seconds)
        raise TimeoutError(f"{dag_id} {run_id} is not over after {seconds:g} s")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        return self._all(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances")

    def mark(
        self, dag_id: str, run_id: str, task_id: str, *, state: str, map_index: int | None = None, note: str | None = None
    ) -> httpx.Response:
        """Marks one task instance success, failed or skipped."""
        body = {"new_state": state} | ({"note": note} if note is not None else {})
        parameters = {"map_index": map_index} if map_index is not None else {}
        return self.client.patch(f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}", params=parameters, json=body)

    def mark_many(self, dag_id: str, run_id: str, tasks: Sequence[Mapping[str, Any]], *, state: str) -> httpx.Response:
        """Marks several task instances at once; each is `{"task_id", "map_index", "note"}`. The body lists success and errors."""
        entities = [{"new_state": state, **task} for task in tasks]
        body = {"actions": [{"action": "update", "entities": entities, "action_on_non_existence": "fail"}]}
        return self.client.patch(f"{_run_path(dag_id, run_id)}/taskInstances", json=body)

    def mark_run(self, dag_id: str, run_id: str, *, state: str) -> httpx.Response:
        """Marks a whole run success or failed, and with it all its tasks."""
        return self.client.patch(_run_path(dag_id, run_id), json={"state": state})

    def required_actions(self, dag_id: str, run_id: str = "~", *, state: str | None = None) -> list[dict[str, Any]]:
        """The forms that wait for an answer, or were answered; or those whose task has `state`. The oldest come first."""
        parameters = {"order_by": "created_at"} | ({"state": state} if state is not None else {})
        return self._all(f"{_run_path(dag_id, run_id)}/hitlDetails", "hitl_details", parameters)

    def answer(
        self, dag_id: str, run_id: str, task_id: str, *, option: str, map_index: int = -1, fields: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Answers the form of a task."""
        body = {"chosen_options": [option], "params_input": dict(fields or {})}
        return self.client.patch(f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/{map_index}/hitlDetails", json=body)

    def clear(
        self, dag_id: str, run_id: str, task_ids: Sequence[str], *, downstream: bool = False, only_failed: bool = False
    ) -> dict[str, Any]:
        """Clears tasks of a run, so that they run again; without ids all of them, or all that failed."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            # Airflow refuses an empty list, which would say nothing.
            **({"task_ids": list(task_ids)} if task_ids else {}),
            "include_downstream": downstream,
            "only_failed": only_failed,
            "reset_dag_runs": True,
        }
        return dict(_json(self.client.post(f"/api/v2/dags/{quote(dag_id)}/clearTaskInstances", json=body)))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", *, map_index: int = -1) -> Any:
        """The value of an XCom, or None."""
        answer = self.client.get(
            f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}", params={"map_index": map_index}
        )
        return None if answer.status_code == httpx.codes.NOT_FOUND else _json(answer)["value"]

    def write_xcom(self, dag_id: str, run_id: str, task_id: str, key: str, value: Any, *, map_index: int = -1) -> httpx.Response:
        """Creates an XCom entry, which anybody with edit rights can."""
        body = {"key": key, "value": value, "map_index": map_index}
        return self.client.post(f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries", json=body)

    def log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        """The log of a try as text, one JSON document a line."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        answer = self.client.get(path, params={"map_index": map_index}, headers={"Accept": "application/x-ndjson"})
        return answer.text

    def _all(self, path: str, field: str, parameters: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Everything that `path` lists under `field`, page by page: Airflow caps a page whatever limit it is asked for."""
        found: list[dict[str, Any]] = []
        while True:
            page = _json(self.client.get(path, params={"limit": PAGE, "offset": len(found), **(parameters or {})}))
            found += page[field]
            if not page[field] or len(found) >= page["total_entries"]:
                return found

    def event_logs(self, *, event: str, run_id: str) -> list[dict[str, Any]]:
        """Rows of the audit log."""
        return list(_json(self.client.get("/api/v2/eventLogs", params={"event": event, "run_id": run_id, "limit": 100}))["event_logs"])


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='~')}"


def _json(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return answer.json()
