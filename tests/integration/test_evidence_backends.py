"""One contract for every place that evidence is kept in: local disk, memory, and a real S3 server (SeaweedFS)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from seaweedfs import ABSENT, WEED, client_of, running_seaweedfs

from perfproof.errors import EvidenceError, LoadError, Tampered
from perfproof.evidence import Actor, Backend, EvidenceStore, LocalBackend, MemoryBackend, Missing, idempotency
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify, verify_run
from perfproof.evidence.views import close_run
from perfproof_airflow import load_steps, settings
from perfproof_airflow.hooks import s3_store
from perfproof_airflow.hooks.s3_lease import Busy, lease
from perfproof_airflow.hooks.s3_store import PROBE, ObjectLock, S3Backend

NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
ACTOR = Actor(kind="task", id="a_task", auth="A1")
BUCKET, LOCKED = "evidence", "locked-evidence"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A SeaweedFS on loopback with two buckets, the second with Object Lock; ended with the tests."""
    if WEED is None:
        pytest.skip(ABSENT)
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs"), buckets={BUCKET: False, LOCKED: True}) as connection:
        yield connection


PREFIXES = iter(range(10_000))


@pytest.fixture
def s3(s3_server: dict[str, str]) -> Iterator[S3Backend]:
    """An empty prefix of the bucket."""
    client = client_of(s3_server)
    yield S3Backend(client, BUCKET, f"team/{next(PREFIXES)}")
    client.close()


