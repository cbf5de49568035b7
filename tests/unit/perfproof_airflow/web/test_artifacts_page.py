"""An artifact's page shows what it is, runs nothing of it, and a download is exactly what was committed."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
import zipfile

import pytest
from content_rig import HOSTILE, RUN, Cycle, harmless
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages_rig import Elements
from sample_documents import DOCUMENTS

REPORT = "PERFORMANCE-REPORT.md"
HOSTILE_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script>'
    '<a href="javascript:alert(3)"><text>x</text></a></svg>'
)  # fmt: skip


@pytest.fixture
def cycle() -> Cycle:
    """A cycle without artifacts yet."""
    return Cycle()


# --- Markdown ---


def test_markdown_becomes_headings_lists_tables_and_code(cycle: Cycle) -> None:
    """The elements of a report are there, the page's own h1 stays the only one, and tables can be reached by keyboard."""
    page = cycle.shown(
        REPORT,
        "# Title\n\nWords *and* **more**.\n\n- one\n- two\n\n1. a\n\n> said\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nx < y\n```\n\n---\n",
    )
    names = [one.name for one in page.found]
    assert names.count("h1") == 1
    for name in ("em", "strong", "ul", "ol", "li", "blockquote", "table", "th", "td", "pre", "hr"):
        assert name in names
    assert "x < y" in page.words
    assert [one.attributes["tabindex"] for one in page.all("div") if "aria-label" in one.attributes] == ["0"]


def test_an_empty_heading_of_a_table_is_no_heading(cycle: Cycle) -> None:
    """A screen reader would announce nothing for each cell below it."""
    page = cycle.shown(REPORT, "| | a |\n|---|---|\n| 1 | 2 |\n")
    assert [len(page.all(name)) for name in ("th", "td")] == [1, 3]


@pytest.mark.parametrize(
    "form", ["{}", "# {}", "- {}", "> {}", "`{}`", "    {}", "| a |\n|---|\n| {} |", "[{}](x)", "![{}](x)", "[a]({})", "<{}>"]
)
def test_hostile_markdown_is_text(cycle: Cycle, form: str) -> None:
    """Wherever markup, a script or a turned-around name stands, it is read and nothing else."""
    for text in HOSTILE:
        cycle.shown(REPORT, form.replace("{}", text))


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "//evil.test/x",
        "https:evil.test",
        "http:///x",
        "https://user:secret@evil.test/",
        "https://evil.test\\@good.test/",
        "\\\\evil.test\\x",
        "file:///etc/passwd",
        "../../etc/passwd",
        "/perfproof/cycles/x/stop",
        "?state=x",
        "#main",
        "evidence/../x.json",
        "mailto:a@b",
        "blob:https://evil.test/x",
        "https://evil.test/\u202e",
        "x" * 3000,
        "https://ev\u0131l.test/",
        "no-such-name.md",
    ],
)
def test_an_address_that_is_no_evidence_and_no_plain_website_is_no_link(cycle: Cycle, address: str) -> None:
    """It is shown as text instead."""
    page = cycle.shown(REPORT, f"[words](<{address}>) ![picture](<{address}>)")
    own = [one for one in page.all("a") if one.attributes.get("rel")]
    assert own == []
    assert page.all("img") == []
    assert "words" in page.words


def test_a_link_to_a_website_says_where_it_leads(cycle: Cycle) -> None:
    """The host stands beside the words, so that they cannot pretend another; the site learns nothing of this page."""
    page = cycle.shown(REPORT, "[https://bank.test](https://evil.test/a?b=c&d=e)")
    link = next(one for one in page.all("a") if one.attributes.get("rel"))
    assert link.attributes["href"] == "https://evil.test/a?b=c&d=e"
    assert link.attributes["referrerpolicy"] == "no-referrer"
    assert "https://bank.test (evil.test)" in page.words


