"""`perfproof record -o FILE`: records a profile, of a command, a Python process, or a URL of pprof, for `perfproof profile` to read.

Exit codes: 0 recorded, 2 usage, or nothing could be recorded.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

from perfproof.announcements import one_line
from perfproof.config import Endpoint, Target
from perfproof.errors import ParameterError, ProfileError, quoted
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.profiles import hot_functions, normalise
from perfproof_airflow.hooks import py_spy
from perfproof_airflow.hooks.pprof import GRACE_SECONDS, MAX_SECONDS, PprofHook
from perfproof_airflow.hooks.profiler import CommandProfilerHook

SECONDS = 10.0
RATE_HZ = 100
# The one profile of net/http/pprof that is recorded while one waits.
RECORDED = "/profile"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is profiled, how long, and where the profile goes."""
    parser.add_argument("words", nargs="*", metavar="COMMAND", help="a Python command and its arguments, after --")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where the profile goes")
    parser.add_argument("--pid", type=int, help="profile this Python process in place of a command")
    parser.add_argument("--url", help="ask this address, such as http://127.0.0.1:6060/debug/pprof/heap")
    parser.add_argument("--value", metavar="NAME", help="demand that the profile of --url holds it, such as alloc_space")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long to record (default: %(default)g)")
    parser.add_argument("--rate", type=int, default=RATE_HZ, help="samples a second of py-spy (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Records, writes the file, and says what is in it."""
    given = [name for name, wanted in (("COMMAND", options.words), ("--pid", options.pid), ("--url", options.url)) if wanted]
    if len(given) != 1:
        raise ParameterError(
            796, where="perfproof record", what="not one thing to profile", got=", ".join(given) or "none",
            expected="COMMAND, --pid or --url", fix="give one of them, a command after --",
        )  # fmt: skip
    if options.value and not options.url:
        raise ParameterError(797, where="--value", what="only profiles of --url hold several values", got=options.value, fix="leave it out")
    data, said = _from_url(options) if options.url else _by_py_spy(options)
    try:
        options.output.write_bytes(data)
    except OSError as error:
        raise ProfileError(
            798, where=quoted(str(options.output)), what="cannot be written", got=error.strerror, fix="choose another"
        ) from None
    sys.stdout.write(one_line(f"{options.output}: {said}") + "\n")
    return 0


def _by_py_spy(options: argparse.Namespace) -> tuple[bytes, str]:
    if options.words:
        recording = CommandProfilerHook(options.words).record(seconds=options.seconds, rate_hz=options.rate)
    else:
        program = py_spy.program_of(None)
        recording = py_spy.record(program, pid=options.pid, seconds=options.seconds, rate_hz=options.rate, where=f"process {options.pid}")
    profile = normalise(parse_collapsed(recording.collapsed, where="recording"))
    hottest = ", ".join(f"{h.function} {100 * h.own:.0f} %" for h in hot_functions(profile, limit=1)[:1]) or "no function was seen"
    return recording.collapsed.encode(), f"{profile.amount} in {recording.seconds:g} s by {recording.profiler}; {hottest}"


def _from_url(options: argparse.Namespace) -> tuple[bytes, str]:
    """The answer as it came, once it was read as a profile that holds the value."""
    where = quoted(options.url)
    try:
        parts = urlsplit(options.url)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        parts, host, port = urlsplit(""), None, 0
    if parts.scheme != "http" or not host or parts.username is not None:
        raise ParameterError(
            799, where="--url", what="not an address that can be asked", got=options.url, expected="http://HOST:PORT/PATH", fix="correct it"
        )
    if not 0 < options.seconds <= MAX_SECONDS:
        raise ParameterError(
            799, where="--seconds", what="out of range", got=options.seconds, expected=f"at most {MAX_SECONDS:g}", fix="choose less"
        )
    path, within = parts.path or "/", GRACE_SECONDS
    if parts.query:
        path += f"?{parts.query}"
    elif path.endswith(RECORDED):
        path, within = f"{path}?seconds={max(1, round(options.seconds))}", within + options.seconds
    endpoint = Endpoint(host, port, build_path="/", metrics_path="/")
    read, body = PprofHook(endpoint, allow=(Target(host, port),)).snapshot(path, value=options.value, within=within)
    if not read.profile.total:
        raise ProfileError(800, where=where, what="a profile without samples", fix="send load, or record for longer")
    return body, f"{read.profile.amount} of {read.value}, of {', '.join(read.values)}"
