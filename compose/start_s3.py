"""Starts the S3 server with the one identity that S3_ACCESS_KEY and S3_SECRET_KEY name; neither stands on a command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

CONFIGURATION = Path("/run/s3/s3.json")
DATA = "/data"
PORT = 8333


def identities(access_key: str, secret_key: str) -> str:
    """The server's identities as JSON."""
    if not access_key or not secret_key:
        raise SystemExit("S3_ACCESS_KEY and S3_SECRET_KEY must be set")
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    return json.dumps({"identities": [{"name": "perfproof", "credentials": credentials, "actions": actions}]})


def command(*, configuration: Path = CONFIGURATION, data: str = DATA, port: int = PORT, address: str = "0.0.0.0") -> list[str]:  # noqa: S104
    """The server's command line: S3 and nothing else, and no telemetry."""
    return [
        "weed", "-logtostderr=true", "mini", f"-dir={data}", f"-ip.bind={address}", "-ip=127.0.0.1",
        f"-s3.port={port}", f"-s3.config={configuration}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        "-master.telemetry=false", "-webdav=false", "-admin.ui=false",
    ]  # fmt: skip


def main() -> None:
    """Writes the configuration for this start and becomes the server."""
    text = identities(os.environ.pop("S3_ACCESS_KEY", ""), os.environ.pop("S3_SECRET_KEY", ""))
    CONFIGURATION.unlink(missing_ok=True)
    with os.fdopen(os.open(CONFIGURATION, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    arguments = command()
    sys.stdout.flush()
    os.execvp(arguments[0], arguments)  # noqa: S606


if __name__ == "__main__":
    main()