def test_links_and_pictures_of_evidence_lead_to_its_pages(cycle: Cycle) -> None:
    """A relative name of an artifact is a link to its page, a picture among the evidence is shown from the sandboxed file."""
    page = cycle.shown(REPORT, "[plan](optimization-plan.json) ![Where the time goes](evidence/flame.svg) ![no](evidence/x.json)")
    assert f"/perfproof/cycles/{RUN}/artifacts/optimization-plan.json" in [one.attributes.get("href") for one in page.all("a")]
    assert [(one.attributes["src"], one.attributes["alt"]) for one in page.all("img")] == [
        (f"/perfproof/cycles/{RUN}/files/evidence/flame.svg?show=1", "Where the time goes")
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(
        st.sampled_from(
            (*HOSTILE, "[", "](", ")", "![", "|", "\n", "\n|---|\n", "`", "```", "# ", "> ", "- ", "<", "&", "a", "https://a.test")
        )
    ).map("".join)
)
def test_no_markdown_writes_an_element_of_its_own(text: str) -> None:
    """Whatever stands next to whatever, only our elements, attributes and addresses come out."""
    Cycle().shown(REPORT, text or "x")


@pytest.mark.parametrize(
    "text",
    ["[" * 60_000, "`" * 60_000, "> " * 30_000 + "x", "*a " * 40_000, "![" * 40_000, "<a " * 40_000, "|a" * 50_000 + "\n" + "|-" * 50_000],
)
def test_markdown_made_to_be_slow_is_shown_in_seconds(cycle: Cycle, text: str) -> None:
    """A document cannot hold the api-server up."""
    began = time.process_time()
    cycle.shown(REPORT, text)
    assert time.process_time() - began < 10


# --- JSON ---


@pytest.mark.parametrize(
    "name",
    [
        "gate-3-result.json",
        "baseline-metrics.json",
        "load-test-results.json",
        "optimization-validation-report.json",
        "evidence/query-plans.json",
        "evidence/query-plan-diff.json",
        "evidence/measurement.json",
        "evidence/baseline-shop.json",
        "evidence/other.json",
    ],
)
def test_hostile_text_in_every_known_document_is_text(cycle: Cycle, name: str) -> None:
    """Each text of a document of the right shape is replaced by an attack."""
    for text in HOSTILE:
        cycle.shown(name, json.dumps(_everywhere(DOCUMENTS.get(name, {"a": ["b", {"c": "d"}]}), text)))


MISSHAPEN = (
    "[]",
    "{}",
    "null",
    "3",
    '"x"',
    '{"criteria": 5}',
    '{"outcome": null, "criteria": [3]}',
    "{",
    "",
    "[" * 100_000,
    "1" * 6000,
    '{"a": NaN}',
    '{"cells": {}, "scenarios": 1, "blocks": [[]], "services": [{"statements": [{"plan": {"Plan": 3}}]}], "target_metric": []}',
)


@pytest.mark.parametrize(
    "name",
    [
        "gate-1-result.json",
        "baseline-metrics.json",
        "load-test-results.json",
        "optimization-validation-report.json",
        "evidence/query-plans.json",
        "evidence/query-plan-diff.json",
        "evidence/measurement.json",
        "evidence/profile-a.json",
        "evidence/load-peak.json",
        "approvals/a.json",
        "evidence/statements-a.json",
        "slo-update-record.json",
        "optimization-plan.json",
    ],
)
def test_a_document_of_another_shape_is_shown_as_it_is(cycle: Cycle, name: str) -> None:
    """A page never breaks on what a document should have been."""
    for document in MISSHAPEN:
        cycle.shown(name, document)


def test_a_gate_result_is_a_table_with_what_is_not_met_first(cycle: Cycle) -> None:
    """Figures, thresholds and reasons stand in rows; the document as it is stays one click away."""
    page = cycle.shown("gate-3-result.json", json.dumps(DOCUMENTS["gate-3-result.json"]))
    assert page.words.index("NOT met") < page.words.index("too little") < page.words.index("the plan")
    assert "14.9601" in page.words and "at least 15" in page.words
    assert f"/perfproof/cycles/{RUN}/artifacts/optimization-plan.json" in [one.attributes.get("href") for one in page.all("a")]
    raw = cycle.get("gate-3-result.json", raw=1)
    assert '"threshold": 15.0' in harmless(raw.text).words


def test_a_validation_shows_both_sides_and_every_interval(cycle: Cycle) -> None:
    """One picture of the blocks, one of the improvement, and one for each scale of the guards; each says in words what it is."""
    page = cycle.shown("optimization-validation-report.json", json.dumps(DOCUMENTS["optimization-validation-report.json"]))
    assert len(page.all("svg")) == 3
    assert len(page.all("circle")) == 3 + 1 + 1
    assert "median 81" in page.words and "median 15" in page.words and "guard_of_this" in page.words


