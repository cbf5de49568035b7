"""The report opened from disk in headless Chromium: hostile text runs nothing, nothing is requested, and paper cuts nothing off."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from modules import load

from perfproof.differential_flame_graph import differential_flame_graph
from perfproof.flame_graph import flame_graph
from perfproof.plots import blocks_plot
from perfproof.profile_formats.collapsed import parse_collapsed
from perfproof.report import render_html, sections
from perfproof.report_plots import intervals_plot

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
# 182 mm, the width of A4 without the margins of the style, at 96 dots an inch.
PAPER = 688
ATTACK = (
    "<script>window.broken=1;alert(1)</script><img src=x onerror=alert(2)>'\"><svg onload=alert(3)></svg></td></table>"
    "<iframe src=http://e.example></iframe><link rel=stylesheet href=//e.example/x.css> [l](javascript:alert(4)) "
    "<style>*{display:none}</style>"
)
of_report = load("test_report", Path(__file__).parents[1] / "unit" / "perfproof" / "test_report.py")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests."""
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile report with pictures of hostile names, beside the files that it links."""
    directory = tmp_path_factory.mktemp("cycle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_report, "HOSTILE", ATTACK)
        evidence = replace(of_report.hostile(), pictures=dict.fromkeys(of_report.full().pictures, ATTACK))
        content = sections(evidence)
    profile = parse_collapsed(f"main;{ATTACK.replace(';', ' ')} 9\nmain;other 3\n", where="stacks")
    change = {"name": ATTACK, "value": 30.0, "low": 20.0, "high": None, "limit": 15.0}
    pictures: dict[str, bytes] = {
        "evidence/flame.svg": flame_graph(profile, title=ATTACK).encode(),
        "evidence/blocks.svg": blocks_plot(metric=ATTACK, unit=ATTACK, before=[2.0], after=[1.0]),
        "evidence/load.svg": intervals_plot([change]),
        "evidence/profile-comparison-api-flame-graph.svg": differential_flame_graph(profile, profile, title=ATTACK).encode(),
    }
    for name in of_report.CITED:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(pictures.get(name, b"{}"))
    path = directory / "PERFORMANCE-REPORT.html"
    path.write_text(render_html("Performance report", content, pictures), "utf-8")
    return path


class Seen:
    """A page with everything that it asked for, said and complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.said: list[str] = []
        self.context.route("**/*", self._answer)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dismiss)
        self.page.goto(path.as_uri())

    def _answer(self, route: Any) -> None:
        self.requests.append(route.request.url)
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            route.abort()

    def _dismiss(self, dialog: Any) -> None:
        self.said.append(f"dialog {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def seen(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Seen]:
    """The report, opened."""
    opened = Seen(browser, report, **getattr(request, "param", {}))
    yield opened
    opened.context.close()


def test_hostile_text_runs_nothing_and_asks_for_nothing(seen: Seen, report: Path) -> None:
    """One request, the page itself; no dialog, no complaint of the policy; the text is there to be read."""
    assert seen.requests == [report.as_uri()] and seen.said == []
    assert seen.page.evaluate("window.broken === undefined")
    assert seen.page.locator("script, iframe, link, img, object, embed, form, input, base").count() == 0
    assert seen.page.locator("style").count() == 1 and seen.page.locator("figure svg").count() == 4
    assert "alert(1)" in seen.page.locator("main").inner_text()
    assert seen.page.locator("h2").all_inner_texts() == [section.heading for section in sections(of_report.full())]


def test_every_link_leads_somewhere(seen: Seen, report: Path) -> None:
    """Anchors to elements of the page, files to files beside it."""
    targets = seen.page.evaluate("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert len(targets) > 40
    for target in set(targets):
        if target.startswith("#"):
            assert seen.page.evaluate("id => document.getElementById(id) !== null", target[1:]), target
        else:
            assert (report.parent / target).is_file(), target


def test_a_file_opens_from_the_report(seen: Seen) -> None:
    """By a click, from disk."""
    seen.page.get_by_role("link", name="gate-1-result.json", exact=True).and_(seen.page.locator(".file")).click()
    assert seen.page.url.endswith("/gate-1-result.json")


@pytest.mark.parametrize("seen", [{"viewport": {"width": 390, "height": 800}}, {"viewport": {"width": 1280, "height": 800}}], indirect=True)
def test_the_page_itself_never_scrolls_sideways(seen: Seen) -> None:
    """Wide tables scroll inside, and a keyboard reaches them."""
    assert seen.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert seen.page.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.tabIndex === 0 && e.getAttribute('aria-label'))")


@pytest.mark.parametrize("seen", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_the_page_follows_the_scheme_of_the_reader(seen: Seen, request: pytest.FixtureRequest) -> None:
    """Light ground in a light scheme, dark ground in a dark one."""
    ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(int(part) for part in re.findall(r"\d+", ground)[:3]) < 150
    assert dark == seen.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


def test_the_keyboard_begins_at_the_way_past_the_menu(seen: Seen) -> None:
    """The first stop leads to the report."""
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.getAttribute('href')") == "#content"


def test_pictures_and_tables_have_names(seen: Seen) -> None:
    """For those who hear the page: each picture by title, each table by caption or by its first row."""
    assert seen.page.evaluate("[...document.querySelectorAll('figure svg')].every(s => s.getAttribute('role') === 'img')")
    names = "s => s.getAttribute('aria-labelledby').split(' ').every(id => document.getElementById(id).textContent.length > 0)"
    assert seen.page.evaluate(f"[...document.querySelectorAll('figure svg')].every({names})")
    assert seen.page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption || t.querySelector('th[scope=colgroup]'))")
    assert seen.page.evaluate("[...document.querySelectorAll('th')].every(h => h.scope)")


@pytest.mark.parametrize("seen", [{"viewport": {"width": PAPER, "height": 1000}}], indirect=True)
def test_paper_cuts_nothing_off(seen: Seen, tmp_path: Path) -> None:
    """No table, picture or text is wider than A4, also with words that never end; the digests are whole."""
    seen.page.emulate_media(media="print")
    wide = "e => e.getBoundingClientRect().right > innerWidth + 1"
    assert (
        seen.page.evaluate(f"[...document.querySelectorAll('main *:not(svg *)')].filter({wide}).map(e => e.outerHTML.slice(0, 200))") == []
    )
    paper = tmp_path / "report.pdf"
    seen.page.pdf(path=paper, prefer_css_page_size=True)
    assert paper.read_bytes().startswith(b"%PDF")
    if reader := shutil.which("pdftotext"):
        told = subprocess.run([reader, "-raw", str(paper), "-"], check=True, capture_output=True, timeout=60).stdout.decode()
        assert f"{len(of_report.CITED) - 1:064x}" in re.sub(r"\s", "", told)


@pytest.mark.parametrize("seen", [{"viewport": {"width": PAPER, "height": 1000}}], indirect=True)
def test_a_digest_takes_one_line_on_paper(seen: Seen) -> None:
    """A cycle has more than a hundred: broken ones would make the inventory twice as many pages."""
    seen.page.emulate_media(media="print")
    # A digest of the test that is no digest is longer.
    whole = "[...document.querySelectorAll('.inventory .digest')].filter(e => e.dataset.whole.length === 64)"
    found = seen.page.evaluate(f"{whole}.map(e => e.getClientRects().length)")
    assert len(found) > 10 and set(found) == {1}
