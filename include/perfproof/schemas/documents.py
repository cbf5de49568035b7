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
    infinite = _not_finite(document, "$")
    if infinite is not None:
        return [f"{quoted(infinite)}: not a finite number"]
    errors = sorted(_validator(artifact, level).iter_errors(document), key=lambda e: e.json_path)
    return list(dict.fromkeys(_worded(error) for error in errors))[:PROBLEMS_SHOWN]


def _worded(error: Any) -> str:
    message = error.message if len(error.message) <= 160 else f"does not meet {error.validator} {error.validator_value!r}"
    return f"{quoted(error.json_path)}: {quoted(message)}"


def _not_finite(value: Any, path: str) -> str | None:
    """The first place of a NaN or an infinity: a JSON schema takes both for numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return path
    children: Any = ()
    if isinstance(value, dict):
        children = ((f"{path}.{key}", item) for key, item in value.items())
    elif isinstance(value, list):
        children = ((f"{path}[{i}]", item) for i, item in enumerate(value))
    return next((found for place, item in children if (found := _not_finite(item, place)) is not None), None)


@cache
def _validator(artifact: str, level: str) -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads(resources.files("perfproof").joinpath("resources", SCHEMAS[artifact]).read_bytes())
    Draft202012Validator.check_schema(schema)
    # `$defs` travel along, so that a part of the schema can refer to its neighbours.
    return Draft202012Validator(schema if not level else {"$ref": level, "$defs": schema["$defs"]})
