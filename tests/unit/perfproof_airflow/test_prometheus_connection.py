"""What a Connection may say beyond the address: tenant, parameters of every question, certificates; and what it may not."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from perfproof.errors import TelemetryError
from perfproof_airflow.hooks.connection_values import ConnectionValues
from perfproof_airflow.hooks.prometheus import PrometheusHook
from perfproof_airflow.hooks.refused import QueryRefused


def values(**extra: Any) -> ConnectionValues:
    return ConnectionValues.of(
        SimpleNamespace(conn_id="p", host="https://mimir/prometheus", port=None, schema=None, login=None, password=None, extra_dejson=extra)
    )


def test_tenant_and_parameters_come_from_the_extra() -> None:
    """A tenant for Mimir, and what Thanos and VictoriaMetrics take as parameters."""
    found = values(tenant="team-a|team-b", parameters={"partial_response": "false", "dedup": "true"})
    assert (found.tenant, found.parameters) == ("team-a|team-b", {"partial_response": "false", "dedup": "true"})
    assert (values().tenant, values().parameters) == (None, {})


@pytest.mark.parametrize("tenant", ["", "a b", "a\r\nX-Admin: 1", "a/b", 7, ["a"], "x" * 151, "ü"])
def test_a_tenant_that_is_no_name_is_refused(tenant: Any) -> None:
    """It becomes a header, so it has no line ends and no other bytes than Mimir accepts."""
    with pytest.raises(TelemetryError, match=r"TEL-700 .*tenant"):
        values(tenant=tenant)


@pytest.mark.parametrize(
    "parameters", [{"query": "up"}, {"start": "0"}, {"time": "0"}, {"nocache": 1}, {"": "x"}, {"a b": "x"}, ["nocache"], "nocache=1"]
)
def test_parameters_that_change_the_question_are_refused(parameters: Any) -> None:
    """A Connection does not decide what is asked, nor for when."""
    with pytest.raises(TelemetryError, match=r"TEL-700 .*parameters"):
        values(parameters=parameters)


def test_parameters_are_shown_nowhere() -> None:
    """They may be keys: neither in the repr nor in an error."""
    assert "s3cret" not in repr(values(parameters={"key": "s3cret"}))
    with pytest.raises(TelemetryError) as caught:
        values(parameters={"key": "s3cret", "query": "up"})
    assert "s3cret" not in str(caught.value)


def test_an_instant_question_takes_them_along() -> None:
    """Range and instant questions alike; the question's own parameters stay."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": []}})

    hook = PrometheusHook(
        connection=ConnectionValues("http://m/prometheus", tenant="t", parameters={"nocache": "1"}), transport=httpx.MockTransport(handler)
    )
    hook.instant("up", at=1.0)
    assert seen[0].url.path == "/prometheus/api/v1/query"
    assert dict(seen[0].url.params) == {"nocache": "1", "query": "up", "time": "1.000"}
    assert seen[0].headers["x-scope-orgid"] == "t"


def test_certificates_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    """A missing file and one that is no certificate; neither falls back to other trust."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "missing.pem", tmp_path / "ca.pem"):
        hook = PrometheusHook(connection=ConnectionValues("https://127.0.0.1:9", ca_file=str(file)))
        with pytest.raises(TelemetryError, match=r"TEL-701 .*ca_file"):
            hook.instant("up", at=1.0)


def test_https_is_verified() -> None:
    """The certificates are checked, the name too, with and without a file of one's own."""
    context = ConnectionValues("https://prometheus").trust(where="p")
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("step", [1 / 3, 0.0005, 15.0001])
def test_a_step_of_parts_of_a_millisecond_is_refused(step: float) -> None:
    """Prometheus would cut it, and the moments drift from those that were asked for."""
    hook = PrometheusHook(connection=ConnectionValues("http://p"), transport=httpx.MockTransport(lambda r: pytest.fail("asked")))
    with pytest.raises(QueryRefused, match="TEL-706"):
        hook.range_frame("up", start=0, end=60, step=step)


@pytest.mark.parametrize(("step", "sent"), [(15, "15"), (0.25, "0.25"), (1_234_567.5, "1234567.5"), (0.1 + 0.2, "0.3"), (100, "100")])
def test_a_step_is_sent_whole(step: float, sent: str) -> None:
    """All of its digits: no exponent, and no six digits at most."""
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params["step"])
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": []}})

    hook = PrometheusHook(connection=ConnectionValues("http://p"), transport=httpx.MockTransport(handler))
    assert hook.range_frame("up", start=0, end=step, step=step).frame.empty
    assert seen == [sent]
