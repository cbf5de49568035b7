"""Cycles with the test's own artifacts behind the pages, and what a page of evidence may be made of."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from pages_rig import Elements, Pages, pages

from perfproof.evidence import Actor, EvidenceStore, MemoryBackend, idempotency
from perfproof.run_key import run_key
from perfproof_airflow.web.cycles import CycleReader

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAG, RUN_ID = "performance_optimization", "manual__1"
RUN = run_key(DAG, RUN_ID)
ACTOR = Actor("task", "diagnostics.run_load_tests", "A1")
OURS = frozenset(
    re.findall(
        r"\w+",
        "html head meta title link script body a header nav ul ol li main p h1 h2 h3 h4 h5 h6 footer time span div form label input select "
        "option button table caption thead tbody tr th td details summary section article dl dt dd code pre br hr strong em blockquote "
        "figure figcaption img iframe svg g path line rect circle polyline text textarea",
    )
)
LAYOUT = frozenset((("link", "data:,"), ("a", "#main")))
HOSTILE = (
    "<script>alert(1)</script>", "</title><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>",
    '"><iframe src=https://evil.test>', "</pre><style>body{display:none}</style>", "javascript:alert(1)", "{{ 7 * 7 }}",
    "\u202etxt.exe", "\u0000", "\u001b[2J", "' autofocus onfocus='alert(1)", "]]>", "<!--", "</textarea>", "\ud7ff\ufdd0",
)  # fmt: skip


class Cycle:
    """One cycle with artifacts of the test, and the pages over it."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.store = EvidenceStore(self.backend, RUN)
        parameters = {"protocol": "demo", "objective": "Make it fast"}
        genesis = {"dag_id": DAG, "run_id": RUN_ID, "triggered_by": "tim", "parameters": parameters}
        self.store.open_run(genesis=genesis, time=START, actor=ACTOR)
        self.number = 0
        self._pages: Pages | None = None

    def publish(self, name: str, data: bytes | str, *, inputs: tuple[Any, ...] = ()) -> Any:
        """The reference to the version that was published now."""
        self.number += 1
        content = data if isinstance(data, bytes) else data.encode()
        return self.store.publish(
            name, content, idem=idempotency("artifact", name, self.number, []), time=START + timedelta(seconds=self.number),
            actor=ACTOR, inputs=inputs,
        )  # fmt: skip

    def pages(self, **changes: Any) -> Pages:
        return pages(reader=CycleReader(self.backend), **changes)  # type: ignore[arg-type]

    def get(self, name: str, *, kind: str = "artifacts", **query: Any) -> Any:
        self._pages = self._pages or self.pages()
        return self._pages.client.get(f"/perfproof/cycles/{RUN}/{kind}/{name}", params=query)

    def shown(self, name: str, data: bytes | str, **query: Any) -> Elements:
        """The page of an artifact with this content, which is checked to be harmless."""
        self.publish(name, data)
        answer = self.get(name, **query)
        assert answer.status_code == 200, answer.text
        return harmless(answer.text)


def harmless(page: str) -> Elements:
    """The page as a browser reads it. AssertionError for an element, an attribute or an address that is not ours to write."""
    found = Elements(page)
    for one in found.found:
        assert one.name in OURS, one
        for name, value in one.attributes.items():
            assert not name.startswith("on"), one
            assert name not in ("style", "srcdoc", "formaction", "ping", "target"), one
            if name in ("href", "src", "action") and not (value or "").startswith("/perfproof") and (one.name, value) not in LAYOUT:
                outside = one.name == "a" and re.match(r"https?://", value or "") is not None
                airflow = one.name == "a" and "data-airflow" in one.attributes
                assert airflow or (outside and "noreferrer" in str(one.attributes.get("rel"))), one
            # Nothing turns text around or hides in it.
            assert all(c.isprintable() or c == "\n" for c in value or ""), one
    assert all(one.attributes.get("src", "").startswith("/perfproof/static/") for one in found.all("script"))
    # The narrow space between thousands is ours.
    assert all(c.isprintable() or c in "\n\u202f" for c in "".join(found.text))
    return found
