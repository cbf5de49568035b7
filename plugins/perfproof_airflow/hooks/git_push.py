"""A branch pushed to its remote from an empty repository beside: the repository's own configuration and hooks run nothing.

Credentials are those of the worker's user (ssh keys, credential helpers of his own configuration); nobody is asked for any.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from perfproof.errors import ArtifactError
from perfproof_airflow.hooks.git_command import GitCommand, run

SECONDS = 60.0
_SCHEMES = "https:ssh:file"
# No user and password in an https address: it is shown and kept.
_ADDRESS = re.compile(
    r"https://[A-Za-z0-9][A-Za-z0-9.:-]*/[!-~]*|ssh://(?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9][A-Za-z0-9.:-]*/[!-~]*"
    r"|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!:)[!-~]+|(?:file://)?/[!-~]+"
)
_PASSED_ON = ("HOME", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CONFIG_HOME")


def pushed(command: GitCommand, directory: Path, *, branch: str, commit: str, remote: str, where: str) -> str:
    """The address that has `branch` at `commit` now. A branch that is there with another commit is never moved.

    Raises ArtifactError 907 for an unknown remote, an address that is none, a push that is refused, or another commit read back.
    """
    address = _address(command, remote, where)
    given = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment = {
        **given, "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GIT_ALLOW_PROTOCOL": _SCHEMES,
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=15", "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(directory / "objects"),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="perfproof-push-") as scratch:

        def git(*arguments: str) -> tuple[int, bytes, str]:
            return run([command.git, *arguments], data=b"", environment=environment, where=where, seconds=SECONDS)

        status, _, problem = git("init", "--bare", "--quiet", "--template=", scratch)
        place = f"--git-dir={scratch}"
        if status == 0:
            status, _, problem = git(place, "push", "--quiet", "--no-verify", "--", address, f"{commit}:refs/heads/{branch}")
        if status != 0:
            raise _refused("the push fails", problem, where)
        status, output, problem = git(place, "ls-remote", "--", address, f"refs/heads/{branch}")
    if status != 0 or output.split()[:1] != [commit.encode()]:
        raise _refused("the remote has another commit than was pushed", problem or output[:80], where)
    return address


def _address(command: GitCommand, remote: str, where: str) -> str:
    for key in ("pushurl", "url"):
        status, output, _ = command.answer(("config", "--local", "--get", f"remote.{remote}.{key}"))
        if status == 0:
            address = output.decode("utf-8", "replace").strip()
            if not _ADDRESS.fullmatch(address):
                raise _refused("the remote's address cannot be used", "an address of another form", where)
            return address
    raise _refused("there is no such remote", remote, where)


def _refused(what: str, got: object, where: str) -> ArtifactError:
    return ArtifactError(
        907, where=where, what=what, got=got, fix="check remote and credentials of the worker's user, then clear this task"
    )
