"""JSON artifacts against their schemas, with the path of what is wrong.

A schema has two levels: `#/$defs/sample` asks for the fields that the specification's sample shows, the whole schema also for
those that the specification asks for in words. Additional fields are allowed.
"""

from __future__ import annotations

import json
import math
from functools import cache
from importlib import resources
from typing import Any

from perfproof.artifacts import BASELINE_JSON, Artifact
from perfproof.errors import ArtifactError, quoted

GATE_RESULT = "gate-result.json"
PROBLEMS_SHOWN = 20
# The deepest of these documents has eight levels; a JSON reader takes a thousand, and then everything that walks through them breaks.
MAX_DEPTH = 64
SCHEMAS = {
    Artifact.INTAKE_REPORT.value: "performance-intake-report.schema.json",
    BASELINE_JSON: "baseline-metrics.schema.json",
    Artifact.LOAD_TEST_RESULTS.value: "load-test-results.schema.json",
    Artifact.OPTIMIZATION_PLAN.value: "optimization-plan.schema.json",
    Artifact.VALIDATION_REPORT.value: "optimization-validation-report.schema.json",
    Artifact.SLO_UPDATE_RECORD.value: "slo-update-record.schema.json",
    Artifact.MANIFEST.value: "performance-report-manifest.schema.json",
    GATE_RESULT: "gate-result.schema.json",
}


def validate_document(artifact: str, document: Any) -> None:
    """Returns if `document` is a valid artifact of that name. Raises ArtifactError with the path of the first thing that is wrong."""
    found = document_problems(artifact, document)
    if found:
        place, _, what = found[0].partition(": ")
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ArtifactError(201, where=f"{artifact} {place}", what=what + more, fix="correct the document, or write it again")


def document_problems(artifact: str, document: Any) -> list[str]:
    """What is wrong with `document`, each as `path: what`; empty if nothing is. At most 20 are named."""
    return _problems(artifact, document, level="")


def sample_problems(artifact: str, document: Any) -> list[str]:
    """As `document_problems`, asking only for the fields that the specification's own sample shows."""
    return _problems(artifact, document, level="#/$defs/sample")


def _problems(artifact: str, document: Any, *, level: str) -> list[str]:
    if artifact not in SCHEMAS:
        raise ArtifactError(202, where=artifact, what="no schema for this name", expected=" | ".join(SCHEMAS), fix="use an artifact's name")
    broken = _unreadable(document)
    if broken is not None:
        return [broken]
    errors = sorted(_validator(artifact, level).iter_errors(document), key=lambda e: e.json_path)
    return list(dict.fromkeys(_worded(error) for error in errors))[:PROBLEMS_SHOWN]


def _worded(error: Any) -> str:
    message = error.message if len(error.message) <= 160 else f"does not meet {error.validator} {error.validator_value!r}"
    return f"{quoted(error.json_path)}: {quoted(message)}"


def _unreadable(document: Any) -> str | None:
    """The first place of a NaN or an infinity, which a JSON schema takes for numbers, or of a nesting that is no document's."""
    waiting: list[tuple[Any, str, int]] = [(document, "$", 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return f"{quoted(path)}: not a finite number"
        if depth > MAX_DEPTH:
            return f"{quoted(path)}: more than {MAX_DEPTH} levels"
        children: Any = ()
        if isinstance(value, dict):
            children = [(item, f"{path}.{key}", depth + 1) for key, item in value.items()]
        elif isinstance(value, list):
            children = [(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        waiting.extend(reversed(children))
    return None


@cache
def _validator(artifact: str, level: str) -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads(resources.files("perfproof").joinpath("resources", SCHEMAS[artifact]).read_bytes())
    Draft202012Validator.check_schema(schema)
    # `$defs` travel along, so that a part of the schema can refer to its neighbours.
    return Draft202012Validator(schema if not level else {"$ref": level, "$defs": schema["$defs"]})