def test_a_load_curve_is_drawn_over_the_offered_rate(cycle: Cycle) -> None:
    """The steps of a test that climbs become lines of three percentiles and of throughput; all figures stay in a table."""
    page = cycle.shown("load-test-results.json", json.dumps(DOCUMENTS["load-test-results.json"]))
    assert len(page.all("polyline")) == 3 + 2
    assert "1,396 ms" in page.words


def test_a_query_plan_is_an_indented_tree(cycle: Cycle) -> None:
    """Nodes, rows and conditions stand as EXPLAIN shows them."""
    cycle.publish("evidence/query-plans.json", json.dumps(DOCUMENTS["evidence/query-plans.json"]))
    text = "".join(Elements(cycle.get("evidence/query-plans.json").text).text)
    assert "Aggregate  (planned 1 rows, gave 1 in 6.589 ms)\n  -> Seq Scan on orders" in text
    assert "       Filter: (customer_id = 17)" in text


# --- CSV, text, archives ---


def test_a_csv_is_a_table_of_200_rows_a_page(cycle: Cycle) -> None:
    """The first page says how many there are, the second goes on, and a page that is not there is the nearest."""
    rows = "a,b\n" + "".join(f"{i},x{i}\n" for i in range(1200))
    page = cycle.shown("baseline-metrics.csv", rows)
    assert "Rows 1 to 200 of 1,200" in page.words and "x199" in page.words and "x200" not in page.words
    second = harmless(cycle.get("baseline-metrics.csv", page=2).text)
    assert "Rows 201 to 400 of 1,200" in second.words
    for number in (-5, 0, 99):
        assert cycle.get("baseline-metrics.csv", page=number).status_code == 200


@pytest.mark.parametrize(("columns", "rows"), [(1, 200), (10, 200), (20, 100), (40, 50), (90, 50)])
def test_a_wide_table_has_fewer_rows_a_page(cycle: Cycle, columns: int, rows: int) -> None:
    """As many cells as can be made in a fraction of a second, whatever the shape; a later page is no longer than the first."""
    line = ",".join(str(place) for place in range(columns)) + "\n"
    page = cycle.shown("baseline-metrics.csv", line * 301)
    assert f"Rows 1 to {rows} of 300" in page.words
    assert len(page.all("td")) <= 2000
    last = harmless(cycle.get("baseline-metrics.csv", page=99).text)
    assert "of 300" in last.words and len(last.all("td")) <= 2000


@pytest.mark.parametrize("text", (*HOSTILE, "=cmd|'/C calc'!A0", "+1", "@SUM(A1)"))
def test_hostile_cells_are_text(cycle: Cycle, text: str) -> None:
    """In the header as in the rows."""
    written = io.StringIO()
    csv.writer(written).writerows([[text, "b"], [text, text]])
    cycle.shown("baseline-metrics.csv", written.getvalue().encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n" + b"x" * 1_000_000 + b",2\n",
        b"a\n" + b'"' + b"y" * 1_000_000 + b'"\n',
        b",".join(b"c%d" % i for i in range(5000)) + b"\n" + b",".join(b"%d" % i for i in range(5000)),
        b"a,b\n" + b"1,2\n" * 2_000_000,
        b"\xff\xfe\x00\x01",
        b"",
        b"\n\n\n",
        b"a\x00b,c\n1,2",
    ],
)
def test_a_csv_of_any_size_stays_a_small_page(cycle: Cycle, data: bytes) -> None:
    """Large cells, many columns, many rows and what is no table are cut, with a note, and the page stays below a megabyte."""
    cycle.publish("baseline-metrics.csv", data)
    answer = cycle.get("baseline-metrics.csv")
    harmless(answer.text)
    assert answer.status_code == 200
    assert len(answer.content) < 1_000_000


def test_a_compressed_table_is_shown_up_to_a_bound(cycle: Cycle) -> None:
    """A file that unpacks to far more than a page can bear is read to the bound and says so."""
    page = cycle.shown("evidence/load-peak-rows.csv.gz", gzip.compress(b"intended,latency_ms\n1,2\n"))
    assert "intended" in page.words and "24 unpacked" in page.words
    bomb = cycle.shown("evidence/load-bomb-rows.csv.gz", gzip.compress(b"a,b\n" + b"1,2\n" * 5_000_000))
    assert "Only the first" in bomb.words
    assert "could not be unpacked" in cycle.shown("evidence/no.csv.gz", b"no gzip").words


