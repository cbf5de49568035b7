"""The pages in headless Chromium: a cycle from Airflow's form to the report, as each person sees it; axe; evidence that wants to run.

axe-core is an npm package: `npm pack axe-core`, unpack it, and name its `axe.min.js` in AXE_JS. Without it that test is skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow_rig import eventually
from browser_cycle import AllButTheBrowsers, Cycle, TriggeredElsewhere, visited
from browser_rig import People, chromium, frame_of, hits, people_of
from cycle_stage import Stage, running_stage
from hostile_cycle import HOST, PAYLOADS, Copy
from playwright.sync_api import Frame, expect

from perfproof.evidence import EntryType, EvidenceStore
from perfproof.run_key import run_key
from perfproof_airflow.commands.run import DAG, Ending
from perfproof_demo.airflow_processes import PEOPLE
from perfproof_demo.approvers import APPROVALS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(chromium() is None, reason="Chromium is not installed"),
]
AXE = Path(os.environ.get("AXE_JS") or "node_modules/axe-core/axe.min.js")
# Airflow knows this account, and gives it no right.
OUTSIDER = "demo-outsider"
USERS = ",".join((*(f"{name}:{role}" for name, role in PEOPLE.items()), f"{OUTSIDER}:"))
THEMES, WIDTHS = ("light", "dark"), (1280, 390)
PLOTS = 3
# So many pages of a hostile cycle hold a hostile text at least: the pages are shown, not empty.
SHOWN = 60
MOVE_MS = 60_000
LOAD_SECONDS = 150


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One demo for the whole file, with one more account."""
    options = {"core.simple_auth_manager_users": USERS}
    with running_stage(tmp_path_factory.mktemp("workspace"), options=options) as running, visited(running.demo.settings):
        yield running


@pytest.fixture(scope="module")
def people(stage: Stage) -> Iterator[People]:
    """Everybody's browser."""
    executable = chromium()
    assert executable is not None
    with people_of(stage.demo.home, executable=executable) as everybody:
        yield everybody


@pytest.fixture(autouse=True)
def nothing_else_happened(people: People) -> Iterator[None]:
    """After each test: no request left loopback, no page logged an error, none opened a dialog."""
    yield
    wrong = people.watch.taken()
    assert wrong == []
    seen = people.watch.requests
    assert seen > 0


@pytest.fixture(scope="module")
def cycle(stage: Stage, people: People) -> Cycle:
    """A cycle that the performance engineer triggered with Airflow's form."""
    demo = TriggeredElsewhere(stage.demo.settings, stage.demo.workspace, stage.demo.repository, stage.demo.home)
    AllButTheBrowsers.by_hand = {"__prioritization__", "__load_test_authorization__", "__implementation__0__"}
    found = Cycle(stage)
    found.begin(demo)
    assert demo.asked_for.wait(60)
    page = people.page("demo-performance")
    page.goto(f"{demo.home.url}/dags/{DAG}")
    page.get_by_role("button", name="Trigger Dag").first.click()
    form = page.get_by_role("dialog")
    form.locator("[name=element_optimizations]").fill("OPT-001\nOPT-002")
    submit = form.get_by_test_id("trigger-dag-submit")
    expect(submit).to_be_enabled()
    submit.dispatch_event("click")
    with contextlib.closing(demo.api("demo-performance")) as api:
        (run,) = eventually(lambda: api.runs(DAG), seconds=30, what="a run after the form was sent")
    found.run_id = run["dag_run_id"]
    demo.run_ids.put(found.run_id)
    eventually(lambda: len(found.store.of_type(EntryType.APPROVAL_REQUESTED)) == 3, seconds=90, what="three requests")
    return found


@pytest.fixture(scope="module")
def finished(cycle: Cycle) -> Cycle:
    """The cycle after its end; whatever no browser has answered is answered for it."""
    AllButTheBrowsers.by_hand = set()
    assert cycle.ended(seconds=400) is Ending.PASSED
    return cycle


