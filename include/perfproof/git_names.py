"""Names of branches and paths that may be given to git: plain ones, which nothing takes for an option or for a place outside."""

from __future__ import annotations

import re

# `.git` in whatever case, and its short name on other file systems, is the repository itself.
_PART = r"(?!(?:\.|\.\.|\.git|git~[0-9]+)(?:/|$))[a-z0-9._][a-z0-9._-]*"
PLAIN_PATH = re.compile(rf"{_PART}(?:/{_PART})*", re.IGNORECASE | re.ASCII)
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
MAX_BRANCH = 200
# Of the digest of what is written: as long as git's own short names.
DIGEST_LENGTH = 12


def branch_name(template: str, *, service: str, run: str, digest: str) -> str:
    """The branch that `template` stands for, with the first characters of `digest`. It is not checked: see `branch_problem`."""
    values = {"{service}": service, "{run}": run, "{digest}": digest[:DIGEST_LENGTH]}
    # In one pass: a name that holds a placeholder is a name.
    return re.sub(r"\{(?:service|run|digest)\}", lambda found: values[found[0]], template)


def branch_problem(name: str) -> str | None:
    """Why git, or a shell script that uses it, could misread `name` as a branch; None if it is plain. Stricter than git itself."""
    if len(name) > MAX_BRANCH:
        return f"longer than {MAX_BRANCH} characters"
    if not _BRANCH.fullmatch(name) or ".." in name:
        return "not a branch of letters, digits, . _ - and /"
    if any(part.endswith((".lock", ".")) for part in name.split("/")) or name == "HEAD":
        return "a name that git keeps for itself"
    return None
