"""What parsing our DAG file costs beside a bare `airflow.sdk` Dag: as a process of its own, and as the dag processor does it.

- **process**: a fresh interpreter that imports `airflow.sdk` and runs the file, from its start to its end.
- **parse**: the same, only the running of the file, with `airflow.sdk` imported. The first time in its process, so with our imports.
- **processor**: what `airflow dag-processor` does for a file: a fork of a process that has imported Airflow, in which
  `airflow.dag_processing.processor._parse_file` reads and serializes it.

Seconds are those of the processor (user and system), which other work on the machine hardly changes; parsing waits for nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from overhead_shape import LEAST, empty_twin, our_dag
from overhead_table import Line
from paired import in_turns

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = REPOSITORY / "dags" / "performance_optimization.py"
GOAL = 1.1
RUN = """
import runpy, sys, time
import airflow.sdk
begun = time.process_time()
runpy.run_path(sys.argv[1], run_name="parsed")
print(time.process_time() - begun)
"""


def lines(*, pairs: int) -> list[Line]:
    """The ratios of parsing."""
    with parsed_files() as (bare, least):
        process = [in_turns(partial(process_seconds, OURS), partial(process_seconds, floor), pairs=pairs) for floor in (bare, least)]
        parse = in_turns(lambda: parse_seconds(OURS), lambda: parse_seconds(bare), pairs=pairs)
        processor = in_turns(lambda: processor_seconds(OURS), lambda: processor_seconds(bare), pairs=3 * pairs)
    return [
        Line("parsing: process start, import and parse of our DAG file, over a bare `airflow.sdk` Dag of the same shape", process[0], GOAL),
        Line("parsing: the same, over a bare Dag of one task", process[1], GOAL),
        Line("parsing alone, `airflow.sdk` imported, over the bare Dag of the same shape", parse),
        Line("parsing and serializing in a fork of the dag processor, over the bare Dag of the same shape", processor),
    ]


@contextmanager
def parsed_files() -> Iterator[tuple[Path, Path]]:
    """An Airflow home of its own, the bare Dag of our shape, and the least Dag."""
    with tempfile.TemporaryDirectory(prefix="perfproof-bench-") as name:
        root = Path(name)
        os.environ |= {
            "AIRFLOW_HOME": str(root / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        bare, least = root / "bare_shape.py", root / "least.py"
        bare.write_text(empty_twin(our_dag(OURS), dag_id="bare_shape", mapped={}))
        least.write_text(LEAST)
        for file in (OURS, bare, least):
            # Not counted: byte code that is not there yet.
            process_seconds(file)
        yield bare, least


def process_seconds(file: Path) -> float:
    """Of a fresh process, from its start to its end."""
    with subprocess.Popen([sys.executable, "-c", RUN, str(file)], stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{file} cannot be parsed")
    return used.ru_utime + used.ru_stime


def parse_seconds(file: Path) -> float:
    """As a fresh process measures it itself."""
    done = subprocess.run([sys.executable, "-c", RUN, str(file)], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def processor_seconds(file: Path) -> float:
    """Of the dag processor's own function, in a fork of this process, which has imported Airflow and nothing of ours."""
    return in_a_fork(lambda: _parse(file))


def _parse(file: Path) -> None:
    import structlog
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

    request = DagFileParseRequest(file=str(file), bundle_path=file.parent, bundle_name="bench")
    result = _parse_file(request, structlog.get_logger())
    if result is None or result.import_errors or len(result.serialized_dags) != 1:
        raise SystemExit(f"{file} was not parsed")


def in_a_fork(work: Callable[[], None]) -> float:
    """Seconds that `work` takes in a child."""
    import airflow.dag_processing.processor  # noqa: F401  imported here, and so in no child

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for name in [name for name in sys.modules if name.partition(".")[0] in ("perfproof", "perfproof_airflow")]:
                # What writing the bare file has imported: a processor that starts has not.
                del sys.modules[name]
            begun = time.process_time()
            work()
            os.write(writing, repr(time.process_time() - begun).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("a file could not be parsed")
    return float(text)
