"""Every form of every tool: against a slow reading with the standard library, on files of the real tools where there are some."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from perfproof.errors import ArtifactError
from perfproof.load_files import LoadFile, Requests, Tool, read_load_file

FILES = Path(__file__).parents[3] / "fixtures" / "load_files"
Row = tuple[float, float, bool, str]


def read(path: str) -> LoadFile:
    with (FILES / path).open("rb") as file:
        return read_load_file(file, where=path)


def rows_of(requests: Requests | None) -> list[Row]:
    """The columns as rows, in the order of the file."""
    assert requests is not None
    names = [requests.names[i] for i in requests.name]
    return list(zip(requests.start.tolist(), requests.latency_ms.tolist(), requests.ok.tolist(), names, strict=True))


def same(found: list[Row], expected: list[Row]) -> None:
    """Equal, with times to the microsecond."""
    assert [row[2:] for row in found] == [row[2:] for row in expected]
    assert [row[1] for row in found] == pytest.approx([row[1] for row in expected])
    assert [row[0] for row in found] == pytest.approx([row[0] for row in expected], abs=2e-6)
    assert found


def text(path: str) -> str:
    data = (FILES / path).read_bytes()
    return (gzip.decompress(data) if path.endswith(".gz") else data).decode()


def k6_rows(path: str) -> list[Row]:
    lines = csv.DictReader(io.StringIO(text(path)))
    found = []
    for line in lines:
        if line["metric_name"] == "http_req_duration":
            value = float(line["metric_value"])
            found.append((int(line["timestamp"]) - value / 1000, value, line["expected_response"] == "true", line["name"]))
    return found


@pytest.mark.parametrize("path", ["real/k6.csv", "real/k6.csv.gz", "real/k6-killed.csv"])
def test_k6_csv_is_read_as_the_csv_module_reads_it(path: str) -> None:
    """One row per http_req_duration, with the start before the end by the duration; names with commas and quotes are whole."""
    file = read(path)
    assert (file.tool, file.form, file.left_out) == (Tool.K6, "--out csv", ())
    same(rows_of(file.requests), k6_rows(path))
    assert 'slow, "quoted"' in (file.requests.names if file.requests else ())


def test_k6_json_is_read_as_the_json_module_reads_it() -> None:
    """And holds the same requests as the CSV of the same run."""
    points = [json.loads(line) for line in text("real/k6.json.gz").splitlines()]
    expected = []
    for point in points:
        if point["type"] == "Point" and point["metric"] == "http_req_duration":
            data = point["data"]
            end = datetime.fromisoformat(data["time"]).timestamp()
            tags = data["tags"]
            expected.append((end - data["value"] / 1000, data["value"], tags["expected_response"] == "true", tags["name"]))
    found = rows_of(read("real/k6.json.gz").requests)
    same(found, expected)
    of_csv = rows_of(read("real/k6.csv").requests)
    assert [row[2:] for row in found] == [row[2:] for row in of_csv]
    assert [row[1] for row in found] == pytest.approx([row[1] for row in of_csv], abs=1e-6)


@pytest.mark.parametrize(("summary", "rows"), [("real/k6-summary.json", "real/k6.csv.gz"), ("real/k6-handle-summary.json", "real/k6.csv")])
def test_a_summary_of_k6_counts_what_its_rows_count(summary: str, rows: str) -> None:
    """Requests, failures (which k6 calls passes) and the largest latency are those of the rows of the same run."""
    file, single = read(summary), rows_of(read(rows).requests)
    assert file.requests is None and file.summary is not None
    total = file.summary.total
    assert (total.requests, total.errors) == (len(single), sum(not row[2] for row in single))
    assert total.latency_ms["max"] == pytest.approx(max(row[1] for row in single), abs=1e-5)
    assert total.latency_ms.keys() == {"p50", "p90", "p95", "mean", "min", "max"}
    assert any("no verdict" in limit for limit in file.limits)


@pytest.mark.parametrize(("path", "delimiter", "date"), [("real/jmeter.csv", ",", False), ("real/jmeter-dates.csv", ";", True)])
def test_jmeter_csv_is_read_as_the_csv_module_reads_it(path: str, delimiter: str, date: bool) -> None:
    """Samples only: sums of transaction controllers are left out, and counted."""
    expected, sums = [], 0
    for row in csv.DictReader(io.StringIO(text(path)), delimiter=delimiter):
        if row["responseMessage"].startswith("Number of samples in transaction"):
            sums += 1
            continue
        moment = (
            datetime.strptime(row["timeStamp"] + "+0000", "%Y/%m/%d %H:%M:%S.%f%z").timestamp() if date else int(row["timeStamp"]) / 1000
        )
        expected.append((moment, float(row["elapsed"]), row["success"] == "true", row["label"]))
    file = read(path)
    same(rows_of(file.requests), expected)
    assert sums == 24 and file.left_out == (f"{sums} sums of transaction controllers: their samples are counted themselves",)


@pytest.mark.parametrize("path", ["real/jmeter-flat.xml", "real/jmeter-parent.xml"])
def test_jmeter_xml_is_read_as_elementtree_reads_it(path: str) -> None:
    """A sample inside a sample is part of it, and inside a transaction it is a sample."""

    def samples(element: ET.Element) -> list[Row]:
        if element.get("rm", "").startswith("Number of samples in transaction"):
            return [row for child in element for row in samples(child)]
        get: Any = element.get
        return [(int(get("ts")) / 1000, float(get("t")), get("s") == "true", get("lb"))]

    root = ET.fromstring(text(path))  # noqa: S314  a fixture of this repository
    file = read(path)
    same(rows_of(file.requests), [row for child in root for row in samples(child)])
    assert len(rows_of(file.requests)) == 96


def test_hey_is_read_as_the_csv_module_reads_it() -> None:
    """Seconds become ms, and the offset is the start."""
    file = read("real/hey.csv")
    rows = csv.DictReader(io.StringIO(text("real/hey.csv")))
    same(rows_of(file.requests), [(float(r["offset"]), 1000 * float(r["response-time"]), True, "all") for r in rows])
    assert not file.without_answer


def test_hey_without_any_answer_has_no_rows() -> None:
    """40 requests failed there, and not one is in the file: no figure, and a way to look."""
    with pytest.raises(ArtifactError, match=r"ART-486 .*errors"):
        read("real/hey-cut.csv")


def test_locust_stats_are_its_own_figures() -> None:
    """Total and parts as the file has them, by name, and what Locust rounds is said."""
    lines = list(csv.DictReader(io.StringIO(text("real/locust_stats.csv"))))
    file = read("real/locust_stats.csv")
    assert file.summary is not None and file.requests is None
    assert [(p.name, p.requests, p.errors) for p in file.summary.parts] == [
        (f"{line['Type']} {line['Name']}", int(line["Request Count"]), int(line["Failure Count"])) for line in lines[:-1]
    ]
    total = lines[-1]
    assert file.summary.total.requests == int(total["Request Count"])
    assert (file.summary.total.latency_ms["p95"], file.summary.total.latency_ms["p99"]) == (float(total["95%"]), float(total["99%"]))
    assert any("5 %" in limit for limit in file.limits)


def test_the_history_of_locust_ends_with_the_same_counts() -> None:
    """Its last row of all requests, and never the percentiles of its overlapping windows."""
    history, stats = read("real/locust_stats_history.csv").summary, read("real/locust_stats.csv").summary
    assert history is not None and stats is not None
    assert (history.total.requests, history.total.errors) == (stats.total.requests, stats.total.errors)
    assert "p95" not in history.total.latency_ms


def test_the_failures_of_locust_are_no_rate() -> None:
    """How many requests there were is not known from them."""
    summary = read("real/locust_failures.csv").summary
    assert summary is not None
    assert (summary.total.requests, summary.total.errors, summary.parts[0].name) == (None, 3, "fail, sometimes")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "written/gatling-3.9.log",
            [
                (1795520000.110, 21, True, "front page"),
                (1795520000.140, 100, True, "checkout / pay / card, please"),
                (1795520000.250, 60000, False, "front page"),
            ],
        ),
        ("written/gatling-3.3.log", [(1795520000.110, 21, True, "front page"), (1795520000.250, 10, False, "front page")]),
        ("written/gatling-2.log", [(1795520000.110, 21, True, "front page")]),
        (
            "written/vegeta-9.csv",
            [
                (1795520000.123457, 21.345678, True, "peak"),
                (1795520000.223457, 1.345678, False, "peak"),
                (1795520000.323457, 30000, False, "peak"),
            ],
        ),
        (
            "written/vegeta-12.csv",
            [
                (1795520000.123457, 21.345678, True, "GET http://127.0.0.1:8931/"),
                (1795520000.223457, 1.345678, True, "GET http://127.0.0.1:8931/slow"),
            ],
        ),
        (
            "written/vegeta.json",
            [
                (1795520000.123457, 21.345678, True, "GET http://127.0.0.1:8931/"),
                (1795520000.223457, 1.345678, False, "GET http://127.0.0.1:8931/slow"),
            ],
        ),
    ],
)
def test_files_of_gatling_and_vegeta(path: str, expected: list[Row]) -> None:
    """Typed by hand to the documented forms: 2 to 3.11 of Gatling, CSV of vegeta with 9 and 12 fields, JSON."""
    same(rows_of(read(path).requests), expected)


def test_summaries_of_gatling_and_vegeta() -> None:
    """Numbers that stand there as text, dashes, groups, and nanoseconds."""
    gatling, vegeta = read("written/gatling-stats.json").summary, read("written/vegeta-report.json").summary
    assert gatling is not None and vegeta is not None
    assert (gatling.total.requests, gatling.total.errors, gatling.total.latency_ms["p95"]) == (1388, 1, 16059)
    assert [(p.name, p.requests, p.errors, p.latency_ms.get("p95")) for p in gatling.parts] == [
        ("checkout / pay", 1378, 0, None),
        ("front page", 10, 1, None),
    ]
    assert (vegeta.total.requests, vegeta.total.errors, vegeta.total.latency_ms["p95"]) == (100, 2, 3.478629)
    assert vegeta.rate == pytest.approx(101.1122345)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("real/jmeter-no-header.csv", "print_field_names=true"),
        ("real/jmeter-parent.csv", "Generate parent sample"),
        ("real/locust_exceptions.csv", "_stats.csv"),
        ("written/gatling-3.12.log", "binary simulation.log"),
    ],
)
def test_a_form_that_cannot_be_read_says_what_to_set(path: str, words: str) -> None:
    """One line with the tool's own option."""
    with pytest.raises(ArtifactError, match="ART-482") as raised:
        read(path)
    assert words in str(raised.value)


def test_every_file_says_what_it_cannot_support() -> None:
    """No tool is without limits."""
    for path in FILES.glob("*/*"):
        try:
            file = read(str(path.relative_to(FILES)))
        except ArtifactError:
            continue
        assert file.limits, path.name
        assert (file.requests is None) != (file.summary is None)
        if file.requests is not None:
            assert all(math.isfinite(value) for value in file.requests.start.tolist())
