"""Evidence on local disk. `link(2)` is what makes a create exclusive and whole: a name appears once, with all of its bytes."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence.backend import Missing, key_parts

CREATED_MODE = 0o444
VIEW_MODE = 0o644
TEMPORARY = ".tmp-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Their link, rename or cache is not the one of a local disk, whatever a test on one machine shows.
_SHARED = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.s3fs", "fuse.goofys", "fuse.gcsfuse", "fuse.rclone", "fuse.sshfs")


class LocalBackend:
    """Keys are files below `root`. Reads follow no symbolic link below it; writes are durable (fsync) when they return."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()

    def create(self, key: str, data: bytes) -> bool:
        """True when `data` is durable under `key`, False when the key existed. The file is read-only from the start."""
        *folders, name = key_parts(key)
        try:
            folder = self._opened(folders, create=True)
            try:
                return _created(folder, name, data)
            finally:
                os.close(folder)
        except OSError as error:
            raise _failure(key, error) from error

    def read(self, key: str) -> bytes:
        """The bytes of a plain file. Raises Missing, or Tampered for a link, device, pipe or directory in its place."""
        *folders, name = key_parts(key)
        try:
            folder = self._opened(folders, create=False)
            try:
                file = os.open(name, _FILE, dir_fd=folder)
            finally:
                os.close(folder)
            try:
                found = os.fstat(file)
                if not stat.S_ISREG(found.st_mode):
                    raise _not_plain(key)
                return _whole(file, found.st_size)
            finally:
                os.close(file)
        except OSError as error:
            raise _failure(key, error) from error

    def names(self, prefix: str) -> list[str]:
        """All keys below `prefix`, sorted. Links are listed, not followed; unfinished temporary files are not listed."""
        parts = key_parts(prefix.removesuffix("/")) if prefix else []
        try:
            with system_calls_on(prefix), self._folder(parts, create=False) as folder:
                return sorted(_walk(folder, "".join(f"{part}/" for part in parts)))
        except Missing:
            return []

    def replace_view(self, key: str, data: bytes) -> None:
        """Puts `data` under `key` by rename: a reader sees the old bytes or the new ones, a link in its place is replaced."""
        *folders, name = key_parts(key)
        with system_calls_on(key), self._folder(folders, create=True) as folder:
            temporary = _write_temporary(folder, name, data, VIEW_MODE)
            try:
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            os.fsync(folder)

    def uri(self, key: str) -> str:
        """The `file://` address of the key."""
        return self.root.joinpath(*key_parts(key)).as_uri()

    def probe(self) -> None:
        """Raises EvidenceError unless `root` can be written and its file system creates by link as a local disk does."""
        with system_calls_on(str(self.root)):
            self.root.mkdir(parents=True, exist_ok=True)
            shared = _file_system(self.root)
            if shared in _SHARED:
                raise _unsupported(self.root, shared)
            with tempfile.TemporaryDirectory(dir=self.root, prefix=TEMPORARY) as scratch:
                first, second = Path(scratch, "first"), Path(scratch, "second")
                first.write_bytes(b"1")
                try:
                    os.link(first, second)
                except OSError as error:
                    if error.errno in (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EXDEV):
                        raise _unsupported(self.root, "without link") from None
                    raise
                if second.stat().st_nlink != 2 or not _refuses_second_link(first, second):
                    raise _unsupported(self.root, "with a link that is none")

    @contextmanager
    def _folder(self, parts: list[str], *, create: bool) -> Iterator[int]:
        folder = self._opened(parts, create=create)
        try:
            yield folder
        finally:
            os.close(folder)

    def _opened(self, parts: list[str], *, create: bool) -> int:
        folder = self._opened_root(create=create)
        for part in parts:
            outer = folder
            try:
                folder = _opened(part, outer, create=create)
            finally:
                os.close(outer)
        return folder

    def _opened_root(self, *, create: bool) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            return os.open(self.root, flags)
        except FileNotFoundError:
            if not create:
                raise
        self.root.mkdir(parents=True, exist_ok=True)
        return os.open(self.root, flags)


def _opened(part: str, folder: int, *, create: bool) -> int:
    try:
        return os.open(part, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=folder)
    os.fsync(folder)
    return os.open(part, _FOLDER, dir_fd=folder)


def _created(folder: int, name: str, data: bytes) -> bool:
    if _exists(name, folder):
        # Whoever linked it may have died before the directory reached the disk.
        os.fsync(folder)
        return False
    temporary = _write_temporary(folder, name, data, CREATED_MODE)
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        created = True
    except FileExistsError:
        created = False
    finally:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
    os.fsync(folder)
    return created


def _whole(file: int, size: int) -> bytes:
    pieces = []
    while piece := os.read(file, size + 1):
        pieces.append(piece)
    return b"".join(pieces)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _write_temporary(folder: int, name: str, data: bytes, mode: int) -> str:
    for number in range(1 << 16):
        # A killed process leaves its file behind, and the next one may get its id: hence the number.
        temporary = f"{TEMPORARY}{name[:64]}-{os.getpid()}-{number}"
        try:
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
            break
        except FileExistsError:
            continue
    else:
        raise EvidenceError(500, where=name, what="too many temporary files", fix=f"remove the {TEMPORARY}* files of ended processes")
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fchmod(file, mode)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return temporary


def _walk(folder: int, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found if not entry.name.startswith(".")]
    for name, is_folder in entries:
        if not is_folder:
            yield f"{prefix}{name}"
            continue
        inner = os.open(name, _FOLDER, dir_fd=folder)
        try:
            yield from _walk(inner, f"{prefix}{name}/")
        finally:
            os.close(inner)


def _refuses_second_link(first: Path, second: Path) -> bool:
    try:
        os.link(first, second)
    except FileExistsError:
        return True
    return False


def _file_system(path: Path) -> str:
    """Type of the file system that holds `path`, as Linux names it; empty where that is not known."""
    best, kind = -1, ""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, source = line.partition(" - ")
        point = Path(mount.split()[4].replace("\\040", " "))
        if path.resolve().is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), source.split()[0]
    return kind


@contextmanager
def system_calls_on(key: str) -> Iterator[None]:
    """Turns a failed system call on `key` into the EvidenceError that says what to do."""
    try:
        yield
    except OSError as error:
        raise _failure(key, error) from error


def _failure(key: str, error: OSError) -> EvidenceError:
    if isinstance(error, FileNotFoundError):
        return Missing(404, where=key, what="not found", fix="check the name and the evidence directory")
    got = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return EvidenceError(507, where=key, what="no space for evidence", got=got, fix="free space and clear the task")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EvidenceError(503, where=key, what="no permission for evidence", got=got, fix="let this user write the evidence directory")
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
        return _not_plain(key)
    return EvidenceError(500, where=key, what="evidence cannot be read or written", got=got, fix="check the disk and clear the task")


def _not_plain(key: str) -> Tampered:
    return Tampered(607, where=key, what="not a plain file in a plain directory", fix="restore it from a copy")


def _unsupported(root: Path, kind: str) -> EvidenceError:
    return EvidenceError(
        505, where=str(root), what="this file system cannot create evidence exclusively", got=kind, expected="a local disk",
        fix="use a local directory, or s3:// for shared evidence",
    )  # fmt: skip
