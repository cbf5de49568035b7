"""What every refusal has in common: one line in the documented form, a failing exit, and nothing written."""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import stat
import tempfile

_home = tempfile.mkdtemp(prefix="perfproof-bad-inputs-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

from collections.abc import Callable  # noqa: E402  Airflow's home comes first
from pathlib import Path  # noqa: E402
from types import SimpleNamespace  # noqa: E402
from typing import Any  # noqa: E402

import pytest  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[3]
DEMO = REPOSITORY / "include" / "protocols" / "demo.yaml"
LINE = re.compile(r"(?P<code>[A-Z]{3}-\d{3}) (?P<where>.+?): (?P<what>.+)\. Fix: (?P<fix>.+)")
LONGEST = 600
USAGE_EXIT = 2


def contents(directory: Path) -> dict[str, str]:
    """Every file below a directory with its digest, every other entry with its kind; no pipe is opened."""
    found = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        kind = f"mode {stat.S_IFMT(mode):o}"
        found[str(path.relative_to(directory))] = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else kind
    return found


def files(directory: Path) -> dict[str, str]:
    """The files among `contents`: probing whether a directory can be written makes the directory."""
    return {name: digest for name, digest in contents(directory).items() if not digest.startswith("mode")}


def check_line(line: str, *, code: str, words: str) -> None:
    """Asserts that `line` has the documented form, this code and these words, and shows no control character."""
    match = LINE.fullmatch(line)
    assert match, line
    assert match["code"] == code, line
    assert words in line, line
    assert len(line) <= LONGEST, line
    assert line.isprintable(), line
    assert "Traceback" not in line, line


@pytest.fixture
def demo_text() -> str:
    """The protocol file that ships with the package."""
    return DEMO.read_text(encoding="utf-8")


@pytest.fixture
def refused_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Runs `perfproof` on something bad and asserts how it ends. What it raises beyond an exit is a traceback, and fails the test."""
    from perfproof.cli import main

    def run(*arguments: str, code: str, words: str) -> None:
        before = contents(tmp_path)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        assert ended.value.code == USAGE_EXIT
        assert said.out == ""
        check_line(said.err.removesuffix("\n"), code=code, words=words)
        assert contents(tmp_path) == before

    return run


class TriggeredRun:
    """A run as its first task sees it, in a workspace of its own."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.dag_id, self.run_id, self.round = "performance_optimization", "manual__1", 0
        self.params: Any = {"protocol": "demo"}

    def context(self, task_id: str = "prerequisites.open_cycle") -> Any:
        """The parts of Airflow's context that a cycle reads."""
        ti = SimpleNamespace(dag_id=self.dag_id, task_id=task_id, map_index=-1, try_number=1, id="ti-1")
        dag_run = SimpleNamespace(dag_id=self.dag_id, run_id=self.run_id, clear_number=self.round, triggering_user_name="demo-requester")
        return {"ti": ti, "dag_run": dag_run, "params": self.params}

    def cycle(self) -> Any:
        """The open cycle."""
        from perfproof_airflow.cycle import Cycle

        return Cycle.of(self.context())

    def open(self) -> Any:
        """What the first task of the DAG returns."""
        from airflow.sdk.execution_time.context import set_current_context

        from perfproof_airflow.phases.prerequisites import open_cycle

        with set_current_context(self.context()):
            return open_cycle.function()

    def refuses_to_open(self, *, code: str, words: str) -> None:
        """Asserts that the first task fails without a retry, says one line, and leaves the workspace as it was."""
        from airflow.sdk.exceptions import AirflowFailException

        before = files(self.workspace)
        with pytest.raises(AirflowFailException) as caught:
            self.open()
        check_line(str(caught.value), code=code, words=words)
        assert caught.value.__suppress_context__
        assert files(self.workspace) == before


@pytest.fixture
def triggered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TriggeredRun:
    """A run of the demo's protocol that has not opened its evidence yet."""
    protocols = tmp_path / "include" / "protocols"
    protocols.mkdir(parents=True)
    (protocols / "demo.yaml").write_bytes(DEMO.read_bytes())
    monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(tmp_path))
    return TriggeredRun(tmp_path)


@pytest.fixture
def check() -> Callable[..., None]:
    """Asserts that an error of ours is one line in the documented form."""

    def checked(error: Exception, *, code: str, words: str) -> None:
        check_line(str(error), code=code, words=words)

    return checked
