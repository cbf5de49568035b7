"""One cycle's evidence out of the stack's bucket, as a tar: `python -m perfproof_demo.compose_evidence RUN > cycle.tar`.

For a container of the stack that has Airflow's database, the api-server for example. RUN is the cycle's run key; without it, the
newest cycle that was handed off. Each object's checksum is compared as it is read.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from perfproof.errors import PerfproofError
from perfproof_demo.errors import DemoError

if TYPE_CHECKING:
    from perfproof.evidence import Backend

LATEST = "latest"


def write_tar(backend: Backend, run: str, stream: IO[bytes]) -> int:
    """Writes every object of `run` to `stream`, with names relative to the run. Returns their number; DemoError 185 if there are none."""
    names = backend.names(f"{run}/")
    if not names:
        raise DemoError(185, where=run, what="no evidence of this cycle in the bucket", fix="give a run key that `/cycles` lists")
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        for name in names:
            data = backend.read(name)
            member = tarfile.TarInfo(name.removeprefix(f"{run}/"))
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return len(names)


def bucket() -> Backend:
    """The bucket that this Airflow keeps evidence in. For processes with access to its database, and not for tasks."""
    import boto3
    from airflow.configuration import conf
    from airflow.models.connection import Connection
    from boto3.session import Config

    from perfproof_airflow.hooks.s3_store import S3Backend

    uri = conf.get("perfproof", "evidence_uri", fallback="")
    if not uri.startswith("s3://"):
        raise DemoError(186, where="[perfproof] evidence_uri", what="not a bucket", got=uri, fix="run it in a service of the stack")
    account = Connection.get_connection_from_secrets(conf.get("perfproof", "evidence_connection", fallback="perfproof_s3"))
    extra: dict[str, Any] = account.extra_dejson
    client = boto3.client(
        "s3",
        endpoint_url=extra["endpoint_url"],
        aws_access_key_id=account.login,
        aws_secret_access_key=account.password,
        region_name=extra["region_name"],
        config=Config(**extra["config_kwargs"]),
    )
    name, _, prefix = uri.removeprefix("s3://").partition("/")
    return S3Backend(client, name, prefix)


@contextlib.contextmanager
def _own_output() -> Iterator[IO[bytes]]:
    """Standard output for the tar alone: Airflow logs there too, which goes to standard error until the block ends."""
    sys.stdout.flush()
    kept = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        with open(kept, "wb", closefd=False) as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(kept, sys.stdout.fileno())
        os.close(kept)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the tar to standard output. Exit code 2 and one line on standard error if there is nothing to write."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with _own_output() as stream:
            backend = bucket()
            run = given[0] if given else backend.read(LATEST).decode().strip()
            count = write_tar(backend, run, stream)
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stderr.write(f"{run}: {count} objects\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
