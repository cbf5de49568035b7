"""When requests are due and which they are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from perfproof.load.arrivals import schedule_of
from perfproof.load.plan import LoadPlan, Stage


def test_the_same_plan_gives_the_same_schedule(plan: LoadPlan) -> None:
    """And another seed another one."""
    first, again, other = schedule_of(plan), schedule_of(plan), schedule_of(replace(plan, seed=12))
    assert np.array_equal(first.due, again.due)
    assert first.paths == again.paths
    assert not np.array_equal(first.due, other.due)


def test_every_stage_offers_its_rate_exactly(plan: LoadPlan) -> None:
    """Warm-up and stages each hold the planned number of requests, in rising order."""
    steps = replace(plan, stages=(Stage(20, 4), Stage(40, 4), Stage(7, 3)))
    due = schedule_of(steps).due
    counts = [int(((due >= a) & (due < b)).sum()) for a, b in ((0, 1), (1, 5), (5, 9), (9, 12))]
    assert counts == [20, 80, 160, 21]
    assert np.all(np.diff(due) >= 0)
    assert len(due) == steps.total_requests


def test_gaps_vary_as_those_of_independent_users_do(plan: LoadPlan) -> None:
    """The gaps of a Poisson process have a coefficient of variation near 1; those of a metronome have 0."""
    gaps = np.diff(schedule_of(replace(plan, stages=(Stage(400, 20),), warmup_seconds=0)).due)
    assert 0.95 < gaps.std() / gaps.mean() < 1.05


def test_the_mix_is_exact_in_every_stage_and_shuffled(plan: LoadPlan) -> None:
    """70 % and 30 % of 400, not first one and then the other."""
    schedule = schedule_of(plan)
    measured = schedule.transaction[plan.warmup_requests :]
    assert Counter(measured.tolist()) == {0: 280, 1: 120}
    assert 0 < (measured[:100] == 1).sum() < 100


def test_parameters_are_drawn_from_their_whole_span(plan: LoadPlan) -> None:
    """Both ends included, nothing outside."""
    customers = {p.split("/")[2] for p in schedule_of(plan).paths if p.startswith("/customers")}
    assert customers == {"5", "6", "7", "8", "9"}
