"""What the instrumentation log says about each way in which approved objectives went live: what changed, where, and how to go back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfproof import markdown as md
from perfproof.slos.alarm_changes import AlarmChange


@dataclass(frozen=True, slots=True)
class BranchChange:
    """What became of a git repository: `created`, `already there`, or `nothing to change`, where `branch` is then the base.

    `files` maps each path in the repository to the SHA-256 of its bytes; `remote` is what it was pushed to, None if it was not.
    """

    state: str
    repository: str
    branch: str
    commit: str
    base: str
    files: Mapping[str, str]
    remote: str | None = None


def file_lines(directory: str, files: Mapping[str, str]) -> list[str]:
    """Lines about files in `directory` of the workspace, each with its SHA-256."""
    return [
        f"- Files: directory {md.code(directory)} of the workspace. To go back, put the files of the log before this there.",
        *(f"    - {md.code(name)}, SHA-256 {md.code(digest)}" for name, digest in files.items()),
    ]


def branch_lines(change: BranchChange) -> list[str]:
    """Lines about a branch, its commit, and each file in it."""
    place = f"repository {md.code(change.repository)}"
    if change.state == "nothing to change":
        told = f"- Git: {place}. Commit {md.code(change.commit)} has these files already, so no branch was made."
    else:
        pushed = f"pushed to {md.code(change.remote)}" if change.remote else "not pushed"
        told = (
            f"- Git: {place}, branch {md.code(change.branch)} ({change.state}, {pushed}), commit {md.code(change.commit)}"
            f" on {md.code(change.base)}. Nothing else of the repository was touched; to go back, delete the branch."
        )
    return [told, *(f"    - {md.code(path)}, SHA-256 {md.code(digest)}" for path, digest in change.files.items())]


def alarm_lines(
    changes: Sequence[AlarmChange], *, connection: str, before: Mapping[str, str], after: Mapping[str, str], others: Sequence[str]
) -> list[str]:
    """Lines about alarms, each with its ARN, what to do to go back, and alarms of the same objectives that are `others`."""
    created = [change.name for change in changes if change.state == "created"]
    lines = [
        f"- CloudWatch: Connection {md.code(connection)}. Before: {md.code(before['name'])}, SHA-256 {md.code(before['sha256'])}."
        f" Now: {md.code(after['name'])}, SHA-256 {md.code(after['sha256'])}.",
    ]
    for change in changes:
        told = f": {', '.join(change.settings)}" if change.settings else ""
        lines.append(f"    - {md.code(change.name)} {change.state}{md.text(told)}, {md.code(change.arn)}")
    if any(change.state == "changed" for change in changes):
        lines.append("    - To go back, put the settings in the first file again.")
    if created:
        lines.append(f"    - To go back, delete composite alarms first: {', '.join(md.code(name) for name in reversed(created))}.")
    if others:
        lines.append(f"    - Left as they are, and not in this update: {', '.join(md.code(name) for name in others)}.")
    return lines
