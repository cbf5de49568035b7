"""Airflow's API in trouble as a source of deployments, and what a run tells of what it deployed."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fault_server import Answer, fault_server

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.airflow_runs import AirflowRunsHook
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.http_answers import Limits, Unreachable
from perfproof_airflow.hooks.refused import QueryRefused

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}
LOGIN = ConnectionValues("", login="reader", password="a-password")
TOKEN = ConnectionValues("", bearer_token="a-token")


def run(name: str = "r1", *, ended: Any = "2025-02-16T09:30:00Z", **changes: Any) -> dict[str, Any]:
    return {
        "dag_run_id": name,
        "dag_id": "deploy",
        "state": "success",
        "end_date": ended,
        "conf": {"build": "1.4.2"},
        "note": None,
    } | changes


def runs(*found: Any, total: Any = None) -> dict[str, Any]:
    return {"dag_runs": list(found), "total_entries": len(found) if total is None else total}


def server(inside: Any, before: Any = None) -> Any:
    """Answers the login, the question for the last run before the window, and the pages inside of it."""

    def good(request: bytes) -> Answer:
        if request.startswith(b"POST /auth/token"):
            return 201, JSON, json.dumps({"access_token": "given"}).encode()
        asked = parse_qs(urlsplit(request.split(b" ")[1].decode()).query)
        if "end_date_lt" in asked:
            return 200, JSON, json.dumps(before or runs()).encode()
        document = inside if isinstance(inside, bytes | dict) else inside[int(asked["offset"][0])]
        return 200, JSON, document if isinstance(document, bytes) else json.dumps(document).encode()

    return good


def asked(address: str, *, dag: str | None = "deploy", values: ConnectionValues = TOKEN) -> tuple[list[dict[str, Any]], bytes]:
    connection = ConnectionValues(address, login=values.login, password=values.password, bearer_token=values.bearer_token)
    hook = AirflowRunsHook(
        connection=connection, service="shop", limits=Limits(total_seconds=0.6, answer_bytes=1 << 20), sleep=lambda _: None
    )
    found, raw = hook.items(query=dag, start=NOW.timestamp() - 3600, end=NOW.timestamp(), fetched_at=NOW)
    assert set(found) == {"deployments"}
    return found["deployments"], raw


def answered(inside: Any, before: Any = None, mode: str = "good", **changes: Any) -> list[dict[str, Any]]:
    with fault_server(mode, server(inside, before)) as address:
        return asked(address, **changes)[0]


def test_successful_runs_become_deployments() -> None:
    """Those in the window and the last before it; logged in, asked with the token of the login."""
    seen: list[bytes] = []
    with fault_server("good", server(runs(run()), runs(run("r0", ended="2025-02-15T20:00:00Z", conf={}))), seen=seen) as address:
        items, raw = asked(address, dag="deploy/../x", values=LOGIN)
    assert items == [
        {"service": "shop", "build": "UNKNOWN", "deployed_at": "2025-02-15T20:00:00Z", "change": "UNKNOWN"},
        {"service": "shop", "build": "1.4.2", "deployed_at": "2025-02-16T09:30:00Z", "change": "UNKNOWN"},
    ]
    assert raw.count(b"\n") == 1
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2]) == {"username": "reader", "password": "a-password"}
    assert seen[1].startswith(b"GET /api/v2/dags/deploy%2F..%2Fx/dagRuns?state=success&end_date_lt=")
    assert all(b"authorization: bearer given" in request.lower() for request in seen[1:])
    assert all(b"a-password" not in request for request in seen[1:])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"conf": {"build": "2", "service": "cart", "change": "Faster\ncart"}}, ("cart", "2", "Faster cart")),
        ({"conf": {}, "note": "Went well.\nBuild: 3\nchange: no more joins"}, ("shop", "3", "no more joins")),
        ({"conf": {"build": "4"}, "note": "build: 5\nservice: mail"}, ("mail", "4", "UNKNOWN")),
        ({"conf": None, "note": None}, ("shop", "UNKNOWN", "UNKNOWN")),
        ({"conf": {"build": ["x"]}, "note": "the build was 7"}, ("shop", "UNKNOWN", "UNKNOWN")),
    ],
)
def test_what_a_run_tells_is_in_its_conf_or_its_note(changes: dict[str, Any], told: tuple[str, str, str]) -> None:
    """The conf first, then lines of the note; what neither says is UNKNOWN and not guessed from a text."""
    (item,) = answered(runs(run(**changes)))
    assert (item["service"], item["build"], item["change"]) == told


@pytest.mark.parametrize(
    ("mode", "error", "code"),
    [
        ("down", Unreachable, "TEL-270"),
        ("slow", Unreachable, "TEL-270"),
        ("http_429", Unreachable, "TEL-270"),
        ("http_500", Unreachable, "TEL-270"),
        ("truncated", Unreachable, "TEL-270"),
        ("redirect", TelemetryError, "TEL-272"),
        ("html_200", TelemetryError, "TEL-274"),
        ("endless", TelemetryError, "TEL-271"),
        ("gzip_bomb", TelemetryError, "TEL-271"),
    ],
)
def test_a_fault_of_the_server_is_an_error(mode: str, error: type[Exception], code: str) -> None:
    """Never "nothing was deployed", in bounded memory, and the token is not in the line."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=code) as caught:
            answered(runs(run()), mode=mode)
        assert "a-token" not in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("down", "TEL-270"), ("slow", "TEL-270"), ("truncated", "TEL-270"), ("http_429", "TEL-782"), ("http_500", "TEL-782"),
        ("redirect", "TEL-782"), ("html_200", "TEL-777"), ("endless", "TEL-782"), ("gzip_bomb", "TEL-782"),
    ],
)  # fmt: skip
def test_a_fault_at_the_login_is_an_error(mode: str, code: str) -> None:
    """The password is sent once, to the server of the Connection, and is in no line."""
    seen: list[bytes] = []
    with (
        fault_server(mode, (201, JSON, b'{"access_token": "given"}'), seen=seen) as address,
        pytest.raises(TelemetryError, match=code) as caught,
    ):
        asked(address, values=LOGIN)
    assert len(seen) <= 1
    assert "a-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "document", "code"),
    [
        ("nan", b'{"dag_runs": [], "total_entries": NaN}', "TEL-777"),
        ("gaps", runs(total=3), "TEL-777"),
        ("gaps", runs(run(ended=None)), "TEL-771"),
        ("gaps", runs(run(dag_run_id=None)), "TEL-777"),
        ("gaps", {"dag_runs": [run()]}, "TEL-777"),
        ("unit_change", runs(run(ended=1739698200)), "TEL-771"),
        ("good", runs(run(), total=5001), "TEL-773"),
        ("good", runs(run(conf="build")), "TEL-777"),
        ("good", [run()], "TEL-777"),
    ],
)
def test_an_answer_of_another_shape_is_an_error(mode: str, document: Any, code: str) -> None:
    """NaN, missing runs or fields, times in another unit, more than is listed: refused."""
    with pytest.raises(TelemetryError, match=code):
        answered(document, mode=mode)


