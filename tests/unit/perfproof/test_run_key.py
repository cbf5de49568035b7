"""The key of a run is a safe and unique directory name, whatever Airflow allows as a run id."""

from __future__ import annotations

import hashlib

import pytest

from perfproof.evidence import EvidenceStore, MemoryBackend
from perfproof.run_key import RUN_KEY, run_key


@pytest.mark.parametrize(
    "run_id",
    ["manual__2025-02-16T10:00:00+00:00", ".", "..", "-rf", "a" * 250, "../../etc", "", "ü/ñ", "a\0b", "a\nb", "__", "x:y:z", "\ud800"],
)
def test_any_run_id_gives_a_safe_name(run_id: str) -> None:
    """Letters, digits, dash and underscore, never a dash first, and the store takes it."""
    key = run_key("performance_optimization", run_id)
    assert RUN_KEY.fullmatch(key)
    assert EvidenceStore(MemoryBackend(), key).run == key


def test_the_digest_is_of_both_ids() -> None:
    """As the evidence format says, so that anybody can compute it."""
    digest = hashlib.sha256(b"performance_optimization\0manual__1").hexdigest()
    assert run_key("performance_optimization", "manual__1") == f"manual__1-{digest[:16]}"


def test_runs_that_look_alike_differ() -> None:
    """The slug may collide, the digest does not."""
    keys = {run_key("a", "b:c"), run_key("a", "b/c"), run_key("a", "b c"), run_key("ab", ":c"), run_key("d", "b:c")}
    assert len(keys) == 5
