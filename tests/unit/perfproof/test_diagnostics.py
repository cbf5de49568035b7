"""The profile document, the coverage score, and profiling-report.md."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Service, Transaction, load_protocol
from perfproof.diagnostics import diagnostic_coverage, profile_document, profiling_report
from perfproof.errors import ProfileError
from perfproof.query_plans import Explained, StatementRow, service_statements
from perfproof.telemetry import document_bytes

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"
NOW = datetime(2025, 2, 16, 10, tzinfo=UTC)
COLLAPSED = {"name": "evidence/profile-shop.txt", "sha256": "a" * 64}
FLAME = {"name": "evidence/flame-shop.svg", "sha256": "b" * 64}
STACKS = "serve (s.py:1);quote (shop.py:9);compile (re.py:3) 300\nserve (s.py:1);orders (shop.py:5);fetch (db.py:7) 200\n"
STACKS += "serve (s.py:1);wait (threading.py:327) 4000\n"


def shop(name: str = "shop", transactions: tuple[Transaction, ...] | None = None) -> Service:
    service = load_protocol(DEMO.read_bytes(), where="demo").service("shop")
    return dataclasses.replace(service, name=name, transactions=transactions or service.transactions)


def profile(
    service: Service | None = None, *, stacks: str = STACKS, requests: dict[str, int] | None = None, build: str = "b1"
) -> dict[str, Any]:
    return profile_document(
        service=service or shop(),
        build=build,
        profiler="py-spy 0.4.3",
        collapsed_text=stacks,
        seconds=8,
        rate_hz=100,
        requests_by_transaction={"orders": 140, "quote": 60} if requests is None else requests,
        collapsed=COLLAPSED,
        flame_graph=FLAME,
    )


def test_a_profile_document_names_hot_functions_and_paths() -> None:
    """Shares are of running code: waiting samples are counted apart and change no share."""
    document = profile()
    assert document["status"] == "ok"
    assert document["reason"] is None
    assert (document["samples"], document["waiting_samples"]) == (500, 4000)
    assert document["hot_functions"][0] == {"function": "compile (re.py)", "self_percent": 60.0, "total_percent": 60.0}
    assert [f["function"] for f in document["hot_paths"][0]["frames"]] == ["serve (s.py)", "quote (shop.py)", "compile (re.py)"]
    assert all(t["profiled"] for t in document["transactions"])


def test_a_document_is_json() -> None:
    """What is stored is finite and serialisable."""
    json.loads(document_bytes(profile()))


def test_too_few_samples_are_inconclusive() -> None:
    """59 samples of running code decide nothing, however many threads waited."""
    document = profile(stacks="a (x.py:1) 59\na (x.py:1);wait (threading.py:1) 5000\n")
    assert document["status"] == "inconclusive"
    assert "59 samples" in document["reason"]


def test_unreadable_samples_are_a_missing_component() -> None:
    """Stacks that the profiler could not read are counted, and too many of them decide nothing."""
    assert profile(stacks=STACKS + " 20\n")["unread_samples"] == 20
    document = profile(stacks=STACKS + " 100\n")
    assert document["status"] == "inconclusive"
    assert "100 samples could not be read" in document["reason"]


def test_an_empty_profile_is_inconclusive_not_an_error() -> None:
    """A profiler that saw nothing is a result; to halt on it is the caller's."""
    assert profile(stacks="")["status"] == "inconclusive"


@pytest.mark.parametrize("requests", [{}, {"orders": 140}, {"orders": 140, "quote": 9}])
def test_a_prioritized_transaction_without_traffic_is_a_missing_component(requests: dict[str, int]) -> None:
    """A profile in which a transaction hardly ran says nothing about it, and names it."""
    document = profile(requests=requests)
    assert document["status"] == "inconclusive"
    assert "quote" in document["reason"]
    assert [t["profiled"] for t in document["transactions"] if t["name"] == "quote"] == [False]


def test_broken_stacks_are_an_error_with_the_service() -> None:
    """A file that is no profile is refused."""
    with pytest.raises(ProfileError, match="profile of shop line 1"):
        profile(stacks="<html>")


def services(count: int) -> list[Service]:
    return [shop(f"service-{i}") for i in range(count)]


def test_three_of_four_services_are_75_percent() -> None:
    """The spec's failing sample: the missing service is named."""
    four = services(4)
    coverage = diagnostic_coverage([profile(s) for s in four[:3]], services=four)
    assert coverage["diagnostic_coverage"] == 75
    assert (coverage["services_profiled"], coverage["services_required"]) == (3, 4)
    assert coverage["missing_services"] == ["service-3"]