def test_pages_duplicates_and_order() -> None:
    """Pages are read until all are there; a run that comes twice counts once, one that failed not at all; the oldest comes first."""
    first = runs(run("b", ended="2025-02-16T09:40:00Z"), run("a"), total=4)
    second = runs(run("a"), run("c", state="failed"), total=4)
    items = answered([first, None, second])
    assert [item["deployed_at"] for item in items] == ["2025-02-16T09:30:00Z", "2025-02-16T09:40:00Z"]


def test_an_unknown_dag_is_refused_as_a_query_and_none_before_asking() -> None:
    """404 of Airflow is no empty list."""
    with fault_server("good", (404, JSON, b'{"detail": "not found"}')) as address, pytest.raises(QueryRefused, match="TEL-780"):
        asked(address)
    with fault_server("good", seen=(seen := [])) as address, pytest.raises(TelemetryError, match="TEL-779"):
        asked(address, dag=None)
    assert seen == []


def test_this_airflow_knows_the_parameters() -> None:
    """Airflow ignores a parameter that it does not know, and the window with it: those used are in its own description."""
    import airflow.api_fastapi.core_api as api

    described = (Path(api.__file__).parent / "openapi" / "v2-rest-api-generated.yaml").read_text()
    runs_of_a_dag = described.partition("\n  /api/v2/dags/{dag_id}/dagRuns:\n")[2].partition("\n  /api/v2/")[0]
    for name in ("state", "end_date_lt", "end_date_gte", "end_date_lte", "order_by", "limit", "offset"):
        assert f"- name: {name}\n" in runs_of_a_dag
