"""The ways by which approved objectives go live: only with the approval, with the same end however often they are tried."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import ApprovalError, ArtifactError
from perfproof.telemetry import sha256_hex
from perfproof_airflow.hooks import cloudwatch_apply
from perfproof_airflow.instrumentation_steps import AFTER, BEFORE, write_instrumentation
from perfproof_airflow.proposals import PROPOSAL

LOG = "instrumentation-update-log.md"
GIT = "  apply: [git]\n  git: {repository: monitoring, directory: alerts}\n"
CLOUDWATCH = "  apply: [cloudwatch]\n  cloudwatch: {connection: aws_alarms, region: eu-west-1, prefix: shop-slo-}\n"
ALL = "  apply: [files, git, cloudwatch]\n  git: {repository: monitoring, directory: alerts}\n  cloudwatch: {connection: aws_alarms}\n"


def git(directory: Path, *arguments: str) -> str:
    environment = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def way() -> str:
    """The keys of `instrumentation` in the protocol file."""
    return ALL


@pytest.fixture
def run(unopened: Any, workspace: Path, way: str) -> Any:
    """A run by a protocol file with that way, and a repository to write to."""
    path = workspace / "include" / "protocols" / "demo.yaml"
    path.write_text(f"{path.read_text()}\ninstrumentation:\n{way}")
    repository = workspace / "monitoring"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "first")
    unopened.open()
    return unopened


class Alarms:
    """A CloudWatch of the test's own: what was put, and a failure if there is to be one."""

    def __init__(self) -> None:
        self.alarms: dict[str, tuple[str, dict[str, Any]]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.puts = 0
        self.breaks_at: int | None = None

    def answered(self, operation: str, parameters: dict[str, Any], deadline: float) -> dict[str, Any]:
        if operation == "describe_alarms":
            shown: dict[str, Any] = {"MetricAlarms": [], "CompositeAlarms": []}
            for name, (kind, alarm) in self.alarms.items():
                if name.startswith(parameters["AlarmNamePrefix"]):
                    shown[kind].append(alarm)
            return shown
        if operation == "list_tags_for_resource":
            return {"Tags": self.tags[parameters["ResourceARN"]]}
        if self.breaks_at == self.puts:
            raise ArtifactError(910, where="test", what="broken", fix="try again")
        self.puts += 1
        name, arn = parameters["AlarmName"], f"arn:aws:cloudwatch:eu-west-1:1:alarm:{parameters['AlarmName']}"
        kind = "MetricAlarms" if operation == "put_metric_alarm" else "CompositeAlarms"
        self.tags.setdefault(arn, parameters.get("Tags", []))
        self.alarms[name] = (kind, {"AlarmArn": arn, **{key: value for key, value in parameters.items() if key != "Tags"}})
        return {}


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> Alarms:
    made = Alarms()
    monkeypatch.setattr(cloudwatch_apply.AwsService, "_client", lambda self: None)
    monkeypatch.setattr(
        cloudwatch_apply.AwsService,
        "answered",
        lambda self, operation, parameters, deadline: made.answered(operation, parameters, deadline),
    )
    return made


@pytest.fixture
def apply(run: Any, approved: dict[str, Any], measured: dict[str, dict[str, Any]], alarms: Alarms) -> Callable[..., str]:
    """One try of the task: what the log says after it."""

    def once(*, try_number: int = 1) -> str:
        cycle = run.cycle("governance.apply_instrumentation", try_number=try_number)
        text: str = cycle.read(write_instrumentation(cycle, state="applied", record=approved, **measured)).decode()
        return text

    return once


def places(workspace: Path, alarms: Alarms) -> tuple[Any, ...]:
    """What there is at each place."""
    files = (
        sorted(str(p.relative_to(workspace)) for p in (workspace / ".demo").rglob("*") if p.is_file())
        if (workspace / ".demo").exists()
        else []
    )
    return files, git(workspace / "monitoring", "for-each-ref", "--format=%(refname) %(objectname)"), sorted(alarms.alarms)


def test_without_the_approval_nothing_reaches_any_place(
    run: Any, workspace: Path, measured: dict[str, dict[str, Any]], alarms: Alarms
) -> None:
    """Whatever the state of the task before it."""
    from perfproof_airflow.governance_steps import propose

    propose(run.cycle("governance.propose_slo_updates"), **measured)
    before = places(workspace, alarms)
    with pytest.raises(ApprovalError, match="APR-431"):
        write_instrumentation(run.cycle(), state="applied", **measured)
    assert places(workspace, alarms) == before and alarms.puts == 0


def test_an_approval_of_another_proposal_applies_nothing(
    run: Any, workspace: Path, approved: dict[str, Any], measured: dict[str, dict[str, Any]], alarms: Alarms
) -> None:
    """The record is verified again, and compared with the proposal as it is now."""
    run.round = 1
    run.publish(PROPOSAL, {"updates": []}, task_id="governance.propose_slo_updates")
    before = places(workspace, alarms)
    with pytest.raises(ApprovalError, match="APR-433"):
        write_instrumentation(run.cycle(), state="applied", **measured)
    assert places(workspace, alarms) == before


def test_preparing_reaches_no_place(run: Any, workspace: Path, measured: dict[str, dict[str, Any]], alarms: Alarms) -> None:
    """Phase 3 only shows what would be applied."""
    before = places(workspace, alarms)
    write_instrumentation(run.cycle(), state="prepared", **measured)
    assert places(workspace, alarms) == before and alarms.puts == 0
    assert "What was changed" not in run.cycle().read(LOG).decode()


def test_the_log_says_what_changed_and_where_with_digests(run: Any, workspace: Path, apply: Callable[..., str], alarms: Alarms) -> None:
    """Directory and files, branch and commit, each alarm by its ARN, and how to go back."""
    text = apply()
    repository = workspace / "monitoring"
    (reference,) = git(repository, "for-each-ref", "--format=%(refname:short)", "refs/heads/perfproof").splitlines()
    assert f"branch `{reference}` (created, not pushed), commit `{git(repository, 'rev-parse', reference)}`" in text
    assert "directory `.demo/instrumentation/shop` of the workspace" in text
    for path in git(repository, "ls-tree", "-r", "--name-only", reference).splitlines():
        shown = subprocess.run(["git", "show", f"{reference}:{path}"], cwd=repository, capture_output=True, check=True).stdout  # noqa: S607
        assert f"`{path}`, SHA-256 `{sha256_hex(shown)}`" in text
        assert shown == (workspace / ".demo" / "instrumentation" / path.removeprefix("alerts/")).read_bytes()
    assert alarms.alarms and all(f"`{name}` created, `{alarm['AlarmArn']}`" in text for name, (_, alarm) in alarms.alarms.items())
    before, after = run.cycle().reference(BEFORE), run.cycle().reference(AFTER)
    assert before["sha256"] in text and after["sha256"] in text and "delete composite alarms first" in text
    assert {alarm["state"] for alarm in run.cycle().document(after)["alarms"]} == {"created"}
    message = git(repository, "log", "-1", "--format=%B", reference)
    assert run.cycle().reference(PROPOSAL)["sha256"] in message and message.count("Approval: sha256:") == 2


@pytest.mark.parametrize("way", [GIT])
def test_a_way_that_is_not_named_is_not_taken(workspace: Path, apply: Callable[..., str], alarms: Alarms, way: str) -> None:
    """Git alone: no files beside it, no alarms."""
    text = apply()
    files, references, names = places(workspace, alarms)
    assert not any("instrumentation" in path for path in files) and "refs/heads/perfproof/shop-" in references and names == []
    assert "Directory:" not in text and "CloudWatch: Connection" not in text


@pytest.mark.parametrize("way", [CLOUDWATCH])
def test_the_exported_alarms_are_the_ones_that_are_put(run: Any, apply: Callable[..., str], alarms: Alarms, way: str) -> None:
    """With the prefix of the protocol file in names and rules."""
    apply()
    export = json.loads(run.cycle().read("evidence/applied-slo-cloudwatch.json"))
    names = [alarm["AlarmName"] for kind in ("metric_alarms", "composite_alarms") for alarm in export[kind]]
    assert sorted(names) == sorted(alarms.alarms) and all(name.startswith("shop-slo-") for name in names)
    assert all('ALARM("shop-slo-' in alarm["AlarmRule"] for alarm in export["composite_alarms"])


def test_a_try_after_one_that_failed_half_way_comes_to_the_same_end(
    run: Any, workspace: Path, apply: Callable[..., str], alarms: Alarms
) -> None:
    """What was there before anything was put stays in evidence, so the log still says what was created."""
    alarms.breaks_at = 4
    with pytest.raises(ArtifactError, match="ART-910"):
        apply()
    assert LOG not in run.live() and len(alarms.alarms) == 4
    reference = git(workspace / "monitoring", "for-each-ref", "refs/heads/perfproof")
    alarms.breaks_at = None
    text = apply(try_number=2)
    assert git(workspace / "monitoring", "for-each-ref", "refs/heads/perfproof") == reference
    assert text.count(" created, `arn:") == len(alarms.alarms) == alarms.puts
    assert "State: **applied**" in text and "(already there, not pushed)" in text


def test_applying_anew_in_another_round_changes_nothing(run: Any, workspace: Path, apply: Callable[..., str], alarms: Alarms) -> None:
    """The tasks were cleared: same files, same commit, no alarm is put again, and the log says so."""
    apply()
    before, puts = places(workspace, alarms), alarms.puts
    run.round = 1
    text = apply()
    assert places(workspace, alarms) == before and alarms.puts == puts
    assert text.count(" unchanged, `arn:") == len(alarms.alarms) and "(already there, not pushed)" in text


def test_a_failure_halts_the_task_in_one_line(run: Any, workspace: Path, approved: dict[str, Any], measured: Any, alarms: Alarms) -> None:
    """As the specification's error line, by the step itself."""
    from airflow.sdk.exceptions import AirflowFailException

    from perfproof_airflow.phases.governance import apply_instrumentation

    (workspace / "monitoring" / ".git").rename(workspace / "gone")
    with pytest.raises(AirflowFailException, match="ART-905"):
        run.call(apply_instrumentation, "governance.apply_instrumentation", approved, measured["validation"], measured["measurement"])
    assert [line.count("\n") for line in run.said()] == [0] and "there is no git repository" in run.said()[0]
