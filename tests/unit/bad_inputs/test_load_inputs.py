"""Load that must not be sent: refused by its own code, before the first request, with nothing written."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Abort, Target, Transaction
from perfproof.errors import ApprovalError, LoadError
from perfproof.evidence import EntryType
from perfproof.load.authorization import Authorization, Window, check_authorized
from perfproof.load.plan import LoadPlan, Scenario, Stage

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LISTED = Target("10.0.0.5", 8001)


class Answers(http.server.BaseHTTPRequestHandler):
    """A target on loopback that answers what the test wants, and counts who asks for more than its consent."""

    status, body, kind, load = 200, b"", "application/json", 0

    def do_GET(self) -> None:
        """Consent at `/build`; everything else is load."""
        owner = type(self)
        if self.path != "/build":
            owner.load += 1
        self.send_response(owner.status)
        self.send_header("Content-Type", owner.kind)
        self.send_header("Content-Length", str(len(owner.body)))
        self.send_header("Location", "http://127.0.0.2:1/build")
        self.end_headers()
        self.wfile.write(owner.body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name of http.server
        """Says nothing."""


@pytest.fixture
def target() -> Iterator[tuple[type[Answers], int]]:
    """The answers of a server, and its port."""
    answers = type("TheAnswers", (Answers,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield answers, server.server_address[1]
    server.shutdown()
    thread.join(10)
    server.server_close()


def plan_of(**changes: Any) -> LoadPlan:
    """A plan for the listed target, as it should be."""
    plan = LoadPlan(
        schema_version=1,
        scenario=Scenario.PEAK,
        host=LISTED.host,
        port=LISTED.port,
        build_path="/build",
        environment="test",
        stages=(Stage(20, 1),),
        warmup_seconds=0,
        transactions=(Transaction("quote", "GET", "/quote", 1),),
        seed=1,
        max_in_flight=64,
        timeout_seconds=2,
        abort=Abort(50, 1000, 5),
        allow=(LISTED,),
    )
    return replace(plan, **changes)


def without(key: str) -> dict[str, Any]:
    """The plan's document without a key."""
    document = plan_of().document()
    del document[key]
    return document


def plan_with(**changes: Any) -> dict[str, Any]:
    """The plan's document with other values."""
    return {**plan_of().document(), **changes}


