"""Secrets are found in everything that becomes evidence, what perfproof writes is not taken for one, and nothing makes the search slow."""

from __future__ import annotations

import base64
import gzip
import html
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from perfproof.errors import EvidenceError
from perfproof.evidence import Actor, EvidenceStore, MemoryBackend, idempotency, secrets
from perfproof.evidence.envelope import CheckpointKey
from perfproof.evidence.secret_shapes import SecretKind
from perfproof.evidence.secrets import find_secrets, is_searched, masked

REPOSITORY = Path(__file__).parents[4]
ALNUM = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2dE3f"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhsc\n-----END PRIVATE KEY-----\n"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"

# Put together here, so that no file of the repository holds the shape of a token.
CANARIES: dict[str, tuple[str, SecretKind]] = {
    "private key": (PEM, SecretKind.PRIVATE_KEY),
    "rsa private key in JSON": (json.dumps(PEM.replace("PRIVATE", "RSA PRIVATE")), SecretKind.PRIVATE_KEY),
    "aws key id": ("id AK" + "IA" + "QWERTYUIOP234567 here", SecretKind.AWS),
    "aws temporary key id": ("AS" + "IA" + "QWERTYUIOP234567", SecretKind.AWS),
    "aws secret key": (f'aws_secret_access_key = "{ALNUM}"', SecretKind.ASSIGNMENT),
    "google api key": ("key=AI" + "za" + ALNUM[:35], SecretKind.GOOGLE),
    "google oauth token": ("ya2" + "9." + ALNUM, SecretKind.GOOGLE),
    "google client secret": ("GOC" + "SPX-" + ALNUM[:28], SecretKind.GOOGLE),
    "github token": ("gh" + "p_" + ALNUM[:36], SecretKind.GITHUB),
    "github app token": ("gh" + "s_" + ALNUM[:36], SecretKind.GITHUB),
    "github fine-grained token": ("github_" + "pat_" + ALNUM, SecretKind.GITHUB),
    "gitlab token": ("gl" + "pat-" + ALNUM[:20], SecretKind.GITLAB),
    "gitlab runner token": ("gl" + "rt-" + ALNUM[:20], SecretKind.GITLAB),
    "slack bot token": ("xo" + "xb-123456789012-" + ALNUM[:24], SecretKind.SLACK),
    "slack app token": ("xa" + "pp-1-A0123-" + ALNUM[:24], SecretKind.SLACK),
    "slack webhook": ("https://hooks.slack.com/" + "services/T0AB1CD2E/B0AB1CD2E/" + ALNUM[:24], SecretKind.SLACK),
    "stripe key": ("sk" + "_live_" + ALNUM[:24], SecretKind.STRIPE),
    "stripe test key": ("rk" + "_test_" + ALNUM[:24], SecretKind.STRIPE),
    "npm token": ("np" + "m_" + ALNUM[:36], SecretKind.PACKAGE_INDEX),
    "jwt": (f"token {JWT}", SecretKind.JWT),
    "jwt after an escape": (json.dumps(f"a\n{JWT}"), SecretKind.JWT),
    "bearer header": ("Authorization: Bearer abcdefgh", SecretKind.AUTHORIZATION),
    "basic header in JSON": (json.dumps({"authorization": "Basic YWxhZGRpbjpvcGVu"}), SecretKind.AUTHORIZATION),
    "header as Python shows it": ("{'Authorization': 'Bearer abcdefgh'}", SecretKind.AUTHORIZATION),
    "bearer alone": ("sent Bearer a1b2c3d4e5f6g7h8i9j0 and got 401", SecretKind.AUTHORIZATION),
    "url": ("postgresql://shop:correct-horse@db:5432/shop", SecretKind.URL_PASSWORD),
    "url without user": ("redis://:correct-horse@cache:6379/0", SecretKind.URL_PASSWORD),
    "url of an exception": ("ConnectError('http://prom:s3cr3t@10.0.0.1/: refused')", SecretKind.URL_PASSWORD),
    "dsn": ("host=127.0.0.1 user=u password=hunter2 dbname=d", SecretKind.ASSIGNMENT),
    "password in JSON": ('{"password": "hunter2"}', SecretKind.ASSIGNMENT),
    "password in JSON in JSON": (json.dumps(json.dumps({"password": "hunter2"})), SecretKind.ASSIGNMENT),
    "password in HTML": (html.escape('{"password": "hunter2"}'), SecretKind.ASSIGNMENT),
    "password in YAML": ("password: hunter2hunter2", SecretKind.ASSIGNMENT),
    "password in SQL": ("alter role shop with password 'hunter2'", SecretKind.ASSIGNMENT),
    "query string": ("/export?api_key=9f8e7d6c5b4a&x=1", SecretKind.ASSIGNMENT),
    "header of an api": ("X-Api-Key: 9f8e7d6c5b4a", SecretKind.ASSIGNMENT),
    "environment": ("DEMO_CLIENT_SECRET=9f8e7d6c5b4a", SecretKind.ASSIGNMENT),
    "label of a metric": ('http_requests_total{token="9f8e7d6c5b4a"} 1', SecretKind.ASSIGNMENT),
    "passphrase with blanks": ('"passphrase": "correct horse battery"', SecretKind.ASSIGNMENT),
    "fernet key": ("FERNET_KEY=" + ALNUM + "abc=", SecretKind.FERNET),
}


