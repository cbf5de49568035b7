"""Drives one optimization cycle in a browser, as the people who use it, and photographs what each of them sees.

    .venv/bin/python docs/screenshots.py --passwords .demo/airflow/passwords.json --output <directory outside the repository>

It needs a running demo, Chromium and Playwright (`pip install playwright`). Whatever is not as a user expects it ends the script with one
line. The run stops before its plan is approved: it is marked failed at the end, so that nothing is left waiting.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, Error, Locator, Page, ViewportSize, expect, sync_playwright

from perfproof_airflow.rest import AirflowApi

PROTOCOL, APPROVALS, ASK = "performance_optimization", "performance_approvals", "approve"
SENSOR = "prerequisites.await_prerequisite_approvals"
# In the order of their map indexes.
STEPS = ("prioritization", "load_test_authorization", "profiling_clearance")
SCREEN: ViewportSize = {"width": 1600, "height": 1000}
TALL: ViewportSize = {"width": 1440, "height": 1500}
# Without these flags Chromium looks for hosts of its own.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
# Airflow can fail a task that is answered within two seconds of its parking.
SETTLE_SECONDS = 5.0
POLL_SECONDS = 0.2
Result = TypeVar("Result")


class NotAsExpectedError(Exception):
    """The UI or the protocol did something that a user would not expect."""


@dataclass(slots=True)
class Visit:
    """One browser, one Airflow, everybody's password."""

    browser: Browser
    base_url: str
    passwords: dict[str, str]
    output: Path
    api: AirflowApi
    pages: dict[str, Page] = field(default_factory=dict)

    def page(self, person: str) -> Page:
        """A page where `person` is logged in, each with cookies of their own."""
        if person not in self.pages:
            page = self.browser.new_context(viewport=SCREEN).new_page()
            page.goto(f"{self.base_url}/auth/login?next={self.base_url}/")
            page.fill("input[name=username]", person)
            page.fill("input[name=password]", self.passwords[person])
            page.click("button[type=submit]")
            page.get_by_role("link", name="Dags").first.wait_for()
            self.pages[person] = page
        return self.pages[person]

    def show(self, person: str, path: str, *ready: str) -> Page:
        """The page at `path` when all texts of `ready` are to be seen."""
        page = self.page(person)
        page.goto(f"{self.base_url}{path}")
        for text in ready:
            page.get_by_text(text).first.wait_for()
        return page

    def photograph(self, page: Page, name: str, *, tall: bool = False) -> None:
        """Writes `<name>.png`. Charts and badges are given a second to be drawn."""
        page.set_viewport_size(TALL if tall else SCREEN)
        page.wait_for_timeout(1000)
        page.screenshot(path=self.output / f"{name}.png")
        page.set_viewport_size(SCREEN)
        say(f"photographed {name}")

    def tasks(self, run_id: str, dag_id: str = PROTOCOL) -> dict[tuple[str, int], dict[str, Any]]:
        """The task instances of a run by task and map index."""
        return {(task["task_id"], task["map_index"]): task for task in self.api.tasks(dag_id, run_id)}


def main() -> None:
    """Parses the arguments and goes through the cycle; exit code 1 says that something was not as expected."""
    parser = argparse.ArgumentParser(description="photograph one optimization cycle in the UI of Airflow")
    parser.add_argument("--base-url", default="http://127.0.0.1:18180")
    parser.add_argument("--passwords", type=Path, required=True, help="JSON file: password by user name")
    parser.add_argument("--output", type=Path, required=True, help="directory of the images, outside the repository")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="path of the browser")
    options = parser.parse_args()
    output = options.output.resolve()
    if output.is_relative_to(Path(__file__).resolve().parents[1]):
        parser.error("the output directory must be outside the repository")
    output.mkdir(parents=True, exist_ok=True)
    passwords = json.loads(options.passwords.read_text())
    api = AirflowApi(options.base_url, "demo-performance", passwords["demo-performance"])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=list(FLAGS))
        try:
            go_through(Visit(browser, options.base_url, passwords, output, api))
        except (NotAsExpectedError, Error) as error:
            sys.exit(f"not as expected: {str(error).strip().splitlines()[0]}")
        finally:
            browser.close()


