"""The documents say what the code does: every name, command, key and number in them is compared with its source."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Union
from xml.etree import ElementTree as ET

import pytest

from perfproof import cli
from perfproof.artifacts import Artifact
from perfproof.config import Protocol, Thresholds
from perfproof.config_checks import STEPS
from perfproof.evidence.verdict import Outcome
from perfproof.expectations.suites import SUITES
from perfproof.judging.verdicts import GuardLabel, TargetLabel
from perfproof_airflow.provider import get_provider_info

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
PROMPT = re.compile(r"^\s*(?:\$ )?", re.MULTILINE)
TOP_LEVEL = "top level"


def read(name: str) -> str:
    """The text of a document of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def code_in(text: str) -> str:
    """Everything in `text` that is written as code: fenced and indented blocks, and what stands in backticks."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```[^\n]*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^(?: {4}|\t)(?![-*])(\S.*)$", rest, re.MULTILINE)
    return "\n".join([*fenced, *indented, *re.findall(r"`([^`\n]+)`", rest)])


def rows(text: str, columns: int) -> list[tuple[str, ...]]:
    """The rows of Markdown tables with that many columns, without headers and rules; cells as they are written."""
    split = (tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in text.splitlines() if line.startswith("|"))
    return [cells for cells in split if len(cells) == columns and not set(cells[0]) <= set("-: ")]


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of its rank or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[2]


def type_in_words(shape: Any, path: str) -> str:
    """A field's type as the configuration reference writes it; `path` is where a mapping in it is described."""
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin in (Union, types.UnionType):
        return type_in_words(next(a for a in arguments if a is not type(None)), path)
    if origin is tuple:
        return f"list of {type_in_words(arguments[0], f'{path}[]')}"
    if origin is dict:
        return f"mapping of {type_in_words(arguments[1], f'{path}.<name>')}"
    if dataclasses.is_dataclass(shape):
        return f"`{path}`"
    if issubclass(shape, StrEnum):
        return ", ".join(f"`{member.value}`" for member in shape)
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[shape]


def default_in_words(field: dataclasses.Field[Any]) -> str:
    """`required`, or what stands in when the key is left out."""
    if field.default_factory is not dataclasses.MISSING:
        return "empty" if field.default_factory in (dict, tuple) else "its defaults"
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default is None:
        return "none"
    return "empty" if field.default == () else f"`{json.dumps(field.default).strip(chr(34))}`"


def nested(shape: Any, path: str) -> Iterator[tuple[str, type]]:
    """The dataclasses in a field's type, each with the path under which the reference describes it."""
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin in (Union, types.UnionType):
        for argument in arguments:
            yield from nested(argument, path)
    elif origin is tuple:
        yield from nested(arguments[0], f"{path}[]")
    elif origin is dict:
        yield from nested(arguments[1], f"{path}.<name>")
    elif dataclasses.is_dataclass(shape) and isinstance(shape, type):
        yield path, shape


def reference(shape: type, path: str = "") -> dict[str, dict[str, tuple[str, str]]]:
    """Every key of a protocol file: section to key to (type, default), straight from the dataclasses."""
    hints = typing.get_type_hints(shape)
    found: dict[str, dict[str, tuple[str, str]]] = {path or TOP_LEVEL: {}}
    for field in (f for f in dataclasses.fields(shape) if f.init):
        inner = f"{path}.{field.name}" if path else field.name
        found[path or TOP_LEVEL][field.name] = (type_in_words(hints[field.name], inner), default_in_words(field))
        for place, inside in nested(hints[field.name], inner):
            found |= reference(inside, place)
    return found


