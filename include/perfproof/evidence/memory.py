"""A backend in memory, for tests and dry runs: the same promises as the others, except that it ends with the process."""

from __future__ import annotations

import threading

from perfproof.evidence.backend import Missing, key_parts


class MemoryBackend:
    """Keys and bytes in a dictionary; safe between threads."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def create(self, key: str, data: bytes) -> bool:
        """True when `data` is now under `key`, False when the key existed."""
        key_parts(key)
        with self._lock:
            if key in self.data:
                return False
            self.data[key] = bytes(data)
            return True

    def read(self, key: str) -> bytes:
        """The bytes under `key`, or Missing."""
        key_parts(key)
        try:
            return self.data[key]
        except KeyError:
            raise Missing(404, where=key, what="not found", fix="check the name") from None

    def names(self, prefix: str) -> list[str]:
        """All keys that start with `prefix`, sorted."""
        with self._lock:
            return sorted(key for key in self.data if key.startswith(prefix))

    def replace_view(self, key: str, data: bytes) -> None:
        """Puts `data` under `key`."""
        key_parts(key)
        with self._lock:
            self.data[key] = bytes(data)

    def uri(self, key: str) -> str:
        """`memory:` and the key."""
        return f"memory:{key}"

    def probe(self) -> None:
        """Nothing to refuse."""
