"""What `perfproof doctor` finds about evidence in a real S3 server (SeaweedFS): creation, Object Lock, clock, refusals."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile

if "AIRFLOW_HOME" not in os.environ:
    _home = tempfile.mkdtemp(prefix="perfproof-airflow-")
    atexit.register(shutil.rmtree, _home, ignore_errors=True)
    os.environ["AIRFLOW_HOME"] = _home

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from seaweedfs import ABSENT, WEED, running_seaweedfs

from perfproof.doctor.clock import judge_clocks
from perfproof.doctor.finding import Finding
from perfproof.doctor.storage import judge_storage
from perfproof_airflow.commands import doctor_machine

pytestmark = pytest.mark.skipif(WEED is None, reason=ABSENT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server with two buckets, the second with Object Lock."""
    with running_seaweedfs(tmp_path_factory.mktemp("weed"), buckets={"plain": False, "locked": True}) as connection:
        yield connection


@pytest.fixture
def findings(server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """The findings about a bucket and its clock that are not ok."""

    def call(bucket: str, *, lock: str = "", key: str = "SK") -> list[Finding]:
        extra = {"endpoint_url": server["endpoint_url"], "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "AK", "password": key, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_PERFPROOF_S3", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__PERFPROOF__WORKSPACE", str(tmp_path))
        monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_URI", f"s3://{bucket}/team")
        monkeypatch.setenv("AIRFLOW__PERFPROOF__EVIDENCE_OBJECT_LOCK", lock)
        found = [*judge_storage(doctor_machine.storage(root=tmp_path)), *judge_clocks([doctor_machine._of_bucket()])]
        return [finding for finding in found if finding.state.value != "ok"]

    return call


def test_buckets_that_keep_the_promise_are_right(findings: Callable[..., list[Finding]]) -> None:
    """Exclusive creation, Object Lock where it is asked for, and a clock that agrees."""
    assert findings("plain") == []
    assert findings("locked", lock="GOVERNANCE 1") == []


def test_a_lock_that_is_asked_for_and_not_there_is_no_pass(findings: Callable[..., list[Finding]]) -> None:
    """The store refuses the probe's own create, or says that there is no Object Lock."""
    found = findings("plain", lock="GOVERNANCE 1")
    assert {finding.code for finding in found} & {"DOC-702", "DOC-704"}, found


def test_a_bucket_that_refuses_the_account_is_a_problem(findings: Callable[..., list[Finding]]) -> None:
    """With the store's word for it, and without the secret. (SeaweedFS makes a bucket that is not there.)"""
    (found,) = [finding for finding in findings("plain", key="wrong") if finding.code is not None]
    assert (found.code, found.got is not None and found.got.partition(":")[0]) == ("DOC-702", "EVI-503")
    assert "wrong" not in found.line
