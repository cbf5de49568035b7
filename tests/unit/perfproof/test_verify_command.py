"""`perfproof verify` and `perfproof keygen` as they are called: on whole cycles, in the words and exit codes of the documents."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perfproof.artifacts import Artifact, gate_result_name
from perfproof.change_proof import words_of
from perfproof.cli import main
from perfproof.config import load_protocol
from perfproof.evidence import EntryType, EvidenceStore, LocalBackend, idempotency
from perfproof.evidence.checkpoints import sign_checkpoint
from perfproof.evidence.envelope import CheckpointKey, read_checkpoint_key
from perfproof.evidence.manifest import build_manifest
from perfproof.evidence.views import close_run
from perfproof.parameters import read_parameters
from perfproof.telemetry import document_bytes
from perfproof.waivers import Approver, Waiver

ROOT = Path(__file__).parents[3]
CHANGE, ROLLED_BACK, LATER = "PR-482", "PR-480", "PR-490"


def whole_cycles() -> Any:
    """The module that writes whole cycles with the package's own producers."""
    path = Path(__file__).parent / "gates" / "test_from_directory.py"
    spec = importlib.util.spec_from_file_location("whole_cycles", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def keygen(directory: Path) -> CheckpointKey:
    """A key made by the command."""
    assert run("keygen", str(directory)) == 0
    key_id = json.loads((directory / "trust-root.json").read_bytes())["keys"][0]["id"]
    return read_checkpoint_key((directory / "signing-key.pem").read_bytes(), key_id=key_id, where="test")


def run(*arguments: str) -> int:
    """The exit code of `perfproof ARGUMENTS`."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a key."""
    directory = tmp_path_factory.mktemp("keys") / "new"
    keygen(directory)
    return directory


def implemented(to: Any, *, comment: str, round_: int) -> None:
    """The owner of the first optimization says what was deployed."""
    record = {
        "request_id": f"implementation-{round_}", "step": "implementation", "role": "task_owner", "map_index": 0, "round": round_,
        "person": {"id": "owner", "name": "Olivia Oduya"}, "decision": "approve", "comment": comment, "assurance": "A1",
        "evidence": [to.references["baseline-metrics.json"]],
    }  # fmt: skip
    to.log(EntryType.APPROVAL_GRANTED, record)


def write_cycle(root: Path, key: CheckpointKey, *, after: float, expires: timedelta | None = None) -> None:
    """A cycle up to its signed end, written by the package's producers; a failed gate 3 is waived if a time from now is given."""
    cycles = whole_cycles()
    data, now = cycles.PROTOCOL.read_bytes(), datetime.now(UTC)
    protocol = load_protocol(data, where="demo.yaml")
    store = EvidenceStore(LocalBackend(root), cycles.RUN)
    genesis = {"dag_id": "performance_optimization", "run_id": "manual__1", "protocol_sha256": store.put_object(data)}
    parameters = read_parameters({"protocol": "demo"}, protocol).document()
    store.open_run(genesis={**genesis, "parameters": parameters}, time=cycles.NOW, actor=cycles.ACTOR)
    to = cycles.Written(store, protocol, cycles.NOW)
    cycles.write_phase_1(to)
    to.judge(1)
    cycles.write_phase_2(to)
    to.judge(2)
    implemented(to, comment=f"deployed {ROLLED_BACK}, a cache", round_=0)
    implemented(to, comment=f"deployed with {CHANGE}, index added.", round_=1)
    cycles.write_phase_3(to, after=after)
    to.judge(3)
    implemented(to, comment=f"merged {LATER} as well", round_=2)
    if expires is not None:
        people = tuple(Approver(f"{role}-1", f"Person of {role}", role) for role in ("product_owner", "sre_lead"))
        reason, result = "the index has to go out before the sale", to.references[gate_result_name(3)]["sha256"]
        waiver = Waiver(3, "improvement", reason, people, "demo-requester", store.run, result, cycles.NOW, now + expires)
        to.log(EntryType.WAIVER_GRANTED, waiver.document())
    cycles.write_phase_4(to)
    to.judge(4)
    idem = idempotency("artifact.published", "final manifest", 1, [])
    store.publish(Artifact.MANIFEST, document_bytes(build_manifest(store, time=now)), idem=idem, time=now, actor=cycles.ACTOR)
    close_run(store, body={}, idem=idempotency("run.closed", "close", 0, []), time=now, actor=cycles.ACTOR)
    sign_checkpoint(store, key=key, time=now)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> dict[str, Path]:
    """Evidence roots with one cycle each: passed, waived, and with a waiver that has expired."""
    key_id = json.loads((keys / "trust-root.json").read_bytes())["keys"][0]["id"]
    key = read_checkpoint_key((keys / "signing-key.pem").read_bytes(), key_id=key_id, where="test")
    roots = {}
    for name, after, expires in (
        ("passed", 258.0, None),
        ("waived", 401.0, timedelta(days=5)),
        ("expired", 401.0, timedelta(days=-1)),
        ("unwaived", 401.0, None),
    ):
        roots[name] = tmp_path_factory.mktemp(name)
        write_cycle(roots[name], key, after=after, expires=expires)
    return roots


def only_cycle(root: Path) -> Path:
    """The directory of the one cycle below a root."""
    (directory,) = (path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    return directory


@pytest.fixture
def copy(made: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A root of one's own, to be changed."""
    return lambda name: Path(shutil.copytree(made[name], tmp_path / name))


@pytest.fixture
def tampered(copy: Callable[[str], Path]) -> Path:
    """A root whose cycle had one byte of an object changed."""
    root = copy("passed")
    path = only_cycle(root) / "optimization-validation-report.json"
    path.unlink()
    path.write_bytes(b"{}")
    return root


def test_a_whole_cycle_is_verified_with_its_trust_root(made: dict[str, Path], keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Gates computed again, signatures checked: exit 0, and nothing is said to be unchecked."""
    code = run("verify", str(only_cycle(made["passed"])), "--trust", str(keys / "trust-root.json"))
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "verified (entries" in shown and "not checked" not in shown


def test_without_a_trust_root_one_line_says_what_was_not_checked(made: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """In text and in JSON."""
    assert run("verify", str(only_cycle(made["passed"]))) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not checked: ")]
    assert lines == ["not checked: the signatures of 1 checkpoints (give --trust FILE); a whole rewrite would not be seen"]
    assert run("verify", str(only_cycle(made["passed"])), "--json") == 0
    assert json.loads(capsys.readouterr().out)["not_checked"].startswith("not checked: the signatures")


def test_a_cycle_that_is_signed_by_nobody_is_not_verified(
    copy: Callable[[str], Path], keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a trust root: exit 2."""
    directory = only_cycle(copy("passed"))
    shutil.rmtree(directory / "checkpoints")
    assert run("verify", str(directory), "--trust", str(keys / "trust-root.json")) == 2
    assert run("verify", str(directory)) == 0
    assert "no signatures: there are no checkpoints" in capsys.readouterr().out


def test_an_anchor_finds_a_tail_that_was_cut(copy: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """SIZE:HEAD as an earlier verification printed them."""
    directory = only_cycle(copy("passed"))
    assert run("verify", str(directory), "--json") == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    anchor = f"{figures['entries']}:{figures['head']}"
    assert run("verify", str(directory), "--anchor", anchor) == 0
    shutil.rmtree(directory / "checkpoints")
    max((directory / "log").iterdir()).unlink()
    for name in ("protocol-execution-log.jsonl", "SHA256SUMS"):
        (directory / name).unlink()
    assert run("verify", str(directory)) == 2
    assert run("verify", str(directory), "--anchor", anchor) == 1
    assert "the tail was cut" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--anchor", "5"], ["--anchor", "0:" + "0" * 64], ["--trust", "does-not-exist.json"], ["--change", "PR-1"], ["--build", "b"],
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_3(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside a directory."""
    assert run("verify", str(tmp_path), *arguments) == 3
    caught = capsys.readouterr()
    assert caught.out == "" and caught.err.startswith("EVI-6") and caught.err.count("\n") == 1


def test_neither_directory_nor_change_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As are a reference of two words, and a root that is not there."""
    assert run("verify") == 3
    assert run("verify", "--change", "PR 482", "--root", str(tmp_path)) == 3
    assert run("verify", "--change", "", "--root", str(tmp_path)) == 3
    assert run("verify", "--change", "PR-482", "--root", str(tmp_path / "none")) == 3
    assert capsys.readouterr().err.count("EVI-6") == 4


def ask(root: Path, keys: Path, *, change: str = CHANGE, build: str | None = None) -> int:
    """What a pipeline asks."""
    more = () if build is None else ("--build", build)
    return run("verify", "--change", change, *more, "--root", str(root), "--trust", str(keys / "trust-root.json"))


@pytest.mark.parametrize(("name", "code"), [("passed", 0), ("waived", 4), ("expired", 2), ("unwaived", 2)])
def test_a_change_is_answered_by_its_cycle(
    made: dict[str, Path], keys: Path, name: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first word says which answer it is; builds and waivers are named."""
    assert ask(made[name], keys) == code
    shown = capsys.readouterr().out
    assert shown.startswith({"unwaived": "unfinished"}.get(name, name) + ": change PR-482, 1 cycle\n"), shown
    assert "candidate " in shown
    if name in ("waived", "expired"):
        assert re.search(r"waiver of improvement of gate 3: (in force until|EXPIRED) \d{4}-", shown)
        assert ("EXPIRED" in shown) is (name == "expired")


def test_a_change_that_no_cycle_is_about_is_not_proved(made: dict[str, Path], keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another number, a part of the reference, one that was rolled back before, one that came after the measurement, another build."""
    for change in ("PR-4821", "PR-48", "482", "pr-482", ROLLED_BACK, LATER):
        assert ask(made["passed"], keys, change=change) == 2
    assert ask(made["passed"], keys, build="another-build") == 2
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["none"] * 7


def test_a_build_is_the_candidate_and_not_the_baseline(made: dict[str, Path], keys: Path) -> None:
    """Also without a change reference."""
    builds = json.loads((only_cycle(made["passed"]) / Artifact.VALIDATION_REPORT).read_bytes())["builds"]
    root, trust = str(made["passed"]), str(keys / "trust-root.json")
    assert ask(made["passed"], keys, build=builds["candidate"]) == 0
    assert run("verify", "--build", builds["candidate"], "--root", root, "--trust", trust) == 0
    assert run("verify", "--build", builds["baseline"], "--root", root, "--trust", trust) == 2


def test_a_tampered_cycle_is_the_answer_even_beside_a_good_one(
    made: dict[str, Path], tampered: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is deployed on evidence that somebody changed."""
    assert ask(tampered, keys) == 1
    shutil.copytree(only_cycle(made["passed"]), tampered / "another-good-cycle")
    assert ask(tampered, keys) == 1
    assert "optimization-validation-report.json" in capsys.readouterr().out


def test_the_answer_of_a_change_can_be_printed_as_json(made: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """For programs."""
    assert run("verify", "--change", CHANGE, "--root", str(made["waived"]), "--json") == 4
    document = json.loads(capsys.readouterr().out)
    assert document["proof"] == "waived"
    assert document["cycles"][0]["waivers"][0].startswith("improvement of gate 3: in force until ")


@pytest.mark.parametrize("words", ["PR-482", "merged (PR-482), see notes", "PR-482.", "a\nPR-482\tb"])
def test_a_reference_is_one_word_of_the_note(words: str) -> None:
    """Whatever punctuation stands around it."""
    assert CHANGE in words_of(words)


def pipeline_script() -> str:
    """The five lines in docs/evidence.md."""
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(perfproof verify --change .*?)```", text, re.DOTALL)
    assert found, "docs/evidence.md has the script of a pipeline"
    return found[1]


def test_the_script_of_a_pipeline_tells_the_four_builds_apart(made: dict[str, Path], tampered: Path, keys: Path, tmp_path: Path) -> None:
    """The documented five lines, run by a shell: none, expired, tampered and passed have words and exit codes of their own."""
    script = pipeline_script()
    assert len(script.splitlines()) == 5
    empty = tmp_path / "empty"
    empty.mkdir()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    said = {}
    for name, root in {"none": empty, "expired": made["expired"], "tampered": tampered, "passed": made["passed"]}.items():
        environment = {"PATH": path, "CHANGE": CHANGE, "BUILD": _candidate(made["passed"]), "EVIDENCE": str(root)}
        environment["TRUST"] = str(keys / "trust-root.json")
        shell = shutil.which("sh")
        assert shell is not None
        done = subprocess.run([shell, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        said[name] = (done.returncode, done.stdout.partition(":")[0], done.stdout.splitlines()[-1])
    assert {name: code for name, (code, _, _) in said.items()} == {"none": 1, "expired": 1, "tampered": 1, "passed": 0}
    assert {name: word for name, (_, word, _) in said.items()} == {name: name for name in said}
    assert len({last for _, _, last in said.values()}) == 4 - 1, "none and expired are both not proved; their first word differs"


def _candidate(root: Path) -> str:
    return str(json.loads((only_cycle(root) / Artifact.VALIDATION_REPORT).read_bytes())["builds"]["candidate"])


def test_keygen_writes_a_secret_for_its_owner_and_a_trust_root(keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing secret is printed or readable by others, and no key is ever overwritten."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()}
    assert modes == {"signing-key.pem": 0o600, "signing-connection.json": 0o600, "trust-root.json": modes["trust-root.json"]}
    assert "PRIVATE" not in (keys / "trust-root.json").read_text()
    connection = json.loads((keys / "signing-connection.json").read_bytes())["perfproof_signing"]
    assert connection["password"] == (keys / "signing-key.pem").read_text()
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    assert run("keygen", str(keys)) == 2
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    chosen = tmp_path / "chosen"
    assert run("keygen", str(chosen), "--key-id", "team-2026", "--valid-until", "2027-01-01T00:00:00Z") == 0
    listed = json.loads((chosen / "trust-root.json").read_bytes())["keys"][0]
    assert (listed["id"], listed["valid_until"]) == ("team-2026", "2027-01-01T00:00:00Z")
    shown = capsys.readouterr()
    assert "PRIVATE" not in shown.out + shown.err and "exists already" in shown.err


@pytest.mark.parametrize("arguments", [["--key-id", "../x"], ["--valid-until", "soon"], ["--valid-from", "2025-01-01"]])
def test_keygen_refuses_what_no_trust_root_may_say(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit 2, and nothing written."""
    assert run("keygen", str(tmp_path / "new"), *arguments) == 2
    assert capsys.readouterr().err.startswith("EVI-6")
    assert not (tmp_path / "new").exists()
