"""Chromium as several people use it: everybody logged in on a page of their own, and what a page does that it must not, written down."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Frame, Page, Request, expect, sync_playwright

from perfproof_demo.airflow_home import AirflowHome

# Without these flags Chromium looks for hosts of its own.
FLAGS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
LOOPBACK = re.compile(r"127\.0\.0\.1(:\d+)?")
OWN_SCHEMES = ("data", "blob", "about")
# Airflow can fail a task that is answered within two seconds of its parking.
SETTLE_SECONDS = 5.0
SECONDS = 30.0
# What Chromium says of a script in a sandbox, and of what a policy forbids.
STOPPED = re.compile(r"^Blocked (script|autofocus)|^Refused to execute the redirect|violates the following Content Security Policy")
ANSWERED = re.compile(r"status of (\d{3})")


def chromium() -> str | None:
    """The browser of this machine, None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass(slots=True)
class Watch:
    """What pages did that they must not: `wrong` has a line for each request to elsewhere, error on the console, and dialog.

    `expected` holds statuses that a test asks for at the moment: the console reports each answer that is no success. What a policy
    stopped before it was sent is not a request. What a sandbox or a policy stopped in a file of the evidence is no error: it is what
    they are for; in a page of ours it is one, since none of that should be in it.
    """

    wrong: list[str] = field(default_factory=list)
    requests: int = 0
    expected: frozenset[int] = frozenset()
    _elsewhere: dict[Request, str] = field(default_factory=dict, repr=False)

    def over(self, context: BrowserContext) -> None:
        """Looks at all pages of `context` from now on."""
        context.on("request", lambda request: self._requested(request))
        context.on("requestfailed", lambda request: self._failed(request))
        context.on("console", lambda message: self._said(message))
        context.on("dialog", lambda dialog: self._asked(dialog))
        context.on("weberror", lambda error: self.wrong.append(f"a script failed: {error.error}"))

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """Until the block ends an answer with one of `statuses` is no error."""
        self.expected = frozenset(statuses)
        try:
            yield
        finally:
            self.expected = frozenset()

    def _requested(self, request: Request) -> None:
        self.requests += 1
        address = urlsplit(request.url)
        if address.scheme not in OWN_SCHEMES and not LOOPBACK.fullmatch(address.netloc):
            self._elsewhere[request] = request.url[:200]

    def _failed(self, request: Request) -> None:
        if request.failure == "csp":
            self._elsewhere.pop(request, None)

    def taken(self) -> list[str]:
        """What was wrong since the last time."""
        wrong = [*self.wrong, *(f"a request left loopback: {address}" for address in self._elsewhere.values())]
        self.wrong.clear()
        self._elsewhere.clear()
        return wrong

    def _said(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        status = ANSWERED.search(message.text)
        address = message.location["url"]
        if ("/files/" in address or address == "about:srcdoc") and STOPPED.search(message.text):
            return
        before_login = status is not None and status[1] == "401" and "/ui/" in address
        if not before_login and not (status is not None and int(status[1]) in self.expected):
            self.wrong.append(f"on the console: {message.text[:300]} ({address[:200]})")

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"a dialog: {dialog.message[:200]}")
        dialog.dismiss()


@dataclass(slots=True)
class People:
    """One browser and one Airflow, with a page for everybody who was asked for."""

    browser: Browser
    home: AirflowHome = field(repr=False)
    watch: Watch = field(default_factory=Watch)
    _pages: dict[str, Page] = field(default_factory=dict, repr=False)

    def page(self, person: str, *, lands_on: str | None = "Home") -> Page:
        """The page of `person`, who logs in first, with cookies of their own, and then sees the link `lands_on`."""
        if person not in self._pages:
            context = self.browser.new_context(viewport={"width": 1280, "height": 900})
            context.set_default_timeout(SECONDS * 1000)
            self.watch.over(context)
            page = context.new_page()
            page.goto(self.home.url)
            page.fill("input[name=username]", person)
            page.fill("input[name=password]", self.home.password(person))
            page.click("button[type=submit]")
            if lands_on is None:
                page.wait_for_url(lambda url: "/auth/login" not in url)
            else:
                page.get_by_role("link", name=lands_on).first.wait_for()
            self._pages[person] = page
        return self._pages[person]

    def frame(self, person: str, path: str = "/") -> Frame:
        """The page of ours at `path`, in its frame within Airflow, as `person` sees it."""
        page = self.page(person)
        page.goto(f"{self.home.url}/plugin/perfproof/perfproof{path}")
        frame = frame_of(page)
        frame.wait_for_load_state()
        return frame

    def mark(self, person: str, *, note: str) -> None:
        """Marks the task whose page `person` looks at success: tick menu, note, Confirm."""
        page = self.page(person)
        page.get_by_role("button", name="Mark Task Instance as...").wait_for()
        page.wait_for_timeout(SETTLE_SECONDS * 1000)
        page.get_by_role("button", name="Mark Task Instance as...").click()
        page.get_by_role("menuitem", name="Success").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Note").click()
        dialog.get_by_text("Add a note...").last.click()
        dialog.get_by_placeholder("Add a note...").fill(note)
        confirm = dialog.get_by_role("button", name="Confirm")
        expect(confirm).to_be_enabled()
        with page.expect_response(lambda r: r.request.method == "PATCH" and "dry_run" not in r.url) as answered:
            # A notification may lie over the button.
            confirm.dispatch_event("click")
        assert answered.value.status == 200, answered.value.text()

    def close(self) -> None:
        """Closes everybody's page."""
        for page in self._pages.values():
            page.context.close()
        self._pages.clear()


def frame_of(page: Page) -> Frame:
    """The frame of our page within the page of Airflow."""
    handle = page.locator("iframe").first.element_handle(timeout=SECONDS * 1000)
    frame = handle.content_frame()
    assert frame is not None
    page.wait_for_function("() => document.querySelector('iframe').contentDocument?.querySelector('main h1')", timeout=SECONDS * 1000)
    return frame


@contextmanager
def people_of(home: AirflowHome, *, executable: str) -> Iterator[People]:
    """Everybody of the Airflow of `home`, in a Chromium of its own that ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        people = People(browser, home)
        expect.set_options(timeout=SECONDS * 1000)
        try:
            yield people
        finally:
            people.close()
            browser.close()


def hits(page: Page) -> list[str]:
    """The addresses of the frames in which a hostile script left its sign. A frame of another origin shows on the console only."""
    found: list[str] = page.evaluate(
        """() => {
          const look = (one) => {
            try { return [...(one.__hit === undefined ? [] : [one.location.href]), ...[...one.frames].flatMap(look)]; } catch { return []; }
          };
          return look(window);
        }"""
    )
    return found
