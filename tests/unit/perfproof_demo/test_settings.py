"""The demo's settings: ports, directories and what the environment replaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfproof_demo.errors import DemoError
from perfproof_demo.settings import DemoSettings, Side


def test_default_ports_are_those_of_the_protocol_file(tmp_path: Path) -> None:
    """Without DEMO_PORT_BASE the shops listen where include/protocols/demo.yaml says."""
    settings = DemoSettings.from_environment(tmp_path, {})
    assert settings.shop_url(Side.BASELINE) == "http://127.0.0.1:18101"
    assert settings.shop_url(Side.CANDIDATE) == "http://127.0.0.1:18102"
    assert settings.port("airflow") == 18180
    assert settings.metrics_url == "http://127.0.0.1:18190"


def test_the_port_base_shifts_every_port(tmp_path: Path) -> None:
    """DEMO_PORT_BASE moves all ports by the same distance, and none coincide."""
    shifted = DemoSettings.from_environment(tmp_path, {"DEMO_PORT_BASE": "20000"})
    default = DemoSettings.from_environment(tmp_path, {})
    names = ("shop-baseline", "shop-candidate", "database", "airflow", "metrics")
    assert {shifted.port(name) - default.port(name) for name in names} == {1900}
    assert len({shifted.port(name) for name in names}) == len(names)


@pytest.mark.parametrize("text", ["80", "65001", "many", "-1", "1e4", "²0000"])
def test_a_port_base_that_is_no_free_port_is_one_clear_error(tmp_path: Path, text: str) -> None:
    """Privileged, too high and unreadable port bases name the variable."""
    with pytest.raises(DemoError, match="DEMO_PORT_BASE"):
        DemoSettings.from_environment(tmp_path, {"DEMO_PORT_BASE": text})


def test_an_empty_variable_is_an_unset_one(tmp_path: Path) -> None:
    """`DEMO_DATABASE_URL= make demo` is how a shell unsets a variable for one command."""
    settings = DemoSettings.from_environment(
        tmp_path, {"DEMO_DATABASE_URL": "", "PROMETHEUS_URL": "", "PROMETHEUS_BIN": "", "DEMO_PORT_BASE": ""}
    )
    assert settings.database_url is None
    assert settings.prometheus_url is None
    assert settings.prometheus_bin is None


def test_a_prometheus_of_ones_own_replaces_the_address(tmp_path: Path) -> None:
    """A slash at the end of PROMETHEUS_URL does not double the slash of the API path."""
    settings = DemoSettings.from_environment(tmp_path, {"PROMETHEUS_URL": "http://127.0.0.1:9090/"})
    assert settings.metrics_url == "http://127.0.0.1:9090"


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9090", "localhost", "ftp://127.0.0.1", "http://", "http://u:secret@127.0.0.1:9090", "http://a/?x=1", "http://a/#x",
        "http://a:b/", "http://a b/",
    ],
)  # fmt: skip
def test_an_unusable_address_is_one_clear_error_without_its_password(tmp_path: Path, url: str) -> None:
    """Before anything is started."""
    with pytest.raises(DemoError, match="DEM-850 PROMETHEUS_URL") as raised:
        DemoSettings.from_environment(tmp_path, {"PROMETHEUS_URL": url})
    assert "secret" not in str(raised.value)


def test_a_relative_home_is_refused() -> None:
    """Detached processes have other working directories, so a relative home would mean several places."""
    with pytest.raises(DemoError, match="absolute"):
        DemoSettings(home=Path(".demo"))