def test_four_of_four_services_with_93_percent_of_the_traffic_are_93() -> None:
    """The spec's passing sample: coverage is the lower of services and traffic."""
    transactions = (Transaction("orders", "GET", "/o", 0.93), Transaction("rest", "GET", "/r", 0.07, profiled=False))
    four = [shop(f"service-{i}", transactions) for i in range(4)]
    coverage = diagnostic_coverage([profile(s, requests={"orders": 50}) for s in four], services=four)
    assert coverage["diagnostic_coverage"] == pytest.approx(93)
    assert coverage["plain_percent"] == 100
    assert coverage["missing_services"] == []


def test_traffic_weighs_the_services() -> None:
    """A service with 90 percent of the requests that was not profiled leaves 10 percent covered."""
    two = services(2)
    coverage = diagnostic_coverage([profile(two[0])], services=two, traffic={"service-0": 10.0, "service-1": 90.0})
    assert coverage["diagnostic_coverage"] == pytest.approx(10)
    assert coverage["plain_percent"] == 50


def test_an_inconclusive_profile_covers_nothing() -> None:
    """A service with too few samples counts as missing."""
    two = services(2)
    coverage = diagnostic_coverage([profile(two[0]), profile(two[1], stacks="")], services=two)
    assert coverage["missing_services"] == ["service-1"]


@pytest.mark.parametrize("traffic", [{}, {"service-0": float("nan")}, {"service-0": -1.0}, {"service-0": 0.0}])
def test_traffic_that_is_none_is_an_error(traffic: dict[str, float]) -> None:
    """A missing or impossible rate never turns into full coverage."""
    with pytest.raises(ProfileError):
        diagnostic_coverage([profile(shop("service-0"))], services=services(1), traffic=traffic)


def test_no_services_are_an_error() -> None:
    """An empty list is not 100 percent."""
    with pytest.raises(ProfileError):
        diagnostic_coverage([], services=[])


def report(document: dict[str, Any], statement: str = "select $1", plan: dict[str, Any] | None = None) -> str:
    plans = {
        "services": [
            service_statements(
                service="shop",
                rows=[StatementRow("1", statement, 10, 5.0, 10)],
                explained={"1": Explained((), plan, plan is not None, None if plan else "no sample value")},
                requests=10,
                request_ms=None,
            )
        ]
    }
    return profiling_report(profiles=[document], plans=plans, coverage=diagnostic_coverage([document], services=[shop()]), now=NOW)


def test_the_report_has_flame_graphs_and_query_plans() -> None:
    """Both of the spec's parts have their heading, the graph is linked by its name and digest, the plan is shown."""
    text = report(profile(), plan={"Plan": {"Node Type": "Result", "Plan Rows": 1, "Actual Rows": 1, "Actual Loops": 1}})
    lines = text.splitlines()
    assert lines[0] == "# Profiling report"
    assert lines.index("## Flame graphs") < lines.index("## Query plans")
    assert "](evidence/flame-shop.svg)" in text
    assert FLAME["sha256"] in text
    assert "Result (1 rows planned, 1 given" in text
    assert "2025-02-16T10:00:00Z" in text


def test_the_report_says_what_is_missing() -> None:
    """No profiles and no plans are said in words; an inconclusive profile gives its reason."""
    empty = profiling_report(profiles=[], plans=None, coverage=diagnostic_coverage([], services=[shop()]), now=NOW)
    assert "No profile was taken." in empty
    assert "No query plans were taken." in empty
    assert "Not profiled: shop." in empty
    assert "inconclusive" in report(profile(stacks=""))
    assert "no sample value" in report(profile())


def test_hostile_names_and_statements_stay_text() -> None:
    """A statement cannot end its code block, a function cannot break its table or become a link or an image."""
    nasty = "```\n# forged\n<script>alert(1)</script>"
    text = report(profile(stacks="x|y![i](http://evil/)`<b> (a.py:1) 200\n", build="](http://evil/)"), statement=nasty)
    outside, fence = [], ""
    for line in text.splitlines():
        ticks = line[: len(line) - len(line.lstrip("`"))]
        if fence:
            fence = "" if line == fence else fence
        elif len(ticks) >= 3:
            fence = ticks
        else:
            outside.append(line)
    assert "# forged" not in outside
    assert not any(line.startswith("<script") for line in outside)
    rows = [line for line in outside if line.startswith("| `")]
    assert rows
    assert all(line.replace("\\|", "").count("|") == 4 for line in rows)
