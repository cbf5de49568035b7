"""When requests are due and which they are."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from perfproof.config import Span, Transaction
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


def test_the_warm_up_rises_from_nothing_to_the_first_rate(plan: LoadPlan) -> None:
    """In a ramp of 4 s to 40 requests/s a quarter of its requests falls into its first half; the rest of the warm-up is level."""
    ramped = replace(plan, warmup_seconds=6, ramp_seconds=4)
    due = schedule_of(ramped).due
    counts = [int(((due >= a) & (due < b)).sum()) for a, b in ((0, 4), (4, 6), (6, 16))]
    assert counts == [80, 80, 400]
    assert int((due < 2).sum()) == pytest.approx(20, abs=12)
    assert len(due) == ramped.total_requests
    assert np.all(np.diff(due) >= 0)


def test_a_curve_is_followed_in_every_piece(plan: LoadPlan) -> None:
    """Each second of a curve gets the requests that the area below it asks for, within what chance allows; a pause gets none."""
    curve = ((0.0, 100.0), (5.0, 300.0), (6.0, 0.0), (8.0, 0.0), (10.0, 200.0))
    due = schedule_of(replace(plan, stages=(Stage.along(curve),), warmup_seconds=0)).due
    assert len(due) == 1000 + 150 + 200
    for begin in range(10):
        rates = np.interp([begin, begin + 1], [p[0] for p in curve], [p[1] for p in curve])
        expected = float(rates.mean())
        assert int(((due >= begin) & (due < begin + 1)).sum()) == pytest.approx(expected, abs=4 * np.sqrt(expected) + 1e-9)


def test_a_body_has_the_values_of_its_path(plan: LoadPlan) -> None:
    """One value of a parameter in a request; braces that name none stay as they are."""
    post = Transaction(
        "order", "POST", "/orders/{id}", 1, parameters={"id": Span(1, 99), "amount": Span(5, 6)},
        headers={"Content-Type": "application/json"}, body='{"order": {id}, "note": "{other}", "amount": {amount}}',
    )  # fmt: skip
    schedule = schedule_of(replace(plan, transactions=(post,)))
    for path, body in zip(schedule.paths, schedule.bodies, strict=True):
        assert body is not None
        found = json.loads(body)
        assert path == f"/orders/{found['order']}"
        assert found["note"] == "{other}"
        assert found["amount"] in (5, 6)
    assert schedule_of(plan).bodies == (None,) * plan.total_requests


def test_parameters_are_drawn_from_their_whole_span(plan: LoadPlan) -> None:
    """Both ends included, nothing outside."""
    customers = {p.split("/")[2] for p in schedule_of(plan).paths if p.startswith("/customers")}
    assert customers == {"5", "6", "7", "8", "9"}
