"""`perfproof record`: what it writes is what `perfproof profile` reads."""

from __future__ import annotations

import argparse
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfproof.errors import PerfproofError
from perfproof.profile_formats.content import Format, read_profile
from perfproof.profiles import Weight
from perfproof_airflow.commands import record

FIXTURES = Path(__file__).parents[1] / "fixtures" / "profiles"
SPIN = """
import time

def spin_here():
    return sum(i * i for i in range(2000))

end = time.monotonic() + 60
while time.monotonic() < end:
    spin_here()
"""


def recorded(*words: str) -> int:
    """The command as it is called, below the program."""
    parser = argparse.ArgumentParser()
    record.add_arguments(parser.add_subparsers().add_parser("record"))
    return record.run(parser.parse_args(["record", *words]))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Something that computes for a minute."""
    path = tmp_path / "work.py"
    path.write_text(SPIN)
    return path


@pytest.fixture
def service() -> Iterator[str]:
    """Answers a heap at /debug/pprof/heap and a CPU profile at /debug/pprof/profile."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = {"heap": "go-heap.pb.gz", "profile": "go-cpu-before.pb.gz"}
            name = names.get(self.path.partition("?")[0].rpartition("/")[2])
            self.send_response(200 if name else 404)
            self.end_headers()
            if name:
                self.wfile.write((FIXTURES / name).read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def test_a_command_after_two_dashes_is_recorded(tmp_path: Path, script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Collapsed stacks of its functions, and a line that says what is in the file."""
    output = tmp_path / "stacks.txt"
    assert recorded("-o", str(output), "--seconds", "1", "--", sys.executable, str(script)) == 0
    imported = read_profile(output.read_bytes(), where="file")
    assert imported.form is Format.COLLAPSED
    assert any("spin_here" in frame for stack in imported.profile.stacks for frame in stack)
    assert "spin_here" in capsys.readouterr().out


def test_a_process_is_recorded_and_lives_on(tmp_path: Path, script: Path) -> None:
    """By its id; unlike a command it was there before."""
    output = tmp_path / "stacks.txt"
    with subprocess.Popen([sys.executable, str(script)]) as process:
        try:
            recorded("-o", str(output), "--seconds", "1", "--pid", str(process.pid))
            assert process.poll() is None
        except PerfproofError as error:
            if "ptrace rights" in error.fix:
                pytest.skip("this user may not attach to processes")
            raise
        finally:
            process.kill()
    assert "spin_here" in output.read_text()


def test_a_heap_is_kept_as_it_was_answered(tmp_path: Path, service: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All its values are in the file; the one that was asked for is told."""
    output = tmp_path / "heap.pb.gz"
    recorded("-o", str(output), "--url", f"{service}/debug/pprof/heap", "--value", "alloc_space")
    assert output.read_bytes() == (FIXTURES / "go-heap.pb.gz").read_bytes()
    assert read_profile(output.read_bytes(), where="file", value="alloc_space").profile.weight is Weight.BYTES
    assert "of alloc_space, of alloc_objects, alloc_space, inuse_objects, inuse_space" in capsys.readouterr().out


def test_a_cpu_profile_is_asked_for_so_many_seconds(tmp_path: Path, service: str) -> None:
    """The path of net/http/pprof that records while one waits."""
    output = tmp_path / "cpu.pb.gz"
    recorded("-o", str(output), "--url", f"{service}/debug/pprof/profile", "--seconds", "3")
    assert read_profile(output.read_bytes(), where="file").profile.samples > 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], "PAR-796"),
        (["--pid", "17", "--", "python"], "PAR-796"),
        (["--value", "alloc_space", "--", "python"], "PAR-797"),
        (["--url", "https://127.0.0.1/x"], "PAR-799"),
        (["--url", "127.0.0.1:6060"], "PAR-799"),
        (["--url", "http://user:word@127.0.0.1/x"], "PAR-799"),
        (["--url", "http://127.0.0.1:99999/x"], "PAR-799"),
        (["--url", "http://127.0.0.1:1/debug/pprof/profile", "--seconds", "inf"], "PAR-799"),
        (["--url", "http://127.0.0.1:1/debug/pprof/heap"], "PRO-182"),
        (["--url", "http://0x7f000001:1/debug/pprof/heap"], "LOD-101"),
        (["--seconds", "nan", "--", "python"], "PRO-156"),
        (["--rate", "100000", "--", "python"], "PRO-156"),
    ],
)
def test_what_cannot_be_recorded_writes_nothing(tmp_path: Path, words: list[str], code: str) -> None:
    """One line that says why."""
    output = tmp_path / "out"
    with pytest.raises(PerfproofError, match=code):
        recorded("-o", str(output), *words)
    assert not output.exists()


def test_a_value_that_the_profile_has_not_writes_nothing(tmp_path: Path, service: str) -> None:
    """A file that does not hold what was asked for would be found out too late."""
    with pytest.raises(PerfproofError, match="PRO-224"):
        recorded("-o", str(tmp_path / "out"), "--url", f"{service}/debug/pprof/heap", "--value", "cpu")
    assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path, service: str) -> None:
    """With its name and the reason."""
    with pytest.raises(PerfproofError, match=r"PRO-798.*No such file"):
        recorded("-o", str(tmp_path / "none" / "out"), "--url", f"{service}/debug/pprof/heap")
