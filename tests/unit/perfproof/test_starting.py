"""`perfproof init`: what it writes is valid and ready to run, what it cannot use is refused in one line, and nothing is overwritten."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run

from perfproof.config import load_protocol
from perfproof.config_checks import STEPS

PEOPLE = [
    "--owner", "e1:Engineer One", "--role", "product_owner=p1:Product One", "--role", "sre_lead=s1:Reliability One",
    "--role", "security=c1:Clearance One",
]  # fmt: skip
ENDPOINTS = ["--baseline", "127.0.0.1:8001", "--candidate", "127.0.0.1:8002"]
QUERY = 'histogram_quantile(0.95, sum by (le) (rate(x_bucket{instance="$instance"}[$window]))) * 1000'
SHORT = ["mine", *ENDPOINTS, "--path", "GET /orders/{id:1-900}", "--metric-query", f"orders_latency_p95={QUERY}", *PEOPLE]
SOURCES = {
    "prometheus": ([], QUERY),
    "openmetrics": ([], 'histogram_quantile(0.95, sum(x_seconds_bucket{service="$service"})) * 1000'),
    "cloudwatch": (
        ["--connection", "aws_metrics", "--scrape-seconds", "60"],
        "AWS/ApplicationELB TargetResponseTime{LoadBalancer=$instance} p95",
    ),
    "datadog": ([], "p95:trace.http.request{service:$service}.rollup(avg, $step)"),
    "metric_file": (["--file", "metrics/all.csv"], "latency_p95"),
}


def written(workspace: Path) -> dict[str, bytes]:
    """Every file below the workspace."""
    return {path.relative_to(workspace).as_posix(): path.read_bytes() for path in workspace.rglob("*") if path.is_file()}


def document(workspace: Path, name: str = "mine") -> dict[str, Any]:
    found = yaml.safe_load((workspace / f"include/protocols/{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_written_for_each_source_passes_check(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`perfproof check` takes the file, with the source that was asked for."""
    more, query = SOURCES[source]
    arguments = ["mine", *ENDPOINTS, "--path", "GET /orders", "--metric-query", f"orders_latency_p95={query}", "--source", source]
    assert run("init", *arguments, *more, *PEOPLE, "--workspace", tmp_path) == 0
    assert run("check", tmp_path / "include/protocols/mine.yaml") == 0
    assert "valid: protocol mine" in capsys.readouterr().out
    assert document(tmp_path)["sources"][0]["kind"] == source


