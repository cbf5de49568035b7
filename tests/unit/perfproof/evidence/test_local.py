"""Local disk: exclusive and whole creates, plain files only, errors that say what to do."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence import LocalBackend, Missing, local


def failing(name: str, number: int) -> Any:
    """The `os` module in which one call always fails."""

    class Failing:
        def __getattr__(self, attribute: str) -> Any:
            if attribute != name:
                return getattr(os, attribute)

            def call(*arguments: Any, **named: Any) -> Any:
                raise OSError(number, os.strerror(number))

            return call

    return Failing()


def test_create_never_overwrites_and_the_file_is_read_only(tmp_path: Path) -> None:
    """The second writer learns that it is second."""
    backend = LocalBackend(tmp_path)
    assert backend.create("run/log/00000000.json", b"one") is True
    assert backend.create("run/log/00000000.json", b"two") is False
    assert backend.read("run/log/00000000.json") == b"one"
    assert stat.S_IMODE((tmp_path / "run/log/00000000.json").stat().st_mode) == 0o444


def test_a_view_is_replaced_at_once(tmp_path: Path) -> None:
    """Also when a link stands in its place: the link is replaced, its target is not written."""
    backend = LocalBackend(tmp_path)
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "view").symlink_to(target)
    backend.replace_view("run/view", b"one")
    backend.replace_view("run/view", b"two")
    assert backend.read("run/view") == b"two"
    assert target.read_bytes() == b"precious"
    assert stat.S_IMODE((tmp_path / "run/view").stat().st_mode) == 0o644
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["view"]


def test_names_lists_keys_and_not_unfinished_files(tmp_path: Path) -> None:
    """What a killed writer left behind is no evidence."""
    backend = LocalBackend(tmp_path)
    assert backend.names("run/") == []
    backend.create("run/b/2", b"")
    backend.create("run/a", b"")
    (tmp_path / "run/b/.tmp-3-1-0").write_bytes(b"half")
    assert backend.names("run/") == ["run/a", "run/b/2"]
    assert backend.names("run/b/") == ["run/b/2"]
    assert backend.names("") == ["run/a", "run/b/2"]


def test_a_file_left_by_a_killed_process_with_our_id_does_no_harm(tmp_path: Path) -> None:
    """Process ids come round again."""
    backend = LocalBackend(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / f"run/.tmp-x-{os.getpid()}-0").write_bytes(b"half")
    assert backend.create("run/x", b"whole")
    assert backend.read("run/x") == b"whole"


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "run/../../x", "run//x", "run/.x", "run/-x", "run/x\0y", "", "run/a\\b", "run/é"])
def test_a_key_that_could_leave_the_root_is_refused(tmp_path: Path, key: str) -> None:
    """For every operation."""
    backend = LocalBackend(tmp_path / "root")
    for operation in (backend.read, lambda k: backend.create(k, b""), lambda k: backend.replace_view(k, b""), backend.uri):
        with pytest.raises(EvidenceError, match="EVI-400"):
            operation(key)
    assert not (tmp_path / "root").exists()


def test_links_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    """Only a plain file in plain folders is evidence."""
    backend = LocalBackend(tmp_path / "root")
    backend.create("run/log/1", b"x")
    (tmp_path / "root/run/link").symlink_to("log/1")
    (tmp_path / "root/run/folder-link").symlink_to("log")
    os.mkfifo(tmp_path / "root/run/pipe")
    for key in ("run/link", "run/folder-link/1", "run/pipe", "run/log"):
        with pytest.raises(Tampered, match="EVI-607"):
            backend.read(key)
    with pytest.raises(Tampered, match="EVI-607"):
        backend.create("run/folder-link/2", b"x")
    assert not (tmp_path / "root/run/log/2").exists()
    assert backend.create("run/link", b"y") is False


def test_a_missing_key_is_missing(tmp_path: Path) -> None:
    """Whether its folder is there or not."""
    backend = LocalBackend(tmp_path)
    with pytest.raises(Missing, match="EVI-404"):
        backend.read("run/x")
    backend.create("run/y", b"")
    with pytest.raises(Missing, match="EVI-404"):
        backend.read("run/x")


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "EVI-507"), (errno.EDQUOT, "EVI-507"), (errno.EROFS, "EVI-503"), (errno.EIO, "EVI-500")]
)
def test_a_failed_write_says_what_to_do_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str) -> None:
    """The disk is full, read-only, or broken."""
    backend = LocalBackend(tmp_path)
    backend.create("run/x", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(local, "os", failing("write", number))
        with pytest.raises(EvidenceError, match=f"{code} run/y: .* Fix: "):
            backend.create("run/y", b"new")
        with pytest.raises(EvidenceError, match=code):
            backend.replace_view("run/x", b"new")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["x"]
    assert backend.read("run/x") == b"old"


def test_probe_accepts_a_local_disk_and_leaves_nothing(tmp_path: Path) -> None:
    """And makes the root."""
    LocalBackend(tmp_path / "new" / "root").probe()
    assert list((tmp_path / "new" / "root").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_probe_refuses_a_file_system_without_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Such as an object store mounted as files."""
    monkeypatch.setattr(local, "os", failing("link", number))
    with pytest.raises(EvidenceError, match=r"EVI-505.*exclusively.*Fix: use a local directory"):
        LocalBackend(tmp_path).probe()
    assert list(tmp_path.iterdir()) == []


def test_probe_refuses_a_link_that_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that overwrites, or makes another file, is none."""

    class Copying:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def link(self, first: Path, second: Path) -> None:
            second.write_bytes(first.read_bytes())

    monkeypatch.setattr(local, "os", Copying())
    with pytest.raises(EvidenceError, match="EVI-505"):
        LocalBackend(tmp_path).probe()


def test_probe_refuses_network_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test on one machine shows: their caches are not the ones of a local disk."""
    monkeypatch.setattr(local, "_file_system", lambda path: "nfs4")
    with pytest.raises(EvidenceError, match=r"EVI-505.*nfs4"):
        LocalBackend(tmp_path).probe()


def test_probe_refuses_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "root").write_text("")
    with pytest.raises(EvidenceError):
        LocalBackend(tmp_path / "root").probe()


def test_the_uri_is_where_the_file_is(tmp_path: Path) -> None:
    """People follow it."""
    backend = LocalBackend(tmp_path)
    backend.create("run/x", b"found")
    assert Path(backend.uri("run/x").removeprefix("file://")).read_bytes() == b"found"
