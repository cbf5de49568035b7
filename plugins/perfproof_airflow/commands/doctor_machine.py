"""Looks at the machine that `perfproof doctor` runs on: directories, room, the evidence store, keys, clocks, accounts.

Nothing stays behind, but the two empty objects of the probe of a bucket.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from perfproof.approvals.keys import KEY_CONNECTION, KEY_FIX, read_ring
from perfproof.commands.account import account
from perfproof.config import Protocol, SourceKind
from perfproof.doctor.clock import Clock, Tolerance
from perfproof.doctor.connections import Looked
from perfproof.doctor.finding import Answer
from perfproof.doctor.installation import Directory
from perfproof.doctor.keys import KeyFacts
from perfproof.doctor.people import Accounts
from perfproof.doctor.storage import LockFacts, StorageFacts, Volume
from perfproof.errors import ApprovalError, EvidenceError, PerfproofError
from perfproof.evidence.envelope import SIGNING_CONNECTION, read_checkpoint_key
from perfproof.evidence.trust import MAX_TRUST_ROOT, read_trust_root
from perfproof.input_file import read_input
from perfproof.strict import read_json
from perfproof_airflow import settings
from perfproof_airflow.captures import HISTORY_DIRECTORY
from perfproof_airflow.commands.doctor_connections import look_here
from perfproof_airflow.commands.doctor_server import Server, served_connection

SIMPLE = "SimpleAuthManager"
CLOCK_SECONDS = 5.0
# The Date header counts whole seconds, and servers keep the line for up to one.
DATE_WITHIN = 1.0


def user_name() -> str:
    """The user of this process."""
    return account(nameless=f"user {os.getuid()}")


def number_option(section: str, key: str) -> int | None:
    """A whole number of Airflow's configuration, None if it is none."""
    from airflow.configuration import conf

    try:
        return conf.getint(section, key)
    except Exception:  # an AirflowConfigException, for every way in which it is none
        return None


def accounts() -> Accounts:
    """The accounts of the auth manager that is configured here."""
    from airflow.configuration import conf

    manager = str(conf.get("core", "auth_manager", fallback="")).rpartition(".")[2]
    if manager != SIMPLE:
        return Accounts(manager or "none", None, reason=f"{manager or 'no auth manager'} does not tell a command who its users are")
    named = [entry.split(":") for entry in conf.getlist("core", "simple_auth_manager_users")]
    known = {entry[0]: entry[1] for entry in named if len(entry) > 1}
    return Accounts(manager, known, all_admins=conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False))


def directories(protocols: Sequence[Protocol], *, root: Path) -> list[Directory]:
    """What a cycle and a capture write, each with why this user cannot."""
    wanted = {"the workspace": root, "recurring captures": root / settings.option("history_dir", HISTORY_DIRECTORY)}
    if not settings.evidence_in_s3():
        wanted["evidence"] = settings.evidence_root()
    for protocol in protocols:
        wanted[f"context kit of {protocol.name}"] = root / protocol.context_directory
        wanted[f"alert rules and dashboards of {protocol.name}"] = root / protocol.instrumentation_directory
    return [Directory(str(path), purpose, _why_not_written(path)) for purpose, path in wanted.items()]


def _why_not_written(path: Path) -> str | None:
    """None if a file can be made in the directory, or in the nearest one above it where it would be made."""
    try:
        nearest = _nearest(path)
        if not nearest.is_dir():
            return f"{nearest} is no directory"
        with tempfile.TemporaryFile(dir=nearest):
            return None
    except OSError as error:
        return error.strerror or str(error)


def _nearest(path: Path) -> Path:
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def storage(*, root: Path) -> StorageFacts:
    """Room, and what the probe of the evidence's place came to."""
    if settings.evidence_in_s3():
        creates, lock = _bucket()
        return StorageFacts(settings.evidence_uri(), creates, volumes=list(_volumes({"the workspace": root})), lock=lock)
    evidence = settings.evidence_root()
    volumes = list(_volumes({"evidence": evidence, "the workspace": root}))
    return StorageFacts(str(evidence), _disk(evidence), volumes=volumes, lock=None)


def _disk(evidence: Path) -> Answer:
    from perfproof.evidence import LocalBackend

    try:
        nearest = _nearest(evidence)
        if nearest.is_dir():
            LocalBackend(nearest).probe()
            return Answer()
    except PerfproofError as error:
        return Answer(error=error)
    return Answer(unasked=f"{nearest} is no directory")


def _bucket() -> tuple[Answer, LockFacts]:
    asked = settings.option("evidence_object_lock", "")
    try:
        store: Any = settings.evidence_backend()
        store.probe()
    except PerfproofError as error:
        return Answer(error=error), LockFacts(asked, None, reason="the bucket cannot be used")
    except Exception as error:  # no such Connection, or one that no client can be made of
        return Answer(unasked=f"{type(error).__name__} of the Connection"), LockFacts(asked, None, reason="the bucket was not asked")
    try:
        told = store.client.get_object_lock_configuration(Bucket=store.bucket)
    except Exception as error:  # whatever this store answers instead
        code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
        absent = code in ("ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound", "NoSuchObjectLockConfiguration")
        return Answer(), LockFacts(asked, False if absent else None, reason=f"the store answers {code or type(error).__name__}")
    enabled = told.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"
    return Answer(), LockFacts(asked, enabled)