@pytest.mark.parametrize("name", CANARIES)
def test_a_secret_of_a_known_shape_is_found(name: str) -> None:
    """In its line, and what is shown of it is not the secret."""
    text, kind = CANARIES[name]
    found = find_secrets(f"first\nsecond {text} rest\nlast".encode())
    assert kind in {secret.kind for secret in found}
    assert {secret.line for secret in found} <= set(range(2, 2 + len(text.splitlines())))
    for secret in found:
        assert secret.excerpt.endswith("***")
        assert text not in secret.excerpt and ALNUM[:6] not in secret.excerpt and "hunter" not in secret.excerpt


@pytest.mark.parametrize("name", CANARIES)
def test_a_masked_text_holds_no_secret(name: str) -> None:
    """And keeps what stands around it."""
    text, _ = CANARIES[name]
    shown = masked(f"before {text} after")
    assert find_secrets(shown.encode()) == []
    assert shown.startswith("before ") and shown.endswith(" after") and "***" in shown


HARMLESS = [
    f"sha256:{'0123456789abcdef' * 4}",
    json.dumps({"password": "***", "token": "", "secret": None, "api_key": "<your key>"}),
    "password: 64 hexadecimal digits. Signs acts.",
    "login: a key id; password: an Ed25519 private key, the PEM itself",
    "WHERE password = $1 AND token = ? AND secret = :secret AND api_key = %s",
    "update users set password = users.password_hash",
    'password=os.environ["PASSWORD"], token=read_token(path)',
    "postgresql://user:password@host/db and http://127.0.0.1:8080/a@b and s3://bucket/prefix",
    "${DB_PASSWORD} {{ conn.password }} password={{ var.value.x }}",
    '"token_sha256": "abcdef0123456789", "password_field": "password_text", "secret_name": "projects/1"',
    "max_tokens=100000 tokens_per_second: 1234567.5 total_tokens = POOL_SIZE",
    "get_password (shop/accounts.py:12);check_token (shop/tokens.py:40) 17",
    "Authorization: Bearer <token>",
    "Bearer authentication is what the endpoint expects of everybody",
    "AKIAIOSFODNN7EXAMPLE",
    base64.b64encode(bytes(range(256)) * 40).decode(),
    "eyJhbGciOiJIUzI1NiJ9" * 3,
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----",
    "say -----BEGIN PRIVATE KEY----- and no more",
    "PWD=/srv/airflow/shop",
    "demo__2026-11-24T08-19-59-f45fbc579056af79",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_a_little_like_a_secret_is_none(text: str) -> None:
    """Placeholders, parameters of queries, code, prose, digests, signatures."""
    assert find_secrets(text.encode()) == []
    assert masked(text) == text


def test_no_secret_is_seen_in_the_documents_of_the_repository() -> None:
    """All that a team may copy into evidence: documents, protocol files, samples, schemas, pictures, sources."""
    places = ["README.md", "docs", "include", "plugins", "dags", "tests/fixtures"]
    files = [path for place in places for path in sorted((REPOSITORY / place).rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    files.append(REPOSITORY / "README.md")
    found = {str(path.relative_to(REPOSITORY)): secret for path in files for secret in find_secrets(path.read_bytes())}
    assert len(files) > 100
    assert found == {}


def test_no_secret_is_seen_in_a_finished_run(finished_run: Path) -> None:
    """Log, objects, views, digests and manifest."""
    files = [path for path in finished_run.rglob("*") if path.is_file()]
    assert {path: found for path in files if (found := find_secrets(path.read_bytes()))} == {}


def test_no_secret_is_seen_in_what_cycles_of_this_checkout_left() -> None:
    """Rows, stacks, plans, pictures and reports of real cycles, where there are any."""
    cycles = list((REPOSITORY / ".artifacts" / "performance").glob("*/log/00000000.json"))
    if not cycles:
        pytest.skip("no cycle was run in this checkout")
    files = [path for cycle in cycles for path in cycle.parents[1].rglob("*") if path.is_file()]
    assert {path: found for path in files if (found := find_secrets(path.read_bytes()))} == {}


def test_no_secret_is_seen_in_a_signature() -> None:
    """An envelope around a statement, in Base64."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from perfproof.evidence.envelope import seal

    key = CheckpointKey("k", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    assert find_secrets(seal(json.dumps({"subject": list(range(2000))}).encode(), key=key)) == []


KNOWN = 'p"ä<s/w&o_r*d 7'


@pytest.mark.parametrize(
    "form",
    [
        lambda s: s, quote, lambda s: quote(s, safe=""), json.dumps, lambda s: json.dumps(s, ensure_ascii=False), html.escape,
        lambda s: base64.b64encode(f"user:{s}".encode()).decode(), lambda s: base64.urlsafe_b64encode(f"us:{s}!".encode()).decode(),
        lambda s: base64.b64encode(f"u:{s}x".encode()).decode(),
    ],
)  # fmt: skip
def test_a_registered_secret_is_found_in_every_form(form: Callable[[str], str]) -> None:
    """As it is, in URLs, JSON, HTML, and in Base64 whatever stands before it."""
    text = f"line\nx {form(KNOWN)} y"
    assert [(s.kind, s.line) for s in find_secrets(text.encode(), known=[KNOWN])] == [(SecretKind.KNOWN, 2)]
    assert find_secrets(text.encode()) == []
    assert find_secrets(masked(text, known=[KNOWN]).encode(), known=[KNOWN]) == []


def test_a_registered_secret_is_found_in_markdown() -> None:
    """Whose writer puts backslashes into it."""
    from perfproof.markdown import text

    secret = "c*rrect_h|rse_9"
    assert find_secrets(text(f"label {secret} x").encode(), known=[secret])


EVERYDAY = ["shop", "airflow", "postgres", "DataBase", "k1", "hunter2"]


@pytest.mark.parametrize(
    ("secret", "searched"), [*((word, False) for word in EVERYDAY), ("hunter22", True), ("correcthorse", True), ("a b c d e", True)]
)
def test_short_and_everyday_words_are_not_searched(secret: str, searched: bool) -> None:
    """A password `postgres` must not make every query plan impossible to publish."""
    assert is_searched(secret) is searched
    assert bool(find_secrets(f"the {secret} here".encode(), known=[secret])) is searched


def test_gzipped_rows_are_unpacked() -> None:
    """With the line of the unpacked text; also when the secret lies across two pieces, or in a second member."""
    row = b"0.050787,0.051760,0.084222,200,orders,1\n"
    text = row * 3 + b"0.1,0.2,0.3,200,/login?password=hunter2,1\n" + row
    assert [(s.kind, s.line) for s in find_secrets(gzip.compress(text))] == [(SecretKind.ASSIGNMENT, 4)]
    assert find_secrets(gzip.compress(row) + gzip.compress(text))
    assert find_secrets(gzip.compress(row * 5)) == []
    assert find_secrets(gzip.compress(text)[:-9])
    assert find_secrets(gzip.compress(row) + text)
    assert find_secrets(b"\x1f\x8b no gzip at all\n" + text)
    for cut in range(secrets.UNPACKED_AT_ONCE - 20, secrets.UNPACKED_AT_ONCE + 4, 6):
        assert find_secrets(gzip.compress(b"," * cut + text, 1)), cut


def test_too_much_compressed_content_is_refused_and_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few kilobytes can hold gigabytes."""
    monkeypatch.setattr(secrets, "UNPACKED_LIMIT", 1 << 20)
    assert [s.kind for s in find_secrets(gzip.compress(b"0" * (2 << 20)))] == [SecretKind.OPAQUE]


ADVERSARIAL = [
    b"://", b"://a:", b"eyJ", b"eyJaaaaaaaaaaaa", b"password", b"password ", b"bearer ", b"bearer a", b"-----BEGIN PRIVATE KEY-----",
    b"-----BEGIN ", b"fernet", b"fernet ", b"token=a(", b"secret" + b"a" * 39, b"AKIA", b"\\neyJ", b"pwd:" + b"a" * 199 + b"(",
    b"-----BEGIN PRIVATE KEY-----" + b"- " * 7000, b"sk_live_", b"bearer " + b"a" * 2000, b"eyJ" + b"a" * 1990 + b" ", b"authorization",
    b'\\"password\\" : \\"', b"hooks.slack.com/services/T",
]  # fmt: skip


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_no_text_makes_the_search_slower_than_in_proportion(piece: bytes) -> None:
    """Eight times the text takes about eight times as long: counted in CPU time, with room for a busy machine."""

    def seconds(size: int) -> float:
        data = piece * (size // len(piece))
        best = float("inf")
        for _ in range(3):
            begun = time.process_time()
            find_secrets(data)
            best = min(best, time.process_time() - begun)
        return best

    assert seconds(400_000) < 30 * max(seconds(50_000), 1e-3)


ACTOR = Actor(kind="task", id="a_task", auth="A1")
CANARY = "n0-b1rd-s1ngs-here"


@pytest.fixture
def guarded(now: datetime) -> EvidenceStore:
    """An open run whose process knows a secret."""
    store = EvidenceStore(MemoryBackend(), "run-1", known_secrets=lambda: [CANARY])
    store.open_run(genesis={"dag_id": "d"}, time=now, actor=ACTOR)
    return store


PLACES: dict[str, Any] = {
    "label of telemetry": ("baseline-metrics.json", json.dumps({"cells": [{"labels": {"user": CANARY}}]})),
    "text of an exception": ("evidence/source-prometheus.json", json.dumps({"status": "unknown", "reason": f"GET http://u:{CANARY}@h"})),
    "statement of a query plan": ("evidence/query-plans.json", json.dumps({"statement": f"where v = '{CANARY}'"})),
    "header of a load test": ("evidence/load-peak.json", json.dumps({"headers": {"X-Key": CANARY}})),
    "comment of a form": ("approvals/r.product_owner.json", json.dumps({"comment": f"use {CANARY}"})),
    "rows of a load test": ("evidence/load-peak-rows.csv.gz", gzip.compress(f"0.1,0.2,0.3,200,/{CANARY},1\n".encode())),
    "report": ("PERFORMANCE-REPORT.html", f"<p>{html.escape(CANARY)}</p>"),
}


@pytest.mark.parametrize("place", PLACES)
def test_an_artifact_with_a_secret_is_refused_and_nothing_is_written(guarded: EvidenceStore, now: datetime, place: str) -> None:
    """In one line that names artifact, line and kind, and does not repeat the secret."""
    name, content = PLACES[place]
    data = content if isinstance(content, bytes) else content.encode()
    before = dict(guarded.backend.data)  # type: ignore[attr-defined]
    with pytest.raises(EvidenceError, match=rf"^EVI-423 {name} line 1: holds .*\. Fix: ") as caught:
        guarded.publish(name, data, idem=idempotency("a", name, 0, []), time=now, actor=ACTOR)
    assert CANARY not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(EvidenceError, match="EVI-423"):
        guarded.put_object(data)
    assert guarded.backend.data == before  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [{"text": CANARY}, {"text": "Authorization: Bearer abcdefgh"}, {"list": [{CANARY: 1}]}])
def test_an_entry_with_a_secret_is_refused_and_nothing_is_written(guarded: EvidenceStore, now: datetime, body: dict[str, Any]) -> None:
    """The log is evidence too, and its entries can be taken back even less."""
    before = dict(guarded.backend.data)  # type: ignore[attr-defined]
    with pytest.raises(EvidenceError, match=r"EVI-423 log entry 1 \(announce\) line 1") as caught:
        guarded.append(type="announce", body=body, idem=idempotency("a", "x", 0, []), time=now, actor=ACTOR)
    assert CANARY not in str(caught.value)
    assert guarded.backend.data == before  # type: ignore[attr-defined]
    guarded.append(type="announce", body={"text": "harmless"}, idem=idempotency("a", "x", 0, []), time=now, actor=ACTOR)


def test_a_genesis_with_a_secret_opens_no_run(now: datetime) -> None:
    """Parameters of a run come from people."""
    store = EvidenceStore(MemoryBackend(), "run-1", known_secrets=lambda: [CANARY])
    with pytest.raises(EvidenceError, match="EVI-423 genesis line 1"):
        store.open_run(genesis={"parameters": {"change": CANARY}}, time=now, actor=ACTOR)
    assert store.backend.data == {}  # type: ignore[attr-defined]


def test_secrets_that_become_known_later_count(now: datetime) -> None:
    """A task asks for Connections after its store was made."""
    known: list[str] = []
    store = EvidenceStore(MemoryBackend(), "run-1", known_secrets=lambda: known)
    store.open_run(genesis={}, time=now, actor=ACTOR)
    store.put_object(CANARY.encode())
    known.append(CANARY)
    with pytest.raises(EvidenceError, match="EVI-423"):
        store.put_object(b"x " + CANARY.encode())


def test_the_scanner_needs_no_airflow() -> None:
    """It is part of the core."""
    code = "import sys, perfproof.evidence.secrets; assert not [m for m in sys.modules if m.startswith('airflow')]"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
