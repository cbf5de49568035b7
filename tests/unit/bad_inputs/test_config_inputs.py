"""Protocol files that nobody should get away with: each is one line of `perfproof check`, exit 2, and nothing written."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfproof.config import Protocol, load_protocol
from perfproof.errors import ConfigError

DEMO = Path(__file__).resolve().parents[3] / "include" / "protocols" / "demo.yaml"
TEXT = DEMO.read_text(encoding="utf-8")
DOCUMENT: dict[str, Any] = yaml.safe_load(TEXT)
Make = Callable[[Path], object]
SERVICES = DOCUMENT["services"]
VERSION_2 = TEXT.replace("schema_version: 1", "schema_version: 2")
BOMB = "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
METRIC = "      - name: orders_latency_p95\n        kind: latency\n"


@dataclass(frozen=True)
class Case:
    """A bad file: what it is, how it is made at a path, and what must be said of it."""

    name: str
    make: Make
    code: str
    words: str


def raw(data: bytes | str) -> Make:
    """A file with just this content."""
    return lambda path: path.write_bytes(data.encode() if isinstance(data, str) else data)


def instead(old: str, new: str) -> Make:
    """The demo's file with the first `old` replaced."""
    assert old in TEXT, old
    return raw(TEXT.replace(old, new, 1))


def scalar(key: str, new: str) -> Make:
    """The demo's file with what stands behind the first `key:` on a line of its own replaced, as it is written."""
    text, found = re.subn(rf"(?m)^( *{key}): .*$", lambda match: f"{match[1]}: {new}", TEXT, count=1)
    assert found, key
    return raw(text)


def value(dotted: str, new: Any) -> Make:
    """The demo's file with one value replaced, or its key deleted by `...`; numbers are positions in lists."""
    document = copy.deepcopy(DOCUMENT)
    *parents, last = dotted.split(".")
    place: Any = document
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    at: int | str = int(last) if isinstance(place, list) else last
    if new is ...:
        del place[at]
    else:
        place[at] = new
    return raw(json.dumps(document))


def nothing(path: Path) -> None:
    """No file at all."""


def all_roles(person: str) -> Make:
    """The demo's file with one person in every role."""
    roles = {name: {**role, "people": [{"id": person, "name": "A. Person"}]} for name, role in DOCUMENT["roles"].items()}
    document = copy.deepcopy(DOCUMENT) | {"roles": roles}
    document["services"][0]["owner"] = person
    for optimization in document["optimizations"]:
        optimization["owner"] = person
    return raw(json.dumps(document))


def called_local(host: str) -> Make:
    """The demo's file for an environment called local, with both deployments at `host`."""
    text = TEXT.replace("environment:\n  name: demo", "environment:\n  name: local").replace("127.0.0.1", host)
    return raw(text)


def long_key(path: Path) -> None:
    path.write_text(f"{'x' * 5000}: 1\n{TEXT}", encoding="utf-8")


