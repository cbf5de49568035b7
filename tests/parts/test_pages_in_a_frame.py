"""The pages in a frame of a page like Airflow's, in headless Chromium: what only their script does."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from modules import load

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
PAGES = Path(__file__).parents[1] / "unit" / "perfproof_airflow" / "web" / "pages_rig.py"
WAIT_MS = 60_000
# As Airflow's navigation: a link that its router follows, and a frame whose address is set once.
AROUND = """<!DOCTYPE html><html class="dark"><body>
<nav><a id="entry" href="/plugin/perfproof">Perfproof</a> <a id="home" href="/">Home</a></nav>
<iframe src="/perfproof/" sandbox="allow-scripts allow-same-origin allow-forms allow-downloads" width="1200" height="700"></iframe>
<script>document.querySelector("nav").addEventListener("click", (event) => {
  event.preventDefault(); window.history.pushState({}, "", event.target.href);
});</script></body></html>"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The pages on loopback, and a page around them."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse

    rig = load("pages_rig", PAGES)
    outer = FastAPI()
    outer.mount("/perfproof", rig.pages().app)
    outer.add_api_route("/plugin/perfproof", lambda: HTMLResponse(AROUND))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(outer, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        ends = time.monotonic() + 60
        while not server.started and time.monotonic() < ends:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=30)


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    """The page around, whose frame shows the list."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"])
        opened = browser.new_page()
        opened.set_default_timeout(WAIT_MS)
        opened.goto(f"{address}/plugin/perfproof")
        opened.frame_locator("iframe").get_by_role("heading", name="Cycles").wait_for()
        yield opened
        browser.close()


def test_the_entry_of_the_navigation_leads_back_to_the_list(page: Any, address: str) -> None:
    """From each page, also after the second time; other entries are left to the page around."""
    frame = page.frame_locator("iframe")
    for address_of_frame in ("/plugin/perfproof", "/plugin/perfproof/perfproof/plan"):
        frame.get_by_role("link", name="Plan a run").click()
        frame.get_by_role("heading", name="Plan a run", level=1).wait_for()
        # Airflow writes the address within the frame behind its own.
        page.evaluate("address => window.history.replaceState({}, '', address)", address_of_frame)
        page.click("#entry")
        frame.get_by_role("heading", name="Cycles", level=1).wait_for()
    frame.get_by_role("link", name="Plan a run").click()
    frame.get_by_role("heading", name="Plan a run", level=1).wait_for()
    page.click("#home")
    page.wait_for_timeout(300)
    assert frame.get_by_role("heading", name="Plan a run", level=1).count() == 1
    assert page.url == f"{address}/"


def test_the_pages_have_the_theme_of_the_page_around(page: Any) -> None:
    """Airflow's choice, not that of the system; also when it changes."""
    frame = page.frames[1]
    assert frame.evaluate("document.documentElement.dataset.theme") == "dark"
    page.evaluate("document.documentElement.className = 'light'")
    frame.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