def test_an_archive_lists_what_is_inside(cycle: Cycle) -> None:
    """Names as text, nothing unpacked, and what is none says so."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("<script>alert(1)</script>/../../x", "hello")
    assert "<script>alert(1)</script>" in cycle.shown("evidence/input-package.zip", written.getvalue()).words
    assert "could not be read" in cycle.shown("evidence/no.zip", b"PK\x03\x04 no").words


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 1_000_000, "a\n" * 300_000, "\ufeffbom"])
def test_text_is_cut_and_escaped(cycle: Cycle, text: str) -> None:
    """A long line and a long file are cut with a note."""
    cycle.publish("evidence/rules.yaml", text)
    answer = cycle.get("evidence/rules.yaml")
    page = harmless(answer.text)
    assert len(answer.content) < 1_000_000
    assert ("Only the beginning is shown" in page.words) is (len(text) > 100_000)


def test_an_unknown_kind_is_text_or_only_a_download(cycle: Cycle) -> None:
    """What is no text is not shown."""
    assert "some words" in cycle.shown("evidence/other.thing", b"some words").words
    assert "no text" in cycle.shown("evidence/other.bin", b"\x00\x01\xff").words


# --- pictures and pages of others ---


def test_a_picture_is_never_part_of_the_page(cycle: Cycle) -> None:
    """It is an image from the file's own address, where nothing in it may run."""
    page = cycle.shown("evidence/flame.svg", HOSTILE_SVG)
    assert page.all("svg") == []
    (image,) = page.all("img")
    assert image.attributes["src"].startswith(f"/perfproof/cycles/{RUN}/files/evidence/flame.svg?")
    answer = cycle.get("evidence/flame.svg", kind="files", show=1)
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Content-Disposition"].startswith("inline")
    _is_under_sandbox(answer)


def test_an_html_page_stands_in_a_frame_without_rights(cycle: Cycle) -> None:
    """Only its page may hold a frame; the frame grants nothing but downloads, and the file itself is under a sandbox."""
    cycle.publish("PERFORMANCE-REPORT.html", "<script>parent.alert(1)</script>")
    answer = cycle.get("PERFORMANCE-REPORT.html")
    page = harmless(answer.text)
    (frame,) = page.all("iframe")
    assert frame.attributes["sandbox"] == "allow-downloads"
    assert "frame-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    shown = cycle.get("PERFORMANCE-REPORT.html", kind="files", show=1)
    assert shown.headers["Content-Type"].startswith("text/html")
    _is_under_sandbox(shown)
    cycle.publish(REPORT, "# x")
    assert "frame-src" not in cycle.get(REPORT).headers["Content-Security-Policy"]


@pytest.mark.parametrize("show", [0, 1])
@pytest.mark.parametrize(
    "name",
    [REPORT, "baseline-metrics.csv", "gate-1-result.json", "evidence/rows.csv.gz", "evidence/a.zip", "evidence/a.yaml", "evidence/a.thing"],
)
def test_everything_else_is_a_download(cycle: Cycle, name: str, show: int) -> None:
    """Also where it is asked to be shown, and with the bytes that were committed."""
    cycle.publish(name, b"<script>alert(1)</script>")
    answer = cycle.get(name, kind="files", show=show)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name.rpartition("/")[2]}"'
    assert answer.content == b"<script>alert(1)</script>"
    _is_under_sandbox(answer)


def _is_under_sandbox(answer: object) -> None:
    headers = answer.headers  # type: ignore[attr-defined]
    policy = headers["Content-Security-Policy"]
    rights = next(part for part in policy.split(";") if part.split()[:1] == ["sandbox"])
    assert rights.split() == ["sandbox", "allow-downloads"]
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    # With a group of its own a browser refuses a sandboxed page that is opened by itself.
    assert headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


# --- identity ---


def test_a_manipulated_object_is_never_served(cycle: Cycle) -> None:
    """Other bytes under the digest are an error on the page and for the download."""
    reference = cycle.publish(REPORT, "# right")
    key = next(key for key in cycle.backend.data if key.endswith(reference.sha256))
    cycle.backend.data[key] = b"# wrong"
    for kind in ("artifacts", "files"):
        answer = cycle.get(REPORT, kind=kind)
        assert answer.status_code == 500
        assert "EVI-606" in answer.text and "# wrong" not in answer.text


