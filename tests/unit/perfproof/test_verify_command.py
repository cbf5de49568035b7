"""`perfproof verify` and `perfproof keygen` as they are called: on whole cycles, in the words and exit codes of the documents."""

from __future__ import annotations

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
from command_line import run
from modules import load

from perfproof.artifacts import Artifact
from perfproof.change_proof import words_of
from perfproof.evidence.envelope import CheckpointKey, read_checkpoint_key

ROOT = Path(__file__).parents[3]
CYCLES: Any = load("complete_cycle", ROOT / "tests" / "faults" / "complete_cycle.py")
CHANGE, ROLLED_BACK, LATER = CYCLES.CHANGE, CYCLES.ROLLED_BACK, CYCLES.LATER


def keygen(directory: Path) -> CheckpointKey:
    """A key made by the command."""
    assert run("keygen", str(directory)) == 0
    key_id = json.loads((directory / "trust-root.json").read_bytes())["keys"][0]["id"]
    return read_checkpoint_key((directory / "signing-key.pem").read_bytes(), key_id=key_id, where="test")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a key."""
    directory = tmp_path_factory.mktemp("keys") / "new"
    keygen(directory)
    return directory


@pytest.fixture(scope="module")
def act_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the key that the acts of the cycles are signed with."""
    path = tmp_path_factory.mktemp("acts") / "act-keys.json"
    path.write_bytes(CYCLES.act_keys_document())
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> dict[str, Path]:
    """Evidence roots with one cycle each: passed, waived, with a waiver that has expired, and one that stopped at gate 3."""
    key_id = json.loads((keys / "trust-root.json").read_bytes())["keys"][0]["id"]
    key = read_checkpoint_key((keys / "signing-key.pem").read_bytes(), key_id=key_id, where="test")
    # When a waiver ends is a question about today.
    now = datetime.now(UTC).replace(microsecond=0)
    plans = {
        "passed": CYCLES.Plan(key=key),
        "waived": CYCLES.Plan(key=key, after=401.0, start=now - timedelta(days=2), waived_until=now + timedelta(days=5)),
        "expired": CYCLES.Plan(key=key, after=401.0, start=now - timedelta(days=20), waived_until=now - timedelta(days=1)),
        "unfinished": CYCLES.Plan(key=key, after=401.0, upto=3),
    }
    roots = {}
    for name, plan in plans.items():
        roots[name] = tmp_path_factory.mktemp(name)
        CYCLES.write_cycle(roots[name], plan)
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


