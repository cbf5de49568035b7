"""The rules of a waiver: who may excuse which criterion, why, how far and until when. Every refusal has its own code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from perfproof.config import Role
from perfproof.errors import PerfproofError, WaiverError
from perfproof.gates.figures import mappings, number, text_at
from perfproof.gates.result import GATE_NAMES, Outcome
from perfproof.gates.sign_offs import may_answer
from perfproof.moments import parse_stamp, stamp
from perfproof.waivers.waiver import BY_METRIC, Approver, Waiver, worst_of

MIN_JUSTIFICATION = 20
MAX_LIFETIME = timedelta(days=30)
# A regression hurts users and operators: both who speak for them sign.
REGRESSION_ROLES = ("product_owner", "sre_lead")
NOTE_FIELD = re.compile(r"\b(criterion|expires|metric|limit)\s*=\s*([^\s;,]+)[;,]?", re.IGNORECASE)


def note_fields(note: str) -> dict[str, Any]:
    """The fields in a decision's note: `criterion=… expires=… [metric=… limit=…]`, and everything else as the justification.

    `expires` may be a date; it then holds to the end of that day in UTC. A limit that is no number stays text, and is refused.
    """
    fields: dict[str, Any] = {}
    for key, value in NOTE_FIELD.findall(note):
        fields.setdefault(key.lower(), value)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(fields.get("expires", ""))):
        fields["expires"] += "T23:59:59Z"
    limit = str(fields.get("limit", "")).removesuffix("%")
    if re.fullmatch(r"\d+(\.\d+)?", limit):
        fields["limit"] = float(limit)
    justification = re.sub(r"\breason\s*=\s*", "", NOTE_FIELD.sub(" ", note), flags=re.IGNORECASE)
    return {
        "criterion": fields.get("criterion"),
        "expires_at": fields.get("expires"),
        "metric": fields.get("metric"),
        "limit": fields.get("limit"),
        "justification": " ".join(justification.split()),
    }


def check_waiver(
    *,
    result: Mapping[str, Any],
    result_sha256: str,
    run: str,
    fields: Mapping[str, Any],
    approvals: Sequence[Mapping[str, Any]],
    roles: Mapping[str, Role],
    required: Sequence[str],
    requester: str,
    now: datetime,
    closed: bool = False,
) -> Waiver:
    """The waiver, if it may be granted. Raises WaiverError with its own code for each reason why not.

    `result` is the document of the gate's result and `result_sha256` its digest. `fields` hold criterion, justification,
    expires_at, metric and limit; if they name gate, run or result_sha256 these must be this gate's. `approvals` are records
    with role and person, `required` the roles that decide about this gate; a regression needs product owner and SRE lead.
    `closed` says that the handoff is done.
    """
    gate = _gate(result, fields)
    if closed:
        raise _refused(119, gate, "the run was handed over already", fix="start a new cycle")
    _check_binding(gate, fields, run=run, result_sha256=result_sha256)
    criterion = _criterion(gate, result, fields.get("criterion"))
    name = str(criterion["criterion"])
    justification = _justification(gate, fields.get("justification"))
    expires = _expiry(gate, fields.get("expires_at"), now)
    metric, limit = _scope(gate, name, result, fields)
    needed = tuple(dict.fromkeys((*required, *REGRESSION_ROLES))) if name in BY_METRIC else tuple(required)
    approvers = _approvers(gate, approvals, roles=roles, required=needed, requester=requester)
    return Waiver(gate, name, justification, approvers, requester, run, result_sha256, now, expires, metric, limit)


def _refused(code: int, gate: int | str, what: str, *, fix: str, got: Any = None, expected: Any = None) -> WaiverError:
    return WaiverError(code, where=f"waiver of gate {gate}", what=what, got=got, expected=expected, fix=fix)


def _gate(result: Mapping[str, Any], fields: Mapping[str, Any]) -> int:
    gate = result.get("gate")
    asked = fields.get("gate", gate)
    if type(gate) is not int or gate not in GATE_NAMES or type(asked) is not int or asked not in GATE_NAMES:
        raise _refused(101, str(asked), "unknown gate", expected="1 | 2 | 3 | 4", fix="name the gate")
    if asked != gate:
        raise _refused(112, asked, "the result is of another gate", got=gate, expected=asked, fix="waive the gate whose result this is")
    if result.get("outcome") == Outcome.PASS:
        raise _refused(102, gate, "the gate passed", fix="nothing needs to be waived")
    return gate


def _check_binding(gate: int, fields: Mapping[str, Any], *, run: str, result_sha256: str) -> None:
    if fields.get("run", run) != run:
        raise _refused(112, gate, "it is for another run", got=fields.get("run"), expected=run, fix="ask for a waiver in this run")
    if fields.get("result_sha256", result_sha256) != result_sha256:
        raise _refused(
            113,
            gate,
            "it is for another gate result",
            got=fields.get("result_sha256"),
            expected=result_sha256,
            fix="ask again about this one",
        )


def _criterion(gate: int, result: Mapping[str, Any], name: Any) -> Mapping[str, Any]:
    unmet = {text_at(c, "criterion"): c for c in mappings(result, "criteria") if c.get("met") is not True}
    if not isinstance(name, str) or not name.strip() or set(name) & set("*?,") or name.strip().lower() in ("all", "any"):
        raise _refused(103, gate, "a waiver names one criterion", got=name, expected=" | ".join(unmet), fix="name it: criterion=…")
    if name not in unmet:
        raise _refused(104, gate, "not an unmet criterion of this gate", got=name, expected=" | ".join(unmet), fix="name an unmet one")
    if unmet[name].get("waivable") is not True:
        raise _refused(105, gate, "integrity and approvals cannot be waived", got=name, fix="correct the evidence or obtain the approval")
    if unmet[name].get("actual") is None:
        raise _refused(120, gate, "there is no figure that could be waived", got=name, fix="measure it")
    return unmet[name]


def _justification(gate: int, text: Any) -> str:
    words = text.strip() if isinstance(text, str) else ""
    if len(words) < MIN_JUSTIFICATION or len(set(words.lower())) < 5:
        raise _refused(106, gate, "no justification", got=text, expected=f"{MIN_JUSTIFICATION} characters or more", fix="say why in words")
    return words


def _expiry(gate: int, text: Any, now: datetime) -> datetime:
    if text is None or text == "":
        raise _refused(107, gate, "no expiry", expected="a date within 30 days", fix="say until when: expires=YYYY-MM-DD")
    try:
        moment = parse_stamp(text)
    except PerfproofError:
        raise _refused(107, gate, "the expiry is no moment", got=text, expected="YYYY-MM-DD or UTC with a Z", fix="correct it") from None
    if moment <= now:
        raise _refused(108, gate, "the waiver has expired", got=text, expected=f"after {stamp(now)}", fix="ask for a new one")
    # A date holds to the end of its day, so the thirtieth day is still within.
    if moment > now + MAX_LIFETIME + timedelta(days=1) or moment.date() > (now + MAX_LIFETIME).date():
        raise _refused(109, gate, "the waiver would hold too long", got=text, expected="30 days at most", fix="choose an earlier date")
    return moment


def _scope(gate: int, criterion: str, result: Mapping[str, Any], fields: Mapping[str, Any]) -> tuple[str | None, float | None]:
    metric, limit = fields.get("metric"), number(fields.get("limit"))
    if criterion not in BY_METRIC:
        return (metric if isinstance(metric, str) else None), (None if limit is None else float(limit))
    if not isinstance(metric, str) or not metric or limit is None or limit <= 0:
        raise _refused(115, gate, "a regression is waived by metric and limit", got=(metric, fields.get("limit")), fix="metric=… limit=…")
    entry = next((e for e in mappings(result, "figures", criterion) if e.get("metric") == metric), None)
    if entry is None:
        names = [str(e.get("metric")) for e in mappings(result, "figures", criterion)]
        raise _refused(116, gate, "this metric did not regress", got=metric, expected=" | ".join(names), fix="name one that did")
    worst = worst_of(entry)
    if worst is None or worst > limit:
        raise _refused(
            118, gate, f"{metric} is worse than the limit", got=worst, expected=f"at most {limit}", fix="raise the limit, if you mean it"
        )
    return metric, float(limit)


def _approvers(
    gate: int, approvals: Sequence[Mapping[str, Any]], *, roles: Mapping[str, Role], required: Sequence[str], requester: str
) -> tuple[Approver, ...]:
    found: dict[str, Approver] = {}
    for record in approvals:
        role, person, name = text_at(record, "role"), text_at(record, "person", "id"), text_at(record, "person", "name")
        if record.get("decision") not in (None, "waiver"):
            continue
        if role not in roles or not may_answer(record, roles[role]):
            raise _refused(110, gate, "the approver does not hold the role", got=f"{person} as {role}", fix="have it approved by who does")
        if person.casefold() == requester.casefold():
            raise _refused(111, gate, "who asks for a waiver cannot approve it", got=person, fix="have somebody else approve it")
        found[role] = Approver(person, name, role)
    missing = [roles[r].label if r in roles else r for r in required if r not in found]
    if missing or not required:
        number_of = 114 if len(required) > 1 else 110
        raise _refused(number_of, gate, "an approval is missing", got=", ".join(missing) or "no role", fix="obtain it from each role")
    if len({a.person_id.casefold() for a in found.values()}) < len(found):
        raise _refused(117, gate, "one person approves for two roles", fix="each role needs another person")
    return tuple(found[role] for role in required)