def through_navigation(people: People, person: str) -> Frame:
    """Our first page, by Airflow's navigation from its start page."""
    page = people.page(person)
    page.goto(people.home.url)
    page.get_by_role("link", name="Perfproof", exact=True).click()
    frame = frame_of(page)
    expect(frame.get_by_role("heading", name="Cycles")).to_be_visible()
    return frame


def card(frame: Frame, step: str) -> Any:
    """The card of the request for a step."""
    return frame.locator("article.card", has=frame.get_by_role("heading", name=re.compile(f"^{step}")))


def test_everybody_logs_in_and_finds_the_pages_in_the_navigation(people: People) -> None:
    """Each account sees the list of cycles in Airflow's own page, by its own name."""
    for person in PEOPLE:
        frame = through_navigation(people, person)
        expect(frame.locator("footer")).to_contain_text(f"as {person}")


def test_the_navigation_leads_back_to_the_list(people: People) -> None:
    """Airflow's own entry of the pages, from within one of them: for Airflow that is where it is already."""
    frame = through_navigation(people, "demo-viewer")
    for _ in range(2):
        frame.get_by_role("link", name="Plan a run").click()
        expect(frame.get_by_role("heading", name="Plan a run", level=1)).to_be_visible()
        people.page("demo-viewer").get_by_role("link", name="Perfproof", exact=True).click()
        expect(frame.get_by_role("heading", name="Cycles", level=1)).to_be_visible()


def test_an_account_without_rights_reads_what_it_lacks(people: People, stage: Stage) -> None:
    """Airflow lets it log in; our pages answer 403 and say which right is missing, and nothing of any cycle."""
    with people.watch.expecting(401, 403):
        page = people.page(OUTSIDER, lands_on=None)
        for path in ("/", "/approvals", "/plan"):
            answer = page.goto(f"{stage.demo.home.url}/perfproof{path}")
            assert answer is not None and answer.status == 403
            expect(page.get_by_text(f"you need the right to read the Dag {DAG}")).to_be_visible()
            expect(page.locator("article, table, form")).to_have_count(0)


def test_who_cannot_answer_reads_why(people: People, cycle: Cycle) -> None:
    """Another role, a viewer and the requester see the SRE lead's request: each is told why it is not theirs, and gets no button."""
    for person in ("demo-owner", "demo-viewer", "demo-performance"):
        frame = through_navigation(people, person)
        frame.get_by_role("link", name="Approvals").click()
        request = frame.locator("#others").locator("xpath=..").locator("article", has_text="Load test authorization")
        why = f"You cannot answer {person} does not hold the role SRE Lead; demo-sre (demo account) can answer."
        expect(request.locator(".mine")).to_have_text(why)
        expect(request.get_by_role("link", name="Open the task to mark")).to_have_count(0)


@pytest.mark.parametrize(("person", "step", "by"), [
    ("demo-owner", "Prioritization", "approvals"),
    ("demo-sre", "Load test authorization", "cycle"),
    ("demo-engineer", "Implementation", "approvals"),
])  # fmt: skip
def test_who_is_asked_finds_the_request_and_marks_it(people: People, cycle: Cycle, person: str, step: str, by: str) -> None:
    """From the navigation to the request, along its link to the task, tick menu, Confirm; the page of the cycle then shows who it was."""
    note = "agreed in the browser"
    if step == "Implementation":
        # The other optimization's task was marked with the change that holds both.
        granted = eventually(lambda: cycle.granted_to("implementation"), seconds=300, what="the deployment", pause=1)
        note = granted[0]["comment"]
    onlooker = people.frame("demo-viewer", f"/cycles/{cycle.run}")
    frame = through_navigation(people, person)
    if by == "approvals":
        frame.get_by_role("link", name="Approvals").click()
        frame = frame_of(people.page(person))
    else:
        frame.locator("#cycles-region tbody th a").first.click()
    request = card(frame, step).first
    expect(request).to_contain_text("You can answer", timeout=MOVE_MS)
    request.get_by_role("link", name="Open the task to mark").click()
    people.page(person).wait_for_url(re.compile(f"/dags/{APPROVALS}/runs/.*/tasks/approve/mapped/0"))
    people.mark(person, note=note)
    # The page that somebody else has open reads itself again.
    answered = onlooker.locator("details[id^=earlier]", has_text=step).first
    expect(answered).to_contain_text("Decided", timeout=MOVE_MS)
    expect(answered).to_contain_text(f"approve by {person} (demo account)")
    expect(answered).to_contain_text(note)


