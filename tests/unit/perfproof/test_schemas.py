"""Artifacts against what the specification asks for: JSON by path, Markdown by heading, the table by line."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfproof.artifacts import Artifact
from perfproof.errors import ArtifactError
from perfproof.schemas import document_problems, markdown_problems, read_baseline_csv, sample_problems, validate_artifact, validate_document
from perfproof.schemas.documents import SCHEMAS
from perfproof.schemas.sections import REQUIRED_HEADINGS

SPEC = Path(__file__).parents[2] / "fixtures" / "spec"
SHA = "ab" * 32
SAMPLES = {
    Artifact.LOAD_TEST_RESULTS: "load-test-results.json",
    Artifact.VALIDATION_REPORT: "optimization-validation-report.json",
    Artifact.SLO_UPDATE_RECORD: "slo-update-record.json",
}


def sample(name: str) -> Any:
    """A sample of the specification."""
    return json.loads((SPEC / name).read_text(encoding="utf-8"))


def paths(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key of every mapping in a document."""
    if isinstance(document, dict):
        return [p for key, value in document.items() for p in ((*path, key), *paths(value, (*path, key)))]
    if isinstance(document, list):
        return [p for i, value in enumerate(document) for p in paths(value, (*path, i))]
    return []


def without(document: Any, path: tuple[Any, ...]) -> Any:
    """A copy of the document without the key at `path`."""
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return changed


@pytest.mark.parametrize(("artifact", "name"), SAMPLES.items())
def test_the_sample_has_the_samples_shape(artifact: Artifact, name: str) -> None:
    """The specification's own samples load."""
    assert sample_problems(artifact, sample(name)) == []


@pytest.mark.parametrize(("artifact", "path"), [(a, p) for a, n in SAMPLES.items() for p in paths(sample(n))])
def test_every_field_of_a_sample_is_required(artifact: Artifact, path: tuple[Any, ...]) -> None:
    """Without one of the sample's fields, whichever, the document is invalid, and the field is named."""
    problems = sample_problems(artifact, without(sample(SAMPLES[artifact]), path))
    assert problems
    assert str(path[-1]) in problems[0]


@pytest.mark.parametrize(("artifact", "name"), SAMPLES.items())
def test_additional_fields_are_allowed(artifact: Artifact, name: str) -> None:
    """JSON artifacts follow the samples; fields may be added."""
    assert sample_problems(artifact, {**sample(name), "extra": {"anything": 1}}) == []


@pytest.mark.parametrize(("artifact", "name"), SAMPLES.items())
def test_the_whole_schema_asks_for_more_than_the_sample(artifact: Artifact, name: str) -> None:
    """What the specification asks for in words is missing in its samples."""
    assert document_problems(artifact, sample(name))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_must_be_finite(value: float) -> None:
    """A JSON schema alone takes NaN for a number; the place is named."""
    document = sample("load-test-results.json")
    document["results"]["latency"]["p95"] = value
    assert sample_problems(Artifact.LOAD_TEST_RESULTS, document) == ["$.results.latency.p95: not a finite number"]


@pytest.mark.parametrize("value", ["520", True, None, [], {}])
def test_a_number_is_no_text_and_no_truth_value(value: Any) -> None:
    """Throughput targets are numbers, strictly."""
    document = sample("load-test-results.json")
    document["results"]["throughput"]["target"] = value
    assert "$.results.throughput.target" in sample_problems(Artifact.LOAD_TEST_RESULTS, document)[0]


def test_an_error_names_artifact_path_and_reason_on_one_line() -> None:
    """The message of validate_document is one line with the path."""
    with pytest.raises(ArtifactError) as caught:
        validate_document(Artifact.VALIDATION_REPORT, {"validation_date": "today\n"})
    text = str(caught.value)
    assert text.startswith("ART-201 optimization-validation-report.json $")
    assert len(text.splitlines()) == 1


def test_an_unknown_artifact_is_an_error() -> None:
    """There is no schema that passes everything."""
    with pytest.raises(ArtifactError, match="ART-202"):
        validate_document("notes.json", {})


@pytest.mark.parametrize("artifact", SCHEMAS)
@pytest.mark.parametrize("document", [None, [], "text", 7, {}, True])
def test_nothing_is_not_a_document(artifact: str, document: Any) -> None:
    """No schema accepts an empty or another kind of document."""
    assert document_problems(artifact, document)


