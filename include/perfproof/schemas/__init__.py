"""Whether an artifact is what the specification says it is: JSON schemas, required sections, the six columns."""

from __future__ import annotations

from perfproof.schemas.artifact import validate_artifact
from perfproof.schemas.documents import document_problems, sample_problems, validate_document
from perfproof.schemas.sections import linked_names, markdown_problems
from perfproof.schemas.tables import BaselineRow, read_baseline_csv

__all__ = [
    "BaselineRow",
    "document_problems",
    "linked_names",
    "markdown_problems",
    "read_baseline_csv",
    "sample_problems",
    "validate_artifact",
    "validate_document",
]
