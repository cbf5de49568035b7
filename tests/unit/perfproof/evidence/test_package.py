"""The package of a closed run: the same bytes again, complete, and verified where it is unpacked."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfproof.artifacts import Artifact
from perfproof.errors import EvidenceError, Tampered
from perfproof.evidence import EvidenceStore, LocalBackend
from perfproof.evidence.checkpoints import sign_checkpoint
from perfproof.evidence.package import package_sha256, write_package
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import run_in, verify
from perfproof.telemetry import sha256_hex


@pytest.fixture
def original(finished_run: Path, tmp_path: Path) -> Path:
    """The directory of a finished run, under the run's own key."""
    run = run_in(LocalBackend(finished_run))
    assert isinstance(run, str)
    return finished_run.rename(tmp_path / run)


@pytest.fixture
def closed(original: Path) -> EvidenceStore:
    """The store of that run."""
    return EvidenceStore(LocalBackend(original.parent), original.name)


def packed(store: EvidenceStore) -> bytes:
    stream = io.BytesIO()
    write_package(stream, store)
    assert package_sha256(stream) == sha256_hex(stream.getvalue())
    return stream.getvalue()


def unpacked(data: bytes, directory: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        package.extractall(directory)
    (found,) = directory.iterdir()
    return found


def test_an_unpacked_package_verifies_as_the_original_does(closed: EvidenceStore, original: Path, tmp_path: Path) -> None:
    """Same outcome, same figures."""
    copy = verify(unpacked(packed(closed), tmp_path / "copy"))
    here = verify(original)
    assert (copy.outcome, copy.findings, copy.figures) == (Outcome.VERIFIED, here.findings, here.figures)


def test_the_package_holds_the_thirteen_artifacts_and_sha256sum_agrees(closed: EvidenceStore, tmp_path: Path) -> None:
    """Whoever has no perfproof can check it too."""
    directory = unpacked(packed(closed), tmp_path / "copy")
    assert [name.value for name in Artifact if not (directory / name.value).is_file()] == []
    done = subprocess.run(["/usr/bin/sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=directory, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_same_run_is_packed_to_the_same_bytes(closed: EvidenceStore, original: Path) -> None:
    """Also by another process, after files of the run were touched, and with a view that somebody changed."""
    first = packed(closed)
    (original / "SHA256SUMS").write_bytes(b"")
    (original / "notes-of-somebody.txt").write_bytes(b"x")
    assert packed(EvidenceStore(LocalBackend(original.parent), original.name)) == first


def test_news_after_the_closing_are_not_packed(closed: EvidenceStore, note: Callable[..., Any]) -> None:
    """A delivery that is logged later does not change what was handed off."""
    first = packed(closed)
    note(closed, "notify.delivered", {"recipient": "x"}, step="later")
    assert packed(closed) == first


def test_the_signed_checkpoints_are_packed(closed: EvidenceStore, tmp_path: Path, now: Any) -> None:
    """They are what shows an auditor that the log is whole."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from perfproof.evidence.envelope import read_checkpoint_key

    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    name = sign_checkpoint(closed, key=read_checkpoint_key(pem, key_id="k1", where="test"), time=now)
    directory = unpacked(packed(closed), tmp_path / "copy")
    assert (directory / name).is_file()
    assert verify(directory).outcome is Outcome.VERIFIED


def test_an_open_run_is_not_packed(memory_store: EvidenceStore) -> None:
    """What may still change is nobody's package."""
    with pytest.raises(EvidenceError, match="EVI-917"):
        packed(memory_store)


def test_changed_content_is_not_packed(closed: EvidenceStore, original: Path) -> None:
    """It is named instead of handed on."""
    sha256 = closed.live_all()[Artifact.PERFORMANCE_REPORT].body["sha256"]
    path = original / "objects" / "sha256" / sha256
    path.chmod(0o644)
    path.write_bytes(b"other")
    with pytest.raises(Tampered, match="EVI-606"):
        packed(EvidenceStore(LocalBackend(original.parent), original.name))
