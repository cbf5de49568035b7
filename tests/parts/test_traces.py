"""X-Ray's hook against moto's server over a real socket.

There is no real Jaeger and no real Tempo here: neither is packaged for Debian, PyPI or npm. Their hooks are tested on answers that were
written by hand in the documented form, with the fault server on a real socket. moto stands for X-Ray: what was put comes back, but each
summary says ResponseTime 1, filter expressions fail, and there are no pages. Ranking, filters and pages are tested with botocore's Stubber.
Its Logs Insights knows no `stats`, so that hook has no part here. No test here has seen AWS.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from perfproof.traces import slowest_spans
from perfproof_airflow.hooks import aws_sender
from perfproof_airflow.hooks.aws_sender import client_settings
from perfproof_airflow.hooks.xray import XRayHook

# Beside this Python too: an installed extra is not on PATH.
PLACES = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
MOTO = os.environ.get("MOTO_SERVER_BIN") or shutil.which("moto_server", path=PLACES)
START_SECONDS = 60.0
T0 = 1_739_700_000.0

pytestmark = pytest.mark.skipif(MOTO is None, reason="no moto_server: install moto[server], or name it in MOTO_SERVER_BIN")


@pytest.fixture(scope="module")
def xray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of an X-Ray on loopback, which ends with the module."""
    assert MOTO is not None
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    folder = tmp_path_factory.mktemp("moto")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
                time.sleep(0.1)
        yield boto3.client(
            "xray", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", config=client_settings(),
            endpoint_url=f"http://127.0.0.1:{port}",
        )  # fmt: skip
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def put(client: Any, *segments: dict[str, Any]) -> None:
    answer = client.put_trace_segments(TraceSegmentDocuments=[json.dumps(segment) for segment in segments])
    assert answer["UnprocessedTraceSegments"] == []


def request(number: int, seconds: float) -> list[dict[str, Any]]:
    """A request whose database takes four fifths of its time."""
    trace_id = f"1-67b1b5e0-{number:024x}"
    begin = T0 + number
    query = {
        "id": f"{number:015x}b",
        "name": "orders",
        "namespace": "remote",
        "start_time": begin + seconds / 10,
        "end_time": begin + 0.9 * seconds,
    }
    http = {"request": {"method": "POST", "url": "http://checkout.local/orders?card=1"}, "response": {"status": 200}}
    return [
        {
            "id": f"{number:015x}a", "name": "checkout", "trace_id": trace_id, "start_time": begin, "end_time": begin + seconds,
            "http": http, "subsegments": [query],
        },
        {
            "id": f"{number:015x}c", "name": "orders", "trace_id": trace_id, "parent_id": query["id"], "start_time": query["start_time"],
            "end_time": query["end_time"],
        },
    ]  # fmt: skip


def test_put_segments_come_back_as_traces(xray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments that the service took are found, fetched in batches, and show which span took the time."""
    # AWS answers application/json; moto answers the same JSON as text/html, which is refused elsewhere as a login page.
    monkeypatch.setattr(aws_sender, "_KINDS", aws_sender._KINDS | {"text/html"})
    for number in range(1, 13):
        put(xray, *request(number, number / 10))
    hook = XRayHook(source="xray", client=xray)
    found, raw = hook.items(query=None, start=T0, end=T0 + 3600, fetched_at=datetime(2025, 2, 16, 11, tzinfo=UTC))
    items = found["traces"]
    assert [round(item["duration_ms"]) for item in items] == [number * 100 for number in range(12, 0, -1)]
    assert {(item["service"], item["transaction"], item["spans"]) for item in items} == {("checkout", "POST /orders", 3)}
    summary = slowest_spans(items)
    assert [(span["service"], span["span"], span["share_percent"]) for span in summary["spans"]] == [
        ("orders", "orders", 80.0), ("checkout", "POST /orders", 20.0),
    ]  # fmt: skip
    assert b"card" in raw
    assert "card" not in json.dumps(found)