def go_through(visit: Visit) -> None:
    """The cycle from the trigger form to phase 2, with every approval on the way; afterwards nothing of it waits."""
    installed(visit)
    run_id = trigger(visit)
    try:
        owner, sre, security = (waiting(visit, run_id, step) for step in STEPS)
        look_around(visit, run_id)
        mark(visit, "demo-viewer", sre, note="I should not be able to do this.", status=403, photograph="09-viewer-is-refused")
        sre = refused_to_wrong_person(visit, run_id, sre)
        mark(visit, "demo-owner", owner, note="These are the objectives of this quarter.")
        answer(visit, "demo-security", security, comment="No personal data is sampled.")
        marked = mark(visit, "demo-sre", sre, note="Authorized, the environment is reserved.", photograph="13-mark-success")
        resumed(visit, run_id, marked=marked)
    finally:
        visit.api.mark_run(PROTOCOL, run_id, state="failed")
        for run in visit.api.runs(APPROVALS):
            if run["state"] == "running" and (run.get("conf") or {}).get("run_id") == run_id:
                visit.api.mark_run(APPROVALS, run["dag_run_id"], state="failed")
        say(f"marked {run_id} failed")


def installed(visit: Visit) -> None:
    """The plugin is there once, the provider too, and no DAG file fails to import."""
    client = AirflowApi(visit.base_url, "demo-admin", visit.passwords["demo-admin"]).client
    plugins = [plugin["name"] for plugin in client.get("/api/v2/plugins").json()["plugins"]]
    providers = [provider["package_name"] for provider in client.get("/api/v2/providers", params={"limit": 200}).json()["providers"]]
    errors = visit.api.import_errors()
    require((plugins.count("perfproof"), providers.count("perfproof"), errors) == (1, 1, []), f"{plugins} {providers} {errors}")


def trigger(visit: Visit) -> str:
    """Fills in the form as the performance engineer: first with a name that it must refuse. The id of the run."""
    page = visit.show("demo-performance", f"/dags/{PROTOCOL}", "Overview")
    page.get_by_role("button", name="Dag Docs").click()
    page.get_by_text("One run is one optimization cycle").wait_for()
    visit.photograph(page, "01-dag-documentation")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Trigger Dag").first.click()
    form = page.get_by_role("dialog")
    form.locator("[name=element_load_profile]").wait_for()
    visit.photograph(page, "02-trigger-form", tall=True)
    button = form.get_by_test_id("trigger-dag-submit")
    require(button.is_enabled(), "the form cannot be submitted with its defaults")
    form.locator("[name=element_protocol]").fill("../demo")
    press(button)
    form.get_by_text("400 Bad Request").wait_for()
    visit.photograph(page, "03-trigger-form-refuses", tall=True)
    form.locator("[name=element_protocol]").fill("demo")
    form.locator("[name=element_optimizations]").fill("OPT-001\nOPT-002")
    before = {run["dag_run_id"] for run in visit.api.runs(PROTOCOL)}
    press(button)
    new = until(lambda: [r for r in visit.api.runs(PROTOCOL) if r["dag_run_id"] not in before], what="a run after the form was submitted")
    run_id = str(new[0]["dag_run_id"])
    say(f"triggered {run_id}")
    return run_id


def waiting(visit: Visit, run_id: str, step: str, *, attempt: int = 1) -> str:
    """The request of a step that waits for an answer: the id of its run of `performance_approvals`."""

    def found() -> list[str]:
        asked = [(run["dag_run_id"], run.get("conf") or {}) for run in visit.api.runs(APPROVALS, limit=50)]
        wanted = (run_id, step, attempt)
        runs = [id_ for id_, conf in asked if (conf.get("run_id"), conf.get("step"), conf.get("attempt")) == wanted]
        return [id_ for id_ in runs if visit.tasks(id_, APPROVALS).get((ASK, 0), {}).get("state") == "awaiting_input"]

    return until(found, what=f"the request for {step}, attempt {attempt}")[0]


def look_around(visit: Visit, run_id: str) -> None:
    """The run as graph and grid, what the three waits are called while they wait, and where the SRE lead finds theirs."""
    page = visit.show("demo-performance", f"/dags/{PROTOCOL}/runs/{run_id}", "prerequisites", "governance")
    page.get_by_role("button", name=re.compile("Show Graph")).click()
    page.wait_for_timeout(3000)
    visit.photograph(page, "04-run-graph")
    page.get_by_role("button", name=re.compile("Show Grid")).click()
    page.get_by_role("button", name="Expand all task groups").click()
    visit.photograph(page, "05-run-grid")
    page = visit.show("demo-performance", f"/dags/{PROTOCOL}/runs/{run_id}/tasks/{SENSOR}/mapped", *STEPS)
    visit.photograph(page, "06-three-waits")
    page = visit.show("demo-sre", "/", "Required Actions")
    visit.photograph(page, "07-start-page")
    page.get_by_text("Required Actions").first.click()
    page.get_by_text("SRE Lead").first.wait_for()
    visit.photograph(page, "08-required-actions")


