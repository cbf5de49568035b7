"""Findings as lines, text and JSON: counts, exit code, and nothing of a foreign text that could leave its line."""

from __future__ import annotations

import json

from perfproof.doctor import Area, State, as_json, as_text, exit_code
from perfproof.doctor.finding import ok, problem, told_by, unchecked
from perfproof.errors import TelemetryError

PROBLEM = problem(Area.KEYS, 401, where="Connection a", what="no key", got="b", expected="c", fix="make one")


def test_a_problem_is_a_line_of_the_house() -> None:
    """Code, where, what, got, expected, fix."""
    assert PROBLEM.line == "DOC-401 Connection a: no key (got b, expected c). Fix: make one"


def test_what_is_right_or_was_not_checked_has_no_code() -> None:
    """One line each, with the fix where there is one."""
    assert ok(Area.KEYS, "here", "is right").line == "here: is right"
    assert unchecked(Area.KEYS, "here", "nobody asked", fix="ask").line == "here: nobody asked. Fix: ask"


def test_the_code_of_a_part_is_kept() -> None:
    """Who knows TEL-273 finds it."""
    error = TelemetryError(273, where="x", what="refused", got="HTTP 401", fix="correct it")
    found = told_by(Area.CONNECTIONS, 104, error, where="Connection y")
    assert (found.code, found.got, found.where) == ("DOC-104", "TEL-273: HTTP 401", "Connection y")


def test_a_problem_exits_with_1_and_what_was_not_checked_does_not() -> None:
    """0 without a problem, 1 with one, and 1 if nothing was looked at."""
    quiet = [ok(Area.KEYS, "a", "b"), unchecked(Area.CLOCK, "a", "b")]
    assert (exit_code(quiet), exit_code([*quiet, PROBLEM]), exit_code([])) == (0, 1, 1)


def test_text_and_json_count_all_three_states() -> None:
    """What was not checked is counted and shown."""
    findings = [unchecked(Area.CLOCK, "clock", "no source"), PROBLEM, ok(Area.CONNECTIONS, "a", "b")]
    text = as_text(findings)
    assert text.splitlines()[-1] == "1 problem, 1 not checked, 1 ok"
    assert [line for line in text.splitlines() if not line.startswith(" ")][:-1] == ["connections", "keys", "clock"]
    document = json.loads(as_json(findings))
    assert document["counts"] == {State.OK.value: 1, State.PROBLEM.value: 1, State.NOT_CHECKED.value: 1}
    assert [finding["code"] for finding in document["findings"]] == [None, "DOC-401", None]


def test_hostile_text_stays_in_its_line() -> None:
    """Control characters of a server's answer are escaped in text and in JSON."""
    hostile = "up\n\x1b[2Jok \u202e"
    found = [
        problem(Area.CONNECTIONS, 106, where=hostile, what=hostile, got=hostile, fix=hostile), unchecked(Area.CLOCK, hostile, hostile),
    ]  # fmt: skip
    text = as_text(found)
    assert len(text.splitlines()) == 5
    assert "\x1b" not in text and "\u202e" not in text
    assert as_json(found).isascii() and "\x1b" not in as_json(found)
