"""Answers of other systems as items of the intake report, read without any network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from perfproof.errors import TelemetryError
from perfproof.reported.alerts import alert_items
from perfproof.reported.deployments import run_items, tag_items, tag_pattern
from perfproof.reported.fields import MAX_TEXT, moment, text
from perfproof.reported.incidents import incident_items

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
START, END = NOW.timestamp() - 3600, NOW.timestamp()


@pytest.mark.parametrize(
    ("value", "kept"), [("a\n b\t c ", "a b c"), ("", "UNKNOWN"), (None, "UNKNOWN"), (7, "UNKNOWN"), (["x"], "UNKNOWN"), ("<b>", "<b>")]
)
def test_texts_are_one_line_or_unknown(value: Any, kept: str) -> None:
    """Nothing but text is taken for text; markup stays, for who shows it escapes it."""
    assert text(value) == kept


def test_texts_are_bounded() -> None:
    """A title of a megabyte is no title."""
    assert len(text("x" * 1_000_000)) == MAX_TEXT


@pytest.mark.parametrize(
    "value", [None, 0, 1739700000, True, "", "now", "2025-02-16", "2025-02-16T10:00:00", "2025-13-01T00:00:00Z", [], {}]
)
def test_moments_are_never_guessed(value: Any) -> None:
    """No number, whose unit nobody told, no local time, no date alone."""
    with pytest.raises(TelemetryError, match="TEL-771 here"):
        moment(value, where="here")


@pytest.mark.parametrize("value", ["2025-02-16T10:00:00Z", "2025-02-16T12:00:00+02:00", "2025-02-16T10:00:00.000000000Z"])
def test_moments_with_a_zone_are_read_in_utc(value: str) -> None:
    """Go writes nine decimals, people write their zone."""
    assert moment(value, where="here") == NOW


def test_the_earliest_moment_of_another_zone_is_an_error() -> None:
    """Before the year 1 in UTC there is no time."""
    with pytest.raises(TelemetryError, match="TEL-771"):
        moment("0001-01-01T00:00:00+10:00", where="here")


def test_an_alert_is_an_item() -> None:
    """All fields of the contract, also where the answer is thin."""
    entry = {"labels": {}, "status": {"state": "active"}, "startsAt": "2025-02-16T09:30:00Z", "fingerprint": "f"}
    (item,) = alert_items(json.dumps([entry]).encode(), source="am", start=START, end=END, fetched_at=NOW, where="am")
    assert (item["name"], item["severity"], item["service"], item["state"], item["source"]) == ("UNKNOWN", "UNKNOWN", None, "firing", "am")


@pytest.mark.parametrize("link", ["http://[::1", "nothing", 7, None, "http://p/graph?g0.expr=", "http://p/graph?" + "&".join(["a=b"] * 50)])
def test_a_link_without_an_expression_tells_none(link: Any) -> None:
    """Broken, foreign or hostile links."""
    entry = {"labels": {}, "status": {"state": "active"}, "startsAt": "2025-02-16T09:30:00Z", "fingerprint": "f", "generatorURL": link}
    (item,) = alert_items(json.dumps([entry]).encode(), source="am", start=START, end=END, fetched_at=NOW, where="am")
    assert item["expression"] == "UNKNOWN"


def test_an_incident_is_an_item() -> None:
    """Without priority and urgency its severity is unknown; its service has the protocol file's name by its id."""
    entry = {"id": "P1", "status": "triggered", "created_at": "2025-02-16T09:30:00Z", "service": {"id": "PSHOP", "summary": "Shop API"}}
    (item,) = incident_items([entry], names={"PSHOP": "shop"}, start=START, end=END, where="pd")
    assert (item["severity"], item["services"], item["ended_at"], item["impact"]) == ("UNKNOWN", ["shop"], None, "UNKNOWN")


def test_tags_of_two_services_keep_the_last_before_the_window() -> None:
    """Lines of git: name, seconds, subject; a tag without a time is no deployment."""
    lines = [("v1", START - 500, "a"), ("v2", START - 100, "b"), ("v3", START + 1, "c"), ("v4", END + 1, "d")]
    output = b"".join(f"{name}\0{seconds:.0f}\0{subject}\0\n".encode() for name, seconds, subject in lines) + b"tree\0\0\0\n"
    assert [(i["build"], i["change"]) for i in tag_items(output, service=None, start=START, end=END, where="git")] == [
        ("v2", "b"),
        ("v3", "c"),
    ]


@pytest.mark.parametrize("output", [b"v1\n", b"v1\0x\0s\0\n", b"\0001\0s\0\n", b"v1\0001\0\n", b"v1\0" + b"9" * 30 + b"\0s\0\n"])
def test_lines_of_another_form_are_refused(output: bytes) -> None:
    """Names, times and subjects are told apart by NUL only."""
    with pytest.raises(TelemetryError, match="TEL-776"):
        tag_items(output, service="shop", start=START, end=END, where="git")


def test_patterns_stay_below_the_tags() -> None:
    """None is all of them."""
    assert (tag_pattern(None, where="git"), tag_pattern("shop-v*", where="git")) == ("refs/tags/", "refs/tags/shop-v*")


def test_runs_of_several_services_keep_the_last_before_the_window_of_each() -> None:
    """What ran when the window began, by service."""

    def run(name: str, service: str, ended: str) -> dict[str, Any]:
        return {"dag_run_id": name, "state": "success", "end_date": ended, "conf": {"service": service, "build": name}}

    runs = [
        run("a", "shop", "2025-02-16T07:00:00Z"), run("b", "mail", "2025-02-16T06:00:00Z"), run("c", "shop", "2025-02-16T08:00:00Z"),
        run("d", "shop", "2025-02-16T09:30:00Z"),
    ]  # fmt: skip
    assert [item["build"] for item in run_items(runs, service=None, start=START, end=END, where="airflow")] == ["b", "c", "d"]
