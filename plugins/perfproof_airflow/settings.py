"""Where this Airflow keeps protocols and evidence: the `[perfproof]` section of its configuration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from perfproof.errors import ConfigError

if TYPE_CHECKING:
    from perfproof.evidence import Backend

SECTION = "perfproof"
S3 = "s3://"


def option(name: str, fallback: str) -> str:
    """The value of `[perfproof] name`, or `fallback`. Read when a task runs, but for `default_protocol` and `capture_pool`."""
    from airflow.sdk.configuration import conf

    return conf.get(SECTION, name, fallback=fallback) or fallback


def default_protocol() -> str:
    """The protocol that the forms offer, and that scheduled captures take. Read when a DAG is parsed."""
    return option("default_protocol", "demo")


def capture_pool() -> str:
    """The Airflow pool that bounds how many services are captured at once. Read when a DAG is parsed."""
    return option("capture_pool", "default_pool")


def workspace_root() -> Path:
    """The directory that the relative paths of protocol files start from."""
    root = Path(option("workspace", ".")).resolve()
    if not root.is_dir():
        raise ConfigError(
            181, where=f"[{SECTION}] workspace", what="no such directory", got=str(root), fix="set it to an existing directory"
        )
    return root


def protocol_path(name: str) -> Path:
    """The protocol file of that name. The caller has checked that the name is an identifier."""
    return protocols_directory() / f"{name}.yaml"


def protocols_directory() -> Path:
    """The directory of the protocol files."""
    return workspace_root() / option("protocols_dir", "include/protocols")


def api_connection() -> str:
    """The id of the Connection to this Airflow's own REST API."""
    return option("api_connection", "perfproof_api")


def evidence_connection() -> str:
    """The id of the Connection for evidence in a bucket."""
    return option("evidence_connection", "perfproof_s3")


def evidence_uri() -> str:
    """Where evidence is kept: a directory relative to the workspace, or `s3://bucket/prefix`."""
    uri = option("evidence_uri", ".artifacts/performance")
    if "://" in uri and not uri.startswith(S3):
        raise ConfigError(
            182, where=f"[{SECTION}] evidence_uri", what="neither a directory nor an S3 bucket", got=uri,
            expected="a directory, or s3://bucket/prefix", fix="correct it",
        )  # fmt: skip
    return uri


def evidence_in_s3() -> bool:
    """Whether evidence is kept in a bucket."""
    return evidence_uri().startswith(S3)


def evidence_root() -> Path:
    """The local directory that holds one directory per cycle. Raises ConfigError where evidence is kept in a bucket."""
    uri = evidence_uri()
    if uri.startswith(S3):
        raise ConfigError(
            184,
            where=f"[{SECTION}] evidence_uri",
            what="evidence lies in a bucket",
            got=uri,
            fix="ask evidence_backend()",
        )
    return workspace_root() / uri


def evidence_backend() -> Backend:
    """Where this Airflow keeps evidence."""
    from perfproof.evidence import LocalBackend

    if not evidence_in_s3():
        return LocalBackend(evidence_root())
    from perfproof_airflow.hooks.s3_store import s3_backend

    return s3_backend(evidence_uri(), connection_id=evidence_connection(), lock=option("evidence_object_lock", ""))


def known_secrets() -> list[str]:
    """What Airflow masks in the logs of this process: passwords and secret extras of the Connections it asked for, secret options.

    Airflow gives no public access to them; `tests/unit/perfproof_airflow/test_settings.py` fails if their place changes.
    """
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    # The masker keeps each as a pattern that `re.escape` made.
    return [re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL) for pattern in _secrets_masker().patterns]