def documented_reference() -> dict[str, dict[str, tuple[str, str]]]:
    """The same from docs/configuration.md. A heading may name several places that take the same keys."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for part in re.split(r"^### ", read("docs/configuration.md"), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        keys = {row[0].strip("`"): (row[1], row[2]) for row in rows(body.partition("\n## ")[0], 4) if row[0] != "key"}
        for place in re.findall(r"`([^`]+)`", heading):
            assert place not in found, f"{place} is described twice"
            found[place] = keys
    return found


def test_every_key_of_a_protocol_file_is_documented_with_its_type_and_default() -> None:
    """configuration.md and the dataclasses of perfproof.config name the same keys."""
    expected, documented = reference(Protocol), documented_reference()
    assert documented.keys() == expected.keys()
    for place, keys in expected.items():
        assert documented[place] == keys, place


def test_the_thresholds_are_written_as_the_code_has_them() -> None:
    """The four pass thresholds stand in gates.md with their figures."""
    text = read("docs/gates.md")
    for field in dataclasses.fields(Thresholds):
        assert f"`{field.name}` {field.default:g} %" in text


def test_every_option_of_the_configuration_section_is_documented() -> None:
    """The [perfproof] options of the provider and those of configuration.md are the same."""
    options = get_provider_info()["config"]["perfproof"]["options"]
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows(section(read("docs/configuration.md"), "Airflow options"), 3)[1:]}
    assert documented == {name: option["default"] or "empty" for name, option in options.items()}


def parameters() -> set[tuple[str, str]]:
    """(DAG file, name) of every parameter, read from the source: this test needs no Airflow."""
    found = set()
    for path in (ROOT / "dags").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
                if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "Param" and isinstance(key, ast.Constant):
                    found.add((path.stem, str(key.value)))
    return found


def test_every_parameter_of_every_dag_is_documented() -> None:
    """The table of parameters in configuration.md is that of the DAG files."""
    table = rows(section(read("docs/configuration.md"), "Parameters of the DAGs"), 3)[1:]
    documented = {(dag.strip("` "), row[1].strip("`")) for row in table for dag in row[0].split(",")}
    assert parameters(), "the DAG files define parameters"
    assert documented == parameters()


def test_every_make_target_that_is_named_exists() -> None:
    """`make X` in the documents is a target of the Makefile, and README names each target that `make help` lists."""
    targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.MULTILINE))
    listed = set(re.findall(r"^([a-z0-9-]+):.*## ", read("Makefile"), re.MULTILINE)) - {"help"}
    named = {path: set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", code_in(path.read_text(encoding="utf-8")))) for path in DOCUMENTS}
    for path, names in named.items():
        assert names <= targets, path
    assert listed <= named[ROOT / "README.md"]


def subcommands() -> dict[str, set[str]]:
    """The commands of both programs: declared in the code and in the entry points of pyproject.toml."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    demo = set(re.findall(r'add_parser\("([a-z-]+)"', read("include/perfproof_demo/cli.py")))
    return {"perfproof": {*cli.COMMANDS, *project["entry-points"]["perfproof.commands"]}, "perfproof-demo": demo}


def test_every_command_that_is_named_exists() -> None:
    """`perfproof X` and `perfproof-demo X` in code of the documents are commands; README names all of perfproof."""
    commands = subcommands()
    for path in DOCUMENTS:
        for program, word in re.findall(
            r"(?<![\w./-])(?:\S*/)?(perfproof(?:-demo)?) ([a-z][a-z-]*)\b", code_in(path.read_text(encoding="utf-8"))
        ):
            assert word in commands[program], f"{path.name}: {program} {word}"
    named = {word for program, word in re.findall(r"(perfproof(?:-demo)?) ([a-z]+)", code_in(read("README.md"))) if program == "perfproof"}
    assert commands["perfproof"] <= named