@pytest.fixture(params=["local", "memory", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Each place in turn."""
    if request.param == "local":
        return LocalBackend(tmp_path / "root")
    return MemoryBackend() if request.param == "memory" else request.getfixturevalue("s3")


def test_create_never_overwrites(backend: Backend) -> None:
    """The second writer learns that it is second, whatever it brings."""
    assert backend.create("run/log/00000000.json", b"one") is True
    assert backend.create("run/log/00000000.json", b"two") is False
    assert backend.create("run/log/00000000.json", b"one") is False
    assert backend.read("run/log/00000000.json") == b"one"


def test_one_of_many_writers_of_a_key_wins(backend: Backend) -> None:
    """And what is stored is what the winner wrote."""
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: backend.create("run/log/00000001.json", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert backend.read("run/log/00000001.json") == b"%d" % won.index(True)


@pytest.mark.parametrize("data", [b"", b"\0\xff" * 500, b"x" * (5 << 20)])
def test_bytes_come_back_as_they_were(backend: Backend, data: bytes) -> None:
    """Nothing, binary, and five megabytes."""
    backend.create("run/objects/sha256/x", data)
    assert backend.read("run/objects/sha256/x") == data


def test_a_missing_key_is_missing(backend: Backend) -> None:
    """And a prefix without keys is empty."""
    with pytest.raises(Missing, match="EVI-404"):
        backend.read("run/x")
    assert backend.names("run/") == []


def test_names_are_sorted_keys_below_the_prefix(backend: Backend) -> None:
    """Also more than one page of them would hold."""
    keys = [f"run/log/{number:08d}.json" for number in (3, 1, 2)]
    for key in [*keys, "run/report.md", "run-2/log/00000000.json"]:
        backend.create(key, b"x")
    assert backend.names("run/log/") == sorted(keys)
    assert backend.names("run/") == [*sorted(keys), "run/report.md"]
    assert backend.names("") == ["run-2/log/00000000.json", *sorted(keys), "run/report.md"]


def test_a_view_is_replaced(backend: Backend) -> None:
    """Only views are."""
    backend.replace_view("run/view", b"one")
    backend.replace_view("run/view", b"two")
    assert backend.read("run/view") == b"two"


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "run/../../x", "run//x", "run/.x", "run/-x", "run/x\0y", ""])
def test_a_key_that_could_leave_the_store_is_refused(backend: Backend, key: str) -> None:
    """For every operation."""
    for operation in (backend.read, lambda k: backend.create(k, b""), lambda k: backend.replace_view(k, b"")):
        with pytest.raises(EvidenceError, match="EVI-400"):
            operation(key)


def test_a_place_that_keeps_its_promise_passes_the_probe(backend: Backend) -> None:
    """Again and again."""
    backend.probe()
    backend.probe()


def test_a_cycle_is_written_retried_closed_and_verified(backend: Backend) -> None:
    """The store on top needs nothing but the contract."""

    def work() -> list[str]:
        store = EvidenceStore(backend, "run-1")
        store.open_run(genesis={"dag_id": "d"}, time=NOW, actor=ACTOR)
        for round_, text in enumerate((b"first", b"second")):
            idem = idempotency("artifact.published", "hypotheses", round_, [])
            store.publish("hypothesis-log.md", text, idem=idem, time=NOW, actor=ACTOR)
        close_run(store, body={}, idem=idempotency("run.closed", "close", 0, []), time=NOW, actor=ACTOR)
        return [entry.sha256 for entry in store.entries()]

    assert work() == work()
    verification = verify_run(backend, "run-1")
    assert verification.outcome is Outcome.UNFINISHED
    assert not [f for f in verification.findings if f.outcome is Outcome.TAMPERED or "rebuild" in f.what]
    assert backend.read("run-1/hypothesis-log.md") == b"second"


def test_many_writers_of_one_log_lose_and_mix_nothing(backend: Backend) -> None:
    """Eight at once, five entries each."""
    EvidenceStore(backend, "run-2").open_run(genesis={}, time=NOW, actor=ACTOR)

    def write(writer: int) -> None:
        store = EvidenceStore(backend, "run-2")
        for number in range(5):
            idem = idempotency("announce", f"{writer}/{number}", 0, [])
            store.append(type="announce", body={"writer": writer, "number": number}, idem=idem, time=NOW, actor=ACTOR)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    entries = EvidenceStore(backend, "run-2").entries()
    assert sorted((e.body["writer"], e.body["number"]) for e in entries[1:]) == [(w, n) for w in range(8) for n in range(5)]


class Flaky:
    """The client, whose `put_object` fails in a way, before or after the server did it."""

    def __init__(self, client: Any, error: Exception, *, after: bool, times: int = 1) -> None:
        self.client, self.error, self.after, self.times = client, error, after, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def put_object(self, **arguments: Any) -> Any:
        if self.times <= 0:
            return self.client.put_object(**arguments)
        self.times -= 1
        if self.after:
            self.client.put_object(**arguments)
        raise self.error


TIMEOUT = ReadTimeoutError(endpoint_url="http://127.0.0.1")


def answer(code: str, status: int) -> ClientError:
    """An error of the server."""
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses between tries."""
    monkeypatch.setattr(s3_store, "PAUSE_SECONDS", 0.0)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("error", [TIMEOUT, answer("InternalError", 500), answer("ConditionalRequestConflict", 409)])
def test_a_lost_answer_loses_and_doubles_nothing(s3: S3Backend, error: Exception, after: bool) -> None:
    """Done or not, the key holds the bytes afterwards, and the writer knows that they are its own."""
    flaky = S3Backend(Flaky(s3.client, error, after=after), s3.bucket, s3.prefix)
    assert flaky.create("run/x", b"mine") is True
    assert s3.read("run/x") == b"mine"


@pytest.mark.usefixtures("soon")
def test_a_lost_answer_over_another_writers_key_is_no_success(s3: S3Backend) -> None:
    """Other bytes are there: they stay, and this writer is second."""
    s3.create("run/x", b"theirs")
    flaky = S3Backend(Flaky(s3.client, TIMEOUT, after=False), s3.bucket, s3.prefix)
    assert flaky.create("run/x", b"mine") is False
    assert s3.read("run/x") == b"theirs"


@pytest.mark.usefixtures("soon")
def test_a_store_that_never_answers_is_an_error_in_one_line(s3: S3Backend) -> None:
    """After a few tries; nothing is acknowledged."""
    flaky = S3Backend(Flaky(s3.client, TIMEOUT, after=False, times=99), s3.bucket, s3.prefix)
    with pytest.raises(EvidenceError, match=r"EVI-500 run/x: .* Fix: "):
        flaky.create("run/x", b"mine")
    assert s3.names("run/") == []


def test_an_account_that_the_bucket_refuses_is_named(s3_server: dict[str, str]) -> None:
    """A wrong secret, for writing as for reading."""
    client = client_of({**s3_server, "aws_secret_access_key": "wrong"})
    stranger = S3Backend(client, BUCKET, "x")
    for operation in (lambda: stranger.create("run/x", b""), lambda: stranger.read("run/x"), stranger.probe):
        with pytest.raises(EvidenceError, match=r"EVI-503.*refuses"):
            operation()
    client.close()


class Careless(Flaky):
    """A server that ignores a condition or a checksum."""

    def __init__(self, client: Any, ignored: str) -> None:
        self.client, self.ignored = client, ignored

    def put_object(self, **arguments: Any) -> Any:
        arguments.pop(self.ignored, None)
        if self.ignored == "ChecksumSHA256" and "Body" in arguments:
            arguments["ChecksumSHA256"] = base64.b64encode(hashlib.sha256(arguments["Body"]).digest()).decode()
        return self.client.put_object(**arguments)


@pytest.mark.parametrize(("ignored", "words"), [("IfNoneMatch", "If-None-Match"), ("ChecksumSHA256", "checksum")])
def test_the_probe_refuses_a_server_that_ignores_what_evidence_needs(s3: S3Backend, ignored: str, words: str) -> None:
    """Such as several that call themselves S3."""
    with pytest.raises(EvidenceError, match=f"EVI-505.*{words}"):
        S3Backend(Careless(s3.client, ignored), s3.bucket, s3.prefix).probe()
    assert PROBE in s3.names("")


def test_a_locked_object_cannot_be_deleted(s3_server: dict[str, str]) -> None:
    """What is created is kept for its days, by the store itself; views are not locked."""
    client = client_of(s3_server)
    prefix = f"team/{next(PREFIXES)}"
    locked = S3Backend(client, LOCKED, prefix, lock=ObjectLock("COMPLIANCE", 1))
    assert locked.create("run/log/00000000.json", b"fact")
    assert locked.create("run/log/00000000.json", b"other") is False
    version = client.list_object_versions(Bucket=LOCKED, Prefix=f"{prefix}/run/log/")["Versions"][0]
    with pytest.raises(ClientError):
        client.delete_object(Bucket=LOCKED, Key=version["Key"], VersionId=version["VersionId"])
    kept = client.get_object_retention(Bucket=LOCKED, Key=version["Key"])["Retention"]
    assert kept["Mode"] == "COMPLIANCE" and kept["RetainUntilDate"] > datetime.now(UTC)
    locked.replace_view("run/view", b"1")
    locked.replace_view("run/view", b"2")
    assert locked.read("run/view") == b"2"
    client.close()


def test_stored_bytes_that_were_replaced_are_found(s3: S3Backend) -> None:
    """By digest: the account that writes could overwrite, the evidence shows it."""
    store = EvidenceStore(s3, "run-3")
    store.open_run(genesis={}, time=NOW, actor=ACTOR)
    digest = store.put_object(b"content")
    s3.replace_view(f"run-3/objects/sha256/{digest}", b"changed")
    with pytest.raises(Tampered, match="EVI-606"):
        store.get_object(digest)


def test_a_lease_is_held_by_one_and_is_free_after_it(s3: S3Backend) -> None:
    """While it is held another one waits, and gives up."""
    with lease(s3, "shop-8080", patience=0.0):
        with pytest.raises(Busy, match="EVI-508"), lease(s3, "shop-8080", patience=0.0):
            pass
        with lease(s3, "shop-8081", patience=0.0):
            pass
    with lease(s3, "shop-8080", patience=0.0):
        pass


def test_a_lease_is_renewed_while_it_is_held(s3: S3Backend) -> None:
    """Longer than it would hold by itself."""
    refused = threading.Event()
    with lease(s3, "shop", patience=0.0, seconds=1.0):
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            with contextlib.suppress(Busy), lease(s3, "shop", patience=0.0):
                pytest.fail("two hold the lease")
            refused.set()
            time.sleep(0.2)
    assert refused.is_set()


def test_the_lease_of_a_killed_holder_becomes_free(s3: S3Backend) -> None:
    """Once its time is over: nothing has to be cleaned up by hand."""
    s3.client.put_object(
        Bucket=s3.bucket, Key=f"{s3.prefix}locks/shop", Body=json.dumps({"holder": "x", "until": time.time() + 1}).encode()
    )
    begun = time.monotonic()
    with lease(s3, "shop", patience=5.0):
        assert 0.3 < time.monotonic() - begun < 5.0


@pytest.mark.parametrize("after", [True, False])
def test_a_lost_answer_does_not_lose_the_lease(s3: S3Backend, after: bool) -> None:
    """Taking, renewing and giving back each survive one write without an answer."""
    flaky = Flaky(s3.client, TIMEOUT, after=after)
    backend = S3Backend(flaky, s3.bucket, s3.prefix)
    with lease(backend, "shop", patience=5.0, seconds=2.0):
        flaky.times = 1
        time.sleep(0.8)
        assert flaky.times == 0
        with pytest.raises(Busy), lease(s3, "shop", patience=0.0):
            pass
        flaky.times = 1
    with lease(s3, "shop", patience=0.5):
        pass


def test_of_many_that_want_a_lease_one_at_a_time_has_it(s3: S3Backend) -> None:
    """The conditional write decides."""
    inside, most = [], []
    guard = threading.Lock()

    def work(number: int) -> None:
        with lease(s3, "shop", patience=30.0):
            with guard:
                inside.append(number)
                most.append(len(inside))
            time.sleep(0.02)
            with guard:
                inside.remove(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert most == [1, 1, 1, 1]


def test_a_load_test_holds_its_target_for_all_hosts(s3: S3Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where evidence lies in a bucket, the lock does too."""
    endpoint = SimpleNamespace(host="127.0.0.1", port=18101, instance="127.0.0.1:18101")
    monkeypatch.setattr(settings, "evidence_in_s3", lambda: True)
    monkeypatch.setattr(settings, "evidence_backend", lambda: s3)
    monkeypatch.setattr(load_steps, "LOCK_PATIENCE_SECONDS", 0.0)
    with load_steps.target_lock(endpoint):  # type: ignore[arg-type]
        assert s3.names("locks/") == ["locks/127.0.0.1-18101"]
        with pytest.raises(LoadError, match=r"LOD-402 127\.0\.0\.1:18101"), load_steps.target_lock(endpoint):  # type: ignore[arg-type]
            pass
    with load_steps.target_lock(endpoint):  # type: ignore[arg-type]
        pass


def test_a_copy_of_a_run_in_a_bucket_verifies_as_a_directory(s3: S3Backend, tmp_path: Path) -> None:
    """An auditor copies the objects with any client, and needs no account afterwards."""
    store = EvidenceStore(s3, "run-4")
    store.open_run(genesis={}, time=NOW, actor=ACTOR)
    store.publish("hypothesis-log.md", b"x", idem=idempotency("artifact.published", "h", 0, []), time=NOW, actor=ACTOR)
    close_run(store, body={}, idem=idempotency("run.closed", "close", 0, []), time=NOW, actor=ACTOR)
    for key in s3.names("run-4/"):
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.read(key))
    findings = verify(tmp_path / "run-4").findings
    assert {f.what for f in findings if f.outcome is not Outcome.VERIFIED} <= {
        "the artifact is not published", "no gate, person or service vouches for it",
    }  # fmt: skip
