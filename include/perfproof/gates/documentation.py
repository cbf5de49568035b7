"""How complete the documentation is: the valid ones of the thirteen artifacts, and whether the manifest speaks of these bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from perfproof.announcements import one_line
from perfproof.artifacts import Artifact
from perfproof.errors import PerfproofError
from perfproof.gates.figures import at, mappings, share, text_at
from perfproof.schemas import validate_artifact
from perfproof.strict import read_json
from perfproof.telemetry import sha256_hex

# Nobody can have verified these when gate 4 asks: it is gate 4, and the handoff after it, that vouch for them.
NOT_YET_VERIFIED = frozenset(
    (Artifact.INSTRUMENTATION_LOG, Artifact.SLO_UPDATE_RECORD, Artifact.PERFORMANCE_REPORT, Artifact.IMPROVEMENT_NOTES)
)
NOBODY = frozenset({"", "system", "automation", "unknown", "none"})


@dataclass(frozen=True, slots=True)
class Documentation:
    """`missing` are the artifacts that are not there, `invalid` those that are not what they must be, with reasons."""

    percentage: Decimal
    valid: int
    required: int
    missing: tuple[str, ...]
    invalid: Mapping[str, tuple[str, ...]]

    @property
    def lacking(self) -> tuple[str, ...]:
        """Everything that keeps the documentation from being complete, by artifact."""
        return (
            *(f"{name} is missing" for name in self.missing),
            *(f"{name} is invalid: {reasons[0]}" for name, reasons in self.invalid.items()),
        )


def documentation(artifacts: Mapping[str, bytes], *, role_words: Sequence[str] = (), lost_attachments: Sequence[str] = ()) -> Documentation:
    """Share of the thirteen artifacts that are there and valid, in percent.

    The manifest is valid only if it lists the other artifacts with the digests of these very bytes, each verified by a
    gate or a person (those of phase 4 as soon as one has); `role_words` are names and labels of roles, which are neither.
    `lost_attachments` are the files that the report shows or links although they are not in evidence.
    """
    missing = tuple(name.value for name in Artifact if name.value not in artifacts)
    invalid: dict[str, tuple[str, ...]] = {}
    for name in Artifact:
        if name.value in artifacts:
            problems = validate_artifact(name.value, artifacts[name.value])
            if name is Artifact.MANIFEST and not problems:
                problems = manifest_problems(artifacts, role_words=role_words)
            if name is Artifact.PERFORMANCE_REPORT:
                problems += [f"it links {one_line(file, limit=120)}, which is not there" for file in lost_attachments]
            if problems:
                invalid[name.value] = tuple(problems)
    required = len(Artifact)
    valid = required - len(missing) - len(invalid)
    return Documentation(share(valid, required) or Decimal(0), valid, required, missing, invalid)


def manifest_problems(artifacts: Mapping[str, bytes], *, role_words: Sequence[str] = ()) -> list[str]:
    """Where the manifest does not speak of exactly the artifacts that are there. Digests are taken from the bytes."""
    try:
        manifest = read_json(artifacts[Artifact.MANIFEST.value], where=Artifact.MANIFEST.value)
    except PerfproofError as error:
        return [error.what]
    subjects = {text_at(s, "name"): text_at(s, "digest", "sha256") for s in mappings(manifest, "subject")}
    listed = {text_at(a, "name"): a for a in mappings(manifest, "predicate", "artifacts")}
    titles = {word.casefold() for word in role_words} | NOBODY
    problems = []
    for name in Artifact:
        if name is Artifact.MANIFEST:
            continue
        if name.value not in artifacts:
            continue
        digest = sha256_hex(artifacts[name.value])
        if subjects.get(name.value) != digest:
            problems.append(f"{name} has another digest than the subject lists")
        if text_at(listed.get(name.value), "sha256") != digest:
            problems.append(f"{name} has another digest than predicate.artifacts lists")
        waits = name in NOT_YET_VERIFIED and at(listed.get(name.value), "verified_by") is None
        if not waits and _verifier(listed.get(name.value)).casefold() in titles:
            problems.append(f"{name} is verified by no gate or person")
    problems += [f"{name} is listed and not there" for name in sorted(subjects.keys() | listed.keys()) if name not in artifacts]
    return problems


def _verifier(listed: Any) -> str:
    named = at(listed, "verified_by")
    return text_at(named, "id") if isinstance(named, Mapping) else str(named or "").strip()
