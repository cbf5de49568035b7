"""One line of time, and what came shortly before what: facts in order, bounded, and never a cause."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from perfproof.moments import stamp
from perfproof.timeline import coincidences, timeline

TEN = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)


def at(minutes: float) -> str:
    return stamp(TEN + timedelta(minutes=minutes))


def document(*items: dict[str, Any], source: str = "s") -> dict[str, Any]:
    return {"source": source, "items": list(items)}


def deployment(minutes: float, build: str = "1.4.2", service: str = "shop", change: str = "UNKNOWN") -> dict[str, Any]:
    return {"type": "deployments", "service": service, "build": build, "deployed_at": at(minutes), "change": change}


def alert(minutes: float | None, name: str = "Slow", service: str | None = "shop", ended: float | None = None) -> dict[str, Any]:
    times = {"started_at": None if minutes is None else at(minutes), "ended_at": None if ended is None else at(ended)}
    return {"type": "alerts", "name": name, "severity": "page", "service": service, **times}


def incident(minutes: float, name: str = "INC-1", services: tuple[str, ...] = ("shop",), ended: float | None = None) -> dict[str, Any]:
    times = {"started_at": at(minutes), "ended_at": None if ended is None else at(ended)}
    return {"type": "incidents", "id": name, "title": "Orders slow", "severity": "SEV2", "services": list(services), **times}


def test_everything_is_on_one_line_in_order() -> None:
    """Sources are joined by time; rules and logs have none and are not on it."""
    documents = [
        document(incident(12, services=("shop", "mail"), ended=40), source="pagerduty"),
        document(alert(10, ended=41), {**alert(None), "state": "rule"}, source="alertmanager"),
        document(deployment(0, change="No more joins"), {"type": "logs", "events": 5}, source="git"),
    ]
    missed = [{"service": "shop", "symptom": "p95: 300 ms", "at": at(50)}, {"service": "shop", "symptom": "x", "at": None}]
    entries, left_out = timeline(documents, missed=missed)
    assert left_out == 0
    assert [(e["at"], e["kind"], e["service"], e["source"]) for e in entries] == [
        (at(0), "deployment", "shop", "git"),
        (at(10), "alert_started", "shop", "alertmanager"),
        (at(12), "incident_started", "shop, mail", "pagerduty"),
        (at(40), "incident_ended", "shop, mail", "pagerduty"),
        (at(41), "alert_ended", "shop", "alertmanager"),
        (at(50), "target_missed", "shop", "baseline"),
    ]
    assert entries[0]["what"] == "deployment 1.4.2: No more joins"
    assert entries[2]["what"] == "incident INC-1 (SEV2): Orders slow: begin"


def test_what_has_no_time_or_a_broken_one_is_left_out() -> None:
    """A time is never guessed."""
    broken = {**deployment(0), "deployed_at": "yesterday"}
    assert timeline([document(broken, alert(None))], missed=[]) == ([], 0)
    assert coincidences([document(broken, alert(None), incident(1))]) == []


def test_the_line_is_bounded_and_says_what_is_left_out() -> None:
    """The newest 500 stay."""
    entries, left_out = timeline([document(*(deployment(n, build=str(n)) for n in range(600)))], missed=[])
    assert (len(entries), left_out) == (500, 100)
    assert entries[0]["what"] == "deployment 100"


def test_a_coincidence_names_both_and_the_minutes() -> None:
    """Deployment, alert, incident: each pair of them, in words that claim no cause."""
    found = coincidences([document(deployment(0)), document(alert(10)), document(incident(12.5))])
    assert [c["what"] for c in found] == [
        "deployment 1.4.2 10 minutes before alert Slow",
        "deployment 1.4.2 12 minutes before incident INC-1",
        "alert Slow 2 minutes before incident INC-1",
    ]
    assert found[1]["first"] == {"kind": "deployment", "name": "deployment 1.4.2", "at": at(0)}
    assert found[1]["second"] == {"kind": "incident_started", "name": "incident INC-1", "at": stamp(TEN + timedelta(minutes=12.5))}
    assert not any(word in c["what"] for c in found for word in ("cause", "because", "due"))


def test_other_services_other_times_and_the_other_order_are_none() -> None:
    """Over an hour apart, of another service, of an unnamed service, or after it."""
    apart = [document(deployment(0), incident(61))]
    other = [document(deployment(0, service="mail"), incident(5))]
    unnamed = [document(deployment(0, service="UNKNOWN"), alert(1, service=None), incident(5, services=()))]
    after = [document(incident(0), deployment(5))]
    assert [coincidences(documents) for documents in (apart, other, unnamed, after)] == [[], [], [], []]
    assert coincidences([document(deployment(0), incident(60))])[0]["minutes"] == 60
    assert coincidences([document(deployment(0), incident(0.5))])[0]["what"].startswith("deployment 1.4.2 less than a minute before")


def test_two_events_of_one_moment_are_told_once() -> None:
    """An alert and an incident of one second: one line, whichever is read first."""
    for items in ((alert(0), incident(0)), (incident(0), alert(0))):
        assert len(coincidences([document(*items)])) <= 1
    assert len(coincidences([document(alert(0), alert(0, name="Other"))])) == 0


def test_a_storm_is_bounded_in_number_and_time() -> None:
    """10,000 alerts within an hour before 500 incidents: the nearest are told, in seconds."""
    alerts = [alert(n * 0.005, name=f"A{n}") for n in range(10_000)]
    incidents = [incident(50 + n * 0.01, name=f"I{n}") for n in range(500)]
    begun = time.perf_counter()
    found = coincidences([document(*alerts, *incidents)])
    assert time.perf_counter() - begun < 5
    assert len(found) == 100
    assert all(c["minutes"] <= 1 for c in found)


def test_an_incident_of_two_services_is_told_once_with_one_deployment_of_each() -> None:
    """Each pair of events counts once, whatever services they share."""
    found = coincidences([document(deployment(0), deployment(1, build="9", service="mail"), incident(5, services=("mail", "shop")))])
    assert {(c["service"], c["what"]) for c in found} == {
        ("shop", "deployment 1.4.2 5 minutes before incident INC-1"),
        ("mail", "deployment 9 4 minutes before incident INC-1"),
    }