def test_the_run_goes_on_to_its_end(people: People, finished: Cycle) -> None:
    """What was marked in browsers is in the evidence, and the list says how the cycle ended."""
    (granted,) = finished.granted_to("load_test_authorization")
    assert (granted["person"]["id"], granted["channel"], granted["comment"]) == ("demo-sre", "mark", "agreed in the browser")
    frame = through_navigation(people, "demo-viewer")
    row = frame.locator("#cycles-region tbody tr", has_text=finished.run)
    expect(row.locator(".state", has_text="Passed")).to_be_visible()
    expect(row.locator(".strip .state", has_text="Pass")).to_have_count(4)


def test_the_report_is_read(people: People, finished: Cycle) -> None:
    """From the cycle to the report: the HTML in its frame and the Markdown as a page say the same improvement as the validation."""
    improvement = json.loads(finished.store.read("optimization-validation-report.json"))["improvement"]["percentage"]
    frame = people.frame("demo-owner", f"/cycles/{finished.run}")
    expect(frame.locator("#standing").locator("xpath=..")).to_contain_text(f"{improvement:.3g} %")
    frame.locator("summary", has_text="Documents beside them").click()
    frame.get_by_role("link", name="PERFORMANCE-REPORT.html").first.click()
    report = frame.frame_locator("iframe.report")
    expect(report.get_by_role("heading", name="Performance report")).to_be_visible()
    expect(report.locator("body")).to_contain_text(f"{improvement:.3g} %")
    expect(report.locator("svg").first).to_be_visible()
    frame = people.frame("demo-owner", f"/cycles/{finished.run}/artifacts/PERFORMANCE-REPORT.md")
    expect(frame.locator(".rendered")).to_contain_text(f"{improvement:.3g}")


def test_the_validation_is_seen(people: People, finished: Cycle) -> None:
    """Plots that are as large as they must be to be read, the verdict, and the way to what it was made from."""
    frame = people.frame("demo-owner", f"/cycles/{finished.run}/artifacts/optimization-validation-report.json")
    plots = frame.locator("figure svg")
    assert plots.count() >= PLOTS
    for plot in plots.all():
        box = plot.bounding_box()
        assert box is not None and box["width"] > 300 and box["height"] > 40
    expect(frame.get_by_text("The improvement is proved")).to_be_visible()
    frame.get_by_role("link", name="evidence/measurement.json").click()
    expect(frame.get_by_role("heading", name="evidence/measurement.json")).to_be_visible()


def test_the_evidence_is_verified(people: People, finished: Cycle) -> None:
    """The link on the cycle's page leads to the outcome of a verification."""
    frame = people.frame("demo-viewer", f"/cycles/{finished.run}")
    frame.get_by_role("link", name="Verify the evidence").click()
    expect(frame.locator(".standing .state")).to_have_text("Verified")