def test_a_whole_cycle_is_verified_with_its_trust_root(
    made: dict[str, Path], keys: Path, act_keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gates computed again, signatures of checkpoints and acts checked: exit 0, and nothing is said to be unchecked."""
    code = run("verify", str(only_cycle(made["passed"])), "--trust", str(keys / "trust-root.json"), "--act-keys", str(act_keys))
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert "verified (entries" in shown and "not checked" not in shown
    assert shown.splitlines()[0] == "assurance A1: the lowest of 11 approvals, by signed checkpoints and acts"


def test_the_assurance_is_what_was_proved_and_not_what_is_claimed(
    made: dict[str, Path], keys: Path, act_keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A1 stands in every record. Without a signature that was checked that is a claim: A0, and a demand for A1 is not met."""
    directory, trust = str(only_cycle(made["passed"])), ("--trust", str(keys / "trust-root.json"))
    demand = ("--min-assurance", "A1")
    assert run("verify", directory) == 0
    assert "assurance A0: the 11 approvals say A1, and no signature was checked that would show it\n" in capsys.readouterr().out
    assert run("verify", directory, *demand) == 4
    assert "the assurance that is proved here is A0, below A1" in capsys.readouterr().out
    assert run("verify", directory, *demand, *trust) == 0
    assert run("verify", directory, *demand, "--act-keys", str(act_keys)) == 0
    assert run("verify", directory, "--min-assurance", "A2", *trust) == 4
    capsys.readouterr()
    assert run("verify", directory, "--json", *trust) == 0
    assert json.loads(capsys.readouterr().out)["assurance"] == "A1"


def test_evidence_that_is_not_whole_has_no_assurance(tampered: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many signatures are good."""
    assert run("verify", str(only_cycle(tampered)), "--trust", str(keys / "trust-root.json")) == 1
    assert "assurance A0: the 11 approvals say A1, and the evidence is not whole\n" in capsys.readouterr().out


def test_a_cycle_without_approvals_has_no_assurance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody decided anything."""
    directory = CYCLES.write_cycle(tmp_path, CYCLES.Plan(upto=0))
    for file in (*directory.glob("log/*.json"), *directory.glob("checkpoints/*"), *directory.glob("approvals/*")):
        if file.parent.name != "log" or int(file.name[:8]) > 2:
            file.unlink()
    assert run("verify", str(directory)) == 2
    assert "assurance A0: no approval stands in this log\n" in capsys.readouterr().out


def test_an_act_that_none_of_the_keys_signed_is_tampered(made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key of the same id with another secret, and a file that does not name the key."""
    for number, document in enumerate(({"acts": "0" * 64}, {"others": "0" * 64})):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"version": 1, "keys": document}))
        assert run("verify", str(only_cycle(made["passed"])), "--act-keys", str(path)) == 1
        shown = capsys.readouterr().out
        assert shown.count("tampered: log/") >= 11 and "the act does not count" in shown


def test_without_a_trust_root_one_line_says_what_was_not_checked(made: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """In text and in JSON."""
    assert run("verify", str(only_cycle(made["passed"]))) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not checked: ")]
    assert len(lines) == 1
    assert re.fullmatch(
        r"not checked: the signatures of \d+ checkpoints \(give --trust FILE\); a whole rewrite would not be seen; "
        r"the signatures of the acts of \d+ approvals \(give --act-keys FILE\)",
        lines[0],
    )
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


@pytest.mark.parametrize(("name", "code"), [("passed", 0), ("waived", 4), ("expired", 2), ("unfinished", 2)])
def test_a_change_is_answered_by_its_cycle(
    made: dict[str, Path], keys: Path, name: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first word says which answer it is; builds and waivers are named."""
    assert ask(made[name], keys) == code
    shown = capsys.readouterr().out
    assert shown.startswith(f"{name}: change PR-482, 1 cycle\n"), shown
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
    """The script of a pipeline in docs/evidence.md."""
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(answer=\$\(perfproof verify --change .*?)```", text, re.DOTALL)
    assert found, "docs/evidence.md has the script of a pipeline"
    return found[1]


@pytest.mark.parametrize(
    ("name", "code", "last"),
    [
        ("passed", 0, "deploy: passed"),
        ("waived", 0, "deploy: waived"),
        ("none", 1, "no deployment: none"),
        ("expired", 1, "no deployment: expired"),
        ("tampered", 1, "no deployment: tampered"),
        ("unfinished", 1, "no deployment: unfinished"),
        ("no root", 1, "no deployment: no answer"),
    ],
)
def test_the_script_of_a_pipeline_tells_builds_apart(
    made: dict[str, Path], tampered: Path, keys: Path, tmp_path: Path, name: str, code: int, last: str
) -> None:
    """The documented script, five lines at most, run as a pipeline runs it: exit code and last line say which build this is."""
    script = pipeline_script()
    assert len(script.splitlines()) <= 5
    roots = {**made, "tampered": tampered, "none": made["passed"], "no root": tmp_path / "missing"}
    build = "a-build-that-no-cycle-measured" if name == "none" else _candidate(made["passed"])
    shell = shutil.which("bash")
    assert shell is not None
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "CHANGE": CHANGE, "BUILD": build, "EVIDENCE": str(roots[name])}
    environment["TRUST"] = str(keys / "trust-root.json")
    done = subprocess.run(
        [shell, "-eu", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    lines = done.stdout.splitlines()
    assert (done.returncode, lines[-1]) == (code, last), done.stdout + done.stderr
    if name != "no root":
        assert lines[0].startswith(f"{name}: change {CHANGE}, build {build}, ")
        assert done.stderr == ""


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


def test_a_copy_is_verified_without_what_takes_long_to_import(made: dict[str, Path], keys: Path, act_keys: Path, tmp_path: Path) -> None:
    """In a process of its own, on a copy of the directory alone: no Airflow, no bucket, no Great Expectations; seconds are printed."""
    directory = shutil.copytree(only_cycle(made["passed"]), tmp_path / "a copy")
    program = (
        "import sys, time\n"
        "began = time.perf_counter()\n"
        "code = None\n"
        "from perfproof.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as left:\n"
        "    code = left.code\n"
        "print('seconds', round(time.perf_counter() - began, 2))\n"
        "print('imported', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "sys.exit(code)\n"
    )
    arguments = ["verify", str(directory), "--trust", str(keys / "trust-root.json"), "--act-keys", str(act_keys)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, seconds, imported = done.stdout.splitlines()
    print(seconds)
    assert "perfproof" in imported.split()
    assert set(imported.split()) & {"airflow", "boto3", "great_expectations", "pandas", "requests", "rfc3987_syntax"} == set()


def test_hostile_names_are_escaped_on_their_one_line(copy: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """A name with line break, escape sequence and a turn of the writing direction, also as JSON."""
    directory = only_cycle(copy("passed"))
    name = "evidence/x\nverified (entries 1)\x1b[2J\u202e.json"
    (directory / name).write_text("{}")
    (directory / "verified: nothing\nto see").write_text("")
    assert run("verify", str(directory)) == 0
    shown = capsys.readouterr().out
    assert shown.isascii() and "\x1b" not in shown
    assert [line.partition(":")[0] for line in shown.splitlines()] == ["verified"] * 2 + ["assurance A0", "not checked"] + [
        next(line for line in shown.splitlines() if line.startswith("verified (entries"))
    ]
    assert run("verify", str(directory), "--json") == 0
    printed = capsys.readouterr().out
    assert printed.isascii() and "\x1b" not in printed
    assert {finding["where"] for finding in json.loads(printed)["findings"]} == {name, "verified: nothing\nto see"}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"version": 1}', '{"version": 1, "keys": {}}', '{"version": 2, "keys": {"k": "HEX"}}',
        '{"version": true, "keys": {"k": "HEX"}}', '{"version": 1, "keys": {"k": "HEX", "k": "HEX"}}',
        '{"version": 1, "keys": {"k": "HEXF"}}', '{"version": 1, "keys": {" ": "HEX"}}',
        '{"version": 1, "keys": ["HEX"]}', '{"version": 1, "keys": {"k": "HEX"}, "more": "HEX"}', '{"version": 1, "keys": {"k": HEX}}',
    ],
)  # fmt: skip
def test_a_file_that_holds_no_act_keys_is_refused_without_its_secret(
    text: str, made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit 3; what is in the file is never shown."""
    path, secret = tmp_path / "acts.json", "5ec2e7" * 10 + "abcd"
    path.write_text(text.replace("HEX", secret))
    assert run("verify", str(only_cycle(made["passed"])), "--act-keys", str(path)) == 3
    caught = capsys.readouterr()
    assert caught.out == "" and caught.err.startswith("EVI-633 ") and caught.err.count("\n") == 1
    assert "5ec2e7" not in caught.err


def documented(opening: str) -> str:
    """The block of shell in docs/evidence.md that begins so."""
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    found = re.search(rf"```sh\n({re.escape(opening)}.*?)```", text, re.DOTALL)
    assert found, f"docs/evidence.md has a block that begins with {opening}"
    return found[1]


def shell_in(directory: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a shell says to a script in a directory."""
    shell = shutil.which("bash")
    assert shell is not None
    return subprocess.run(
        [shell, "-euo", "pipefail", "-c", script], cwd=directory, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **environment},
    )  # fmt: skip


def test_sha256sum_alone_checks_a_cycle(copy: Callable[[str], Path]) -> None:
    """The documented commands, as they stand: silent on good evidence, and they name what was changed."""
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    directory = only_cycle(copy("passed"))
    sums, chain = documented("sha256sum "), documented("P=")
    for script in (sums, chain):
        good = shell_in(directory, script)
        assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    (directory / Artifact.IMPROVEMENT_NOTES).write_text("changed")
    changed = shell_in(directory, sums)
    assert changed.returncode != 0 and f"{Artifact.IMPROVEMENT_NOTES.value}: FAILED" in changed.stdout
    entry = directory / "log" / "00000007.json"
    data = entry.read_bytes()
    entry.unlink()
    entry.write_bytes(data.replace(b'"A1"', b'"A2"', 1))
    assert shell_in(directory, chain).stdout == "broken at log/00000008.json\n"


def test_openssl_alone_checks_the_last_checkpoint(copy: Callable[[str], Path], keys: Path, tmp_path: Path) -> None:
    """The documented commands, as they stand, on a signed cycle: the signature, and the entry that it covers."""
    missing = [name for name in ("openssl", "sha256sum") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    directory, public = only_cycle(copy("passed")), tmp_path / "public.pem"
    made_once = shell_in(directory, f"openssl pkey -in '{keys / 'signing-key.pem'}' -pubout > '{public}'")
    assert made_once.returncode == 0, made_once.stderr
    script = documented("C=")
    good = shell_in(directory, script, PUBLIC=str(public))
    last = max((directory / "log").iterdir())
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.splitlines() == ["Signature Verified Successfully", f"covers log/{last.name}"]
    *_, before, newest = sorted((directory / "checkpoints").iterdir())
    data = newest.read_bytes()
    newest.unlink()
    newest.write_bytes(before.read_bytes())
    replaced = shell_in(directory, script, PUBLIC=str(public))
    assert replaced.returncode != 0 and "covers" not in replaced.stdout, "another checkpoint under its name is about another head"
    newest.write_bytes(data.replace(b'"sig":"', b'"sig":"AAAA', 1))
    assert shell_in(directory, script, PUBLIC=str(public)).returncode != 0
