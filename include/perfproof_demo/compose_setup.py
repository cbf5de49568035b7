"""The init service of docker-compose.yaml: `python -m perfproof_demo.compose_setup`, safe to run at every start.

Makes the accounts of the UI, migrates Airflow's database, replaces the connections, and makes the buckets of task logs and evidence.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfproof.evidence.envelope import SIGNING_CONNECTION
from perfproof_demo.airflow_home import KEY_CONNECTION
from perfproof_demo.airflow_processes import PEOPLE, airflow_home
from perfproof_demo.compose_signing import VARIABLE, signing_connection
from perfproof_demo.errors import DemoError
from perfproof_demo.settings import DemoSettings

API_USER = "demo-admin"
S3_CONNECTION = "perfproof_s3"
REGION = "us-east-1"
OWNER_ONLY = 0o600


def required(environment: Mapping[str, str], name: str) -> str:
    """The value of `name`. Raises DemoError 182 if it is missing or empty."""
    value = environment.get(name, "")
    if not value:
        raise DemoError(182, where=name, what="is not set", fix="run `make compose-env`, and start the stack with docker-compose.yaml")
    return value


def people_passwords(path: Path) -> dict[str, str]:
    """The passwords of the demo's people, kept in `path`; a person without one gets one."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() and path.stat().st_size else {}
    passwords = {**known, **{name: secrets.token_urlsafe(12) for name in PEOPLE if name not in known}}
    if passwords != known:
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w") as file:
            file.write(json.dumps(passwords) + "\n")
        new.replace(path)
    return passwords


def connections(settings: DemoSettings, environment: Mapping[str, str], *, api_password: str) -> dict[str, dict[str, Any]]:
    """The connections of the stack by id: those of the demo, with the API and the S3 store of the stack, and both signing keys."""
    # The home is never made; it knows which connections the demo's target needs.
    home = airflow_home(settings, workspace=settings.home, dags_folder=settings.home, protocols=settings.home)
    found: dict[str, dict[str, Any]] = {name: dict(fields) for name, fields in home.connections.items()}
    found["perfproof_api"] = {
        "conn_type": "http",
        "schema": "http",
        "host": "api-server",
        "port": 8080,
        "login": API_USER,
        "password": api_password,
    }
    found[KEY_CONNECTION] = {
        "conn_type": "generic",
        "login": required(environment, "APPROVALS_KEY_ID"),
        "password": required(environment, "APPROVALS_KEY"),
    }
    found[SIGNING_CONNECTION] = signing_connection(required(environment, VARIABLE))
    found[S3_CONNECTION] = {
        "conn_type": "aws",
        "login": required(environment, "S3_ACCESS_KEY"),
        "password": required(environment, "S3_SECRET_KEY"),
        # Bucket names are no host names here.
        "extra": json.dumps(
            {
                "endpoint_url": required(environment, "S3_ENDPOINT"),
                "region_name": REGION,
                "config_kwargs": {"s3": {"addressing_style": "path"}},
            }
        ),
    }
    return found


def make_buckets(environment: Mapping[str, str]) -> None:
    """Makes the buckets S3_BUCKET and EVIDENCE_BUCKET unless they are there."""
    import boto3
    from boto3.session import Config

    client = boto3.client(
        "s3",
        endpoint_url=required(environment, "S3_ENDPOINT"),
        aws_access_key_id=required(environment, "S3_ACCESS_KEY"),
        aws_secret_access_key=required(environment, "S3_SECRET_KEY"),
        region_name=REGION,
        config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=20),
    )
    known = (client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou)
    for name in ("S3_BUCKET", "EVIDENCE_BUCKET"):
        with contextlib.suppress(*known):
            client.create_bucket(Bucket=required(environment, name))


def main() -> None:
    """Prepares the stack with what its environment names. Ends with exit code 2 and one line if something is missing."""
    environment = os.environ
    try:
        password_file = Path(required(environment, "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"))
        passwords = people_passwords(password_file)
        settings = DemoSettings.from_environment(Path(required(environment, "PERFPROOF_DEMO_HOME")), environment)
        found = connections(settings, environment, api_password=passwords[API_USER])
        make_buckets(environment)
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    subprocess.run([sys.executable, "-m", "perfproof_demo.airflow_setup"], input=json.dumps(found).encode(), check=True)


if __name__ == "__main__":
    main()
