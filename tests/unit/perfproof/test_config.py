"""The protocol file: the demo's loads, and each thing it may not say is one clear line."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.config import load_protocol
from perfproof.errors import ConfigError

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"


def changed(path: str, value: Any) -> bytes:
    """The demo's protocol with one value replaced; `path` is dotted, with numbers for list positions; value ... deletes."""
    document = copy.deepcopy(yaml.safe_load(DEMO.read_text()))
    *parents, last = path.split(".")
    place = document
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    key = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return yaml.safe_dump(document).encode()


def test_the_demo_protocol_loads_and_carries_its_digest() -> None:
    """The shipped example is valid, and its digest is that of the bytes."""
    protocol = load_protocol(DEMO.read_bytes(), where="demo.yaml")
    assert protocol.name == "demo" and len(protocol.digest) == 64
    assert protocol.service("shop").metric("orders_latency_p95") is not None


def test_the_most_tests_of_a_round_are_those_of_all_blocks_and_scenarios() -> None:
    """Counted by hand: peak twice, stress, failure, two tests for each of 24 blocks a side, and two profiles of each service."""
    profile = load_protocol(DEMO.read_bytes(), where="demo.yaml").load.profiles["demo"]
    assert (profile.measurement.most_blocks, profile.measurement.step) == (24, 8)
    assert [profile.most_tests(services=n) for n in (1, 3)] == [54, 58]
    assert profile.most_seconds(services=1) == (2 + 2) * (2 + 15) + (2 + 6 * 3) + (2 + 10) + 48 * (1 + 6)
    assert profile.most_seconds(services=3) - profile.most_seconds(services=1) == 4 * (2 + 15)
    alone = load_protocol(changed("load.profiles.demo.measurement.max_blocks", ...), where="demo.yaml").load.profiles["demo"]
    assert (alone.measurement.most_blocks, alone.most_tests(services=1)) == (8, 22)


ENDPOINT = {"host": "127.0.0.1", "port": 18101, "build_path": "/build", "metrics_path": "/metrics"}

CASES = [
    ("schema_version", 2, "CFG-130", "unknown schema version"),
    ("schema_version", "1", "CFG-123", "wrong type"),
    ("name", "../etc", "CFG-133", "not an identifier"),
    ("unknown", 1, "CFG-120", "unknown key"),
    ("objective", ..., "CFG-121", "missing"),
    ("services", [], "CFG-131", "no services"),
    ("target_metric", "nothing", "CFG-132", "no service has this metric"),
    ("roles.security.people", [], "CFG-135", "without a person"),
    ("roles.security.people.0.id", "", "CFG-136", "without id or name"),
    ("roles.security.people.0.name", "Product Owner", "CFG-137", "not a person"),
    ("approvals.expires_after_days", 31, "CFG-139", "out of range"),
    ("approvals.steps.plan", ..., "CFG-140", "nobody answers plan"),
    ("approvals.steps.party", ["security"], "CFG-141", "unknown step"),
    ("approvals.steps.plan", ["ghost"], "CFG-142", "unknown role"),
    ("thresholds", {"improvement": 10}, "CFG-143", "below the protocol's threshold"),
    ("prerequisites.0.required", False, "CFG-144", "requires this artifact"),
    ("prerequisites.0.path", "/etc/passwd", "CFG-146", "not a path inside"),
    ("prerequisites.0.path", "../x", "CFG-146", "not a path inside"),
    ("sources.0.connection", ..., "CFG-147", "needs connection"),
    ("sources.0.path", "metrics.csv", "CFG-250", "has no path"),
    ("sources.0.provides", "alerts", "CFG-252", "cannot provide it"),
    ("sources.0.lookback_hours", 0, "CFG-145", "out of range"),
    ("sources.3.artifact", "NOTHING.md", "CFG-148", "not among"),
    ("sources.0.critical", False, "CFG-149", "no critical source of metrics"),
    ("services.0.owner", "nobody", "CFG-150", "not a person of any role"),
    ("services.0.transactions.0.method", "POST", "CFG-152", "only GET"),
    ("services.0.metrics.0.unit", "furlong", "CFG-122", "unknown name"),
    ("services.0.metrics.0.direction", ..., "CFG-121", "missing"),
    ("services.0.guards", [], "CFG-155", "no guard metrics"),
    ("services.0.guards.0.margin", -1, "CFG-156", "positive margin"),
    ("load.allow", [], "CFG-160", "allow-list is empty"),
    ("load.allow.0.host", "*", "CFG-161", "not a host and port"),
    ("load.allow.0.host", "http://x", "CFG-161", "not a host and port"),
    ("load.allow.0.host", "0.0.0.0", "CFG-162", "never be a target"),  # noqa: S104  refused
    ("load.allow.0.host", "2130706433", "CFG-161", "not a host and port"),
    ("load.window_hours", 721, "CFG-163", "out of range"),
    ("services.0.endpoints.baseline.port", 1, "CFG-193", "not on the allow-list"),
    ("services.0.endpoints.baseline", ENDPOINT | {"pprof_path": "//elsewhere/profile"}, "CFG-152", "not a path"),
    ("services.0.endpoints.baseline", ENDPOINT | {"pprof_path": "/profile?seconds=9999"}, "CFG-152", "without a query"),
    ("services.0.endpoints.baseline", ENDPOINT | {"pprof_path": "/p", "pid_file": "a.pid"}, "CFG-197", "two ways to profile"),
    ("services.0.slos.0.unit", "s", "CFG-159", "not the unit of its metric"),
    ("baseline.step_seconds", 0, "CFG-191", "out of range"),
    ("load.profiles.demo.peak.rate", 1e9, "CFG-165", "above max_rate"),
    ("load.profiles.demo.measurement.blocks", 3, "CFG-167", "too few"),
    ("load.profiles.demo.measurement.max_blocks", 7, "CFG-168", "fewer than blocks"),
    ("load.profiles.demo.measurement.step_blocks", 0, "CFG-188", "not positive"),
    ("load.profiles.demo.measurement.max_blocks", 119, "CFG-169", "more tests than load.max_tests"),
    ("load.max_tests", 53, "CFG-169", "more tests than load.max_tests"),
    ("load.window_hours", 0.1, "CFG-187", "more load than fits"),
    ("load.profiles.demo.measurement.max_blocks", 8.5, "CFG-123", "wrong type"),
    ("optimizations.0.id", "index", "CFG-170", "not an id"),
    ("optimizations.0.expected_gain_percent", 0, "CFG-173", "out of range"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "code", "words"), CASES, ids=[f"{path}={value!r:.20}" for path, value, _, _ in CASES])
def test_what_a_protocol_file_may_not_say(path: str, value: Any, code: str, words: str) -> None:
    """One line with a stable code, the place in the file, and what is wrong."""
    with pytest.raises(ConfigError) as caught:
        load_protocol(changed(path, value), where="demo.yaml")
    line = str(caught.value)
    assert line.startswith(code) and words in line and "demo.yaml" in line and "\n" not in line