@pytest.mark.parametrize(
    "more", [[], ["--database", "db_{side}"], ["--pprof-path", "/debug/pprof/profile"], ["--rate", "3"], ["--rate", "400"]]
)
def test_the_run_of_what_is_written_is_ready(tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`perfproof plan` finds nothing that would halt it: templates are valid, every step has somebody who may answer."""
    assert run("init", *SHORT, *more, "--workspace", tmp_path) == 0
    capsys.readouterr()
    arguments = ["--protocol", "mine", "--set", "optimizations=OPT-001", "--requester", "somebody", "--format", "json"]
    assert run("plan", *arguments, "--workspace", tmp_path) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["status"] == "ready"
    assert [one for one in shown["missing"] if one["halts"]] == []


def test_load_may_go_to_the_endpoints_and_nowhere_else(tmp_path: Path) -> None:
    """The allow-list is the two deployments; nothing in the file names another target of load."""
    assert run("init", *SHORT, "--workspace", tmp_path) == 0
    load = document(tmp_path)["load"]
    assert load["allow"] == [{"host": "127.0.0.1", "port": 8001}, {"host": "127.0.0.1", "port": 8002}]
    (profile,) = load["profiles"].values()
    rates = [profile["peak"]["rate"], *profile["stress"]["rates"], profile["failure"]["rate"], profile["measurement"]["rate"]]
    assert max(rates) == load["max_rate"] == 80


def test_a_host_name_needs_its_address_on_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --allow the file would not be valid, and nothing is written; with it the address is listed."""
    arguments = ["mine", "--baseline", "shop.test:8001", *SHORT[5:], "--workspace", str(tmp_path)]
    assert run("init", *arguments) == 2
    assert "CFG-195" in capsys.readouterr().err
    assert written(tmp_path) == {}
    assert run("init", *arguments, "--allow", "10.0.0.5:8001") == 0
    assert {"host": "10.0.0.5", "port": 8001} in document(tmp_path)["load"]["allow"]


def test_the_owner_approves_nothing_and_every_step_has_a_role(tmp_path: Path) -> None:
    """All steps are answered; the engineer is in no approving role."""
    assert run("init", *SHORT, "--workspace", tmp_path) == 0
    file = document(tmp_path)
    assert set(file["approvals"]["steps"]) == set(STEPS)
    people = [person["id"] for role in file["roles"].values() for person in role["people"]]
    assert sorted(people) == ["c1", "e1", "p1", "s1"]
    assert "engineer" not in {role for roles in file["approvals"]["steps"].values() for role in roles}


def test_percentiles_get_enough_requests_at_any_rate(tmp_path: Path) -> None:
    """368 requests for p99 in the peak, 72 for p95 in a block, as a load test demands."""
    for rate in (1, 7, 20, 333):
        assert run("init", *SHORT, "--workspace", tmp_path, "--rate", rate, "--force") == 0
        profile = document(tmp_path)["load"]["profiles"]["modest"]
        assert profile["peak"]["rate"] * profile["peak"]["seconds"] >= 368
        assert profile["measurement"]["rate"] * profile["measurement"]["block_seconds"] >= 72


def test_ranges_of_parameters_and_names_are_taken_from_the_path(tmp_path: Path) -> None:
    """`name=` wins; else the last word of the path; the range leaves the path."""
    paths = ["--path", "history=GET /customers/{customer:1-6000}/orders", "--path", "HEAD /", "--path", "GET /a/{x:2-3}/b-c/{y:0-9}?z=1"]
    queries = ["--metric-query", f"history_latency_p95={QUERY}"]
    assert run("init", "mine", *ENDPOINTS, *paths, *queries, *PEOPLE, "--workspace", tmp_path) == 0
    found = [(t["name"], t["method"], t["path"], t.get("parameters")) for t in document(tmp_path)["services"][0]["transactions"]]
    assert found[0] == ("history", "GET", "/customers/{customer}/orders", {"customer": {"first": 1, "last": 6000}})
    assert found[1] == ("root", "HEAD", "/", None)
    assert found[2][2:] == ("/a/{x}/b-c/{y}?z=1", {"x": {"first": 2, "last": 3}, "y": {"first": 0, "last": 9}})


HOSTILE = [
    ("PAR-950", ["../mine", *SHORT[1:]]),
    ("PAR-950", ["a/b", *SHORT[1:]]),
    ("PAR-950", ["a..b", *SHORT[1:]]),
    ("PAR-950", ["Mine", *SHORT[1:]]),
    ("PAR-950", ["m\n", *SHORT[1:]]),
    ("PAR-950", [*SHORT, "--service", "x: {y}"]),
    ("PAR-950", [*SHORT, "--environment", "a\x1b[2J"]),
    ("PAR-950", [*SHORT, "--change", "a\nname: other"]),
    ("PAR-951", [*SHORT, "--baseline", "http://127.0.0.1:80"]),
    ("PAR-951", [*SHORT, "--baseline", "127.0.0.1:99999"]),
    ("PAR-951", [*SHORT, "--candidate", "127.0.0.1:8001"]),
    ("PAR-952", [*SHORT, "--path", "DELETE /orders"]),
    ("PAR-952", [*SHORT, "--path", "GET /x/{id}"]),
    ("PAR-952", [*SHORT, "--path", "GET /other/{id:1-2}/orders"]),
    ("PAR-953", [*SHORT, "--metric-query", "latency=up"]),
    ("PAR-953", [*SHORT, "--metric-query", "throughput"]),
    ("PAR-953", [*SHORT, "--metric-query", "other_latency_p95=up"]),
    ("PAR-953", [*SHORT, "--metric-query", "orders_latency_p95=up"]),
    ("PAR-953", ["mine", *ENDPOINTS, "--path", "GET /orders", *PEOPLE]),
    ("PAR-954", [*SHORT, "--owner", "e1"]),
    ("PAR-954", [*SHORT, "--role", "cto=x:X"]),
    ("PAR-955", [*SHORT[:-2]]),
    ("PAR-955", [*SHORT, "--role", "sre_lead=e1:Engineer One"]),
    ("PAR-955", [*SHORT, "--role", "sre_lead=P1:Product One"]),
    ("PAR-956", [*SHORT, "--source", "graphite"]),
    ("PAR-956", [*SHORT, "--source", "metric_file"]),
    ("PAR-956", [*SHORT, "--file", "x.csv"]),
    ("PAR-956", [*SHORT, "--connection", "a'; rm -r x"]),
    ("PAR-959", [*SHORT, "--rate", "nan"]),
    ("PAR-959", [*SHORT, "--slo", "-1"]),
    ("CFG-146", [*SHORT, "--inputs", "../elsewhere"]),
    ("CFG-146", [*SHORT, "--protocols", "/etc"]),
    ("CFG-274", [*SHORT, "--fault-proxy", "70000"]),
    ("CFG-137", [*SHORT, "--role", "security=x:SRE Lead"]),
    ("CFG-152", [*SHORT, "--pprof-path", "//elsewhere/profile"]),
]


@pytest.mark.parametrize(("code", "arguments"), HOSTILE, ids=[f"{code}-{number}" for number, (code, _) in enumerate(HOSTILE)])
def test_what_cannot_be_used_is_one_line_and_nothing_is_written(
    tmp_path: Path, code: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, a line with its code that holds no control character, no file."""
    assert run("init", *arguments, "--workspace", tmp_path) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"{code} ")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    assert out == ""
    assert written(tmp_path) == {}


def test_text_that_looks_like_yaml_stays_text(tmp_path: Path) -> None:
    """Quotes, braces, colons, remarks and other alphabets arrive as they were given."""
    change = '"}, x: [1] # \\ é 時 {side}'
    assert run("init", *SHORT, "--workspace", tmp_path, "--change", change, "--environment", "yes", "--owner", "012: Ada: # x") == 0
    file = load_protocol((tmp_path / "include/protocols/mine.yaml").read_bytes(), where="mine.yaml")
    assert file.optimizations[0].title == change
    assert file.environment.name == "yes"
    assert file.roles["engineer"].people[0].name == "Ada: # x"


@pytest.mark.parametrize("existing", ["include/protocols/mine.yaml", "inputs/MONITORING-PACKAGE.zip", "inputs/INCIDENT-REPORT.md"])
def test_existing_files_are_left_alone(tmp_path: Path, existing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One file in the way, and none is written; --force replaces it."""
    (tmp_path / existing).parent.mkdir(parents=True)
    (tmp_path / existing).write_text("mine", encoding="utf-8")
    assert run("init", *SHORT, "--workspace", tmp_path) == 2
    assert capsys.readouterr().err.startswith(f"PAR-957 {existing}")
    assert written(tmp_path) == {existing: b"mine"}
    assert run("init", *SHORT, "--workspace", tmp_path, "--force") == 0
    assert written(tmp_path)[existing] != b"mine"


def test_a_link_is_never_written_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even with --force: what it points to stays as it is."""
    outside, workspace = tmp_path / "outside", tmp_path / "workspace"
    outside.write_text("theirs", encoding="utf-8")
    (workspace / "inputs").mkdir(parents=True)
    (workspace / "inputs/DEPLOYMENT-REPORT.md").symlink_to(outside)
    assert run("init", *SHORT, "--workspace", workspace, "--force") == 2
    assert "PAR-957" in capsys.readouterr().err
    assert outside.read_text(encoding="utf-8") == "theirs"


def test_a_workspace_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where a directory should be."""
    (tmp_path / "include").write_text("", encoding="utf-8")
    assert run("init", *SHORT, "--workspace", tmp_path) == 2
    assert capsys.readouterr().err.startswith("PAR-958 ")


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_next_names_the_connections_and_no_secret(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The source's Connection, the approval key and the database's; passwords are asked for or made, never arguments."""
    more, query = SOURCES[source]
    arguments = ["mine", *ENDPOINTS, "--path", "GET /orders", "--metric-query", f"orders_latency_p95={query}", "--source", source]
    assert run("init", *arguments, *more, *PEOPLE, "--database", "db_{side}", "--workspace", tmp_path) == 0
    shown = capsys.readouterr().out
    connections = [entry["connection"] for entry in document(tmp_path)["sources"] if "connection" in entry]
    for connection in [*connections, "perfproof_approvals", "db_baseline", "db_candidate"]:
        assert connection in shown
    assert re.findall(r"--conn-(?:password|login|uri|json)", shown) == []


def test_templates_say_what_they_are_and_invent_nothing(tmp_path: Path) -> None:
    """No incident, no alert, a deployment whose build is the given one or UNKNOWN."""
    assert run("init", *SHORT, "--workspace", tmp_path) == 0
    report = (tmp_path / "inputs/DEPLOYMENT-REPORT.md").read_text(encoding="utf-8")
    assert report.count("| UNKNOWN |") == 1
    assert "written by perfproof init" in report
    assert run("init", *SHORT, "--workspace", tmp_path, "--force", "--build", "a|b 1.2") == 0
    assert "| a\\|b 1.2 |" in (tmp_path / "inputs/DEPLOYMENT-REPORT.md").read_text(encoding="utf-8")
    assert (tmp_path / "inputs/INCIDENT-REPORT.md").read_text(encoding="utf-8").rstrip().endswith("--- |")