def request_page(visit: Visit, person: str, request: str) -> Page:
    """The form of a request, shown long enough for Airflow to take an answer."""
    page = visit.show(person, f"/dags/{APPROVALS}/runs/{request}/tasks/{ASK}/mapped/0/required_actions", "What you decide on")
    page.wait_for_timeout(SETTLE_SECONDS * 1000)
    return page


def refused_to_wrong_person(visit: Visit, run_id: str, request: str) -> str:
    """The product owner may edit tasks, but is not the SRE lead: the mark is refused, and the question asked again. The new request."""
    visit.photograph(request_page(visit, "demo-sre", request), "10-question", tall=True)
    mark(visit, "demo-owner", request, note="Go ahead.")
    again = waiting(visit, run_id, "load_test_authorization", attempt=2)
    state = visit.tasks(run_id)[(SENSOR, 1)]["state"]
    require(state in ("deferred", "running"), f"after a refused mark the wait is {state}")
    visit.photograph(request_page(visit, "demo-sre", again), "11-asked-again", tall=True)
    page = visit.show("demo-sre", f"/dags/{PROTOCOL}/runs/{run_id}/tasks/{SENSOR}/mapped/1", "refused for")
    page.keyboard.press("w")  # wraps the lines
    visit.photograph(page, "12-log-of-the-refusal")
    return again


def mark(visit: Visit, person: str, request: str, *, note: str, status: int = 200, photograph: str = "") -> float:
    """Marks the task of a request success with the tick menu. When Airflow had answered, on the monotonic clock."""
    page = request_page(visit, person, request)
    page.get_by_role("button", name="Mark Task Instance as...").click()
    page.get_by_role("menuitem", name="Success").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Note").click()
    dialog.get_by_text("Add a note...").last.click()
    dialog.get_by_placeholder("Add a note...").fill(note)
    if photograph and status == 200:
        visit.photograph(page, photograph)
    with page.expect_response(lambda r: r.request.method == "PATCH" and "dry_run" not in r.url) as answered:
        press(dialog.get_by_role("button", name="Confirm"))
    moment = time.monotonic()
    require(answered.value.status == status, f"the mark of {person} was answered with {answered.value.status}, not {status}")
    if photograph and status != 200:
        visit.photograph(page, photograph)
    say(f"{person} marked {request}: {status}")
    return moment


def answer(visit: Visit, person: str, request: str, *, comment: str) -> None:
    """Answers the form of a request."""
    page = request_page(visit, person, request)
    page.locator("[name=element_comment]").fill(comment)
    with page.expect_response(lambda r: r.request.method == "PATCH" and "hitlDetails" in r.url) as answered:
        page.get_by_role("button", name="Approve", exact=True).click()
    require(answered.value.status == 200, f"the answer of {person} was answered with {answered.value.status}")
    page.wait_for_timeout(3000)
    visit.photograph(page, "14-form-answered", tall=True)
    say(f"{person} answered {request}")


def resumed(visit: Visit, run_id: str, *, marked: float) -> None:
    """The waits are over, phase 1 runs, then phase 2 sends its load: each test under its name, also while it runs."""
    until(lambda: visit.tasks(run_id)[(SENSOR, 1)]["state"] == "success", what="the wait for the load-test authorization")
    say(f"from the mark to the green wait: {time.monotonic() - marked:.1f} s")
    until(lambda: all(visit.tasks(run_id)[(SENSOR, index)]["state"] == "success" for index in range(3)), what="three green waits")
    visit.photograph(visit.show("demo-performance", f"/dags/{PROTOCOL}/runs/{run_id}", "intake_and_baseline"), "15-run-resumed")
    stress = ("diagnostics.run_load_tests", 1)
    until(lambda: visit.tasks(run_id).get(stress, {}).get("state") in ("running", "success"), what="the stress test", seconds=240)
    page = visit.show("demo-performance", f"/dags/{PROTOCOL}/runs/{run_id}/tasks/diagnostics.run_load_tests/mapped", "stress")
    visit.photograph(page, "16-load-tests")


def press(button: Locator) -> None:
    """Clicks although a notification may lie over the button."""
    expect(button).to_be_enabled()
    button.dispatch_event("click")


def until(look: Callable[[], Result], *, what: str, seconds: float = 60) -> Result:
    """The first result of `look` that is true. NotAsExpectedError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := look():
            return result
        time.sleep(POLL_SECONDS)
    raise NotAsExpectedError(f"waited {seconds:g} s for {what}")


def require(fact: bool, otherwise: str) -> None:
    """NotAsExpectedError unless `fact`."""
    if not fact:
        raise NotAsExpectedError(otherwise)


def say(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
