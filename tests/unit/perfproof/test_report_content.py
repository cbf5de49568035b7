"""What the report says in a minute and of today's documents, and that every figure leads to the evidence that it is from."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from modules import load

from perfproof.report import render_html, render_markdown, sections
from perfproof.report.blocks import Inventory, Item, Origin, Paragraph, Picture, Ref, Section, Table, is_local
from perfproof.report.minute import minute, named, true_range
from perfproof.report.pictures import CURVE, INTERVALS, LATENCY, captions, changes, descriptions
from perfproof.report_plots import gains_plot, intervals_plot, latency_plot, load_curve_plot

of_report = load("test_report", Path(__file__).with_name("test_report.py"))
full, sample, written, spoiled, Page = of_report.full, of_report.sample, of_report.written, of_report.spoiled, of_report.Page
STYLE = Path(__file__).parents[3] / "include" / "perfproof" / "resources" / "report.css"


def answers(evidence: Any) -> dict[str, str]:
    """The lines of each answer, joined."""
    return {row[0]: " ".join(str(part) for part in row[1] if not isinstance(part, Ref)) for row in minute(evidence).rows}


def test_the_cycle_is_told_in_a_minute() -> None:
    """Eight questions, each with an answer, whatever optional part is missing."""
    for evidence in (sample(), full()):
        told = answers(evidence)
        assert list(told) == [
            "What was slow", "What was changed", "How much better it got", "What got worse", "What it costs", "Who agreed",
            "How sure we are", "What is open",
        ]  # fmt: skip
        assert all(answer.strip() for answer in told.values())


def test_the_minute_says_what_the_documents_say() -> None:
    """Figures, intervals and names of the full cycle; nothing is called good that is not decided."""
    told = answers(full())
    assert "api: slow. x." in told["What was slow"]
    assert told["What was changed"] == "OPT-001: Index orders."
    assert "450 ms before, 320 ms after: 28.9 % better." in told["How much better it got"]
    assert "the true change is at least 20 % better." in told["How much better it got"]
    assert told["What got worse"] == "Nothing else that is guarded: memory stayed within the margins. Not decided for cpu."
    assert told["What it costs"] == "1,000 requests cost 0.000125 USD before and 0.0001 USD after, 20 % less."
    assert told["Who agreed"] == "The changes: Ada Okoro (Owner)."
    assert "Proved" in told["How sure we are"] and "0 of 70 comparisons" in told["How sure we are"]
    for part in ("waiver: gate 3, improvement", "not decided: cpu", "neither confirmed nor refuted: HYP-002", "noisy to guard: p99"):
        assert part in told["What is open"], part


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ({"ci_low": -6.0, "ci_high": 20.0, "confidence": 0.95},
         "With 95 % confidence the true change is between 6 % worse and 20 % better."),
        ({"ci_low": None, "ci_high": 4.0, "confidence": 0.95}, "With 95 % confidence the true change is at most 4 % better."),
        ({"ci_low": 1.0, "ci_high": 2.0, "confidence": 0.95, "interval_confidence": 0.98999},
         "With 98.9 % confidence the true change is between 1 % better and 2 % better."),
        ({"ci_low": 1.0, "ci_high": 2.0}, ""), ({}, ""),
    ],
)  # fmt: skip
def test_an_interval_is_told_in_plain_words(verdict: dict[str, Any], words: str) -> None:
    """The confidence is rounded down; without one nothing is claimed."""
    assert true_range(verdict) == words


def test_an_unknown_cost_and_a_change_that_may_be_none_are_called_so() -> None:
    """Never a figure where the document has none."""
    cost = full().cost_change
    assert "not known" in answers(replace(full(), cost_change=None))["What it costs"]
    assert "no price." in answers(replace(full(), cost_change={**cost, "change_percent": None, "reason": "no price"}))["What it costs"]
    assert "may be what it was" in answers(replace(full(), cost_change={**cost, "ci_low": -5.0, "ci_high": 3.0}))["What it costs"]


def test_long_lists_of_names_are_counted() -> None:
    """A minute is not enough for twenty names."""
    assert named(["a"]) == "a" and named(["a", "b"]) == "a and b"
    assert named([str(n) for n in range(9)]) == "0, 1, 2, 3, 4, 5 and 3 more"


def test_every_table_with_figures_stands_below_its_origin() -> None:
    """Under the same heading: the reader never has to ask from where."""
    for section in sections(full()):
        known = False
        for block in section.blocks:
            known = known or isinstance(block, Origin | Inventory)
            if isinstance(block, Table) and section.heading not in ("Approvals", "Evidence"):
                refers = any(isinstance(part, Ref) for row in block.rows for cell in row if isinstance(cell, tuple) for part in cell)
                waived = block.header[0] in ("Excused", "About this cycle")
                assert known or refers or waived, (section.heading, block.header)


def test_every_reference_leads_to_a_row_with_the_whole_digest() -> None:
    """In HTML by an anchor, in Markdown by name; the row names file, digest and size."""
    markdown, page = written(full())
    anchors = re.findall(r'href="#(e\d+)" title="sha256 (\w+)"', page)
    assert len(anchors) > 20
    for anchor, digest in anchors:
        (row,) = re.findall(rf'<tr><td id="{anchor}">.*?</tr>', page)
        assert digest in row and re.search(r"<td class=short>[\d,]+</td>", row)
    for name, short in re.findall(r"\]\(([\w./-]+)\) `(\w{12})`", markdown):
        assert re.search(rf"\| {re.escape(name)} \| `{short}\w+` \| [\d,]+ \|", markdown)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "//e/x", "http://e/x", "a b", "x\n", "javascript:x", ".x", "a//b", "a/../b", ""])
def test_no_other_name_becomes_a_link_to_a_file(name: str) -> None:
    """Neither in HTML nor in Markdown, also where the inventory holds it."""
    assert not is_local(name)
    content = (Section("Evidence", (Origin((name,)), Inventory((Item(name, "a" * 64, 1),)), Table(("A", "B"), ((Ref(name), 1),)))),)
    assert not [v for k, v in Page(render_html("t", content, {})).attributes if k == "href" and not v.startswith("#")]
    assert "](" not in render_markdown("t", content)


def test_what_is_no_evidence_of_the_report_is_a_name_only() -> None:
    """A link to nothing would be a lie."""
    content = (Section("A", (Origin(("a.json",)), Table(("A", "B"), ((Ref("a.json"), 1),)))),)
    assert "a.json" in render_html("t", content, {}) and "href" not in render_html("t", content, {}).partition("<main")[2]
    assert render_markdown("t", content).count("`a.json`") == 2


def test_a_large_picture_is_linked_and_the_page_says_so() -> None:
    """With its size; the page stays below 5 MB whatever else it holds."""
    large = b'<svg xmlns="http://www.w3.org/2000/svg">' + (b"<text>" + b"x" * 100_000 + b"</text>") * 45 + b"</svg>"
    words = tuple(Paragraph("x" * 1999) for _ in range(900))
    name = "evidence/x.svg"
    content = (Section("A", (Picture(name, "c"), *words, Inventory((Item(name, "a" * 64, len(large)),)))),)
    page = render_html("t", content, {name: large})
    assert f'<a class="file" href="{name}">{name}</a> is too large for this page (' in page and len(page.encode()) < 5_000_000


def test_a_picture_is_told_to_those_who_do_not_see_it() -> None:
    """Title and description; the page decides about place and size, not the picture."""
    data = b'<svg xmlns="http://www.w3.org/2000/svg" style="position:fixed" class="lead" role="none"><rect/></svg>'
    page = render_html("t", (Section("A", (Picture("evidence/x.svg", "What <is> it", "A square & more"),)),), {"evidence/x.svg": data})
    assert (
        '<svg role="img" aria-labelledby="p1-t p1-d"><title id="p1-t">What &lt;is&gt; it</title><desc id="p1-d">A square &amp; more' in page
    )
    assert "position" not in page.partition("<main")[2] and 'class="lead"' not in page


def test_ranks_watched_objectives_and_coincidences_are_shown() -> None:
    """A coincidence is called no cause."""
    part = written(full())[0].partition("## Intake summary")[2].partition("\n## ")[0]
    assert "| 1 | api | slow | 450 ms | 250 ms | x | critical service; target missed by 80 % |" in part
    assert "deployment b1 9 minutes before alert slow" in part and "no cause" in part and "7 earlier ones are not shown" in part
    assert "| Latency (p95) | api | **no** | page | no alert |" in part and "**NOT WATCHED**" in part


def test_room_instances_and_the_highest_throughput_have_their_intervals() -> None:
    """An open end is open; a percentile without samples says why."""
    part = written(full())[0].partition("### Capacity and cost")[2].partition("\n## ")[0]
    assert "| Room to that rate | 20 % (20 % to open) |" in part and "| Instances with two to spare (N+2) | 3 (3 to 4) |" in part
    assert "**reached**; 63 req/s (60 to 66)" in part
    assert "unknown; 20 samples, 100 needed" in part and "44 %; 43 % to open" in part
    base = full()
    service = {**base.capacity["services"][0], "capacity": {"room": {**of_report.ROOM, "reason": "no stress test"}}}
    told = written(replace(base, capacity={**base.capacity, "services": [service]}))[0]
    assert "**UNKNOWN**; no stress test." in told and "N+2" not in told


def test_a_hypothesis_that_the_result_turned_says_so() -> None:
    """By the result, from what it was before; one that the result does not decide says that."""
    markdown = written(full())[0]
    assert "**confirmed**; by the result of the change, open before" in markdown and "evidence/hypotheses-results.json" in markdown
    found = {"id": "HYP-3", "status": "open", "suspected_cause": "x", "status_reason": "y", "result": {"effect": "undecided"}}
    assert "not decided by the result" in written(replace(full(), hypotheses={"hypotheses": [found]}))[0]


FRAGMENTS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'\"><svg onload=alert(1)>", "</td></table></section>",
    "]](javascript:x)", "![i](http://e.example/x)", "[l](http://e.example)", "<http://e.example>", "|", "`", "``` \n", "\r", "\x00",
    "\u202e", "&lt;", "\n\n# head\n", "&#x3c;b>", "<!--", "-->", "]]>", "\\", "\\|", "$x$", "{{7*7}}", "javascript:alert(1)", "=cmd()",
    "</style>", "</title>", "a@e.example", "http://e.example/?a=<b>", "1. x", "- x", "> x", "---", "\t", "é", "\U0001f600", "\ud800",
)  # fmt: skip
HOSTILE_TEXT = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=8)), min_size=1, max_size=6).map("".join)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=HOSTILE_TEXT)
@example(text="\ud800")
def test_no_text_of_others_changes_what_a_browser_builds(text: str) -> None:
    """Oracle: the same report with a harmless text in the same places has the same elements in the same order."""
    pages = []
    for said in ("x words", f"x {text}"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(of_report, "HOSTILE", said)
            pages.append(Page(of_report.written(of_report.hostile())[1]))
    assert pages[1].elements == pages[0].elements
    # Short words stay on one line, by a class.
    keys = [[key for key, _ in page.attributes if key != "class"] for page in pages]
    assert keys[1] == keys[0]
    links = [[value for key, value in page.attributes if key == "href"] for page in pages]
    assert links[1] == links[0]


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_words_can_be_read_in_each_scheme(scheme: str) -> None:
    """Contrast of at least 4.5 to 1 (WCAG AA) for text, links and marks on every ground that they stand on."""
    style = STYLE.read_text("utf-8")
    blocks = dict(zip(("light", "dark", "print"), re.findall(r":root \{(.*?)\}", style, re.DOTALL), strict=True))
    colours = dict(re.findall(r"--(\w+): (#\w+)", blocks[scheme]))
    pairs = [(ink, ground) for ink in ("ink", "dim", "link") for ground in ("page", "soft")]
    pairs += [(tone, f"{tone}back") for tone in ("good", "bad", "warning", "neutral")] + [("ink", "warningback"), ("link", "warningback")]
    for ink, ground in pairs:
        bright, dark = sorted((luminance(colours[ink]), luminance(colours[ground])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    digits = "".join(c * 2 for c in colour[1:]) if len(colour) == 4 else colour[1:]
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_changes_turn_a_worsening_round() -> None:
    """Better is positive for target and guards; the lower end of what got better is the upper end of what got worse."""
    guard = {"metric": "cpu", "worsening": 3.0, "ci_low": 1.0, "ci_high": 5.0, "margin_percent": 5.0, "scale": "percent of the baseline"}
    share = {"metric": "errors", "worsening": None, "ci_low": None, "ci_high": 0.5, "margin_percent": 0.5, "scale": "percentage points"}
    verdict = {"improvement_percent": 30.0, "ci_low": 20.0, "ci_high": None, "threshold_percent": 15}
    found = changes({"target_metric": "p95", "verdict": verdict, "guards": [guard, share]})
    assert [tuple(c.values()) for c in found] == [
        ("p95 (target)", 30.0, 20.0, None, 15), ("cpu", -3.0, -5.0, -1.0, -5.0), ("errors (points)", None, -0.5, None, -0.5),
    ]  # fmt: skip


def test_a_change_from_zero_is_not_on_the_axis_of_percent() -> None:
    """Two milliseconds are not two percent; points are called points, also for those who hear the picture."""
    unit = {
        "metric": "queue", "worsening": 2.0, "ci_low": 1.0, "ci_high": 3.0, "margin_percent": None, "scale": "the unit of the metric",
    }  # fmt: skip
    share = {"metric": "errors", "worsening": 0.2, "ci_low": 0.1, "ci_high": 0.5, "margin_percent": 0.5, "scale": "percentage points"}
    validation = {"target_metric": "p95", "verdict": {}, "guards": [unit, share]}
    assert [tuple(c.values()) for c in changes(validation)][1] == ("queue", None, None, None, None)
    told = descriptions([INTERVALS], validation=validation, capacity={}, profiles=[])[INTERVALS]
    assert told == "p95 (target): no percentage. queue: no percentage. errors (points): -0.2 points, interval -0.5 to -0.1."


def test_captions_and_descriptions_belong_to_their_pictures() -> None:
    """Also for a service that is called as another kind of picture."""
    named_load = "evidence/profile-payload-flame-graph.svg"
    told = captions([INTERVALS, LATENCY, f"{CURVE}api.svg", named_load, "evidence/measured-blocks.svg", "evidence/other.svg"])
    assert told[named_load].startswith("Where the time goes") and told["evidence/other.svg"] == "evidence/other.svg"
    base = full()
    words = descriptions(told, validation=base.validation, capacity=base.capacity, profiles=[{**base.profiles[0], "service": "payload"}])
    assert "450 ms before and 320 ms after" in words[LATENCY] and "f (a.py) 8.65 %" in words[named_load]


def test_plots_are_the_same_bytes_and_say_where_there_is_nothing() -> None:
    """Also with values that are missing, infinite or zero."""
    block = np.linspace(1, 200, 150)
    step = {"rate": 10.0, "throughput": 9.0, "p50": 1.0, "p95": 2.0, "p99": None}
    record = {"validated_at": "2025-02-16T10:00:00Z", "promised_percent": 40.0, "realized_percent": 30.0, "realized_low": 20.0}
    change = {"name": "p95", "value": 30.0, "low": 20.0, "high": None, "limit": 15.0}
    for draw in (
        lambda: latency_plot(transaction="a", judged="p95", before=[block, block * 2], after=[np.append(block / 3, np.inf)]),
        lambda: intervals_plot([change, {**change, "value": None}]),
        lambda: load_curve_plot([step, {**step, "rate": 20.0}], target_rate=15.0, highest_good=None),
        lambda: gains_plot([record, {**record, "realized_percent": None}]),
    ):
        drawn = draw()
        assert drawn == draw() and b"<svg" in drawn
    assert b"no block has enough requests" in latency_plot(transaction="a", judged="x", before=[block[:5]], after=[])
    assert b"no change has a value" in intervals_plot([{**change, "value": float("nan")}])
    assert b"no step has a value" in load_curve_plot([], target_rate=None, highest_good=None)
    assert b"no change has a gain" in gains_plot([{"validated_at": None}])


def test_the_distribution_shows_the_middle_block_and_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: percentiles of each block by sorting; the line is their median, the band their extremes."""
    from matplotlib.axes import Axes

    seen: dict[str, Any] = {}
    monkeypatch.setattr(Axes, "fill_betweenx", lambda self, y, low, high, **kw: seen.setdefault("band", (list(low), list(high))))
    blocks = [np.array([float((7 * n + k) % 101 + 1) for n in range(101)]) for k in (0, 3, 40)]
    latency_plot(transaction="a", judged="p50", before=[b * f for b, f in zip(blocks, (1, 2, 3), strict=True)], after=[])
    each = [[f * float(np.ceil(101 * share / 100)) for share in range(1, 100)] for f in (1, 2, 3)]
    assert seen["band"] == (each[0], each[2])
