"""The rules of retention: what keeps a cycle, in which order, on both sides of each date."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from perfproof.evidence.verdict import Outcome
from perfproof.retention import Kept, decide
from perfproof.retention.rules import Candidate, changes_of

BEFORE = datetime(2026, 6, 1, tzinfo=UTC)
OLD, YOUNG = BEFORE - timedelta(days=1), BEFORE + timedelta(days=1)


def cycle(run: str, last: datetime | None = OLD, *references: str) -> Candidate:
    return Candidate(run, last, closed=True, handed_off=True, outcome=Outcome.VERIFIED, references=references)


NEWEST = cycle("z-newest", YOUNG + timedelta(days=9))


def kept(
    *cycles: Candidate, unfinished_before: datetime | None = None, changes: bool = False, keep: tuple[str, ...] = ()
) -> list[str | None]:
    """What keeps each of the cycles, in their order, beside a newer one that was handed off."""
    found = {
        d.run: d.kept for d in decide([*cycles, NEWEST], before=BEFORE, unfinished_before=unfinished_before, changes=changes, keep=keep)
    }
    assert found.pop("z-newest") == Kept.NEWEST.value
    return [found[one.run] for one in cycles]


def test_an_old_verified_cycle_may_go_and_a_young_one_stays() -> None:
    """The last entry decides, and the moment itself stays."""
    assert kept(cycle("a"), cycle("b", YOUNG), cycle("c", BEFORE)) == [None, Kept.YOUNG, Kept.YOUNG]


def test_the_newest_handed_off_stays_however_old() -> None:
    """Where `latest` is lost, the next cycle's baseline would be gone."""
    (decision,) = decide([cycle("a")], before=BEFORE, unfinished_before=None, changes=True)
    assert decision.kept == Kept.NEWEST


def test_latest_and_named_ones_stay() -> None:
    """Whatever their age."""
    assert kept(replace(cycle("a"), latest=True), cycle("b"), keep=("b",)) == [Kept.LATEST, Kept.NAMED]


def test_what_does_not_verify_or_cannot_be_read_stays() -> None:
    """Retention destroys no trace of tampering."""
    assert kept(replace(cycle("a"), outcome=Outcome.TAMPERED), cycle("b", None)) == [Kept.TAMPERED, Kept.UNREADABLE]


def test_an_open_cycle_stays_unless_it_is_asked_for_and_old() -> None:
    """An approval can be given for weeks."""
    waiting = replace(cycle("a"), closed=False, outcome=Outcome.UNFINISHED)
    assert kept(waiting) == [Kept.OPEN]
    assert kept(waiting, unfinished_before=OLD) == [Kept.OPEN]
    assert kept(waiting, unfinished_before=OLD + timedelta(seconds=1)) == [None]


def test_the_newest_proof_of_a_change_stays_unless_changes_may_go() -> None:
    """A pipeline asks for it by its reference; an older proof of the same change is not needed."""
    older, newer = cycle("a", OLD - timedelta(days=2), "see PR-482, index"), cycle("b", OLD, "PR-482")
    assert kept(older, newer) == [None, Kept.CHANGE.value.format("PR-482")]
    assert kept(older, newer, changes=True) == [None, None]


def test_change_references_are_the_words_with_a_digit() -> None:
    """As approvals demand them."""
    assert changes_of(["see PR-482, and build 17.", "rolled back"]) == {"PR-482", "17"}
