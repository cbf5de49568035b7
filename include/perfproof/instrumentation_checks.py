"""What a protocol file may not say about how objectives go live and who receives report and notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perfproof.channels import ChannelKind, read_channel, shown_name
from perfproof.config_refusals import check_unique, refusal
from perfproof.errors import ConfigError
from perfproof.git_names import PLAIN_PATH, branch_name, branch_problem

if TYPE_CHECKING:
    from perfproof.config import CloudWatchTarget, GitTarget, Instrumentation, Recipient

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}")
_AUTHOR = re.compile(r"[^<>\n]{1,100}")
_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CLOUDWATCH = {
    "connection": (re.compile(r"[A-Za-z0-9_.-]{1,200}"), "aws_alarms"),
    "region": (re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}"), "eu-central-1"),
    # Everything that begins so is looked at: a prefix of one letter would take in what others made.
    "prefix": (re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{2,39}"), "perfproof-"),
    "namespace": (re.compile(r"(?!AWS/)[A-Za-z0-9_][A-Za-z0-9_./#-]{0,199}"), "perfproof"),
}
_ARN = re.compile(r"arn:aws[a-z-]{0,20}:[A-Za-z0-9-]{1,40}:[!-~]{1,900}")
# What CloudWatch takes for one state of an alarm.
MOST_ACTIONS = 5


def check_instrumentation(instrumentation: Instrumentation, where: str, *, services: Sequence[str]) -> None:
    """Raises ConfigError for ways that stand twice or have nothing to go by, and for names that git or CloudWatch cannot take."""
    check_unique(instrumentation.apply, f"{where}.apply", "way")
    given = {"git": instrumentation.git, "cloudwatch": instrumentation.cloudwatch}
    for way in instrumentation.apply:
        if way in given and given[way] is None:
            raise refusal(900, f"{where}.{way}", "missing, although apply names it", f"add {way}, or take it out of apply")
    if instrumentation.git is not None:
        _check_git(instrumentation.git, f"{where}.git", services)
    if instrumentation.cloudwatch is not None:
        _check_cloudwatch(instrumentation.cloudwatch, f"{where}.cloudwatch")


def _check_git(git: GitTarget, where: str, services: Sequence[str]) -> None:
    if "{digest}" not in git.branch:
        raise refusal(
            901, f"{where}.branch", "no {digest}", "name the content in it, so that other content gets another branch", got=git.branch
        )
    names = [branch_name(git.branch, service=service, run="run", digest="0" * 12) for service in services]
    checks = {
        "branch": next((problem for name in names if (problem := branch_problem(name))), None),
        "base": branch_problem(git.base) if git.base else None,
        "directory": None if PLAIN_PATH.fullmatch(git.directory) else "not a path of letters, digits, . _ and -",
        "author_name": None if _AUTHOR.fullmatch(git.author_name) and git.author_name.isprintable() else "not a name",
        "author_email": None if _EMAIL.fullmatch(git.author_email) else "not an address",
        "remote": None if _REMOTE.fullmatch(git.remote) else "not the name of a remote",
    }
    for key, problem in checks.items():
        if problem is not None:
            raise refusal(901, f"{where}.{key}", problem, "correct it", got=getattr(git, key))


def _check_cloudwatch(cloudwatch: CloudWatchTarget, where: str) -> None:
    for key, (pattern, example) in _CLOUDWATCH.items():
        value = getattr(cloudwatch, key)
        if value is not None and not pattern.fullmatch(value):
            raise refusal(902, f"{where}.{key}", "cannot be used", f"write it like {example}", got=value)
    wrong = next((arn for arn in cloudwatch.actions if not _ARN.fullmatch(arn)), None)
    if wrong is not None or len(cloudwatch.actions) > MOST_ACTIONS:
        got = wrong or len(cloudwatch.actions)
        raise refusal(902, f"{where}.actions", "no ARN, or too many", f"name {MOST_ACTIONS} ARNs at most", got=got)


def check_recipient(recipient: Recipient, where: str) -> None:
    """Raises ConfigError for a recipient that nothing reaches, or a channel that cannot be read or is a function."""
    if recipient.directory is None and recipient.channel is None:
        raise refusal(903, where, "neither directory nor channel", "say where it goes", got=recipient.name)
    if not recipient.name.strip() or len(recipient.name) > 200:
        raise refusal(903, f"{where}.name", "empty or too long", "name who receives it")
    if recipient.channel is None:
        return
    try:
        channel = read_channel(recipient.channel)
    except ConfigError as error:
        raise refusal(904, f"{where}.channel", error.what, error.fix, got=shown_name(recipient.channel), expected=error.expected) from None
    # A protocol file must not be able to call whatever Python code is installed.
    if channel.kind is ChannelKind.CALLABLE or "kinds=" in recipient.channel.partition("?")[2]:
        raise refusal(
            904, f"{where}.channel", "a function, or kinds", "name a Connection, and kinds only in [perfproof] notifiers",
            got=shown_name(recipient.channel), expected="slack:, email:, pagerduty: or webhook: and a Connection id",
        )  # fmt: skip