@given(document=st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_arbitrary_documents_are_refused_and_never_crash(document: Any) -> None:
    """Whatever JSON holds, the answer is a list of complaints on one line each."""
    for artifact in SCHEMAS:
        problems = document_problems(artifact, document)
        assert problems
        assert all(len(p.splitlines()) == 1 for p in problems)


def markdown(*headings: str) -> str:
    """A document with a sentence under each heading."""
    return "\n".join(f"{h}\n\nWritten here.\n" for h in headings)


@pytest.mark.parametrize(("artifact", "headings"), REQUIRED_HEADINGS.items())
def test_each_required_heading_must_be_there_with_content(artifact: str, headings: tuple[str, ...]) -> None:
    """Missing, doubled and empty headings are each named."""
    extra = ("## Recommendations for A", "## Recommendations for B") if artifact == Artifact.IMPROVEMENT_NOTES else ()
    whole = markdown(*headings, *extra)
    assert markdown_problems(artifact, whole) == []
    for heading in headings:
        assert any(heading in p and "missing" in p for p in markdown_problems(artifact, whole.replace(f"{heading}\n", "words\n")))
        assert any(heading in p for p in markdown_problems(artifact, whole + markdown(heading)))
    last = (*headings, *extra)[-1]
    assert any(last in p for p in markdown_problems(artifact, whole.replace(f"{last}\n\nWritten here.", last)))


EMPTY = {
    "blank lines": "\n\n  \n",
    "a comment": "<!-- something -->",
    "to do": "TODO: write this",
    "to be decided": "TBD",
    "a rule": "---",
    "only another heading": "### Later",
    "a table without words": "|---|---|",
}


@pytest.mark.parametrize("content", EMPTY.values(), ids=EMPTY.keys())
def test_a_placeholder_is_no_content(content: str) -> None:
    """Something must be said under a heading."""
    text = markdown("# Capacity analysis", "## Utilization", "## Scaling policies") + f"## Cost impact\n\n{content}\n"
    assert markdown_problems(Artifact.CAPACITY_ANALYSIS, text) == ["nothing stands under '## Cost impact'"]


def test_a_heading_in_a_code_block_does_not_count() -> None:
    """Telemetry that is shown in a block cannot supply a heading, whatever fences it holds."""
    shown = "````\n## Cost impact\n```\n## Cost impact\n````\n"
    text = markdown("# Capacity analysis", "## Utilization", "## Scaling policies") + shown
    assert markdown_problems(Artifact.CAPACITY_ANALYSIS, text) == ["heading '## Cost impact' is missing"]


def test_subsections_are_content_and_front_matter_is_not_in_the_way() -> None:
    """A section may consist of subsections; front matter and Windows line ends are read."""
    text = (
        "---\ntitle: x\n---\n"
        + markdown("# Profiling report")
        + "## Flame graphs\n### shop\n\nSee the picture.\n"
        + markdown("## Query plans")
    )
    assert markdown_problems(Artifact.PROFILING_REPORT, text.replace("\n", "\r\n")) == []


@pytest.mark.parametrize("second", ["", "## Recommendations for ", "## Recommendations for Protocol 22"])
def test_the_notes_need_two_different_recipients(second: str) -> None:
    """Recommendations for the next protocol and for monitoring."""
    text = markdown("# Continuous improvement notes", "## Recommendations for Protocol 22") + (markdown(second) if second else "")
    assert any("1 of 2" in p for p in markdown_problems(Artifact.IMPROVEMENT_NOTES, text))


HEADER = "metric_name,service,value,unit,collection_method,timestamp\n"
ROW = "throughput,api-service,1000,req/s,APM,2025-02-16T10:00:00Z\n"
TABLES = {
    "no header": ROW,
    "reordered header": HEADER.replace("metric_name,service", "service,metric_name") + ROW,
    "an extra column": HEADER.replace("\n", ",note\n") + ROW.replace("\n", ",x\n"),
    "another delimiter": (HEADER + ROW).replace(",", ";"),
    "a ragged row": HEADER + ROW.replace(",APM", ""),
    "a metric twice": HEADER + ROW + ROW.replace("1000", "900"),
    "an unclosed quotation mark": HEADER + ROW.replace("APM", '"APM'),
    "a value that is text": HEADER + ROW.replace("1000", "fast"),
    "NaN": HEADER + ROW.replace("1000", "NaN"),
    "infinity": HEADER + ROW.replace("1000", "1e999"),
    "a thousands separator": HEADER + ROW.replace("1000", '"1,000"'),
    "hexadecimal": HEADER + ROW.replace("1000", "0x10"),
    "a formula": HEADER + ROW.replace("throughput", "=1+1"),
    "an unknown unit": HEADER + ROW.replace("req/s", "rps"),
    "no method": HEADER + ROW.replace("APM", " "),
    "a time without zone": HEADER + ROW.replace("00Z", "00"),
    "a day that does not exist": HEADER + ROW.replace("02-16", "02-30"),
    "no rows": HEADER,
    "no value in any row": HEADER + ROW.replace("1000", ""),
    "a byte order mark": "\ufeff" + HEADER + ROW,
    "a NUL": HEADER + ROW.replace("APM", "A\0PM"),
    "a service called null in path form": HEADER + ROW.replace("api-service", "../etc"),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_table_is_read_without_guessing(table: str) -> None:
    """Each defect is a complaint, never another value."""
    assert read_baseline_csv(table.encode())[1]
    assert validate_artifact(Artifact.BASELINE_CSV, table.encode())


@pytest.mark.parametrize("service", ["NA", "null", "nan", "None"])
def test_a_service_may_be_called_what_pandas_takes_for_missing(service: str) -> None:
    """Names stay names."""
    rows, complaints = read_baseline_csv((HEADER + ROW.replace("api-service", service)).encode())
    assert (rows[0].service, complaints) == (service, ())


def test_a_required_metric_without_a_value_stays_in_the_table() -> None:
    """An empty value is None, not zero."""
    rows, complaints = read_baseline_csv((HEADER + ROW + ROW.replace("throughput", "error_rate").replace("1000", "")).encode())
    assert (rows[1].value, complaints) == (None, ())


@given(data=st.binary(max_size=400))
def test_arbitrary_bytes_never_crash_a_validator(data: bytes) -> None:
    """Every artifact's validator answers with complaints for bytes that are no artifact."""
    for artifact in Artifact:
        assert validate_artifact(artifact, data)


def test_a_name_that_is_none_of_the_thirteen_is_invalid() -> None:
    """The set of artifacts is closed."""
    assert validate_artifact("PERFORMANCE-REPORT.MD", b"# Performance report\n") == [
        "PERFORMANCE-REPORT.MD is none of the thirteen artifacts"
    ]


@pytest.mark.parametrize("data", [b"{", b'{"a": 1, "a": 2}', b"[NaN]", b"\xff\xfe"])
def test_json_that_is_none_is_one_complaint(data: bytes) -> None:
    """Broken JSON, duplicate keys, NaN and other encodings."""
    assert len(validate_artifact(Artifact.OPTIMIZATION_PLAN, data)) == 1