def test_tabs_of_a_run_and_of_a_task_show_them(people: People, finished: Cycle) -> None:
    """Airflow's tab Proof of the run is the cycle; its tab Approval of the marked task is the request and who answered."""
    page = people.page("demo-sre")
    page.goto(f"{people.home.url}/dags/{DAG}/runs/{finished.run_id}")
    page.get_by_role("link", name="Proof", exact=True).click()
    expect(frame_of(page).get_by_role("heading", name="Where it stands")).to_be_visible()
    request = f"{finished.run}__load_test_authorization__1__r0a1"
    page.goto(f"{people.home.url}/dags/{APPROVALS}/runs/{request}/tasks/approve/mapped/0")
    page.get_by_role("link", name="Approval", exact=True).click()
    frame = frame_of(page)
    expect(frame.locator("article")).to_contain_text("Load test authorization")
    expect(frame.locator("article")).to_contain_text("approve by demo-sre (demo account)")


@pytest.fixture(scope="module")
def hostile(finished: Cycle) -> tuple[str, str]:
    """Two cycles full of scripts: one that is closed, one that waits for its product owner."""
    runs = []
    names = ("orders_latency_p95", "memory_rss", "shop", "peak", "OPT-001")
    for run_id, until in (("hostile__closed", None), ("hostile__open", "handoff")):
        target = EvidenceStore(finished.store.backend, run_key(DAG, run_id))
        Copy(finished.store, target, (finished.run_id, run_id), names).make(until=until)
        runs.append(target.run)
    return runs[0], runs[1]


def pages_of(store: EvidenceStore) -> list[str]:
    """The addresses of all pages about a cycle."""
    run = store.run
    return [f"/cycles/{run}", f"/cycles/{run}/verify", *(f"/cycles/{run}/artifacts/{name}" for name in store.live_all())]


GENERAL = ("/", "/approvals", "/baselines", "/trends", "/plan", "/cycles/unknown", "/run?dag_id=other&run_id=x")


