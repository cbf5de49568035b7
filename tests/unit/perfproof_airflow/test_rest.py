"""The REST client says what it means, and a refusal of an act is an answer."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from perfproof_airflow.rest import AirflowApi


class Server:
    """Answers by method and path, and remembers what was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": json.loads(request.content)["username"]})
        assert request.headers["Authorization"] == "Bearer ann"
        path = request.url.raw_path.decode()
        self.requests.append((request.method, path, json.loads(request.content) if request.content else None))
        status, body = self.answers.get((request.method, request.url.path), (200, {}))
        return httpx.Response(status, json=body)


def api(server: Server) -> AirflowApi:
    return AirflowApi("http://airflow.test", "ann", "secret", transport=httpx.MockTransport(server))


def test_marks_and_answers_are_addressed_to_one_task() -> None:
    """Map index, note and option are where Airflow looks for them."""
    server = Server()
    client = api(server)
    client.mark("d", "manual__2025-01-01T00:00:00+00:00", "approve", state="success", map_index=2, note="n")
    client.answer("d", "r", "approve", option="Approve", map_index=1, fields={"comment": "c"})
    client.mark_many("d", "r", [{"task_id": "approve", "map_index": 0}], state="failed")
    assert server.requests == [
        (
            "PATCH",
            "/api/v2/dags/d/dagRuns/manual__2025-01-01T00%3A00%3A00%2B00%3A00/taskInstances/approve?map_index=2",
            {"new_state": "success", "note": "n"},
        ),
        (
            "PATCH",
            "/api/v2/dags/d/dagRuns/r/taskInstances/approve/1/hitlDetails",
            {"chosen_options": ["Approve"], "params_input": {"comment": "c"}},
        ),
        (
            "PATCH",
            "/api/v2/dags/d/dagRuns/r/taskInstances",
            {
                "actions": [
                    {
                        "action": "update",
                        "entities": [{"new_state": "failed", "task_id": "approve", "map_index": 0}],
                        "action_on_non_existence": "fail",
                    }
                ]
            },
        ),
    ]


def test_a_refused_mark_is_returned_and_a_refused_question_is_raised() -> None:
    """Acting is what may be refused; not being able to look is an error."""
    server = Server()
    server.answers["PATCH", "/api/v2/dags/d/dagRuns/r/taskInstances/t"] = (403, {"detail": "no"})
    server.answers["GET", "/api/v2/dags/d/dagRuns/r"] = (403, {"detail": "no"})
    assert api(server).mark("d", "r", "t", state="success").status_code == 403
    with pytest.raises(httpx.HTTPStatusError):
        api(server).run("d", "r")


def test_what_does_not_exist_yet_is_none() -> None:
    """While Airflow is still reading its DAG files, and before a task has written its XCom."""
    server = Server()
    server.answers["GET", "/api/v2/dags/d"] = (404, {})
    server.answers["GET", "/api/v2/dags/d/dagRuns/r/taskInstances/t/xcomEntries/return_value"] = (404, {})
    assert api(server).dag("d") is None
    assert api(server).xcom("d", "r", "t") is None


def test_waiting_ends_with_the_run_or_with_a_timeout() -> None:
    """Failed is an end as well."""
    server = Server()
    server.answers["GET", "/api/v2/dags/d/dagRuns/r"] = (200, {"state": "failed"})
    assert api(server).wait_for_run("d", "r", seconds=5)["state"] == "failed"
    server.answers["GET", "/api/v2/dags/d/dagRuns/r"] = (200, {"state": "running"})
    with pytest.raises(TimeoutError):
        api(server).wait_for_run("d", "r", seconds=0.05, poll_seconds=0.01)


def test_the_password_is_not_shown() -> None:
    """Tracebacks print representations."""
    assert "secret" not in repr(api(Server()))


def test_a_list_longer_than_a_page_is_read_whole() -> None:
    """Airflow caps a page at 100 whatever limit it is asked for: what lies behind it must not be missed."""
    everything = [{"task_id": f"t{number}"} for number in range(230)]

    def pages(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "ann"})
        start = int(request.url.params["offset"])
        size = min(100, int(request.url.params["limit"]))
        field = "hitl_details" if request.url.path.endswith("hitlDetails") else "task_instances"
        return httpx.Response(200, json={field: everything[start : start + size], "total_entries": len(everything)})

    client = AirflowApi("http://airflow.test", "ann", "secret", transport=httpx.MockTransport(pages))
    assert client.tasks("d", "r") == everything
    assert client.required_actions("d", "r") == everything


def test_no_ids_clear_whatever_failed() -> None:
    """Airflow answers an empty list with 422, so that a cycle which failed could not be taken up again."""
    server = Server()
    client = api(server)
    client.clear("d", "r", [], only_failed=True)
    client.clear("d", "r", ["a"])
    (_, _, everything), (_, _, one) = server.requests
    assert "task_ids" not in everything and everything["only_failed"] is True
    assert one["task_ids"] == ["a"]
