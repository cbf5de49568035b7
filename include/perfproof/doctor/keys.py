"""Keys: what acts and checkpoints are signed with, whether every component has the same, and whether auditors trust it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from perfproof.approvals.keys import KEY_CONNECTION
from perfproof.doctor.finding import Area, Finding, ok, problem, told_by, unchecked
from perfproof.errors import PerfproofError
from perfproof.evidence.envelope import SIGNING_CONNECTION
from perfproof.evidence.trust import TrustedKey, TrustRoot
from perfproof.moments import stamp

AREA = Area.KEYS
ACTS, CHECKPOINTS = f"Connection {KEY_CONNECTION}", f"Connection {SIGNING_CONNECTION}"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """`acts_id` and `signing_id` are the ids of the keys on this machine, None without one; the errors say why there is none.

    `served_id` is the id that the api-server's database holds for acts; `served_reason` why that is not known. `signing_public` is the
    public half in hexadecimal. `trust` is what auditors have, `trust_error` why the file is none; both None: no file was named.
    `unseen` says why this machine could not look for Connections.
    """

    acts_id: str | None = None
    acts_error: PerfproofError | None = None
    served_id: str | None = None
    served_reason: str | None = None
    signing_id: str | None = None
    signing_public: str | None = None
    signing_error: PerfproofError | None = None
    trust: TrustRoot | None = None
    trust_error: PerfproofError | None = None
    unseen: str | None = None


def judge_keys(facts: KeyFacts, *, now: datetime) -> Iterator[Finding]:
    """The findings about both kinds of keys. No part of a secret is in them."""
    yield from _acts(facts)
    yield from _checkpoints(facts, now)


def _acts(facts: KeyFacts) -> Iterator[Finding]:
    if facts.acts_id is None:
        if facts.unseen is not None:
            yield unchecked(AREA, ACTS, f"the key that signs acts: {facts.unseen}")
        elif facts.acts_error is not None:
            yield told_by(AREA, 401, facts.acts_error)
        return
    yield ok(AREA, ACTS, f"holds the key {facts.acts_id} for signing acts")
    if facts.served_id is None:
        reason = facts.served_reason or "it was not asked"
        yield unchecked(AREA, ACTS, f"whether the api-server signs with the same key: {reason}", fix="compare its login on each component")
    elif facts.served_id != facts.acts_id:
        yield problem(
            AREA, 402, where=ACTS, what="the api-server signs acts with another key than this machine checks them with",
            got=facts.served_id,
            expected=facts.acts_id,
            fix="give every component the same Connection: look for AIRFLOW_CONN_PERFPROOF_APPROVALS and secrets backends",
        )  # fmt: skip
    else:
        yield ok(AREA, ACTS, "is the same on the api-server, by its key id")


def _checkpoints(facts: KeyFacts, now: datetime) -> Iterator[Finding]:
    if facts.trust_error is not None:
        yield told_by(AREA, 405, facts.trust_error)
    if facts.signing_error is not None:
        yield told_by(AREA, 403, facts.signing_error)
        return
    if facts.signing_id is None:
        if facts.unseen is not None:
            yield unchecked(AREA, CHECKPOINTS, f"the key that signs checkpoints: {facts.unseen}")
        elif facts.trust is not None:
            yield problem(
                AREA, 406, where=CHECKPOINTS, what="there is a trust root, and nothing signs checkpoints", got="no such Connection",
                fix="import the signing-connection.json that perfproof keygen wrote with the trust root",
            )  # fmt: skip
        else:
            yield ok(AREA, CHECKPOINTS, "is not set up, which is allowed: evidence is then unsigned")
        return
    yield ok(AREA, CHECKPOINTS, f"holds the key {facts.signing_id} for signing checkpoints")
    if facts.trust is None:
        if facts.trust_error is None:
            yield unchecked(AREA, CHECKPOINTS, "whether auditors trust this key: no trust root was named", fix="give --trust FILE")
        return
    yield _trusted(facts, facts.trust.keys.get(facts.signing_id), now)


def _trusted(facts: KeyFacts, listed: TrustedKey | None, now: datetime) -> Finding:
    wrong: tuple[str, str | None] | None = None
    if listed is None:
        wrong = ("the trust root does not name this key", facts.signing_id)
    elif listed.public_hex != facts.signing_public:
        wrong = ("the trust root has another public key under this id", facts.signing_id)
    elif listed.revoked:
        wrong = ("the trust root revokes this key", facts.signing_id)
    elif listed.valid_until is not None and now > listed.valid_until:
        wrong = ("the key has expired in the trust root", stamp(listed.valid_until))
    elif listed.valid_from is not None and now < listed.valid_from:
        wrong = ("the key is not valid yet in the trust root", stamp(listed.valid_from))
    if wrong is None:
        return ok(AREA, CHECKPOINTS, "the trust root names this key, valid now")
    return problem(
        AREA, 404, where=CHECKPOINTS, what=wrong[0], got=wrong[1],
        fix="deploy the trust root of this key, or replace the Connection by a key that it names; perfproof keygen makes both",
    )  # fmt: skip
