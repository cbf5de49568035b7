"""Makes the `.env` of docker-compose.yaml: `python -m perfproof_demo.compose_env .env`.

Every secret of the stack is generated here and stands nowhere else. Without an argument the text goes to standard output;
with one it becomes a new file that only its owner may read, and a file that is there is never replaced: the database keeps
the passwords of its first start.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from perfproof.errors import PerfproofError
from perfproof_demo.errors import DemoError

KEY_BYTES = 32
PROJECT = "perfproof"


def environment_text(random_bytes: Callable[[int], bytes]) -> str:
    """The lines of an `.env` with secrets from `random_bytes(count)`.

    Hexadecimal, because the values also stand in database and broker addresses; only the Fernet key has its own form.
    """

    def secret() -> str:
        return random_bytes(KEY_BYTES).hex()

    values = {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "POSTGRES_PASSWORD": secret(),
        "AIRFLOW_DATABASE_PASSWORD": secret(),
        "REDIS_PASSWORD": secret(),
        "FERNET_KEY": base64.urlsafe_b64encode(random_bytes(KEY_BYTES)).decode(),
        "API_SECRET_KEY": secret(),
        "JWT_SECRET": secret(),
        "APPROVALS_KEY_ID": f"k{random_bytes(4).hex()}",
        "APPROVALS_KEY": secret(),
        "SIGNING_KEY": secret(),
        "S3_ACCESS_KEY": random_bytes(10).hex(),
        "S3_SECRET_KEY": secret(),
    }
    return "# Generated secrets of the compose stack. Keep them as long as its volumes.\n" + "".join(
        f"{name}={value}\n" for name, value in values.items()
    )


def write_environment(path: Path, text: str) -> None:
    """Writes `text` to `path` with mode 0600. Raises DemoError 181 if anything is there already."""
    try:
        # O_EXCL also refuses a symbolic link.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise DemoError(
            181,
            where=str(path),
            what="exists, and the stack's volumes may depend on it",
            fix="keep it; or remove the stack's volumes, delete it and run this again",
        ) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the environment to the file that is named, or to standard output. Exit code 2 if it exists."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    text = environment_text(os.urandom)
    if not given:
        sys.stdout.write(text)
        return 0
    try:
        write_environment(Path(given[0]), text)
    except PerfproofError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