def test_every_option_of_a_command_exists() -> None:
    """`--something` after one of the two programs is an option in the source of its commands."""
    sources = [
        *(ROOT / "include/perfproof").rglob("*.py"),
        ROOT / "include/perfproof_demo/cli.py",
        *(ROOT / "plugins").rglob("commands/*.py"),
    ]
    known = set(re.findall(r'add_argument\("(--[a-z-]+)"', "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    for path in DOCUMENTS:
        for line in code_in(path.read_text(encoding="utf-8")).splitlines():
            if re.search(r"(?<![\w-])perfproof(-demo)? [a-z]", line):
                assert set(re.findall(r"(?<= )--[a-z-]+", line.partition("#")[0])) <= known, line


def test_the_thirteen_artifacts_are_in_the_documents() -> None:
    """evidence.md names all thirteen under their exact names."""
    text = read("docs/evidence.md")
    assert [name.value for name in Artifact if f"`{name.value}`" not in text] == []


def test_the_exit_codes_of_verify_are_the_documented_ones() -> None:
    """Codes and words in evidence.md are those of Outcome."""
    documented = {(row[0], row[1]) for row in rows(section(read("docs/evidence.md"), "Verify"), 3)[1:]}
    assert documented == {(str(outcome.exit_code), outcome.value) for outcome in Outcome}


def test_every_criterion_is_documented_with_threshold_and_waivability() -> None:
    """The tables of gates.md are those of the declared suites."""
    expected = set()
    for suite in SUITES.values():
        for r in suite.requirements:
            expected.add(
                (str(suite.gate), f"`{r.criterion}`", f"{r.comparison.value} {r.value(Thresholds()):g}", "yes" if r.waivable else "no")
            )
    gates = re.split(r"^## Gate (?=\d)", read("docs/gates.md"), flags=re.MULTILINE)[1:]
    documented = {
        (part[0], row[0], row[1], row[2]) for part in gates for row in rows(part.partition("\n## ")[0], 4) if row[0] != "criterion"
    }
    assert documented == expected


def test_every_step_of_the_approvals_is_documented() -> None:
    """approvals.md says who answers each step, and what the answer is bound to."""
    table = rows(section(read("docs/approvals.md"), "Who is asked"), 4)[1:]
    assert {name for row in table for name in re.findall(r"`([a-z_0-9]+)`", row[0])} == set(STEPS)


def test_every_code_of_a_refused_approval_is_documented() -> None:
    """The APR codes of approvals.md are those that the sources raise or refuse with."""
    text = "\n".join(
        path.read_text(encoding="utf-8") for folder in ("include/perfproof", "plugins") for path in (ROOT / folder).rglob("*.py")
    )
    codes = {
        f"APR-{number}"
        for number in re.findall(r"ApprovalError\(\s*(\d{3}),|ApprovalError, number=(\d{3})", text)
        for number in number
        if number
    }
    codes |= set(re.findall(r'"(APR-\d{3})"', text))
    assert set(re.findall(r"APR-\d{3}", read("docs/approvals.md"))) == codes


def test_every_answer_of_the_judge_is_explained() -> None:
    """judge.md has each label of the target and of the guards."""
    text = read("docs/judge.md")
    assert [label.value for label in (*TargetLabel, *GuardLabel) if f"**{label.value}**" not in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_relative_links_lead_somewhere(name: str) -> None:
    """Files exist, and a part after # is a heading of the file."""
    text = re.sub(r"^```.*?^```", "", read(name), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href|srcset)="([^"]+)"', text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_a_table_belongs_to_one(name: str) -> None:
    """A blank line ends a table: what follows it would be shown as a line of bars."""
    lines = re.sub(r"^```.*?^```", "", read(name), flags=re.MULTILINE | re.DOTALL).split("\n")
    begins = [place for place, line in enumerate(lines) if line.startswith("|") and not lines[place - 1].startswith("|")]
    assert [lines[place] for place in begins if not re.fullmatch(r"\|[\s:|-]+\|", lines[place + 1])] == []


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a Markdown text."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [*NAMES, "docs/images/cycle.svg"])
def test_no_path_of_a_machine_is_written_down(name: str) -> None:
    """A reader has another home directory than the writer."""
    assert re.findall(r"(?<![\w.~}])/(?:home|root|work|Users|tmp|mnt|srv)/\S*", read(name)) == []


def test_files_of_the_repository_that_are_named_exist() -> None:
    """A path that begins with a folder of the repository, written as code, is there."""
    for path in DOCUMENTS:
        for named in re.findall(
            r"(?<![\w./-])((?:dags|include|plugins|tests|docs|compose)/[\w./-]*[\w/])(?![\w<*{-])",
            code_in(path.read_text(encoding="utf-8")),
        ):
            assert (ROOT / named).exists(), f"{path.name}: {named}"


def test_the_picture_is_well_formed_and_follows_the_colour_scheme() -> None:
    """The SVG parses, loads nothing from elsewhere, names the four gates, and has colours for dark and light."""
    text = read("docs/images/cycle.svg")
    root = ET.fromstring(text)  # noqa: S314  a file of this repository
    words = " ".join(root.itertext())
    assert all(f"Gate {number}" in words for number in range(1, 5))
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"""(?:href|src|url)\s*[=(]\s*["']?(?!#)""", text) == []
