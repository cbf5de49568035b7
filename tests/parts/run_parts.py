"""Runs the tests that need real parts, with those that install_parts.py has installed.

`python tests/parts/run_parts.py [DIRECTORY] [-- TEST…]`; DIRECTORY is .parts, and all of SUITES runs, by default. Ends with what was
skipped and why. A test that is skipped although its part is there fails the run, and so does a skip whose reason names no absent part:
otherwise a part that no test finds any more would look like a pass.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[2]
RECORD = "parts.json"
SUITES = (
    "tests/parts",
    "tests/unit/perfproof/slos/test_exports.py",  # promtool
    "tests/integration/test_pprof_endpoint.py",  # a Go service: Prometheus
    "tests/integration/test_demo_target.py",  # the demo with a `prometheus` on PATH
    "tests/integration/test_evidence_backends.py",  # SeaweedFS
    "tests/integration/test_query_plans_hook.py",  # the Postgres of the lock
    "tests/integration/test_fault_hook.py",  # likewise
    "tests/integration/test_profiler_hook.py",  # the py-spy of the lock
    "tests/integration/test_record_command.py",  # likewise
)
# How the reasons of skipped tests name a part. Not in other names: prometheus-alertmanager, prometheus_client, a path.
WORDS: Mapping[str, str] = {
    "prometheus": r"(?<![\w/-])(prometheus|promtool)(?![\w/-])",
    "alertmanager": r"(?<![\w/-])alertmanager(?![\w/-])",
    "victoria-metrics": r"(?<![\w/-])victoria-?metrics(?![\w/-])",
    "ministack": r"(?<![\w/-])ministack(?![\w/-])",
    "moto": r"(?<![\w/-])moto(_server)?(?![\w/-])",
    "locust": r"(?<![\w/-])locust(?![\w/-])",
    "seaweedfs": r"(?<![\w/-])seaweedfs(?![\w/-])",
}
# What is not installed here: an account that costs money, and a browser with its many libraries.
ELSEWHERE = re.compile(r"PERFPROOF_LIVE_AWS|\bchromium\b|\bplaywright\b", re.IGNORECASE)


def may_be_skipped(reason: str, *, absent: Iterable[str]) -> bool:
    """Whether a test may be skipped with `reason`: it names a part that is not there, or what cannot be installed."""
    return ELSEWHERE.search(reason) is not None or any(re.search(WORDS[name], reason, re.IGNORECASE) for name in absent if name in WORDS)


def environment(parts: Iterable[Mapping[str, Any]], *, programs: Path, before: Mapping[str, str]) -> dict[str, str]:
    """The variables by which tests find the parts, and `programs` in front of PATH. No part that is not listed is found."""
    variables = {key: value for part in parts for key, value in part["variables"].items()}
    kept = {key: value for key, value in before.items() if key != "PROMETHEUS_URL"}
    return {**kept, **variables, "PATH": os.pathsep.join([str(programs), before.get("PATH", os.defpath)])}


def outcomes(report: bytes) -> tuple[Counter[str], Counter[str]]:
    """How many tests of a JUnit report passed, failed and were skipped, and how many were skipped for each reason."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it a moment ago
        skipped = case.find("skipped")
        if skipped is not None:
            counts["skipped"] += 1
            message = skipped.get("message") or ""
            # Of a whole module the reason stands in the text, as ('file', line, 'Skipped: reason').
            whole = re.search(r"Skipped: (.*?)['\"]\)", skipped.text or "") if message == "collection skipped" else None
            reasons[whole[1] if whole else message or "no reason"] += 1
        else:
            counts["failed" if case.find("failure") is not None or case.find("error") is not None else "passed"] += 1
    return counts, reasons


def main() -> int:
    """The exit code of pytest; 1 if all passed and a test was skipped that had its part; 2 if nothing was installed."""
    given = sys.argv[1:]
    more = given[given.index("--") + 1 :] if "--" in given else []
    directory = Path(given[0] if given and given[0] != "--" else ".parts").resolve()
    try:
        parts: list[dict[str, Any]] = json.loads((directory / RECORD).read_text())
    except (FileNotFoundError, ValueError):
        sys.stderr.write(f"{directory} holds no parts: run tests/parts/install_parts.py first\n")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        surroundings = environment(parts, programs=directory / "bin", before=os.environ)
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}"]
        done = subprocess.run([*command, *(more or SUITES)], cwd=ROOT, env=surroundings, check=False)
        if not report.exists():
            return done.returncode or 2
        counts, reasons = outcomes(report.read_bytes())
    absent = [part["name"] for part in parts if part["reason"]]
    lines = [f"  {part['name']:<24}{part['version'] or 'NOT installed: ' + part['reason']}" for part in parts]
    lines += [", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped"))]
    wrong = 0
    for reason, count in sorted(reasons.items()):
        excused = may_be_skipped(reason, absent=absent)
        wrong += 0 if excused else count
        lines.append(f"  {count} skipped{'' if excused else ' ALTHOUGH THE PART IS THERE'}: {reason}")
    sys.stdout.write("\n".join(["", "real parts:", *lines, ""]))
    return done.returncode or (1 if wrong else 0)


if __name__ == "__main__":
    sys.exit(main())
