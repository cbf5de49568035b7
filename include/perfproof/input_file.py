"""A file that a person names: read whole, or refused before it can fill the memory or block."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from perfproof.errors import PerfproofError


def read_input(path: Path, *, limit: int, error: type[PerfproofError], number: int) -> bytes:
    """The bytes of a regular file, one more than `limit` at most, so that the reader of the content can say that it is too large.

    Raises `error` with `number` for what cannot be read: no such file, a directory, a pipe, a device, a name with a NUL.
    """
    try:
        # A pipe that nobody writes to would block at the opening.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, "no regular file", error, number)
            return file.read(limit + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise _unreadable(path, reason, error, number) from None


def _unreadable(path: Path, reason: str, error: type[PerfproofError], number: int) -> PerfproofError:
    return error(number, where=str(path), what="cannot be read", got=reason, fix="name an existing file")
