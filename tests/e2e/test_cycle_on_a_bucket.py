"""A whole cycle whose evidence never touches the local disk: signed, kept in S3, and checked from a copy."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cycle_stage import Stage, running_stage
from seaweedfs import ABSENT, WEED, client_of, running_seaweedfs

from perfproof.run_key import run_key
from perfproof_demo.airflow_processes import trust_root
from perfproof_demo.approvers import Approvers
from perfproof_demo.cycle import DAG, EVIDENCE

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(900), pytest.mark.skipif(WEED is None, reason=ABSENT)]

BUCKET, PREFIX = "evidence", "team"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real S3 server with one bucket."""
    (tmp_path / "seaweedfs").mkdir()
    with running_seaweedfs(tmp_path / "seaweedfs", buckets={BUCKET: False}) as connection:
        yield connection


@pytest.fixture
def stage(tmp_path: Path, server: dict[str, str]) -> Iterator[Stage]:
    """The demo with its evidence in that bucket."""
    account = {
        "conn_type": "aws",
        "login": server["aws_access_key_id"],
        "password": server["aws_secret_access_key"],
        "extra": json.dumps({"endpoint_url": server["endpoint_url"], "region_name": "us-east-1"}),
    }
    options = {"perfproof.evidence_uri": f"s3://{BUCKET}/{PREFIX}"}
    with running_stage(tmp_path, connections={"perfproof_s3": account}, options=options) as running:
        yield running


def downloaded(server: dict[str, str], run: str, directory: Path) -> Path:
    """A copy of everything in the bucket that belongs to `run`."""
    client = client_of(server)
    copy = directory / "copy"
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/{run}/"):
        for item in page.get("Contents", []):
            target = copy / item["Key"].removeprefix(f"{PREFIX}/{run}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read())
    client.close()
    return copy


def test_a_cycle_on_a_bucket_passes_and_its_copy_verifies(stage: Stage, server: dict[str, str], tmp_path: Path) -> None:
    """Gates, approvals, measurement and handoff with evidence in S3 only; the copy is verified with the trust root."""
    stage.run(Approvers)
    with contextlib.closing(stage.demo.api("demo-performance")) as api:
        assert api.run(DAG, stage.run_id)["state"] == "success"
    run = run_key(DAG, stage.run_id)
    copy = downloaded(server, run, tmp_path)
    trust = trust_root(stage.demo.settings)
    command = [sys.executable, "-m", "perfproof.cli", "verify", str(copy), "--trust", str(trust)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("verified")
    assert list((copy / "checkpoints").iterdir())
    assert not (stage.demo.workspace / EVIDENCE / run).exists()
