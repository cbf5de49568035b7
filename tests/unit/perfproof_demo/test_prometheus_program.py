"""A `prometheus` program as the demo's metrics server: which one is taken, what is refused, and how it is started."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from perfproof_demo.errors import DemoError
from perfproof_demo.monitoring import last_source, start_metrics
from perfproof_demo.processes import states
from perfproof_demo.prometheus_program import Program, find_program, program_arguments, scrape_configuration
from perfproof_demo.settings import EMBEDDED, DemoSettings

DEBIAN = "echo 'prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5)'"


def program(directory: Path, script: str, *, name: str = "prometheus") -> Path:
    """A program that a shell runs."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory on PATH; empty at first."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_the_program_on_path_is_taken_with_its_version(tmp_path: Path, bin_directory: Path) -> None:
    """Nothing has to be set where Prometheus is installed."""
    path = program(bin_directory, DEBIAN)
    assert find_program(DemoSettings(home=tmp_path)) == Program(str(path), "2.42.0+ds")


def test_without_a_program_there_is_none(tmp_path: Path, bin_directory: Path) -> None:
    """Which means the embedded server."""
    assert find_program(DemoSettings(home=tmp_path)) is None


def test_a_named_program_goes_before_path(tmp_path: Path, bin_directory: Path) -> None:
    """PROMETHEUS_BIN is a path, or another name on PATH."""
    program(bin_directory, DEBIAN)
    other = program(bin_directory, "echo 'prometheus, version 3.5.0 (branch: HEAD)'", name="prometheus3")
    for named in (str(other), "prometheus3"):
        assert find_program(DemoSettings(home=tmp_path, prometheus_bin=named)) == Program(str(other), "3.5.0")


def test_the_embedded_server_can_be_asked_for(tmp_path: Path, bin_directory: Path) -> None:
    """Even the program on PATH is not looked at, which may be the reason to ask."""
    program(bin_directory, "exit 1")
    assert find_program(DemoSettings(home=tmp_path, prometheus_bin=EMBEDDED)) is None


def test_a_named_program_that_is_not_there_is_an_error(tmp_path: Path, bin_directory: Path) -> None:
    """A typing mistake must not become the embedded server, or the program on PATH."""
    program(bin_directory, DEBIAN)
    with pytest.raises(DemoError, match=r"DEM-851 PROMETHEUS_BIN: no such program.*promtheus"):
        find_program(DemoSettings(home=tmp_path, prometheus_bin="promtheus"))


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'prometheus, version 1.8.2 (branch: HEAD)' >&2", "1.8.2"),
        ("echo 'prometheus, version 2.6.1 (branch: HEAD)'", "2.6.1"),
        ("echo 'Prometheus: a game, version 7'", "a game"),
        ("exit 3", "nothing"),
    ],
)
def test_an_old_or_other_program_is_one_clear_error(tmp_path: Path, bin_directory: Path, script: str, told: str) -> None:
    """It names the program, what it said, and how to get on."""
    path = program(bin_directory, script)
    with pytest.raises(DemoError, match=rf"DEM-852 .*{told}.*2\.7 or later.*PROMETHEUS_BIN={EMBEDDED}") as raised:
        find_program(DemoSettings(home=tmp_path))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_run_here_is_the_same_error(tmp_path: Path, bin_directory: Path) -> None:
    """As a program for another kind of processor."""
    path = program(bin_directory, DEBIAN)
    path.write_bytes(b"\x7fELF of elsewhere")
    with pytest.raises(DemoError, match=r"DEM-852 .*Exec format error"):
        find_program(DemoSettings(home=tmp_path))


def test_the_scrape_configuration_names_both_shops_of_this_demo(tmp_path: Path) -> None:
    """Once a second, under the label that the protocol file's queries select by; ports move with the demo."""
    document = yaml.safe_load(scrape_configuration(DemoSettings(home=tmp_path, port_base=28_100)))
    (job,) = document["scrape_configs"]
    assert job["scrape_interval"] == job["scrape_timeout"] == "1s"
    assert job["static_configs"] == [{"targets": ["127.0.0.1:28101", "127.0.0.1:28102"]}]


def test_the_server_listens_on_loopback_and_keeps_its_data_in_the_home(tmp_path: Path) -> None:
    """Of several demos each has its own; nothing is written elsewhere."""
    settings = DemoSettings(home=tmp_path)
    settings.run_directory.mkdir()
    arguments = program_arguments(settings, Program("/usr/bin/prometheus", "2.42.0"), port=28_190)
    assert "--web.listen-address=127.0.0.1:28190" in arguments
    assert f"--storage.tsdb.path={tmp_path / 'prometheus'}" in arguments
    (configuration,) = (Path(a.partition("=")[2]) for a in arguments if a.startswith("--config.file="))
    assert configuration.read_text() == scrape_configuration(settings)


def test_a_program_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path, bin_directory: Path) -> None:
    """As one of the future would that knows a flag no longer."""
    program(bin_directory, f"test \"$1\" = --version && {DEBIAN} && exit 0\necho 'unknown long flag --query.lookback-delta' >&2; exit 2")
    settings = DemoSettings(home=tmp_path, port_base=free_base())
    with pytest.raises(DemoError, match=r"DEM-111 metrics: ended with exit code 2.*unknown long flag"):
        start_metrics(settings)
    assert states(settings) == []
    assert last_source(settings) is None


def free_base() -> int:
    """A port base with a free port for the metrics."""
    import socket

    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1]) - 90