def test_axe_finds_nothing_serious(people: People, finished: Cycle, hostile: tuple[str, str]) -> None:
    """Every page, light and dark, wide and narrow: no issue of axe that is serious or critical, and no page that scrolls sideways."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here: name its axe.min.js in AXE_JS")
    script, page = AXE.read_text(), people.page("demo-owner")
    frame = people.frame("demo-owner")
    wrong: list[tuple[str, str, int, str, str]] = []

    def look(path: str) -> None:
        frame.evaluate(script)
        for theme in THEMES:
            page.evaluate("theme => { document.documentElement.className = theme }", theme)
            frame.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                found = frame.evaluate("axe.run(document, {resultTypes: ['violations'], iframes: false})")
                wrong.extend(
                    (path, theme, width, one["id"], one["nodes"][0]["html"][:200])
                    for one in found["violations"]
                    if one["impact"] in ("serious", "critical")
                )
                if frame.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                    wrong.append((path, theme, width, "scrolls sideways", ""))

    with people.watch.expecting(404):
        for path in (*GENERAL, *pages_of(finished.store), f"/cycles/{hostile[1]}"):
            frame.goto(f"{people.home.url}/perfproof{path}")
            look(path)
    frame.goto(f"{people.home.url}/perfproof/plan")
    frame.get_by_role("button", name="Show what a run would do").click()
    expect(frame.get_by_role("heading", name="Who will be asked")).to_be_visible()
    look("/plan, planned")
    assert wrong == []
    # The control: axe looks, and what it finds arrives here.
    frame.evaluate("document.querySelector('main').append(document.createElement('button'))")
    look("a button without a name")
    assert {one[3] for one in wrong} == {"button-name"}
    page.set_viewport_size({"width": 1280, "height": 900})


def test_hostile_evidence_runs_nothing(people: People, hostile: tuple[str, str], finished: Cycle) -> None:
    """Scripts in every text and document of a cycle are text on every page: none leaves its sign, asks for anything, or opens a dialog."""
    page, root = people.page("demo-owner"), f"{people.home.url}/perfproof"
    closed, waits = (EvidenceStore(finished.store.backend, run) for run in hostile)
    frame, shown = people.frame("demo-owner"), 0
    task = f"/task?dag_id={APPROVALS}&run_id={waits.run}__handoff__-1__r0a1&task_id=approve"
    for path in (*GENERAL[:5], *pages_of(closed), f"/cycles/{waits.run}", task):
        frame.goto(root + path)
        assert frame.evaluate(EXAMINE) == [], path
        assert hits(page) == [], path
        text = frame.locator("main").inner_text()
        shown += HOST in text or "window.__hit" in text
    assert shown > SHOWN
    for name in closed.live_all():
        if name.endswith((".svg", ".html")):
            page.goto(f"{root}/cycles/{closed.run}/files/{name}?show=1")
            assert hits(page) == [], name


# Opens what is folded, focuses what asks for it, and gives back what is no element of ours: scripts, handlers, styles, addresses that run.
EXAMINE = """() => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  for (const one of document.querySelectorAll("[autofocus], main [tabindex], main input")) one.focus();
  const runs = (one) => /^on|^style$|^srcdoc$/.test(one.name) || /^\\s*(javascript|data|vbscript):/i.test(one.value);
  return [...document.querySelectorAll("main *, script, style, base, meta[http-equiv], object, embed")]
    .filter((one) => [...one.attributes].some(runs) || /^(script|style|base|meta|object|embed)$/i.test(one.tagName))
    .filter((one) => !(one.tagName === "SCRIPT" && one.src.startsWith(location.origin + "/perfproof/static/") && !one.textContent))
    .map((one) => one.outerHTML.slice(0, 200));
}"""


def test_the_hostile_texts_would_run_in_a_page_that_does_not_escape(people: People) -> None:
    """The control: the same texts as HTML leave their sign and ask for what they name."""
    page = people.browser.new_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.route(f"**://{HOST}/**", lambda route: route.abort())
    for payload in PAYLOADS[:3]:
        page.set_content(payload)
        page.wait_for_function("() => window.__hit === 1", timeout=5000)
    page.context.close()
    assert any(HOST in one for one in asked)
    people.page("demo-owner")


def test_load_is_stopped_with_the_button(people: People, stage: Stage, finished: Cycle) -> None:
    """While a second cycle sends load, who may edit runs stops it on its page; a viewer has no button. The evidence says aborted."""
    AllButTheBrowsers.by_hand = set()
    again = Cycle(stage)
    with contextlib.closing(stage.demo.api("demo-performance")) as api:
        known = {run["dag_run_id"] for run in api.runs(DAG)}
        again.begin(stage.demo)
        runs = eventually(lambda: [r for r in api.runs(DAG) if r["dag_run_id"] not in known], seconds=240, what="a second run")
    again.run_id = runs[0]["dag_run_id"]
    eventually(lambda: again.store.of_type(EntryType.LOADTEST_STARTED), seconds=LOAD_SECONDS, what="load")
    frame = people.frame("demo-viewer", f"/cycles/{again.run}")
    expect(frame.get_by_text("Stop the load of this run")).to_have_count(0)
    frame = people.frame("demo-sre", f"/cycles/{again.run}")
    frame.get_by_text("Stop the load of this run").click()
    frame.get_by_label("Why").fill("pressed in a test")
    frame.get_by_role("button", name="Stop the load now").click()
    expect(frame.get_by_role("heading", name="The load is stopped")).to_be_visible(timeout=MOVE_MS)
    expect(frame.get_by_text("Nothing of this run sends load on this machine.")).to_be_visible()
    frame.get_by_role("link", name="Back to the cycle").click()
    expect(frame.locator("article, div.card").first).to_contain_text("pressed in a test")
    expect(frame.locator("main")).to_contain_text("demo-sre on the page")
    aborted = eventually(lambda: again.store.of_type(EntryType.LOADTEST_ABORTED), seconds=30, what="the evidence says aborted")
    assert "demo-sre on the page" in aborted[0].body["reason"] and "pressed in a test" in aborted[0].body["reason"]
    with contextlib.closing(stage.demo.api("demo-performance")) as api:
        api.mark_run(DAG, again.run_id, state="failed")
    assert again.ended(seconds=60) is Ending.FAILED
