"""Who runs a command, for what it writes down."""

from __future__ import annotations

import getpass
from contextlib import suppress


def account(*, nameless: str = "somebody") -> str:
    """The name of this process's user; `nameless` where its id has no name."""
    with suppress(OSError, KeyError):  # no name for this user id
        return getpass.getuser()
    return nameless
