"""How approved objectives go live: as files, as a branch of a git repository, as alarms of CloudWatch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ApplyWay(StrEnum):
    """A way in which approved objectives reach what alerts on them."""

    FILES = "files"
    GIT = "git"
    CLOUDWATCH = "cloudwatch"


@dataclass(frozen=True, slots=True)
class GitTarget:
    """A git repository of the workspace, and the new branch that is made in it.

    `branch` is a template with `{digest}` (of the content), and `{service}` and `{run}` if wanted. `base` is a branch, empty for
    what HEAD points to. Nothing is pushed unless `push`, and then to `remote`.
    """

    repository: str
    directory: str = "perfproof"
    branch: str = "perfproof/{service}-{digest}"
    base: str = ""
    author_name: str = "perfproof"
    author_email: str = "perfproof@example.invalid"
    push: bool = False
    remote: str = "origin"


@dataclass(frozen=True, slots=True)
class CloudWatchTarget:
    """An Airflow Connection of type aws, and how the alarms that are made there are called.

    Each alarm's name begins with `prefix`; `region` replaces that of the Connection; `actions` are the ARNs that are notified.
    """

    connection: str
    region: str | None = None
    prefix: str = "perfproof-"
    namespace: str = "perfproof"
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Instrumentation:
    """The ways that are taken, in this order: files, git, CloudWatch. Without ways, nothing reaches anybody."""

    apply: tuple[ApplyWay, ...] = (ApplyWay.FILES,)
    git: GitTarget | None = None
    cloudwatch: CloudWatchTarget | None = None