def test_an_earlier_version_says_that_it_is_one(cycle: Cycle) -> None:
    """Its digest is in its address; the current version lists it, and its page leads to the current one."""
    old = cycle.publish(REPORT, "# old words")
    new = cycle.publish(REPORT, "# new words")
    current = harmless(cycle.get(REPORT).text)
    assert "new words" in current.words and "An earlier version" not in current.words
    assert any(f"sha256={old.sha256}" in str(one.attributes.get("href")) for one in current.all("a"))
    earlier = harmless(cycle.get(REPORT, sha256=old.sha256).text)
    assert "old words" in earlier.words and "An earlier version" in earlier.words
    assert cycle.get(REPORT, kind="files", sha256=old.sha256).content == b"# old words"
    assert cycle.get(REPORT, kind="files", sha256=new.sha256).headers["X-Content-SHA256"] == new.sha256


def test_a_page_names_what_the_artifact_was_made_from(cycle: Cycle) -> None:
    """With the digest of that very version, and whether it was replaced since."""
    plan = cycle.publish("optimization-plan.json", "{}")
    cycle.publish("optimization-validation-report.json", "[]", inputs=(plan,))
    cycle.publish("optimization-plan.json", '{"new": 1}')
    page = harmless(cycle.get("optimization-validation-report.json").text)
    assert f"/perfproof/cycles/{RUN}/artifacts/optimization-plan.json?sha256={plan.sha256}" in [
        one.attributes.get("href") for one in page.all("a")
    ]
    assert "replaced since" in page.words


@pytest.mark.parametrize(
    "name",
    [
        "nothing.json",
        "evidence/none.json",
        "../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/log/00000000.json",
        "log/00000000.json",
        "objects/sha256/" + "a" * 64,
        "protocol-execution-log.jsonl",
        "SHA256SUMS",
        "evidence/../gate-1-result.json",
        "evidence/A.json",
        "PERFORMANCE-REPORT.md%00",
        "PERFORMANCE-REPORT.md/",
        "%5c..%5cx",
        "PERFORMANCE-REPORT.md\r\nX: y",
    ],
)
@pytest.mark.parametrize("kind", ["artifacts", "files"])
def test_what_is_not_published_is_not_found(cycle: Cycle, kind: str, name: str) -> None:
    """No path is built of a name: what the log does not name is not there."""
    cycle.publish(REPORT, "# x")
    answer = (
        cycle.pages().client.get(f"/perfproof/cycles/{RUN}/{kind}/{name}")
        if "\r" not in name
        else cycle.get("PERFORMANCE-REPORT.md%0d%0aX:%20y", kind=kind)
    )
    assert answer.status_code == 404
    assert "root:" not in answer.text
    harmless(answer.text)


@pytest.mark.parametrize("sha256", ["a" * 64, "x", "../x", "A" * 64, "a" * 65])
def test_a_version_that_never_was_is_not_found(cycle: Cycle, sha256: str) -> None:
    """Also where an object with such a digest exists: it must have been published under this name."""
    cycle.publish(REPORT, "# x")
    other = cycle.publish("optimization-plan.json", "{}")
    for digest in (sha256, other.sha256):
        for kind in ("artifacts", "files"):
            assert cycle.get(REPORT, kind=kind, sha256=digest).status_code == 404


def test_an_unknown_cycle_is_not_found(cycle: Cycle) -> None:
    """In a line."""
    client = cycle.pages().client
    assert client.get(f"/perfproof/cycles/other/artifacts/{REPORT}").status_code == 404
    assert client.get(f"/perfproof/cycles/..%2f..%2fetc/files/{REPORT}").status_code == 404


def test_without_the_right_to_read_there_is_nothing(cycle: Cycle) -> None:
    """Neither page nor download."""
    cycle.publish(REPORT, "# x")
    client = cycle.pages(rights=set()).client
    for kind in ("artifacts", "files"):
        assert client.get(f"/perfproof/cycles/{RUN}/{kind}/{REPORT}").status_code == 403


def _everywhere(value: object, text: str) -> object:
    """`value` with `text` in place of every text."""
    if isinstance(value, dict):
        return {key: _everywhere(inner, text) for key, inner in value.items()}
    if isinstance(value, list):
        return [_everywhere(inner, text) for inner in value]
    return text if isinstance(value, str) else value
