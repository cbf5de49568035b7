"""A request survives its way through the configuration of a run, and nothing else passes for one."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perfproof.approvals import APPROVAL, Asked, Evidence, Note, Question, Request, open_request, read_request
from perfproof.config import Person
from perfproof.errors import ApprovalError, PerfproofError
from perfproof.run_key import run_key

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)


def question(**changes: Any) -> Question:
    fields: dict[str, Any] = {
        "run": run_key("performance_optimization", "manual__2025"),
        "dag_id": "performance_optimization",
        "run_id": "manual__2025",
        "step": "plan",
        "map_index": -1,
        "round": 0,
        "question": "Approve?",
        "options": APPROVAL,
        "roles": (
            Asked("product_owner", "Product Owner", (Person("ann", "Ann A."),)),
            Asked("sre_lead", "SRE Lead", (Person("sam", "Sam S."), Person("sue", "Sue S."))),
        ),
        "evidence": (Evidence("optimization-plan.json", "a" * 64),),
        "shown": {"tasks": [{"id": "OPT-001", "gain": 40.0}], "rate": 30},
        "note": Note.OPTIONAL,
        "forbidden": ("olga",),
    }
    return Question(**{**fields, **changes})


def request(**changes: Any) -> Request:
    return open_request(
        question(**changes), attempt=1, roles=("product_owner", "sre_lead"), log_size=7, log_head="b" * 64, now=NOW, expires_after_days=7
    )


def test_a_request_comes_back_from_the_configuration_of_a_run() -> None:
    """Through JSON, with keys in any order: the same request and the same digest."""
    asked = request()
    conf = json.loads(json.dumps(asked.conf(), sort_keys=True))
    assert read_request(conf, where="run") == asked
    assert read_request(conf, where="run").sha256 == asked.sha256


def test_the_id_names_run_step_map_index_round_and_attempt() -> None:
    """Two runs whose ids look alike, and two map indexes, never share a request."""
    key = run_key("performance_optimization", "manual__2025")
    assert request().request_id == f"{key}__plan__-1__r0a1"
    assert request(map_index=2, round=3).request_id == f"{key}__plan__2__r3a1"


def test_the_digest_changes_with_everything_that_is_shown() -> None:
    """One changed figure, digest, person or deadline is another request."""
    digests = {
        request().sha256,
        request(shown={"tasks": []}).sha256,
        request(evidence=(Evidence("optimization-plan.json", "c" * 64),)).sha256,
        request(forbidden=()).sha256,
        request(question="Really?").sha256,
        open_request(question(), attempt=1, roles=("sre_lead",), log_size=7, log_head="b" * 64, now=NOW, expires_after_days=7).sha256,
    }
    assert len(digests) == 6


def test_the_subject_does_not_depend_on_round_people_or_time() -> None:
    """What was decided in an earlier round about the same thing is still about the same thing."""
    assert question(round=2, forbidden=()).subject_sha256 == question().subject_sha256
    assert question(shown={}).subject_sha256 != question().subject_sha256
    assert question(evidence=()).subject_sha256 != question().subject_sha256


def test_expiry_follows_the_request() -> None:
    """Seven days are seven days."""
    assert request().expires_at - request().requested_at == timedelta(days=7)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 2}, "APR-421"),
        ({"asked": []}, "APR-421"),
        ({"asked": ["owner"]}, "APR-421"),
        ({"options": []}, "APR-421"),
        ({"step": "handoff"}, "APR-422"),
        ({"attempt": 2}, "APR-422"),
        ({"more": 1}, "APR-120"),
        ({"options": ["maybe"]}, "APR-122"),
        ({"round": "0"}, "APR-123"),
        ({"requested_at": "yesterday"}, "ART-132"),
    ],
)
def test_a_configuration_made_by_hand_is_refused(change: dict[str, Any], code: str) -> None:
    """Anybody may trigger a run: what no protocol run wrote is no request."""
    conf = {**copy.deepcopy(request().conf()), **change}
    with pytest.raises(PerfproofError) as caught:
        read_request(conf, where="run")
    assert caught.value.code == code


@pytest.mark.parametrize("conf", [None, [], "x", {}])
def test_no_configuration_is_no_request(conf: object) -> None:
    """A run without a request fails with one line."""
    with pytest.raises(ApprovalError):
        read_request(conf, where="run")
