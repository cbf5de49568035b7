"""Storage: room, and whether the place of the evidence creates exclusively, which is what its write rule rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perfproof.doctor.finding import Answer, Area, Finding, ok, problem, told_by, unchecked

AREA = Area.STORAGE
# A cycle of the demo leaves a few megabytes; its load tests and profiles need scratch beside it.
LEAST_BYTES = 1 << 30
LEAST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system of a directory. `files` None: it does not count them."""

    path: str
    purpose: str
    free: int
    files: int | None


@dataclass(frozen=True, slots=True)
class LockFacts:
    """Object Lock: `asked` is the configured one, `enabled` whether the bucket has it; None: not known, for `reason`."""

    asked: str
    enabled: bool | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """`evidence` is its address, `creates` what the probe of exclusive creation came to, `lock` None for evidence on disk."""

    evidence: str
    creates: Answer
    volumes: Sequence[Volume] = ()
    lock: LockFacts | None = None


def judge_storage(facts: StorageFacts) -> Iterator[Finding]:
    """The findings about room and exclusive creation."""
    where = f"evidence at {facts.evidence}"
    if facts.creates.unasked is not None:
        yield unchecked(AREA, where, f"whether it creates exclusively: {facts.creates.unasked}")
    elif facts.creates.error is not None:
        yield told_by(AREA, 702, facts.creates.error, where=where)
    else:
        yield ok(AREA, where, "creates once and never overwrites")
    if facts.lock is not None:
        yield _locked(facts.lock, where)
    for volume in facts.volumes:
        yield from _room(volume)


def _locked(lock: LockFacts, where: str) -> Finding:
    if not lock.asked:
        return ok(AREA, where, "Object Lock is not configured: whoever may delete objects can delete evidence")
    if lock.enabled is None:
        return unchecked(AREA, where, f"Object Lock {lock.asked}: {lock.reason}")
    if not lock.enabled:
        return problem(
            AREA, 704, where=where, what="evidence_object_lock is set, and the bucket has no Object Lock", got=lock.asked,
            fix="make a bucket with Object Lock (it cannot be added to every store's old buckets), or leave evidence_object_lock empty",
        )  # fmt: skip
    return ok(AREA, where, f"the bucket has Object Lock, for {lock.asked}")


def _room(volume: Volume) -> Iterator[Finding]:
    if volume.free < LEAST_BYTES:
        yield problem(
            AREA, 701, where=volume.path, what=f"too little room for {volume.purpose}", got=f"{volume.free >> 20} MiB free",
            expected=f"at least {LEAST_BYTES >> 20} MiB", fix="free space, or remove old cycles: perfproof prune lists them",
        )  # fmt: skip
    elif volume.files is not None and volume.files < LEAST_FILES:
        yield problem(
            AREA, 703, where=volume.path, what=f"too few free inodes for {volume.purpose}", got=volume.files,
            expected=f"at least {LEAST_FILES}", fix="remove old cycles: perfproof prune lists them",
        )  # fmt: skip
    else:
        yield ok(AREA, volume.path, f"{volume.free >> 30} GiB free for {volume.purpose}")
