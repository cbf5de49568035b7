"""Where this Airflow keeps protocols and evidence: the `[perfproof]` section of its configuration."""

from __future__ import annotations

from pathlib import Path

from perfproof.errors import ConfigError

SECTION = "perfproof"


def option(name: str, fallback: str) -> str:
    """The value of `[perfproof] name`, or `fallback`. Read when a task runs, never when a DAG is parsed."""
    from airflow.sdk.configuration import conf

    return conf.get(SECTION, name, fallback=fallback) or fallback


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
    return workspace_root() / option("protocols_dir", "include/protocols") / f"{name}.yaml"


def evidence_root() -> Path:
    """The directory that holds one directory per cycle."""
    uri = option("evidence_uri", ".artifacts/performance")
    if "://" in uri:
        raise ConfigError(
            182, where=f"[{SECTION}] evidence_uri", what="this version keeps evidence on a local disk only", got=uri,
            expected="a directory", fix="name a directory; object stores come with a later version",
        )  # fmt: skip
    return workspace_root() / uri
