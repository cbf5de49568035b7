"""`perfproof plan`: exit codes, bad input, hostile text, and that nothing is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.cli import main
from perfproof.commands import plan
from perfproof.commands.workspace_files import find, path_problem, writable_directories

DEMO = Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml"
GOLDEN = Path(__file__).parents[3] / "fixtures" / "preview" / "demo.txt"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with the demo's protocol file and nothing else."""
    (tmp_path / "include" / "protocols").mkdir(parents=True)
    (tmp_path / "include" / "protocols" / "demo.yaml").write_bytes(DEMO.read_bytes())
    return tmp_path


def change(workspace: Path, edit: Any) -> None:
    document = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    edit(document)
    (workspace / "include" / "protocols" / "demo.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


def called(workspace: Path, *arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "--workspace", str(workspace), *map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def optional(document: dict[str, Any]) -> None:
    """Nothing but the two files of the specification is needed; they are found nowhere, so the run still halts."""
    for source in document["sources"]:
        source["critical"] = source["kind"] == "prometheus"


def test_the_demo_reads_as_it_did(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Word for word; the digest of the file is left out."""
    assert called(workspace, "--protocol", "demo", "--requester", "demo-sre") == 1
    shown = capsys.readouterr().out
    digest = shown.partition("(")[2][:12]
    assert shown.replace(digest, "digest") == GOLDEN.read_text(encoding="utf-8")


def test_conf_and_protocol_with_settings_say_the_same(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--set` takes lists with commas."""
    conf = workspace / "conf.json"
    conf.write_text(json.dumps({"protocol": "demo", "optimizations": ["OPT-001", "OPT-002"], "objective": "a = b"}), encoding="utf-8")
    called(workspace, "--conf", conf, "--format", "json")
    first = json.loads(capsys.readouterr().out)
    called(workspace, "--protocol", "demo", "--set", "optimizations=OPT-001, OPT-002", "--set", "objective=a = b", "--format", "json")
    second = json.loads(capsys.readouterr().out)
    for document in (first, second):
        del document["made_at"], document["load"]["authorization"]["window"]
    assert first == second
    assert [item["id"] for item in first["optimizations"]] == ["OPT-001", "OPT-002"]


def test_ready_is_exit_0_and_missing_is_exit_1(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The codes are for scripts."""
    assert called(workspace, "--protocol", "demo") == 1
    assert capsys.readouterr().out.startswith("incomplete:")
    monkeypatch.setattr(plan, "look", lambda *_, **__: None)
    assert called(workspace, "--protocol", "demo") == 0
    assert capsys.readouterr().out.startswith("ready:")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "PAR-890"),
        (["--conf", "x.json", "--protocol", "demo"], "PAR-890"),
        (["--protocol", "demo", "--set", "services"], "PAR-891"),
        (["--protocol", "demo", "--set", "nothing=1"], "PAR-891"),
        (["--protocol", "demo", "--set", "protocol=other"], "PAR-891"),
        (["--protocol", "demo", "--set", "=1"], "PAR-891"),
        (["--protocol", "demo", "--set", "objective=a", "--set", "objective=b"], "PAR-892"),
        (["--protocol", "../demo"], "PAR-207"),
        (["--protocol", ""], "PAR-207"),
        (["--protocol", "absent"], "CFG-180"),
        (["--conf", "absent.json"], "PAR-224"),
        (["--conf", "/dev/null/x"], "PAR-224"),
        (["--protocol", "demo", "--set", "services=nope"], "PAR-206"),
        (["--protocol", "demo", "--set", "objective={{ x }}"], "PAR-202"),
        (["--protocol", "demo", "--set", "objective=\x1b[2J"], "PAR-208"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str) -> None:
    """And nothing is printed as if it were a preview."""
    assert called(workspace, *arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith(code) and said.err.count("\n") == 1 and said.err.rstrip("\n").isprintable()
    assert said.out == ""


@pytest.mark.parametrize("text", ["[]", "1", "{", '{"protocol": 1}', '{"protocol": null}', '{"a": 1, "a": 2}', '{"services": "shop"}'])
def test_a_conf_that_is_none_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """As a run refuses it."""
    conf = workspace / "conf.json"
    conf.write_text(text, encoding="utf-8")
    assert called(workspace, "--conf", conf) == 2
    assert capsys.readouterr().err.startswith("PAR-")


def test_control_characters_of_the_protocol_file_do_not_reach_the_terminal(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences, line breaks and right-to-left marks are shown, not obeyed."""
    hostile = "a\x1b[2Jb\nready: c\u202ed\x9be"

    def edit(document: dict[str, Any]) -> None:
        document["objective"] = hostile
        document["roles"]["security"]["people"][0]["name"] = hostile
        document["optimizations"][0]["title"] = hostile
        document["services"][0]["slos"][0]["name"] = hostile

    change(workspace, edit)
    for form in ("text", "json"):
        called(workspace, "--protocol", "demo", "--format", form)
        shown = capsys.readouterr().out
        assert all(line.isprintable() for line in shown.split("\n"))
        assert not any(line.startswith("ready") for line in shown.split("\n"))


def test_nothing_is_written_and_nobody_is_asked(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the directories that a run would make."""
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection"))
    before = sorted(path.relative_to(workspace) for path in workspace.rglob("*"))
    called(workspace, "--protocol", "demo")
    assert sorted(path.relative_to(workspace) for path in workspace.rglob("*")) == before


def test_without_the_plug_in_airflow_cannot_be_asked(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core has no way of its own to it."""
    monkeypatch.setattr(plan, "entry_points", lambda **_: [])
    for option in ("--airflow", "--probe"):
        assert called(workspace, "--protocol", "demo", option) == 2
        assert capsys.readouterr().err.startswith("PAR-893")


def test_files_are_found_as_a_run_finds_them(tmp_path: Path) -> None:
    """Links, pipes and second names are no files; `latest` may be a link to its neighbour."""
    (tmp_path / "cycle").mkdir()
    (tmp_path / "cycle" / "a.json").write_bytes(b"{}")
    (tmp_path / "latest").symlink_to("cycle")
    (tmp_path / "link").symlink_to(tmp_path / "cycle")
    (tmp_path / "a").symlink_to("cycle/a.json")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "one").write_bytes(b"1")
    os.link(tmp_path / "one", tmp_path / "two")
    assert find(tmp_path, "latest/a.json").data == b"{}"
    assert find(tmp_path, "absent/b").data is None and find(tmp_path, "absent/b").error is None
    for path in ("link/a.json", "a", "pipe", "two", "cycle", "one/x"):
        assert find(tmp_path, path).error, path
    assert path_problem(tmp_path, "cycle") is None
    assert path_problem(tmp_path, "absent") == "nothing at absent"
    assert path_problem(tmp_path, "link/a.json") is not None


def test_a_directory_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    """A directory that is not there yet can be, if the nearest one above it can."""
    (tmp_path / "file").write_bytes(b"")
    found = {record["path"]: record["writable"] for record in writable_directories(tmp_path, ["new/deep", "file/deep", "."])}
    assert found == {"new/deep": True, "file/deep": False, ".": True}


def test_the_plug_in_is_given_the_parameters_the_requester_and_whether_to_probe(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it answers is printed as the files' preview is; `--airflow` alone asks no source."""
    called(workspace, "--protocol", "demo", "--format", "json")
    document = json.loads(capsys.readouterr().out)
    seen: list[Any] = []

    def preview_for_command(conf: Any, *, requester: str | None, probe: bool) -> Any:
        seen.append((conf, requester, probe))
        return document

    class Point:
        def load(self) -> Any:
            return preview_for_command

    monkeypatch.setattr(plan, "entry_points", lambda *, group, name: [Point()] if (group, name) == ("perfproof.preview", "airflow") else [])
    for option in ("--airflow", "--probe"):
        assert called(workspace, "--protocol", "demo", "--requester", "ada", option, "--format", "json") == 1
        assert json.loads(capsys.readouterr().out) == document
    assert seen == [({"protocol": "demo"}, "ada", False), ({"protocol": "demo"}, "ada", True)]
