"""The workspace on disk: every path of a protocol file is opened below one root, component by component, following no link.

One link is known and documented: `latest`, the newest cycle's directory beside it.
"""

from __future__ import annotations

import errno
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from perfproof.config import PrerequisiteArtifact, Protocol
from perfproof.errors import ArtifactError, EvidenceError
from perfproof.evidence.secrets import refuse_secrets
from perfproof.evidence.views import LATEST
from perfproof.prerequisites import MAX_FILE_BYTES, FileFound

# Where protocol files find what the newest cycle left, wherever this Airflow keeps its evidence.
LATEST_CYCLE = ".artifacts/performance/latest/"
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Workspace:
    """Files below `root`. A path is relative, uses `/`, and has no `.` or `..` in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str, *, limit: int = MAX_FILE_BYTES) -> bytes:
        """The bytes of a regular file. Raises ArtifactError if it is absent, larger than `limit`, a link, a FIFO or a device."""
        with self._opened(path) as descriptor:
            return self._bytes(descriptor, path, limit)

    def find(self, path: str, *, limit: int = MAX_FILE_BYTES) -> FileFound:
        """What is at `path`, for `examine_artifacts`: no file is an answer here, an unreadable one carries its error."""
        try:
            with self._opened(path) as descriptor:
                modified = datetime.fromtimestamp(os.fstat(descriptor).st_mtime, UTC)
                return FileFound(path, self._bytes(descriptor, path, limit), modified)
        except Absent:
            return FileFound(path, None, None)
        except ArtifactError as error:
            return FileFound(path, None, None, str(error))

    def tail(self, path: str, *, limit: int) -> tuple[bytes, bool]:
        """The last `limit` bytes of a regular file, and whether something before them was left out."""
        with self._opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            os.lseek(descriptor, max(0, size - limit), os.SEEK_SET)
            return _read_up_to(descriptor, limit), size > limit

    def names(self, directory: str) -> list[str]:
        """The names in a directory, sorted; an absent directory has none."""
        try:
            with self._directory(_parts(directory), create=False) as descriptor:
                return sorted(os.listdir(descriptor))  # noqa: PTH208  by descriptor, so that no link is followed
        except Absent:
            return []

    def write(self, path: str, data: bytes) -> None:
        """Puts `data` at `path` at once: a reader sees the old file or the new one, never half of it.

        Raises EvidenceError 423, and writes nothing, when there is a secret in it: captures, deliveries and rules are for many readers.
        """
        from perfproof_airflow import settings

        refuse_secrets(data, where=path, known=settings.known_secrets())
        *parents, name = _parts(path)
        temporary = f".{name}.{uuid.uuid4().hex}"
        with self._directory(parents, create=True) as directory:
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=directory)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                os.fsync(directory)
            except OSError as error:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=directory)
                raise _refused(path, f"cannot be written: {error.strerror}", "give write permission and space") from None

    def probe_writable(self, directory: str) -> str | None:
        """None if a file can be made and removed in `directory` (which is created), else why not."""
        name = f".probe-{uuid.uuid4().hex}"
        try:
            with self._directory(_parts(directory), create=True) as descriptor:
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=descriptor))
                os.unlink(name, dir_fd=descriptor)
        except ArtifactError as error:
            return str(error)
        except OSError as error:
            return error.strerror or str(error)
        return None

    def _bytes(self, descriptor: int, path: str, limit: int) -> bytes:
        data = _read_up_to(descriptor, limit + 1)
        if len(data) > limit:
            raise _refused(path, "file is too large", "shorten it", expected=f"at most {limit} bytes")
        return data

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        *parents, name = _parts(path)
        with self._directory(parents, create=False) as directory:
            try:
                # O_NONBLOCK: opening a FIFO without a writer would wait forever.
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
            except OSError as error:
                raise _unopened(path, error) from None
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise _refused(path, "not a regular file", "supply the file itself")
                # Its other name may lie where somebody else writes.
                if found.st_nlink > 1:
                    raise _refused(path, "a file with a second name", "supply a copy")
                yield descriptor
            finally:
                os.close(descriptor)

    @contextmanager
    def _directory(self, parts: list[str], *, create: bool) -> Iterator[int]:
        path = "/".join(parts) or "."
        try:
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unopened(str(self.root), error) from None
        try:
            for part in parts:
                inner = _entered(descriptor, part, path, create=create)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def found_artifacts(protocol: Protocol) -> dict[str, FileFound]:
    """What lies at the path of each artifact that the protocol file declares, by the artifact's name."""
    from perfproof_airflow import settings

    workspace = Workspace(settings.workspace_root())
    return {artifact.name: found_artifact(artifact, workspace) for artifact in protocol.prerequisites}


def found_artifact(artifact: PrerequisiteArtifact, workspace: Workspace) -> FileFound:
    """What lies at the artifact's path: in the newest cycle, wherever evidence is kept, or in the workspace."""
    from perfproof_airflow import settings

    if artifact.path.startswith(LATEST_CYCLE) and settings.evidence_in_s3():
        return _in_latest_cycle(artifact.path, artifact.path.removeprefix(LATEST_CYCLE))
    return workspace.find(artifact.path)


def _in_latest_cycle(path: str, name: str) -> FileFound:
    """What the newest cycle in the bucket published under `name`, read by digest; its age is that of its entry."""
    from perfproof.evidence import EvidenceStore, Missing
    from perfproof_airflow import settings

    backend = settings.evidence_backend()
    try:
        store = EvidenceStore(backend, backend.read(LATEST).decode("ascii", "replace"))
        entry = store.live(name)
        return FileFound(path, None, None) if entry is None else FileFound(path, store.read(name), entry.moment)
    except Missing:
        return FileFound(path, None, None)
    except EvidenceError as error:
        return FileFound(path, None, None, str(error))


class Absent(ArtifactError):
    """There is no such file or directory."""


def _entered(descriptor: int, part: str, path: str, *, create: bool) -> int:
    try:
        if create:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=descriptor)
        return os.open(part, DIRECTORY, dir_fd=descriptor)
    except OSError as error:
        if part != LATEST or error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise _unopened(path, error) from None
    target = os.readlink(part, dir_fd=descriptor)
    if "/" in target or target in ("", ".", ".."):
        raise _refused(path, f"{LATEST} points out of its directory", "let it point to a cycle beside it", got=target)
    try:
        return os.open(target, DIRECTORY, dir_fd=descriptor)
    except OSError as error:
        raise _unopened(path, error) from None


def _parts(path: str) -> list[str]:
    parts = path.rstrip("/").split("/")
    if path.startswith("/") or "\0" in path or "\\" in path or any(part in ("", ".", "..") for part in parts):
        raise _refused(path, "not a path inside the workspace", "give a relative path without . and ..")
    return parts


def _read_up_to(descriptor: int, limit: int) -> bytes:
    data = bytearray()
    while len(data) < limit and (chunk := os.read(descriptor, min(1 << 20, limit - len(data)))):
        data += chunk
    return bytes(data)


def _unopened(path: str, error: OSError) -> ArtifactError:
    if error.errno == errno.ENOENT:
        return Absent(395, where=path, what="no such file", fix="supply it, or correct the path in the protocol file")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return _refused(path, "a link, or something that is no directory, on the way", "supply the file itself, inside the workspace")
    return _refused(path, f"cannot be opened: {error.strerror}", "give permission to read it")


def _refused(path: str, what: str, fix: str, *, got: object = None, expected: object = None) -> ArtifactError:
    return ArtifactError(396, where=path, what=what, got=got, expected=expected, fix=fix)
