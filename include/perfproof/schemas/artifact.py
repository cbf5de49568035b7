"""The validity of one of the thirteen artifacts, whatever its format. Gate 4 counts those that are valid."""

from __future__ import annotations

from perfproof.artifacts import Artifact
from perfproof.errors import PerfproofError
from perfproof.schemas.documents import document_problems
from perfproof.schemas.sections import REQUIRED_HEADINGS, markdown_problems
from perfproof.schemas.tables import read_baseline_csv
from perfproof.strict import read_json


def validate_artifact(name: str, data: bytes) -> list[str]:
    """What is wrong with the bytes of the artifact of that name; empty if nothing is. A name that is none of the 13 is wrong."""
    if name not in set(Artifact):
        return [f"{name} is none of the thirteen artifacts"]
    if not data.strip():
        return ["the file is empty"]
    if name == Artifact.BASELINE_CSV:
        return list(read_baseline_csv(data)[1])
    if name in REQUIRED_HEADINGS:
        try:
            return markdown_problems(name, data.decode("utf-8"))
        except UnicodeDecodeError:
            return ["the file is not UTF-8 text"]
    try:
        return document_problems(name, read_json(data, where=name))
    except PerfproofError as error:
        return [f"{error.what}: {error.got}"]
