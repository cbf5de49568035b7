"""A run's directory on its own, wherever it was copied to and whatever the copy is called."""

from __future__ import annotations

from pathlib import Path

from perfproof.errors import EvidenceError
from perfproof.evidence.local import LocalBackend


class RunDirectory:
    """A read-only backend in which `directory` is the directory of `run`."""

    def __init__(self, directory: Path, run: str) -> None:
        self._files = LocalBackend(directory)
        self._prefix = f"{run}/"

    def read(self, key: str) -> bytes:
        """The bytes under `key`."""
        return self._files.read(key.removeprefix(self._prefix))

    def names(self, prefix: str) -> list[str]:
        """All keys that start with `prefix`, sorted."""
        return [self._prefix + name for name in self._files.names(prefix.removeprefix(self._prefix))]

    def uri(self, key: str) -> str:
        """The `file://` address of the key."""
        return self._files.uri(key.removeprefix(self._prefix))

    def create(self, key: str, data: bytes) -> bool:
        """Refused: a copy is only read."""
        raise _read_only(key, len(data))

    def replace_view(self, key: str, data: bytes) -> None:
        """Refused: a copy is only read."""
        raise _read_only(key, len(data))

    def probe(self) -> None:
        """Nothing to refuse."""


def _read_only(key: str, size: int) -> EvidenceError:
    return EvidenceError(503, where=key, what="a copy is only read", got=f"{size} bytes", fix="write to the original store")
