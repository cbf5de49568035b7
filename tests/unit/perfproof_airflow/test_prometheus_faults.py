"""The Prometheus client over real sockets against a server in trouble: every fault has its documented outcome, and none passes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_server import JSON, fault_server

from perfproof.errors import TelemetryError
from perfproof.telemetry import Direction, MetricKind, MetricSpec, Series, Unit
from perfproof_airflow.hooks.http_answers import ATTEMPTS, Limits, Unreachable
from perfproof_airflow.hooks.prometheus import ConnectionValues, PrometheusHook
from perfproof_airflow.hooks.refused import QueryRefused

START, STEP, POINTS = 1_739_700_000.0, 15.0, 20
NOW = datetime(2025, 2, 16, 12, tzinfo=UTC)
SPEC = MetricSpec("p95", MetricKind.LATENCY, Unit.MILLISECONDS, Direction.LOWER, "prometheus", "p95_milliseconds")
TESTS = Path(__file__).parents[2]
GOOD = [[START + STEP * n, f"{n + 0.5}"] for n in range(POINTS)]

OUTCOMES: dict[str, tuple[type[TelemetryError], str]] = {
    "down": (Unreachable, "TEL-270 .*refused"),
    "slow": (Unreachable, "TEL-270 .*without sending complete message body"),
    "http_429": (Unreachable, "TEL-270 .*HTTP 429"),
    "http_500": (Unreachable, "TEL-270 .*HTTP 500"),
    "redirect": (TelemetryError, "TEL-272 .*HTTP 302"),
    "html_200": (TelemetryError, "TEL-274 .*text/html"),
    "truncated": (Unreachable, "TEL-270 .*peer closed connection"),
    "endless": (TelemetryError, "TEL-271 .*too large"),
    "gzip_bomb": (TelemetryError, "TEL-271 .*too large"),
}


def answer(values: Any, *, name: str = "p95_milliseconds") -> tuple[int, dict[str, str], bytes]:
    result = [{"metric": {"__name__": name}, "values": values}]
    document = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return 200, JSON, json.dumps(document, separators=(",", ":")).encode()


def hook_at(address: str, *, seconds: float = 20.0, **values: Any) -> PrometheusHook:
    return PrometheusHook(connection=ConnectionValues(address, **values), limits=Limits(total_seconds=seconds), sleep=lambda _: None)


def one_series(hook: PrometheusHook) -> Series:
    end = START + STEP * (POINTS - 1)
    return hook.query_range(SPEC, service="s", instance="i", start=START, end=end, step=STEP, rate_window=60, fetched_at=NOW)


def a_table(hook: PrometheusHook) -> Any:
    return hook.range_frame("p95_milliseconds", start=START, end=START + STEP * (POINTS - 1), step=STEP)


def numbers(hook: PrometheusHook) -> Any:
    return hook.instant("p95_milliseconds", at=START)


# One question is enough to wait for a slow server.
ASKED = [(mode, ask) for mode in OUTCOMES for ask in (one_series, a_table, numbers) if mode != "slow" or ask is one_series]


@pytest.mark.parametrize(("mode", "ask"), ASKED)
def test_a_server_in_trouble_gives_its_error_and_no_number(mode: str, ask: Callable[[PrometheusHook], Any]) -> None:
    """Whatever is asked: one line with the code, what happened and how to mend it."""
    error, words = OUTCOMES[mode]
    seen: list[bytes] = []
    with fault_server(mode, answer(GOOD), seen=seen) as address, pytest.raises(error, match=rf"^{words}.* Fix: ") as caught:
        ask(hook_at(address, seconds=0.6 if mode == "slow" else 20.0))
    assert "\n" not in str(caught.value)
    assert not any(b"/followed" in request for request in seen)
    retried = issubclass(error, Unreachable) and mode != "slow"
    assert len(seen) == (0 if mode == "down" else ATTEMPTS if retried else 1)


@pytest.mark.parametrize("mode", ["endless", "gzip_bomb"])
def test_an_endless_answer_takes_little_memory(mode: str) -> None:
    """Two gigabytes are on offer; the whole process stays below 300 MiB, with the larger limit of a table."""
    program = (
        "import pathlib, re, sys\n"
        "from perfproof.errors import TelemetryError\n"
        "from perfproof_airflow.hooks.prometheus import ConnectionValues, PrometheusHook\n"
        "import pandas\n"
        "try:\n"
        f"    PrometheusHook(connection=ConnectionValues(sys.argv[1])).range_frame('x', start={START}, end={START + 60}, step=15)\n"
        "except TelemetryError as error:\n"
        # Not ru_maxrss: a child inherits it from who started it.
        "    print(error.code, re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])\n"
    )
    with fault_server(mode, answer(GOOD)) as address:
        run = subprocess.run([sys.executable, "-c", program, address], capture_output=True, text=True, check=True, timeout=60)
    code, kibibytes = run.stdout.split()
    assert code == "TEL-271"
    assert int(kibibytes) < 300 * 1024


def test_nan_is_kept_and_is_no_number() -> None:
    """The cell labels it; neither 0 nor the value before takes its place."""
    values = [*GOOD[:3], [GOOD[3][0], "NaN"], *GOOD[4:]]
    with fault_server("nan", answer(values)) as address:
        series, table = one_series(hook_at(address)), a_table(hook_at(address))
    assert repr(series.values[3]) == "nan"
    assert series.values[:3] + series.values[4:] == tuple(n + 0.5 for n in range(POINTS) if n != 3)
    assert table.frame.isna().to_numpy().ravel().tolist() == [n == 3 for n in range(POINTS)]


def test_gaps_stay_gaps() -> None:
    """Moments without a sample are not in the series, and NaN in the table."""
    with fault_server("gaps", answer(GOOD[:5] + GOOD[9:])) as address:
        series, table = one_series(hook_at(address)), a_table(hook_at(address))
    assert len(series.times) == POINTS - 4
    assert START + 6 * STEP not in series.times
    assert table.frame.isna().to_numpy().ravel().tolist() == [5 <= n < 9 for n in range(POINTS)]
    assert table.samples == POINTS - 4


def test_duplicates_reach_the_cell_and_no_table() -> None:
    """The cell labels a moment with two values DUPLICATE; a table has no place for the second."""
    with fault_server("duplicates", answer([*GOOD[:4], [GOOD[3][0], "99"], *GOOD[4:]])) as address:
        assert one_series(hook_at(address)).times.count(GOOD[3][0]) == 2
        with pytest.raises(QueryRefused, match=r"TEL-279 .*twice"):
            a_table(hook_at(address))


def test_samples_out_of_order_are_refused() -> None:
    """They are not sorted in silence."""
    with fault_server("out_of_order", answer([*GOOD[5:], *GOOD[:5]])) as address:
        for ask in (one_series, a_table):
            with pytest.raises(QueryRefused, match=r"TEL-279 .*out of order"):
                ask(hook_at(address))


def test_a_change_of_unit_is_refused() -> None:
    """The series was renamed from milliseconds to seconds: its numbers are a thousand times smaller, and no improvement."""
    renamed = answer(GOOD, name="p95_seconds")
    with fault_server("unit_change", renamed) as address, pytest.raises(QueryRefused, match=r"TEL-282 .*another unit"):
        one_series(hook_at(address))


def test_a_good_answer_comes_through_the_prefix_with_tenant_and_parameters() -> None:
    """The control of all of the above, and what Mimir and others need: path, X-Scope-OrgID and parameters of the Connection."""
    seen: list[bytes] = []
    with fault_server("good", answer(GOOD), seen=seen) as address:
        hook = hook_at(f"{address}/prometheus", tenant="team-a", parameters={"nocache": "1"})
        assert one_series(hook).values == tuple(n + 0.5 for n in range(POINTS))
    line, _, head = seen[0].partition(b"\r\n")
    assert line.startswith(b"GET /prometheus/api/v1/query_range?nocache=1&query=")
    assert b"\r\nx-scope-orgid: team-a\r\n" in b"\r\n" + head.lower()
