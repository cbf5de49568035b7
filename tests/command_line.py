"""The command `perfproof`, called in the process of the test."""

from __future__ import annotations

import pytest

from perfproof.cli import main


def run(*arguments: object) -> int:
    """The exit code of `perfproof ARGUMENTS`."""
    with pytest.raises(SystemExit) as left:
        main([*map(str, arguments)])
    assert isinstance(left.value.code, int)
    return left.value.code