CASES = [
    Case("file missing", nothing, "CFG-180", "No such file"),
    Case("file missing: a directory in its place", Path.mkdir, "CFG-180", "Is a directory"),
    Case("file missing: a pipe in its place", lambda path: os.mkfifo(path), "CFG-180", "no regular file"),
    Case("empty file", raw(""), "CFG-105", "an empty file"),
    Case("empty file: blanks", raw(" \n\n"), "CFG-105", "an empty file"),
    Case("empty file: a comment", raw("# later\n"), "CFG-105", "an empty file"),
    Case("not a mapping", raw("- a\n- b\n"), "CFG-105", "a list"),
    Case("tab-indented YAML", instead("  product_owner:", "\tproduct_owner:"), "CFG-104", "line 10: invalid YAML (got a tab"),
    Case("invalid YAML: bracket left open", instead("[product_owner]", "[product_owner"), "CFG-104", "invalid YAML"),
    Case("invalid YAML: a second document", raw(f"{TEXT}---\na: 1\n"), "CFG-104", "found another document"),
    Case("invalid YAML: NUL byte", raw(f"{TEXT}\0"), "CFG-104", "the character '\\x00'"),
    Case("invalid YAML: unknown escape", scalar("objective", '"\\q"'), "CFG-104", "unknown escape"),
    Case("invalid YAML: escape beyond Unicode", raw('a: "\\UFFFFFFFF"\n'), "CFG-104", "escape that names no character"),
    Case("invalid YAML: not UTF-8", raw(TEXT.encode("utf-16")), "CFG-103", "not UTF-8"),
    Case("invalid YAML: key of 5,000 characters", long_key, "CFG-104", "line 1"),
    Case("invalid YAML: a list as key", raw("? [a]\n: 1\n"), "CFG-104", "is not text"),
    Case("duplicate key", raw(f"{TEXT}name: other\n"), "CFG-104", "duplicate key 'name'"),
    Case("duplicate key, further in", instead("label: Security", "label: Security\n    label: Other"), "CFG-104", "duplicate key 'label'"),
    Case("merge key", raw(f"<<: {{name: a}}\n{TEXT}"), "CFG-120", "unknown key"),
    Case("unknown key", raw(f"{TEXT}gates_pass: true\n"), "CFG-120", "gates_pass"),
    Case('wrong type: "24" for 24', scalar("window_hours", '"24"'), "CFG-123", "got the text 24, expected a number"),
    Case("wrong type: yes", scalar("production", "yes"), "CFG-123", "got the text yes, expected true or false"),
    Case("wrong type: 1.5 for a whole number", scalar("max_tests", "1.5"), "CFG-123", "a whole number"),
    Case("wrong type: null", scalar("max_rate", "null"), "CFG-123", "got null"),
    Case("wrong type: a list for text", value("objective", ["a"]), "CFG-123", "expected text"),
    Case("wrong type: a mapping for a list", value("services", {"shop": 1}), "CFG-123", "a list"),
    Case("YAML octal 0226", scalar("max_rate", "0226"), "CFG-123", "got the text 0226"),
    Case("YAML octal 0o226", scalar("max_rate", "0o226"), "CFG-123", "got the text 0o226"),
    Case("YAML hexadecimal", scalar("max_rate", "0x96"), "CFG-123", "got the text 0x96"),
    Case("YAML sexagesimal 2:30", scalar("max_rate", "2:30"), "CFG-123", "got the text 2:30"),
    Case("YAML .nan", scalar("max_rate", ".nan"), "CFG-123", "got the text .nan"),
    Case("YAML .inf", scalar("max_rate", "-.inf"), "CFG-123", "got the text -.inf"),
    Case("YAML 1e999", scalar("max_rate", "1e999"), "CFG-123", "a finite number"),
    Case("whole number beyond 2^53-1", scalar("max_tests", "9007199254740992"), "CFG-123", "2^53-1"),
    Case("whole number of 5,000 digits", scalar("max_tests", f"{'9' * 5000}"), "CFG-109", "too many digits"),
    Case("number of 400 digits for a float", scalar("max_rate", f"{'9' * 400}"), "CFG-123", "2^53-1"),
    Case("python tag", instead("name: demo\n", "name: !!python/object/apply:os.mkdir [made]\n"), "CFG-106", "tags are not allowed"),
    Case("tag that makes a number", scalar("max_rate", "!!int 0226"), "CFG-106", "tags are not allowed"),
    Case("tag that makes .nan", scalar("max_rate", "!!float .nan"), "CFG-106", "tags are not allowed"),
    Case("tag on what it cannot be", scalar("production", "!!bool x"), "CFG-106", "tags are not allowed"),
    Case("tag on a list", instead("services:\n", "services: !!map\n"), "CFG-106", "tags are not allowed"),
    Case("tag of one's own", instead("name: demo\n", "name: !who demo\n"), "CFG-106", "tags are not allowed"),
    Case("alias bomb", raw(f"a: &a [x]\n{BOMB}"), "CFG-102", "anchors and aliases"),
    Case("alias bomb behind quoted keys", raw('"a#": &a [x]\n"b#": [*a, *a]\n'), "CFG-102", "anchors and aliases"),
    Case("alias bomb with digits for names", raw("a: &1 [x]\nb: [*1, *1]\n"), "CFG-102", "anchors and aliases"),
    Case("alias to itself", raw("a: &a\n  b: *a\n"), "CFG-102", "anchors and aliases"),
    Case("brackets 20,000 deep", raw(f"a: {'[' * 20000}"), "CFG-107", "levels"),
    Case("keys 1,200 deep", raw("\n".join(" " * i + "a:" for i in range(1200))), "CFG-107", "levels"),
    Case("70,000 values", raw("\n".join(f"k{i}: 1" for i in range(70_000))), "CFG-107", "values"),
    Case("> 1 MiB", raw(TEXT + "#" * (1 << 20)), "CFG-101", "at most 1 MiB"),
    Case("control characters in text", scalar("objective", '"\\e[31m\\0"'), "CFG-108", "a control character"),
    Case("control characters in a key", raw('"\\e[31m\\n": 1\n'), "CFG-108", "a control character"),
    Case("half a character in text", scalar("objective", '"\\ud800"'), "CFG-108", "a control character"),
    Case("text that runs backwards", instead("label: Security", 'label: "Security \\u202eytiruceS"'), "CFG-108", "a control character"),
    Case("no services", value("services", []), "CFG-131", "no services"),
    Case("no services: key missing", value("services", ...), "CFG-121", "'services' is missing"),
    Case("duplicate service", value("services", SERVICES * 2), "CFG-134", "two entries for the service"),
    Case("case-only duplicate service", value("services", [*SERVICES, {**SERVICES[0], "name": "Shop"}]), "CFG-134", "Shop"),
    Case("metric without unit", instead(f"{METRIC}        unit: ms\n", METRIC), "CFG-121", "'unit' is missing"),
    Case("metric without direction", value("services.0.metrics.0.direction", ...), "CFG-121", "'direction' is missing"),
    Case("metric without query", value("services.0.metrics.0.query", " "), "CFG-196", "empty"),
    Case("unknown unit", value("services.0.metrics.0.unit", "furlong"), "CFG-122", "furlong"),
    Case("unknown unit: right word, wrong case", value("services.0.metrics.0.unit", "MS"), "CFG-122", "MS"),
    Case("unit of an objective differs from its metric's", value("services.0.slos.0.unit", "s"), "CFG-159", "not the unit of its metric"),
    Case("role without person", value("roles.security.people", []), "CFG-135", "without a person"),
    Case("person without id", value("roles.security.people.0.id", ...), "CFG-121", "'id' is missing"),
    Case("person without id: empty", value("roles.security.people.0.id", " "), "CFG-136", "without id or name"),
    Case("one person in all roles", all_roles("anna"), "CFG-138", "one person holds every role"),
    Case("schema version too new", value("schema_version", 2), "CFG-130", "got 2, expected 1"),
    Case("schema version too new, with its keys", raw(f"{VERSION_2}new_key: 1\n"), "CFG-130", "got 2"),
    Case("schema version as text", value("schema_version", "1"), "CFG-123", "a whole number"),
    Case("time-out zero", value("approvals.expires_after_days", 0), "CFG-139", "out of range"),
    Case("time-out negative", value("approvals.expires_after_days", -1), "CFG-139", "out of range"),
    Case("time-out > 30 days", value("approvals.expires_after_days", 30.5), "CFG-139", "out of range"),
    Case("authorization window zero", value("load.window_hours", 0), "CFG-163", "out of range"),
    Case("authorization window negative", value("load.window_hours", -1), "CFG-163", "out of range"),
    Case("authorization window > 30 days", value("load.window_hours", 721), "CFG-163", "out of range"),
    Case("baseline window zero", value("baseline.window_seconds", 0), "CFG-191", "window_seconds"),
    Case("baseline window negative", value("baseline.window_seconds", -40), "CFG-191", "window_seconds"),
    Case("baseline window > 30 days", value("baseline.window_seconds", 2_592_001), "CFG-191", "window_seconds"),
    Case("step longer than its window", value("baseline.step_seconds", 41), "CFG-191", "step_seconds"),
    Case("staleness > 30 days", value("baseline.max_staleness_seconds", 1e9), "CFG-191", "max_staleness_seconds"),
    Case("span of the stop condition zero", value("load.abort.over_seconds", 0), "CFG-163", "over_seconds"),
    Case("time to recover negative", value("load.profiles.demo.failure.recover_within_seconds", -1), "CFG-191", "recover_within_seconds"),
    Case("allow-list empty", value("load.allow", []), "CFG-160", "allow-list is empty"),
    Case("allow-list *", value("load.allow.0.host", "*"), "CFG-161", "not a host and port"),
    Case("allow-list 0.0.0.0/0", value("load.allow.0.host", "0.0.0.0/0"), "CFG-161", "not a host and port"),
    Case("allow-list 0.0.0.0", value("load.allow.0.host", "0.0.0.0"), "CFG-162", "never be a target"),  # noqa: S104  refused
    Case("allow-list metadata address", value("load.allow.0.host", "169.254.169.254"), "CFG-162", "never be a target"),
    Case("allow-list URL instead of host", value("load.allow.0.host", "http://127.0.0.1"), "CFG-161", "no URL"),
    Case("allow-list host with port", value("load.allow.0.host", "127.0.0.1:18101"), "CFG-161", "not a host and port"),
    Case("allow-list decimal spelling", value("load.allow.0.host", "2130706433"), "CFG-161", "not a host and port"),
    Case("allow-list short spelling", value("load.allow.0.host", "127.1"), "CFG-161", "not a host and port"),
    Case("allow-list upper case", value("load.allow.0.host", "Shop.test"), "CFG-161", "not a host and port"),
    Case("allow-list port 0", value("load.allow.0.port", 0), "CFG-161", "not a host and port"),
    Case("allow-list port 65536", value("load.allow.0.port", 65536), "CFG-161", "not a host and port"),
    Case("allow-list name without its address", value("load.allow", [{"host": "shop.test", "port": 80}]), "CFG-195", "without its address"),
    Case('allow-list public IP for "local"', called_local("93.184.216.34"), "CFG-194", "public address"),
    Case("endpoint that is not listed", value("services.0.endpoints.candidate.port", 9), "CFG-193", "not on the allow-list"),
    Case("endpoint with a path elsewhere", value("services.0.endpoints.candidate.build_path", "//x.test/build"), "CFG-152", "not a path"),
    Case("gate threshold below the protocol minimum", value("thresholds", {"improvement": 14.9}), "CFG-143", "below the protocol's"),
    Case("gate threshold above 100", value("thresholds", {"improvement": 100.1}), "CFG-143", "above 100"),
    Case("path out of the workspace", value("instrumentation_directory", "../../etc"), "CFG-146", "not a path inside"),
    Case("absolute path", value("distribution.monitoring.directory", "/etc"), "CFG-146", "not a path inside"),
    Case("recipient that nothing reaches", value("distribution.monitoring", {"name": "M"}), "CFG-903", "neither directory nor channel"),
    Case("recipient without a name", value("distribution.monitoring.name", " "), "CFG-903", "empty or too long"),
    Case("channel that is a function", value("distribution.monitoring.channel", "os:system"), "CFG-904", "a function, or kinds"),
    Case("channel with an address", value("distribution.monitoring.channel", "webhook:https://x.test/s3cr"), "CFG-904", "not a recipient"),
    Case("channel with kinds", value("distribution.monitoring.channel", "slack:a?kinds=error"), "CFG-904", "a function, or kinds"),
    Case("channel with no e-mail address", value("distribution.monitoring.channel", "email:a?to=x"), "CFG-904", "not an e-mail address"),
    Case("unknown way to apply", value("instrumentation", {"apply": ["ftp"]}), "CFG-122", "unknown name"),
    Case("way that stands twice", value("instrumentation", {"apply": ["files", "files"]}), "CFG-134", "two entries"),
    Case("git without its keys", value("instrumentation", {"apply": ["git"]}), "CFG-900", "missing, although apply names it"),
    Case("CloudWatch without its keys", value("instrumentation", {"apply": ["cloudwatch"]}), "CFG-900", "missing, although apply"),
    *(
        Case(f"git {key} {text!r}", value("instrumentation", {"git": {"repository": "r", key: text}}), code, key)
        for key, text, code in (
            ("branch", "main", "CFG-901"),
            ("branch", "-{digest}", "CFG-901"),
            ("branch", "a/../{digest}", "CFG-901"),
            ("branch", "{digest}.lock", "CFG-901"),
            ("branch", "{digest}{other}", "CFG-901"),
            ("base", "--all", "CFG-901"),
            ("base", "a:b", "CFG-901"),
            ("directory", "../x", "CFG-901"),
            ("directory", "a/.git/hooks", "CFG-901"),
            ("directory", "-x", "CFG-901"),
            ("author_name", "a<b", "CFG-901"),
            ("author_email", "a b", "CFG-901"),
            ("remote", "--upload-pack=x", "CFG-901"),
            ("remote", "ext::sh", "CFG-901"),
        )
    ),
    Case("git repository outside", value("instrumentation", {"git": {"repository": "/etc"}}), "CFG-146", "not a path inside"),
    *(
        Case(f"CloudWatch {key} {text!r}", value("instrumentation", {"cloudwatch": {"connection": "c", key: text}}), "CFG-902", key)
        for key, text in (
            ("connection", "a b"), ("region", "mars"), ("prefix", "a"), ("prefix", "a b c"), ("namespace", "AWS/EC2"),
            ("actions", ["not an arn"]), ("actions", [f"arn:aws:sns:eu-west-1:1:{n}" for n in range(6)]),
        )
    ),
    Case("process file out of the workspace", value("services.0.endpoints.baseline.pid_file", "/proc/1"), "CFG-146", "not a path inside"),
    Case("name of a supplied file with a path", value("prerequisites.0.name", "../M.zip"), "CFG-144", "requires this artifact"),
    Case("name of an additional file with a path", value("prerequisites.2.name", "a/b.md"), "CFG-133", "not the name of a file"),
    Case("name of a transaction with a formula", value("services.0.transactions.0.name", "=1+1"), "CFG-133", "not an identifier"),
    Case("name of a guard with a line break", value("services.0.guards.0.name", "cpu\nok"), "CFG-133", "cpu\\nok"),
    Case("path without its parameter", value("services.0.transactions.0.parameters", {}), "CFG-192", "do not fit"),
    Case("parameter from 9 to 1", value("services.0.transactions.0.parameters.customer", {"first": 9, "last": 1}), "CFG-192", "above"),
    Case("objective of 501 characters", value("objective", "x" * 501), "CFG-196", "too long"),
    Case("environment without a name", value("environment.name", " "), "CFG-196", "environment.name: empty"),
    Case("price below zero", value("cost.core_hour", -1), "CFG-191", "core_hour"),
    Case("currency that is none", value("cost.currency", "dollars"), "CFG-196", "three capital letters"),
    Case("share of an objective above 100", value("services.0.slos.0.objective_percent", 101), "CFG-191", "objective_percent"),
    Case("factor zero", value("services.0.guards.0.factor", 0), "CFG-191", "factor"),
    Case("coverage above 1", value("baseline.min_coverage", 1.1), "CFG-191", "min_coverage"),
    Case("tolerance above 1", value("environment.mirrors_production.0.tolerance", 2), "CFG-191", "tolerance"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_protocol_file_is_one_line_exit_2_and_nothing_written(
    case: Case, tmp_path: Path, refused_by_command: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the command that takes the file, run in the directory that must stay as it is."""
    monkeypatch.chdir(tmp_path)
    case.make(tmp_path / "protocol.yaml")
    began = time.monotonic()
    refused_by_command("check", "protocol.yaml", code=case.code, words=case.words)
    assert time.monotonic() - began < 5, "a small file must not keep the reader busy"


IN_A_RUN = (
    "file missing",
    "empty file",
    "duplicate key",
    "python tag",
    "alias bomb",
    "> 1 MiB",
    "schema version too new",
    "allow-list empty",
)


@pytest.mark.parametrize("case", [c for c in CASES if c.name in IN_A_RUN], ids=lambda case: case.name)
def test_a_bad_protocol_file_fails_the_first_task_without_a_retry(case: Case, triggered: Any) -> None:
    """The same line; no cycle was ever opened."""
    path = triggered.workspace / "include" / "protocols" / "demo.yaml"
    path.unlink()
    case.make(path)
    triggered.refuses_to_open(code=case.code, words=case.words)


def test_a_name_that_no_file_can_have_is_refused(refused_by_command: Callable[..., None]) -> None:
    """A NUL cannot come from a shell, but from a program."""
    refused_by_command("check", "a\0b", code="CFG-180", words="null byte")


def test_a_file_without_end_is_not_read_to_its_end(refused_by_command: Callable[..., None]) -> None:
    """A device would fill the memory."""
    refused_by_command("check", "/dev/zero", code="CFG-180", words="no regular file")


def test_the_command_itself_shows_no_traceback(tmp_path: Path) -> None:
    """As a process: standard error is one line, standard output empty, exit 2."""
    (tmp_path / "protocol.yaml").write_text(f"{TEXT}name: other\n", encoding="utf-8")
    command = [sys.executable, "-m", "perfproof.cli", "check", "protocol.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("CFG-104 protocol.yaml line ")


def test_a_private_address_is_fine_in_a_local_environment(tmp_path: Path) -> None:
    """The rule is about public addresses only."""
    called_local("10.0.0.5")(tmp_path / "p.yaml")
    protocol = load_protocol((tmp_path / "p.yaml").read_bytes(), where="p.yaml")
    assert protocol.environment.name == "local" and protocol.load.allow[0].host == "10.0.0.5"


HOSTILE = ["", " ", "\0", "\x1b[31mred", "a\nb", "=cmd|' /C calc'!A0", "{{ 7*7 }}", "../../etc/passwd", "<script>", "| a | b |", "\u202e",
           "\ud800", "NaN", "1e999", "yes", "x" * 3000, "-rf", "NULL", "\ufeff", "[RAY GATE FAILED]"]  # fmt: skip
OTHERS = [None, True, 0, -1, 1e308, 2**53, 10**30, 0.5, [], {}, [None], {"a": 1}, [[[[1]]]], "1", *HOSTILE]
LINES = TEXT.splitlines()


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every key and every entry of a document."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path for key, child in children for path in ((*at, key), *places(child, (*at, key)))]


PLACES = places(DOCUMENT)


@st.composite
def mutated_documents(draw: st.DrawFn) -> bytes:
    """The demo's document with one to three of its parts deleted, doubled, renamed, or replaced by something else."""
    document = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(PLACES))
        place: Any = document
        try:
            for key in parents:
                place = place[key]
            act = draw(st.sampled_from(["delete", "replace", "double", "unknown"]))
            if act == "delete":
                del place[last]
            elif act == "replace":
                place[last] = draw(st.sampled_from(OTHERS))
            elif act == "double" and isinstance(place, list):
                place.append(place[last])
            else:
                place[draw(st.sampled_from(HOSTILE))] = place[last]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    return json.dumps(document).encode()


@st.composite
def mutated_texts(draw: st.DrawFn) -> bytes:
    """The demo's text with one to three lines doubled, deleted, moved in, or with hostile text in them."""
    lines = list(LINES)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        act = draw(st.sampled_from(["double", "delete", "indent", "tab", "hostile", "cut"]))
        line = lines[at]
        changed = {
            "double": [line, line],
            "delete": [],
            "indent": [f" {line}"],
            "tab": [f"\t{line}"],
            "hostile": [f"{line.partition(':')[0]}: {draw(st.sampled_from(HOSTILE))}"],
            "cut": [line[: len(line) // 2]],
        }
        lines[at : at + 1] = changed[act]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(mutated_documents(), mutated_texts()))
def test_any_change_gives_a_valid_protocol_or_exactly_one_line(data: bytes) -> None:
    """Never another exception, whatever a person or a program made of the file."""
    try:
        protocol = load_protocol(data, where="demo.yaml")
    except ConfigError as error:
        line = str(error)
        assert line.startswith("CFG-") and ". Fix: " in line
        assert line.isprintable() and len(line) <= 600
    else:
        assert isinstance(protocol, Protocol)
