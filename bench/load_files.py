"""How fast and in how much memory a large CSV of k6 is read, figures and blocks included.

    python bench/load_files.py --megabytes 1000

makes the file in a temporary directory, reads it in a process of its own, reads a tenth of it with the csv module for comparison, prints
seconds, MB/s and peak memory of each, and removes the file. 1000 MB take about 20 s and 1 GB of disk.
"""

from __future__ import annotations

import argparse
import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEADER = (
    "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,scenario,service,status,subproto,"
    "tls_version,url,extra_tags,metadata\n"
)
# What k6 1.1 writes for one HTTP request; the durations are every ninth line.
METRICS = (
    "http_reqs", "http_req_duration", "http_req_blocked", "http_req_connecting", "http_req_tls_handshaking", "http_req_sending",
    "http_req_waiting", "http_req_receiving", "http_req_failed",
)  # fmt: skip
REQUESTS_PER_SECOND = 500
MEGABYTE = 1_000_000


def main() -> None:
    """Makes, reads, prints, removes."""
    parser = argparse.ArgumentParser(description="Reading a large CSV of k6.")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        _measured(options.read, plain=options.plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "k6.csv", Path(folder) / "tenth.csv"
        make(large, size=options.megabytes * MEGABYTE, seed=options.seed)
        make(small, size=options.megabytes * MEGABYTE // 10, seed=options.seed)
        write("| read with | MB | requests | s | CPU s | MB/s of CPU | peak MiB |\n|---|---|---|---|---|---|---|")
        for path, plain in ((large, False), (small, False), (small, True)):
            # Peak memory is that of a whole process, so each reading has one.
            command = [sys.executable, __file__, "--read", str(path), *(["--plain"] if plain else [])]
            write(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def make(path: Path, *, size: int, seed: int) -> None:
    """A CSV of k6 of about `size` bytes: five routes, 500 requests a second, one of a hundred failed, durations exponential."""
    drawn = random.Random(seed)
    written = requests = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        while written < size:
            url = f"http://127.0.0.1:8080/route/{requests % 5}"
            good, moment = drawn.random() > 0.01, 1_795_520_000 + requests // REQUESTS_PER_SECOND
            tags = f",,,,{'true' if good else 'false'},,GET,{url},HTTP/1.1,steady,,{200 if good else 500},,,{url},,\n"
            text = "".join(f"{metric},{moment},{drawn.expovariate(0.05):.6f}{tags}" for metric in METRICS)
            file.write(text)
            written, requests = written + len(text), requests + 1


def _measured(path: Path, *, plain: bool) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    requests = _plain(path) if plain else _perfproof(path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    megabytes, peak = path.stat().st_size / MEGABYTE, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    name = "csv module" if plain else "perfproof"
    write(f"| {name} | {megabytes:.0f} | {requests} | {wall:.1f} | {cpu:.1f} | {megabytes / cpu:.0f} | {peak:.0f} |")


def _perfproof(path: Path) -> int:
    from perfproof.load_files import read_load_file
    from perfproof.load_files.figures import figures_by_name, figures_of, span_of
    from perfproof.load_files.time_blocks import blocks_of

    with path.open("rb") as file:
        requests = read_load_file(file, where=path.name).requests
    if requests is None:
        raise SystemExit("the file has no requests")
    seconds = span_of(requests)
    figures_of(requests, seconds=seconds)
    figures_by_name(requests, seconds=seconds)
    blocks_of(requests, seconds=30)
    return len(requests)


def _plain(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        return len([float(row["metric_value"]) for row in csv.DictReader(file) if row["metric_name"] == "http_req_duration"])


def write(line: str) -> None:
    """One line on standard output, at once: the next step may take long."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