def _volumes(wanted: dict[str, Path]) -> Iterator[Volume]:
    seen: set[int] = set()
    for purpose, path in wanted.items():
        with suppress(OSError):
            nearest = _nearest(path)
            device = nearest.stat().st_dev
            if device in seen:
                continue
            seen.add(device)
            found = os.statvfs(nearest)
            # Some file systems (btrfs) count no inodes and say 0 of 0.
            yield Volume(str(path), purpose, found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def keys(server: Server, *, trust: Path | None) -> KeyFacts:
    """Ids and public halves of the keys on this machine, and what the api-server has."""
    seen, acts = look_here(KEY_CONNECTION)
    signing_seen, signing = look_here(SIGNING_CONNECTION)
    fields: dict[str, Any] = {}
    if seen.looked is Looked.UNSEEN or signing_seen.looked is Looked.UNSEEN:
        fields["unseen"] = seen.reason or signing_seen.reason
    if acts is None:
        fields["acts_error"] = ApprovalError(423, where=f"Connection {KEY_CONNECTION}", what="does not exist", fix=KEY_FIX)
    else:
        try:
            fields["acts_id"] = read_ring(login=acts.login, password=acts.password, extra=acts.extra).current.id
        except PerfproofError as error:
            fields["acts_error"] = error
    served, login = served_connection(server, KEY_CONNECTION)
    if served.looked is Looked.THERE:
        fields["served_id"] = login
    else:
        fields["served_reason"] = served.reason or "its database has no such Connection: a secrets backend or its environment may"
    if signing is not None:
        try:
            pem = (signing.password or "").encode()
            key = read_checkpoint_key(pem, key_id=signing.login or "", where=f"Connection {SIGNING_CONNECTION}")
            fields |= {"signing_id": key.id, "signing_public": key.public_hex}
        except PerfproofError as error:
            fields["signing_error"] = error
    if trust is not None:
        try:
            data = read_input(trust, limit=MAX_TRUST_ROOT, error=EvidenceError, number=630)
            fields["trust"] = read_trust_root(data, where=str(trust))
        except PerfproofError as error:
            fields["trust_error"] = error
    return KeyFacts(**fields)


def clocks(protocols: Sequence[Protocol], *, server: Server) -> list[Clock]:
    """The api-server's clock, those of the sources of metrics, and the bucket's."""
    found = [_by_date(f"the api-server at {server.url}", f"{server.url.rstrip('/')}/api/v2/monitor/health", Tolerance.SERVER)]
    sources = {s.connection: s for p in protocols for s in p.sources if s.kind is SourceKind.PROMETHEUS and s.connection}
    found += [_of_prometheus(connection, source.name) for connection, source in sources.items()]
    if settings.evidence_in_s3():
        found.append(_of_bucket())
    return found


def _by_date(name: str, url: str, tolerance: Tolerance) -> Clock:
    """By the Date header of whatever answers, without any credentials."""
    before = time.time()
    try:
        with httpx.Client(trust_env=False, follow_redirects=False, timeout=CLOCK_SECONDS) as client:
            header = client.get(url).headers.get("date")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Clock(name, tolerance, None, reason=f"no answer: {type(error).__name__}")
    return _dated(name, tolerance, header, before, time.time())


def _dated(name: str, tolerance: Tolerance, header: str | None, before: float, after: float) -> Clock:
    try:
        told = parsedate_to_datetime(header or "")
    except ValueError:
        return Clock(name, tolerance, None, reason="its answer has no Date")
    moment = told.replace(tzinfo=told.tzinfo or UTC).timestamp() + DATE_WITHIN / 2
    return Clock(name, tolerance, moment - (before + after) / 2, within=DATE_WITHIN + (after - before) / 2)


def _of_prometheus(connection: str, source: str) -> Clock:
    """By `time()`, which is the server's moment of evaluation where none is given."""
    from perfproof_airflow.hooks.http_answers import BoundedGet, Limits
    from perfproof_airflow.hooks.http_source import HttpSource

    name = f"source {source} ({connection})"
    http = HttpSource(connection, source, 280, "Prometheus", limits=Limits(total_seconds=CLOCK_SECONDS))
    before = time.time()
    try:
        _, body = http.asking(BoundedGet).json_bytes("/api/v1/query", {**http.connection().parameters, "query": "time()"})
        after = time.time()
        told = read_json(body, where=name)
        moment = float(told["data"]["result"][1])
    except PerfproofError as error:
        return Clock(name, Tolerance.TELEMETRY, None, reason=error.what)
    except (KeyError, IndexError, TypeError, ValueError):
        return Clock(name, Tolerance.TELEMETRY, None, reason="it does not answer time() as Prometheus does")
    return Clock(name, Tolerance.TELEMETRY, moment - (before + after) / 2, within=(after - before) / 2)


def _of_bucket() -> Clock:
    name = f"the store of {settings.evidence_uri()}"
    before = time.time()
    try:
        store: Any = settings.evidence_backend()
        before = time.time()
        headers = store.client.head_bucket(Bucket=store.bucket)["ResponseMetadata"]["HTTPHeaders"]
    except Exception as error:  # a refusal has a date too: S3 refuses requests that are dated too far off
        headers = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return _dated(name, Tolerance.BUCKET, headers.get("date"), before, time.time())