DELETES = {"name": "a", "method": "DELETE", "path": "/", "weight": 1}
NO_STOP = {"error_rate_percent": 0, "p99_ms": 1000, "over_seconds": 5}
PLANS = [
    ("host not on the list", plan_with(host="other.test"), "LOD-102", "host is not on the allow-list"),
    ("host not on the list: beside a listed one", plan_with(host="10.0.0.6"), "LOD-102", "host is not on the allow-list"),
    ("upper case of an unlisted host", plan_with(host="OTHER.TEST"), "LOD-102", "host is not on the allow-list"),
    ("trailing dot of an unlisted host", plan_with(host="other.test."), "LOD-102", "host is not on the allow-list"),
    ("trailing dot of an address", plan_with(host="10.0.0.6."), "LOD-101", "not a plain host name"),
    ("IDN of an unlisted host", plan_with(host="bücher.test"), "LOD-101", "not a plain host name"),
    ("IDN of an unlisted host, encoded", plan_with(host="xn--bcher-kva.test"), "LOD-102", "host is not on the allow-list"),
    ("full-width digits", plan_with(host="１0.0.0.5"), "LOD-101", "not a plain host name"),
    ("IPv6-mapped spelling of an unlisted host", plan_with(host="::ffff:10.0.0.6"), "LOD-102", "host is not on the allow-list"),
    ("IPv6-mapped spelling in hexadecimal", plan_with(host="[::ffff:a00:6]"), "LOD-102", "host is not on the allow-list"),
    ("decimal IP spelling of an unlisted host", plan_with(host="167772166"), "LOD-101", "not a plain host name"),
    ("decimal IP spelling of a listed host", plan_with(host="167772165"), "LOD-101", "not a plain host name"),
    ("hexadecimal IP spelling", plan_with(host="0x0a000006"), "LOD-101", "not a plain host name"),
    ("octal IP spelling", plan_with(host="012.0.0.6"), "LOD-101", "not a plain host name"),
    ("short IP spelling", plan_with(host="10.6"), "LOD-101", "not a plain host name"),
    ("address with a zone", plan_with(host="fe80::1%eth0"), "LOD-101", "not a plain host name"),
    ("host with control characters", plan_with(host="10.0.0.5\r\nHost: x"), "LOD-101", "\\r\\nHost"),
    ("host with a user", plan_with(host="10.0.0.5@other.test"), "LOD-101", "not a plain host name"),
    ("no host", plan_with(host=""), "LOD-101", "not a plain host name"),
    ("other port", plan_with(port=8002), "LOD-103", "port is not on the allow-list"),
    ("port as text", plan_with(port="8001"), "LOD-123", "got the text 8001"),
    ("other scheme", plan_with(host="https://10.0.0.5"), "LOD-101", "not a plain host name"),
    ("other scheme: as a key", plan_with(scheme="https"), "LOD-120", "unknown key"),
    ("other host in a path", plan_with(build_path="//other.test/build"), "LOD-118", "consent"),
    ("no stop condition", without("abort"), "LOD-121", "'abort' is missing"),
    ("no stop condition: null", plan_with(abort=None), "LOD-123", "got null"),
    ("no stop condition: never reached", plan_with(abort={**NO_STOP, "error_rate_percent": 101}), "LOD-117", "no stop condition"),
    ("no stop condition: zero", plan_with(abort=NO_STOP), "LOD-117", "no stop condition"),
    ("no stop condition: over an hour", plan_with(abort={**NO_STOP, "error_rate_percent": 5, "over_seconds": 3600}), "LOD-117", "no stop"),
    ("allow-list empty", plan_with(allow=[]), "LOD-102", "host is not on the allow-list"),
    ("allow-list *", plan_with(allow=[{"host": "*", "port": 8001}]), "LOD-101", "load.allow"),
    ("rate 1e308", plan_with(stages=[{"rate": 1e308, "seconds": 10}]), "LOD-111", "positive"),
    ("rate NaN", plan_with(stages=[{"rate": float("nan"), "seconds": 1}]), "LOD-123", "a finite number"),
    ("no stages", plan_with(stages=[]), "LOD-111", "a stage without"),
    ("another method than GET", plan_with(transactions=[DELETES]), "LOD-118", "only GET"),
    ("generator wrong version: plan of a later one", plan_with(schema_version=2), "LOD-119", "unknown version"),
    ("not a plan", ["plan"], "LOD-123", "a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "document", "code", "words"), PLANS, ids=[case[0] for case in PLANS])
def test_a_plan_that_may_not_be_sent_is_refused(name: str, document: Any, code: str, words: str, check: Any) -> None:
    """By the check that both the controller and the generator's own process make."""
    with pytest.raises(LoadError) as caught:
        LoadPlan.from_document(document)
    check(caught.value, code=code, words=words)


AUTHORIZED = Authorization(
    targets=(LISTED,), max_rate=20, max_duration_seconds=1, max_tests=2,
    window=Window("2026-06-01T11:00:00Z", "2026-06-01T13:00:00Z"), abort=Abort(50, 1000, 5), planned={},
)  # fmt: skip
BEYOND = [
    ("no SRE approval for this plan: other host", {"host": "10.0.0.6"}, NOW, 0, "LOD-201", "host is not authorized"),
    ("no SRE approval for this plan: other port", {"port": 8002}, NOW, 0, "LOD-202", "port is not authorized"),
    ("no SRE approval for this plan: other rate", {"stages": (Stage(21, 1),)}, NOW, 0, "LOD-203", "rate is above"),
    ("no SRE approval for this plan: other length", {"stages": (Stage(20, 1.5),)}, NOW, 0, "LOD-204", "longer than authorized"),
    ("no SRE approval for this plan: other stop conditions", {"abort": Abort(90, 1000, 5)}, NOW, 0, "LOD-208", "other stop conditions"),
    ("no SRE approval for this plan: one test too many", {}, NOW, 2, "LOD-207", "used up"),
    ("window closed", {}, NOW + timedelta(hours=2), 0, "LOD-206", "window is closed"),
    ("window closed before the test ends", {}, NOW + timedelta(hours=1), 0, "LOD-206", "window is closed"),
    ("window not open yet", {}, NOW - timedelta(hours=2), 0, "LOD-205", "not open yet"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "moment", "tests", "code", "words"), BEYOND, ids=[case[0] for case in BEYOND])
def test_a_plan_beyond_what_the_sre_lead_signed_is_refused(
    name: str, changes: dict[str, Any], moment: datetime, tests: int, code: str, words: str, check: Any
) -> None:
    """Each bound has its own code."""
    with pytest.raises(LoadError) as caught:
        check_authorized(plan_of(**changes), authorization=AUTHORIZED, tests_so_far=tests, now=moment)
    check(caught.value, code=code, words=words)


def test_without_an_approval_of_the_sre_lead_no_test_starts(triggered: Any, monkeypatch: pytest.MonkeyPatch, check: Any) -> None:
    """The generator is not even started, and the log does not say that a test was."""
    from perfproof_airflow import load_steps

    monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_APPROVALS", json.dumps({"conn_type": "generic", "login": "k1", "password": "6b" * 32}))
    monkeypatch.setattr(load_steps, "LoadHook", lambda _: pytest.fail("a generator was made"))
    triggered.open()
    before = len(triggered.cycle().store.entries())
    with pytest.raises(ApprovalError) as caught:
        load_steps.run_scenario(triggered.cycle(), "peak", side="baseline", name="evidence/load-peak.json")
    check(caught.value, code="APR-431", words="no approval of the role sre_lead is recorded")
    assert len(triggered.cycle().store.entries()) == before
    assert triggered.cycle().store.of_type(EntryType.LOADTEST_STARTED) == []


def sent(plan: LoadPlan) -> None:
    """Sends the plan's load in this process, as the generator's own process does."""
    from perfproof_airflow.load_engine.generator import Generator

    asyncio.run(Generator(plan).run(on_begin=lambda _: pytest.fail("load began")))


def test_a_listed_name_resolving_to_an_unlisted_address_is_refused(
    target: tuple[type[Answers], int], monkeypatch: pytest.MonkeyPatch, check: Any
) -> None:
    """The address of the connection counts, and nobody is asked for consent there."""
    answers, port = target
    resolve = socket.getaddrinfo

    def elsewhere(host: Any, *arguments: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host == "shop.test" else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", elsewhere)
    with pytest.raises(LoadError) as caught:
        sent(plan_of(host="shop.test", port=port, allow=(Target("shop.test", port), Target("10.0.0.5", port))))
    check(caught.value, code="LOD-104", words="resolves to an address that is not on the allow-list")
    assert answers.load == 0


TWICE = b'{"build": "b", "environment": "production", "environment": "test"}'
OTHER = b'{"build": "b", "environment": "production"}'
CONSENTS = [
    ("consent probe missing", 404, b"", "LOD-301", "does not say which build"),
    ("consent probe missing: an error", 500, b"", "LOD-301", "does not say which build"),
    ("consent probe missing: a redirect", 302, b"", "LOD-301", "does not say which build"),
    ("consent probe missing: a login page", 200, b"<html>log in</html>", "LOD-301", "invalid JSON"),
    ("consent probe missing: an empty answer", 200, b"", "LOD-301", "invalid JSON"),
    ("consent probe missing: no build", 200, b'{"environment": "test"}', "LOD-301", "does not say which build"),
    ("consent probe missing: a build that is no text", 200, b'{"build": 1, "environment": "test"}', "LOD-301", "does not say which build"),
    ("consent probe missing: 64 KiB", 200, b'{"build": "' + b"x" * 70_000 + b'"}', "LOD-301", "too large"),
    ("consent probe missing: two environments", 200, TWICE, "LOD-301", "duplicate"),
    ("consent probe missing: brackets without end", 200, b"[" * 60_000, "LOD-301", "invalid JSON"),
    ("consent probe of no environment", 200, b'{"build": "b"}', "LOD-302", "another environment"),
    ("consent probe of the wrong environment", 200, OTHER, "LOD-302", "got production, expected test"),
    ("consent probe with control characters", 200, b'{"build": "b", "environment": "test\\n\\u001b[31m"}', "LOD-302", "test\\n\\x1b[31m"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "body", "code", "words"), CONSENTS, ids=[case[0] for case in CONSENTS])
def test_without_consent_of_the_target_no_load_begins(
    name: str, status: int, body: bytes, code: str, words: str, target: tuple[type[Answers], int], check: Any
) -> None:
    """Whatever it answers instead of naming its build and the plan's environment."""
    answers, port = target
    answers.status, answers.body = status, body
    with pytest.raises(LoadError) as caught:
        sent(plan_of(host="127.0.0.1", port=port, allow=(Target("127.0.0.1", port),)))
    check(caught.value, code=code, words=words)
    assert answers.load == 0


def test_a_target_that_is_not_there_gets_no_load(check: Any) -> None:
    """A refused connection is no consent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(LoadError) as caught:
        sent(plan_of(host="127.0.0.1", port=port, allow=(Target("127.0.0.1", port),)))
    check(caught.value, code="LOD-301", words="does not say which build")


def generator_that(path: Path, *, does: str) -> str:
    """A program in the place of the generator's Python; `directory` is where the plan lies."""
    path.write_text(
        f"#!{sys.executable}\nimport json, pathlib, sys\ndirectory = pathlib.Path(sys.argv[-1]).parent\n{does}\n", encoding="utf-8"
    )
    path.chmod(0o755)
    return str(path)


SUMMARY = {
    "outcome": "completed", "reason": None, "started_at": "2026-06-01T12:00:00Z", "seconds": 1.0, "cpu_percent": 1.0, "planned": 20,
    "sent": 20, "dropped": 0, "build": "b", "build_after": "b", "plan_sha256": "0" * 64, "generator": "perfproof.load 2, aiohttp 4",
}  # fmt: skip
LEAVES = "(directory / 'rows.csv.gz').write_bytes(b''); (directory / 'summary.json').write_text({!r})"
GENERATORS = [
    ("generator missing: no such program", None, "LOD-311", "cannot be started"),
    ("generator missing: its module", "sys.exit('No module named perfproof_airflow.load_engine')", "LOD-311", "No module named"),
    ("generator missing: ends and says nothing", "pass", "LOD-311", "left no summary"),
    ("generator wrong version", LEAVES.format(json.dumps(SUMMARY)), "LOD-313", "got perfproof.load 2, aiohttp 4, expected"),
    ("generator wrong: another one", LEAVES.format(json.dumps({**SUMMARY, "generator": "k6 1.0"})), "LOD-313", "got k6 1.0"),
    ("generator wrong: a key more", LEAVES.format(json.dumps({**SUMMARY, "vus": 1})), "LOD-120", "unknown key"),
    ("generator wrong: no JSON", LEAVES.format("{"), "LOD-311", "invalid JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "does", "code", "words"), GENERATORS, ids=[case[0] for case in GENERATORS])
def test_a_generator_that_is_not_ours_gives_no_measurement(
    name: str, does: str | None, code: str, words: str, tmp_path: Path, check: Callable[..., None]
) -> None:
    """One line, and its directory is gone."""
    from perfproof_airflow.hooks.load import LoadHook

    python = str(tmp_path / "absent") if does is None else generator_that(tmp_path / "python", does=does)
    with pytest.raises(LoadError) as caught:
        LoadHook(tmp_path / "work", python=python).run(plan_of())
    check(caught.value, code=code, words=words)
    assert list((tmp_path / "work").iterdir()) == []
