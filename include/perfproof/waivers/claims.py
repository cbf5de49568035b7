"""What the people who decided for a waiver wrote: each note may waive several criteria, and each counts only for what it names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.waivers.rules import note_fields

SEPARATOR = re.compile(r"[\s;,]*\bwaiver\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Claim:
    """One criterion (and metric) that some of the people waive. `fields` are the strictest of what they wrote."""

    fields: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...]


def claims(records: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """The claims in the comments of decision records, in the order in which they were first made.

    `waiver: criterion=a … waiver: criterion=b …` makes two. Of two limits the lower holds, of two expiries the earlier.
    """
    found: dict[tuple[Any, Any], list[tuple[dict[str, Any], Mapping[str, Any]]]] = {}
    for record in records:
        for part in SEPARATOR.split(str(record["comment"])):
            if part.strip():
                fields = note_fields(part)
                found.setdefault((fields["criterion"], fields["metric"]), []).append((fields, record))
        if not str(record["comment"]).strip():
            found.setdefault((None, None), []).append((note_fields(""), record))
    return [Claim(_strictest([f for f, _ in group]), tuple(record for _, record in group)) for group in found.values()]


def _strictest(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them signed. A missing or malformed value stays, so that it is refused by name."""
    merged = dict(fields[0])
    for name in ("limit", "expires_at"):
        values = [f[name] for f in fields]
        odd = [value for value in values if type(value) is not (float if name == "limit" else str)]
        merged[name] = odd[0] if odd else min(values)
    reasons = [str(f["justification"]) for f in fields]
    merged["justification"] = " / ".join(dict.fromkeys(reasons)) if all(reasons) else ""
    return merged
