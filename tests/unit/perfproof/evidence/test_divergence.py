"""DIVERGED: what a log shows of a history that Airflow's database does not know, and what is no sign of one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.evidence import Actor, Attempt, EntryType, EvidenceStore
from perfproof.evidence.divergence import Diverged, not_in_evidence, require_same_history
from perfproof.evidence.memory import MemoryBackend

OPENED = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
TRIGGERED = OPENED - timedelta(seconds=2)
ACTOR = Actor(kind="task", id="t")


def attempt(task: str = "t", *, number: int = 1, map_index: int = -1, ti: str | None = None) -> Attempt:
    return Attempt(dag_id="d", task_id=task, map_index=map_index, try_number=number, ti_id=ti or f"{task}-{map_index}-{number}")


def log_of(*written: tuple[Attempt, dict[str, Any]]) -> EvidenceStore:
    """A log in which each attempt has one entry with that body."""
    store = EvidenceStore(MemoryBackend(), "run-0123456789abcdef")
    store.open_run(genesis={}, time=OPENED, actor=ACTOR)
    for number, (by, body) in enumerate(written):
        store.append(type=EntryType.ANNOUNCE, body=body, idem=f"{number:064x}", time=OPENED, actor=ACTOR, attempt=by)
    return store


def check(store: EvidenceStore, now: Attempt, *, round_: int = 0, run_after: datetime | None = TRIGGERED) -> None:
    require_same_history(store.entries(), attempt=now, round_=round_, run_after=run_after)


def test_one_history_never_diverges() -> None:
    """The same try again, a later try, another task, another instance of a mapped task, a later round."""
    store = log_of((attempt(number=2), {"round": 1}), (attempt("other", number=5), {}), (attempt(map_index=3, number=4), {}))
    check(store, attempt(number=2), round_=1)
    check(store, attempt(number=3), round_=1)
    check(store, attempt("third"), round_=2)


@pytest.mark.parametrize(
    ("now", "round_", "got"),
    [
        (attempt(number=2), 1, "entry 1 is of try 3, Airflow makes try 2"),
        (attempt(number=3, ti="another"), 1, "of another try 3 than the one"),
        (attempt("third"), 0, "the log has round 1, Airflow is in round 0"),
    ],
)
def test_a_log_that_knows_more_than_the_database_has_diverged(now: Attempt, round_: int, got: str) -> None:
    """Later try, another row of the same try, later round: the database was restored, and the error says what to do."""
    with pytest.raises(Diverged, match="DIVERGED: Airflow's database is older") as caught:
        check(log_of((attempt(number=3), {"round": 1})), now, round_=round_)
    assert caught.value.code == "EVI-530"
    assert got in str(caught.value) and "restore a database" in str(caught.value)


def test_a_run_that_was_made_anew_under_its_old_id_begins_anew() -> None:
    """It was triggered after the log was opened: its numbers say nothing about the old ones."""
    store = log_of((attempt(number=3), {"round": 2}))
    check(store, attempt(ti="new"), run_after=OPENED + timedelta(minutes=5))
    check(store, attempt(ti="new"), run_after=None)
    check(EvidenceStore(MemoryBackend(), "run-0123456789abcdef"), attempt())


def test_a_round_that_is_none_is_not_compared() -> None:
    """Bodies are JSON of many kinds."""
    check(log_of((attempt("other"), {"round": True}), (attempt("other"), {"round": "9"}), (attempt("other"), {"round": None})), attempt())


def test_a_reference_to_nothing_says_that_the_evidence_is_older() -> None:
    """With the name and the digest that Airflow knows."""
    assert str(not_in_evidence("plan.json", sha256="ab")).startswith("EVI-531 plan.json: DIVERGED: this cycle's evidence is older")
