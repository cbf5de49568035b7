"""The refusals that the readers of load files share: one number has one meaning, whatever the tool."""

from __future__ import annotations

from typing import Any

from perfproof.errors import ArtifactError


def unknown(where: str, got: Any) -> ArtifactError:
    """The content is of none of the tools."""
    return ArtifactError(
        481, where=where, what="not a result of a load tool that is known", got=got,
        expected="a file of k6, JMeter, Gatling, Locust, vegeta or hey", fix="see docs/load-files.md for the files that are read",
    )  # fmt: skip


def unusable(where: str, what: str, fix: str) -> ArtifactError:
    """The tool is known, and this form of its results cannot be read."""
    return ArtifactError(482, where=where, what=what, fix=fix)


def malformed(where: str, what: str, *, got: Any = None, expected: Any = None) -> ArtifactError:
    """A record that the tool does not write: ragged, or not of its form."""
    return ArtifactError(483, where=where, what=what, got=got, expected=expected, fix="give the file as the tool wrote it")


def no_measurement(where: str, what: str, *, got: Any = None, expected: Any = None) -> ArtifactError:
    """A value that is no measurement: NaN, negative, text, or in another unit."""
    return ArtifactError(484, where=where, what=what, got=got, expected=expected, fix="give the file as the tool wrote it")


def damaged(where: str, what: str, *, got: Any = None) -> ArtifactError:
    """Bytes that are no such file: a broken archive, no text, endless lines."""
    return ArtifactError(485, where=where, what=what, got=got, fix="give the file as the tool wrote it")


def empty(where: str, what: str, fix: str) -> ArtifactError:
    """The form is right, and there is no request in it."""
    return ArtifactError(486, where=where, what=what, fix=fix)


def too_much(where: str, what: str, fix: str, *, expected: Any = None) -> ArtifactError:
    """More than is kept in memory."""
    return ArtifactError(487, where=where, what=what, expected=expected, fix=fix)
