"""Text of others, in every writer of Markdown, HTML, SVG, XML, CSV and lines: what reads the result sees text, and nothing acts."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from markdown_it import MarkdownIt

from perfproof.announcements import confirmation_prompt, error_line
from perfproof.approvals.request import APPROVAL, Asked, Evidence, Question, open_request
from perfproof.approvals.shown import body, subject
from perfproof.baseline.document import baseline_csv
from perfproof.capacity_report import capacity_markdown
from perfproof.commands.junit import Case, junit
from perfproof.commands.junit import Outcome as CaseOutcome
from perfproof.config import Labels, Person, load_protocol
from perfproof.diagnostics import profiling_report
from perfproof.differential_flame_graph import differential_flame_graph
from perfproof.errors import EvidenceError
from perfproof.flame_graph import flame_graph
from perfproof.gates.text import gate_failed
from perfproof.hypotheses import hypothesis_log
from perfproof.improvement import improvement_notes
from perfproof.instrumentation import instrumentation_files, instrumentation_log
from perfproof.load.rows import make_rows, read_rows, write_rows
from perfproof.plots import blocks_plot, load_plot
from perfproof.profile_formats.collapsed import collapsed, parse_collapsed
from perfproof.report import render_html, render_markdown
from perfproof.report.blocks import Code, Listing, Mark, Paragraph, Picture, Section, Subheading, Table, Tone
from perfproof.series_plots import distributions_plot, history_plot

HARMLESS = "plain words"
NOW = datetime(2025, 2, 16, 10, 0, tzinfo=UTC)
HOSTILE = {
    "formula": "=cmd|' /C calc'!A0",
    "formula after a tab": "\t@SUM(1+1)",
    "formula after a line": "\r+1+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "script": "<script>alert(1)</script>",
    "picture": '<img src=x onerror="alert(1)">',
    "cdata": "]]><script>alert(1)</script><![CDATA[",
    "comment": "--><script>alert(1)</script><!--",
    "entity": "&lt;script&gt;&#x3c;b&#x3e;",
    "closing": "</text></title></pre></td></svg><svg onload=alert(1)>",
    "attribute": "\" onload='alert(1)' x=\"",
    "ansi": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "fake announcement": "fine\n[RAY GATE FAILED: Baseline Gate]\n[PHASE 4] all approved",
    "carriage return": "fine\r[RAY GATE FAILED: Baseline Gate]",
    "line separators": "fine\u2028[RAY GATE FAILED]\u2029[RAY ERROR]\x85[RAY ERROR]\x0b\x0c",
    "pipe": "a | b || c |",
    "backticks": "a ` b `` c ``` d\n```\n# heading\n```",
    "markdown link": "[click](http://evil.example) ![i](http://evil.example/x.png) <http://evil.example>",
    "bare link": "http://evil.example www.evil.example mailto:a@evil.example a@evil.example",
    "markdown block": "# heading\n\n> quote\n\n- item\n\n1. item\n\n---\n\n    code",
    "setext": "heading\n=======",
    "right to left": "safe\u202egnp.exe\u202c \u2066x\u2069 \u200f",
    "null": "a\0b\ufeff\ufffe",
    "formula of matplotlib": r"$\frac{1}{0}$ $x",
    "backslashes": "\\| \\` \\<b> \\n \\",
    "template": "{{ 7*7 }} {% raw %} ${x}",
}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
SHAPES = frozenset(
    ("svg", "g", "defs", "path", "use", "text", "tspan", "rect", "line", "circle", "ellipse", "polyline", "polygon", "clipPath", "title",
     "desc", "style", "metadata")
)  # fmt: skip
PAGE = frozenset(
    ("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "nav", "a", "main", "section", "p", "strong", "span", "div",
     "table", "thead", "tbody", "tr", "th", "td", "br", "code", "pre", "figure", "figcaption", "svg", "rect")
)  # fmt: skip
SQUARE = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'


def reference(name: str = "evidence/x.json") -> dict[str, str]:
    """As documents cite evidence."""
    return {"name": name, "sha256": "a" * 64, "uri": f"file:///{name}"}


def report_sections(text: str) -> Sequence[Section]:
    """Every kind of block, with the text in each of its fields."""
    cells = (text, Code(text), Mark(text, Tone.BAD), (text, Code(text), Mark(text, Tone.GOOD)), None, 1.0, True)
    blocks = (
        Paragraph(text), Paragraph(text, strong=True), Paragraph(text, mark=Mark(text, Tone.WARNING)), Subheading(text),
        Table((text, text, "", "c", "d", "e", "f"), (cells,)), Table((text, ""), ((text, Code(text)),)),
        Picture("evidence/flame.svg", text), Picture(text, text), Listing(text), Listing(text, language="sql"),
    )  # fmt: skip
    return (Section("Summary", blocks), Section("Gates", (Paragraph(text),)))


def baseline(text: str) -> bytes:
    """A cell of which every text is hostile."""
    cell = {"metric_name": text, "service": text, "value": 1.5, "unit": text, "collection_method": text, "timestamp": text}
    return baseline_csv({"cells": [cell, {**cell, "value": None}, {**cell, "value": -2.0}]})


def rows(text: str) -> bytes:
    """A request of a transaction with that name, unpacked."""
    return gzip.decompress(write_rows(make_rows(intended_start=[0], start=[0], end=[1], status=[200], transaction=[text])))


def profiling(text: str) -> str:
    """Profiles and plans of a service and a database that say it everywhere."""
    finding = {"kind": "sequential_scan", "text": text}
    profile = {
        "service": text, "profiler": text, "build": text, "seconds": 12.0, "rate_hz": 100, "samples": 9, "waiting_samples": 0,
        "unread_samples": 0, "transactions": [{"name": text, "weight": 0.7, "profiled": True, "requests": 3}], "status": "ok",
        "reason": text,
        "hot_functions": [{"function": text, "self_percent": 6.0, "total_percent": 14.0}], "collapsed": reference(text),
        "hot_paths": [{"frames": [{"function": text, "total_percent": 53.0}] * 3, "self_percent": 50.0}], "flame_graph": reference(text),
    }  # fmt: skip
    plan = {
        "Plan": {"Node Type": text, "Relation Name": text, "Alias": text, "Filter": text, "Plan Rows": 20, "Sort Key": [text],
                 "Actual Rows": 17.0, "Actual Loops": 1, "Index Name": text, "Plans": []}
    }  # fmt: skip
    statement = {
        "statement": text, "calls": 3, "total_ms": 4.0, "mean_ms": 1.0, "rows": 7, "share_percent": 53.0, "analyzed": True, "plan": plan,
        "error": text, "findings": [finding], "parameters": [{"type": text, "value": text}],
    }  # fmt: skip
    coverage = {
        "missing_services": [text], "services_profiled": 1, "services_required": 2, "diagnostic_coverage": 50.0, "plain_percent": 50.0,
        "traffic_percent": 50.0, "traffic_basis": text,
    }  # fmt: skip
    plans = {"services": [{"service": text, "requests": 3, "statements": [statement], "findings": [finding]}]}
    return profiling_report(profiles=[profile], plans=plans, coverage=coverage, now=NOW)


def capacity(text: str, *, known: bool = True) -> str:
    """Capacity of a service that says it everywhere, with and without a limit that was found."""
    step = {"rate": 30.0, "throughput": 30.0, "concurrency": 4.0, "p95": 3.0, "p99": 4.0, "error_rate": 0.0, "breaches": [text]}
    fit = {"rate_of_one": 11.0, "contention": text, "coherency": text, "r_squared": text, "peak_concurrency": 3.0, "peak_throughput": 9.0}
    used = {
        "metric": text, "percent": 5.0, "used": 0.1, "limit": 1.0, "limit_unit": text, "projected_percent_at_peak": 9.0,
        "assessment": text, "reasons": [text, text],
    }  # fmt: skip
    service = {
        "service": text,
        "capacity": {
            "knee_rate": 30.0 if known else None, "headroom_percent": 0.0, "headroom_is_lower_bound": False, "reason": text,
            "steps": [step],
            "first_breach": {"rate": 60.0, "breaches": [text]}, "scalability": {"fit": fit if known else None, "reason": text},
        },
        "utilization": [used],
        "scaling": {"policy": text, "instances_for_peak": 1 if known else None, "reason": text},
        "cost": {
            "hourly": 0.1, "per_1000_at_peak": 0.1, "per_1000_at_knee": None,
            "optimizations": [
                {"id": text, "title": text, "expected_gain_percent": 4.0, "knee_rate_if_reached": 5.0, "per_1000_if_reached": 1.0}
            ],
        },
    }  # fmt: skip
    document = {"analyzed_at": text, "peak_rate": 30.0, "currency": text, "services": [service], "derived_from": [reference(text)]}
    return capacity_markdown(document)


def hypotheses(text: str) -> str:
    """One hypothesis and one unknown cause."""
    hypothesis = {
        "id": text, "service": text, "symptom": text, "suspected_cause": text, "cause": text, "confirming_evidence": text, "metric": text,
        "baseline": reference(text), "status": text, "status_reason": text,
    }  # fmt: skip
    return hypothesis_log({"hypotheses": [hypothesis], "unknown": [{"service": text, "symptom": text, "metric": text, "reason": text}]})


def form(text: str) -> str:
    """What a person is asked, with everything that is shown beside the question."""
    question = Question(
        run="run-0123456789abcdef", dag_id="performance_optimization", run_id=text, step="plan", map_index=-1, round=0, question="May we?",
        options=APPROVAL, roles=(Asked("sre_lead", text, (Person("sam", text),)),), evidence=(Evidence("plan.json", "a" * 64),),
        shown={text: text, "list": [{text: text}, text], "deep": {"x": {"y": text}}},
    )  # fmt: skip
    asked = open_request(question, attempt=2, roles=("sre_lead",), log_size=9, log_head="b" * 64, now=NOW, expires_after_days=7)
    assert "\n" not in subject(asked, role="sre_lead") and CONTROL.search(subject(asked, role="sre_lead")) is None
    return body(asked, role="sre_lead")


def profile_of(text: str) -> Any:
    """A profile whose frames say it. Semicolons and line ends divide frames and stacks in the format itself."""
    frame = re.sub(r"[;\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", " ", text).strip() or "x"
    return parse_collapsed(f"main;{frame} 3\nmain;{frame};other 2\n", where="stacks")


SHOP = load_protocol((Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml").read_bytes(), where="demo.yaml").service("shop")


def update(text: str) -> dict[str, Any]:
    """An objective whose words are hostile; the metric is one of the protocol file."""
    return {
        "slo_name": text, "service": text, "metric": "orders_latency_p95", "new_target": text, "previous_target": text, "new_value": 60.0,
        "previous_value": 70.0, "escalation_policy": text, "alert_thresholds": [text, text],
    }  # fmt: skip


def instrumentation(text: str) -> str:
    """The log of what monitoring follows."""
    service = replace(SHOP, name=text)
    files = {name: reference() for name in instrumentation_files(service=service, updates=[])}
    return instrumentation_log(
        state="applied", service=service, updates=[update(text)], files=files, directory=text, validation_ref=reference(text),
        builds={"baseline": text, "candidate": text}, now=NOW,
    )  # fmt: skip


def notes(text: str) -> str:
    """Recommendations of a cycle."""
    validation = {
        "optimizations": [text], "target_metric": text, "improvement": {"percentage": 20.0},
        "unguarded": [{"metric": text, "reason": text}],
    }  # fmt: skip
    return improvement_notes(
        backlog_document={"items": [{"id": text, "kind": text, "title": text, "reason": text}]}, slo_record={"updates": [update(text)]},
        validation=validation, labels=Labels(next_protocol=text, monitoring=f"{text} monitoring"),
        recipients={"next_protocol": text, "monitoring": text}, report_sha256="a" * 64, now=NOW,
    )  # fmt: skip


MARKDOWN: dict[str, Callable[[str], str]] = {
    "report": lambda text: render_markdown("Performance report", report_sections(text)),
    "profiling report": profiling,
    "capacity analysis": capacity,
    "capacity analysis without a limit": lambda text: capacity(text, known=False),
    "hypothesis log": hypotheses,
    "approval form": form,
    "instrumentation log": instrumentation,
    "improvement notes": notes,
}
SVG: dict[str, Callable[[str], bytes | str]] = {
    "flame graph": lambda text: flame_graph(profile_of(text), title=text),
    "difference graph": lambda text: differential_flame_graph(profile_of(text), profile_of("other"), title=text),
    "blocks": lambda text: blocks_plot(metric=text, unit=text, before=[1.0], after=[2.0]),
    "blocks without values": lambda text: blocks_plot(metric=text, unit=text, before=[None], after=[None]),
    "load": lambda text: load_plot([{"scenario": text, "latency": {"p50": 1.0}}], limit_p95=2.0),
    "history": lambda text: history_plot(metric=text, values=[1.0, 2.0], changes=[1], outliers=[0]),
    "distributions": lambda text: distributions_plot(metric=text, before=[1.0], after=[2.0]),
}
LINES: dict[str, Callable[[str], str]] = {
    "error": lambda text: str(EvidenceError(500, where=text, what=text, got=text, expected=[text], fix=text)),
    "error line": lambda text: error_line(text, text),
    "collapsed stacks": lambda text: "|".join(collapsed(profile_of(text)).splitlines()),
}


def parameters(writers: dict[str, Any]) -> Any:
    """Each writer with each text."""
    return pytest.mark.parametrize(("writer", "name"), [(writer, name) for writer in writers for name in HOSTILE])


@parameters(MARKDOWN)
def test_markdown_of_hostile_text_has_the_elements_of_harmless_text(writer: str, name: str) -> None:
    """Oracle: a CommonMark parser with tables and links. No HTML, link, picture, block or control character of theirs."""
    parser = MarkdownIt("gfm-like")
    kinds = []
    for text in (HARMLESS, HOSTILE[name]):
        written = MARKDOWN[writer](text)
        tokens = [t for token in parser.parse(written) for t in (token, *(token.children or ()))]
        assert not {"html_block", "html_inline", "link_open"} & {t.type for t in tokens}
        assert all(str(t.attrs["src"]).startswith("evidence/") for t in tokens if t.type == "image")
        kinds.append(
            [t.type for t in tokens if t.nesting == 1 and t.type not in ("em_open", "strong_open")]
            + [t.type for t in tokens if t.type in ("fence", "hr")]
        )
    assert kinds[1] == kinds[0]
    assert CONTROL.search(written) is None
    assert not re.search(r"^\s*(?:> ?)*\[(?:RAY|PHASE)", "\n".join(_outside_fences(written)), re.MULTILINE)


def _outside_fences(written: str) -> list[str]:
    kept, fence = [], ""
    for line in written.split("\n"):
        opening = re.match(r"`{3,}", line)
        if opening and not fence:
            fence = opening[0]
        elif fence and line == fence:
            fence = ""
        elif not fence:
            kept.append(line)
    return kept


class Elements(HTMLParser):
    """Elements and attributes, as a browser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every element counts."""
        self.found.append(tag)
        self.attributes += [(key, value or "") for key, value in attrs]


@pytest.mark.parametrize("name", HOSTILE)
def test_html_of_hostile_text_has_the_elements_of_harmless_text(name: str) -> None:
    """Nothing runs, nothing is loaded, and no character turns the direction of the text around."""
    page = render_html("Performance report", report_sections(HOSTILE[name]), {"evidence/flame.svg": SQUARE})
    harmless = Elements(render_html("Performance report", report_sections(HARMLESS), {"evidence/flame.svg": SQUARE}))
    seen = Elements(page)
    assert seen.found == harmless.found
    assert set(seen.found) <= PAGE
    assert not [key for key, value in seen.attributes if key.startswith("on") or (key in ("href", "src") and not value.startswith("#"))]
    assert CONTROL.search(page) is None


@parameters(SVG)
def test_pictures_of_hostile_text_hold_shapes_and_text(writer: str, name: str) -> None:
    """An XML parser reads them, every element is a shape, no attribute runs anything."""
    picture = SVG[writer](HOSTILE[name])
    data = picture if isinstance(picture, bytes) else picture.encode()
    elements = list(ET.fromstring(data[data.index(b"<svg") :]).iter())  # noqa: S314  our own picture
    tags = {element.tag.rpartition("}")[2] for element in elements if "svg" in element.tag}
    assert tags <= SHAPES
    keys = {key.rpartition("}")[2] for element in elements for key in element.attrib}
    assert not [key for key in keys if key.startswith("on")]
    hrefs = [value for element in elements for key, value in element.attrib.items() if key.endswith("href")]
    assert all(value.startswith("#") for value in hrefs)
    assert CONTROL.search(data.decode()) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_files_for_monitoring_parse_and_start_no_template(name: str) -> None:
    """Alert rules are templates to Prometheus: braces of others are text there. YAML and JSON hold as many parts as with harmless text."""
    shapes = []
    for text in (HARMLESS, HOSTILE[name]):
        files = instrumentation_files(service=replace(SHOP, name=text), updates=[update(text)])
        rules = yaml.safe_load(files["alert-rules.yaml"])
        annotations = [value for group in rules["groups"] for rule in group["rules"] for value in rule["annotations"].values()]
        assert not [value for value in annotations if "{{" in value.replace('{{ "{{" }}', "") or CONTROL.search(value) or "\n" in value]
        shapes.append([sorted(rule) for group in rules["groups"] for rule in group["rules"]])
        assert len(json.loads(files["dashboard.json"])["panels"]) == 1 and json.loads(files["tracing.json"])
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", HOSTILE)
def test_xml_for_pipelines_stays_xml(name: str) -> None:
    """Of the JUnit form: the same elements, whatever a name or an answer says."""
    text = HOSTILE[name]
    root = ET.fromstring(junit("perfproof.judge", [Case(text, outcome, text) for outcome in CaseOutcome]).encode())  # noqa: S314  our own document
    assert [element.tag for element in root.iter()] == ["testsuite", "testcase", "system-out", "testcase", "failure", "testcase", "error"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("writer", [baseline, rows])
def test_no_cell_of_a_table_is_a_formula(writer: Callable[[str], bytes], name: str) -> None:
    """As a spreadsheet reads it: as many rows and cells as with harmless text, no formula, no control character."""
    seen = [list(csv.reader(io.StringIO(writer(text).decode(), newline=""), strict=True)) for text in (HARMLESS, HOSTILE[name])]
    assert [len(row) for row in seen[1]] == [len(row) for row in seen[0]]
    for row in seen[1]:
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t", "\r", "\n"))
            assert not cell.startswith("-") or re.fullmatch(r"-[0-9.]+", cell)
            assert CONTROL.search(cell) is None and "\n" not in cell


@parameters(LINES)
def test_a_line_stays_one_line(writer: str, name: str) -> None:
    """No text of others ends it, colours it, turns it round or begins another."""
    line = LINES[writer](HOSTILE[name])
    assert len(line.splitlines()) == 1
    assert CONTROL.search(line) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_the_blocks_of_the_protocol_have_their_own_lines_only(name: str) -> None:
    """The gate's block and the question before the handoff: as many lines as with harmless text, and nothing announces itself."""
    text = HOSTILE[name]
    for made, harmless in (
        (gate_failed(1, criteria=text, actual=text), gate_failed(1, criteria="x", actual="x")),
        (confirmation_prompt(text), confirmation_prompt("x")),
    ):
        assert len(made.splitlines()) == len(harmless.splitlines())
        assert CONTROL.search(made) is None
        assert [line[:5] for line in made.splitlines() if line.startswith("[")] == ["[RAY "]


@pytest.mark.parametrize("name", HOSTILE)
def test_rows_are_read_back_as_they_were_meant(name: str) -> None:
    """What the file cannot hold as it is comes back as it was."""
    made = make_rows(intended_start=[0, 0], start=[0, 0], end=[1, 1], status=[200, 200], transaction=[HOSTILE[name], "orders"])
    once = read_rows(write_rows(made), where="rows")
    assert once.transaction.tolist() == [HOSTILE[name], "orders"]
    assert write_rows(once) == write_rows(made)


def test_the_texts_are_hostile_to_a_careless_writer() -> None:
    """Or else the tests above would prove nothing."""
    careless = {name: f"| {text} |" for name, text in HOSTILE.items()}
    assert sum(CONTROL.search(text) is not None for text in careless.values()) >= 6
    assert any("<script" in text for text in careless.values())
    assert json.loads(json.dumps(HOSTILE)) == HOSTILE and yaml.safe_load(yaml.safe_dump({"x": HOSTILE["pipe"]}))
