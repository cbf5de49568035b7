"""Who signed what: required roles against verified approval records, bound to a digest. A role's name is not a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfproof.config import Role
from perfproof.errors import PerfproofError
from perfproof.gates.figures import at, mappings, text_at
from perfproof.moments import parse_stamp

Record = Mapping[str, Any]


def is_person(name: Any, *, person_id: Any, roles: Mapping[str, Role]) -> bool:
    """Whether the two name a person: both are there, and neither is the name or the label of a role."""
    if not isinstance(name, str) or not isinstance(person_id, str) or not name.strip() or not person_id.strip():
        return False
    titles = {_folded(word) for key, role in roles.items() for word in (key, role.label)}
    return _folded(name) not in titles and _folded(person_id) not in titles


def records_by_role(records: Iterable[Record], *, step: str, digest: str | None, roles: Mapping[str, Role]) -> dict[str, Record]:
    """For each role the record that approves `step` for exactly the content with `digest`, by a person who holds the role.

    The last record of a role decides, so an approval that was followed by a rejection is none.
    """
    last = {text_at(r, "role"): r for r in records if text_at(r, "step") == step}
    return {role: record for role, record in last.items() if role in roles and _approves(record, digest, roles[role], roles)}


def missing_sign_offs(records: Sequence[Record], *, step: str, digest: str | None, roles: Mapping[str, Role]) -> list[str]:
    """What is missing until every role of `roles` has approved `step` for the content with `digest`, each by another person."""
    complaints = ["no role is required to approve"] if not roles else []
    signed = records_by_role(records, step=step, digest=digest, roles=roles)
    for role, held in roles.items():
        if role not in signed:
            others = [r for r in records if text_at(r, "step") == step and text_at(r, "role") == role]
            complaints.append(f"no approval of the {held.label}{_why_not(others, digest)}")
    people = [_folded(text_at(record, "person", "id")) for record in signed.values()]
    complaints += [f"{person} signed for two roles" for person in sorted({p for p in people if people.count(p) > 1})]
    return complaints


def _approves(record: Record, digest: str | None, role: Role, roles: Mapping[str, Role]) -> bool:
    return record.get("decision") == "approve" and _is_bound(record, digest) and _holds(record, role, roles)


def _is_bound(record: Record, digest: str | None) -> bool:
    return digest is not None and any(e.get("sha256") == digest for e in mappings(record, "evidence"))


def _holds(record: Record, role: Role, roles: Mapping[str, Role]) -> bool:
    named = is_person(at(record, "person", "name"), person_id=at(record, "person", "id"), roles=roles)
    return named and may_answer(record, role)


def may_answer(record: Record, role: Role) -> bool:
    """Whether the record's person holds `role`, or stood in for somebody who does on the day of the decision."""
    person_id = text_at(record, "person", "id")
    if any(person.id == person_id for person in role.people):
        return True
    try:
        return role.may_answer(person_id, at=parse_stamp(record.get("decided_at")))
    except PerfproofError:
        return False


def _why_not(others: list[Record], digest: str | None) -> str:
    if not others:
        return ""
    last = others[-1]
    if last.get("decision") != "approve":
        return f": the decision is {last.get('decision')!r}"
    if not _is_bound(last, digest):
        return ": it is bound to other evidence"
    return f": {at(last, 'person', 'name')!r} is nobody who holds the role"


def _folded(word: str) -> str:
    return " ".join(word.replace("_", " ").replace("-", " ").split()).casefold()
