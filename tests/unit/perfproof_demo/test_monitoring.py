"""Which server the demo takes its telemetry from: remembered in words, and not changed under a running Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfproof_demo import monitoring
from perfproof_demo.airflow_processes import airflow_home
from perfproof_demo.errors import DemoError
from perfproof_demo.monitoring import check_metrics, last_source, start_metrics
from perfproof_demo.settings import EMBEDDED, DemoSettings


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoSettings:
    """A demo with somebody's Prometheus, which scrapes both shops."""
    monkeypatch.setattr(monitoring, "require_scraped", lambda settings: None)
    monkeypatch.setattr(monitoring, "require_answer", lambda settings: None)
    return DemoSettings(home=tmp_path, prometheus_url="http://127.0.0.1:9090")


def test_a_given_server_is_used_and_nothing_is_started(given: DemoSettings) -> None:
    """No pid file appears."""
    source = start_metrics(given)
    assert source.url == "http://127.0.0.1:9090"
    assert "PROMETHEUS_URL" in source.words
    assert last_source(given) == source
    assert list(given.run_directory.glob("*.pid")) == []


def test_another_address_than_last_time_is_refused(given: DemoSettings) -> None:
    """An Airflow that runs has the Connection of the start before."""
    check_metrics(given, airflow_runs=True)
    start_metrics(given)
    check_metrics(given, airflow_runs=True)
    other = DemoSettings(home=given.home, prometheus_bin=EMBEDDED)
    with pytest.raises(DemoError, match=r"DEM-858 .*http://127.0.0.1:9090, not http://127.0.0.1:18190.*demo-stop"):
        check_metrics(other, airflow_runs=True)
    check_metrics(other, airflow_runs=False)


def test_a_wrong_choice_is_told_before_anything_is_started(tmp_path: Path) -> None:
    """An Airflow beside would go on, for nothing."""
    with pytest.raises(DemoError, match="DEM-851"):
        check_metrics(DemoSettings(home=tmp_path, prometheus_bin="no-such-prometheus"), airflow_runs=False)
    with pytest.raises(DemoError, match="DEM-853"):
        check_metrics(DemoSettings(home=tmp_path, prometheus_url="http://127.0.0.1:9"), airflow_runs=False)


def test_a_damaged_record_is_none(given: DemoSettings) -> None:
    """It is a convenience, never a reason not to start."""
    start_metrics(given)
    for text in ("", "[]", '{"url": "x"}'):
        (given.run_directory / "metrics.json").write_text(text)
        assert last_source(given) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, {"schema": "http", "host": "127.0.0.1", "port": 18190}),
        ("https://prometheus.test", {"schema": "https", "host": "prometheus.test", "port": None}),
        (
            "http://mimir.test:8080/prometheus",
            {"schema": "http", "host": "mimir.test", "port": 8080, "extra": '{"path": "/prometheus"}'},
        ),
    ],
)
def test_the_connection_leads_to_the_same_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None, expected: dict[str, object]
) -> None:
    """Its path is not lost."""
    monkeypatch.setattr("perfproof_demo.airflow_processes._database", lambda url: {})
    settings = DemoSettings(home=tmp_path, prometheus_url=url)
    home = airflow_home(settings, workspace=tmp_path, dags_folder=tmp_path, protocols=tmp_path)
    assert home.connections["perfproof_prometheus"] == {"conn_type": "http", **expected}
