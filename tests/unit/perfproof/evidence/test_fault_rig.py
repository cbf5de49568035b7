"""The rig behind `make faults`: it finds nothing on the real store, and finds what a careless store leaves behind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

RIG = Path(__file__).parents[3] / "faults" / "run.py"
CARELESS = """
import runpy, sys
from perfproof.evidence import local
from perfproof.evidence.backend import key_parts
from perfproof.evidence.local import LocalBackend
def create(self, key, data):
    path = self.root.joinpath(*key_parts(key))
    path.parent.mkdir(parents=True, exist_ok=True)
    with local.system_calls_on(key):
        try:
            file = local.os.open(path, local.os.O_WRONLY | local.os.O_CREAT | local.os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        for position in range(0, len(data), 100):
            local.os.write(file, data[position:position + 100])
        local.os.close(file)
    return True
LocalBackend.create = create
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_look_at_some_calls_finds_nothing(tmp_path: Path) -> None:
    """All writers are in it, and the figure is printed."""
    done = subprocess.run([sys.executable, RIG, "--every", "40"], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    last = re.fullmatch(r"faults: (\d+) of (\d+) \(100\.0 %\) at (.*); 9 steps; .*", done.stdout.splitlines()[-1])
    assert last and last[1] == last[2] and int(last[1]) > 20
    assert last[3] == "approval, artifact, checkpoint, log"


def test_a_store_that_writes_in_place_is_found_out(tmp_path: Path) -> None:
    """A file that is there before its bytes are: the rig must say so, else its hundred percent mean nothing."""
    command = [sys.executable, "-c", CARELESS, str(RIG), "--every", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
