"""What the pages say, and that nothing of evidence becomes markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages_rig import APPROVALS, NOW, OPTIMIZATION, RUN, SHA, Elements, Reader, approval, pages, summary

PAGES = (
    "/",
    "/approvals",
    f"/cycles/{RUN}",
    f"/run?dag_id={APPROVALS}&run_id=r",
    f"/task?dag_id={OPTIMIZATION}&run_id=manual__1&task_id=optimization.gate_3_decision",
)
OURS = frozenset(
    re.findall(
        r"\w+",
        "html head meta title link script body a header nav ul ol li main p h1 h2 h3 h4 footer time span div form label input select "
        "option button table caption thead tbody tr th td details summary section article dl dt dd code pre br strong",
    )
)
FRAGMENTS = (
    "<script>alert(1)</script>", "</script>", "<img src=x onerror=alert(1)>", '"', "'", "`", "&lt;", "-->", "<!--", "</table>", "</title>",
    "javascript:alert(1)", "data:text/html,x", "//evil.test/x", "https://evil.test/", "{{ 7 * 7 }}", "{% raw %}", '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)", "\u202e", "\u0000", "\n", "\\", "../../..", "?#&=", "<svg onload=alert(1)>", "]]>", "a b",
)  # fmt: skip


def everywhere(text: str) -> Callable[[Any], Any]:
    """A change that puts `text` in place of every text of a document, except where the pages look at closed sets."""
    kept = {"kind", "run", "expires_at"}

    def change(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: change(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [change(inner, key) for inner in value]
        if key == "map_index" or not isinstance(value, str) or key in kept:
            return value
        return text

    return change


def look(page: str) -> Elements:
    """The page as a browser reads it. AssertionError for an element, attribute or address that is not the templates' own."""
    found = Elements(page)
    for one in found.found:
        assert one.name in OURS, one
        for name, value in one.attributes.items():
            assert not name.startswith("on"), one
            assert name != "style", one
            if name in ("href", "src", "action") and one.name != "link":
                assert str(value).startswith(("/perfproof/", "/dags/", "#")), one
                assert not str(value).startswith("//"), one
    (script,) = found.all("script")
    assert str(script.attributes["src"]).startswith("/perfproof/static/perfproof.js")
    icon, style = found.all("link")
    assert icon.attributes == {"rel": "icon", "href": "data:,"}
    assert str(style.attributes["href"]).startswith("/perfproof/static/perfproof.css")
    return found


@given(text=st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=6)), min_size=1, max_size=5).map("".join))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_of_evidence_becomes_markup(text: str) -> None:
    """In any field of any document, on every page: it is shown, and runs nothing and leads nowhere."""
    found = pages(reader=Reader(change=everywhere(text), approvals=[approval()]))
    for path in PAGES:
        answer = found.client.get(f"/perfproof{path}")
        assert answer.status_code == 200, (path, answer.text)
        shown = look(answer.text)
        assert len(shown.all("h1")) == 1
        assert "\u202e" not in answer.text
        assert "\u0000" not in answer.text


@pytest.mark.parametrize("text", FRAGMENTS)
def test_nothing_that_a_person_asks_for_becomes_markup(text: str) -> None:
    """Search and addresses come back on the page."""
    found = pages()
    for path, query in (
        ("/", {"q": text}), ("/", {"state": text}), ("/run", {"dag_id": text, "run_id": text}),
        ("/task", {"dag_id": text, "run_id": text, "task_id": text, "map_index": text[:20]}), (f"/x{quote(text, safe='')}", {}),
    ):  # fmt: skip
        look(found.client.get(f"/perfproof{path}", params=query).text.replace('href="/auth/', 'href="/dags/'))


def test_every_page_can_be_used_from_a_keyboard_and_read_aloud() -> None:
    """One h1, headings without gaps, a skip link to the content, captions, scopes, names of regions and fields."""
    for path in PAGES:
        page = look(pages().client.get(f"/perfproof{path}").text)
        levels = [int(one.name[1]) for one in page.found if one.name in ("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels)), (path, levels)
        links = page.all("a")
        assert links[0].attributes["href"] == "#main"
        assert page.all("main")[0].attributes["id"] == "main"
        assert len(page.all("caption")) == len(page.all("table"))
        assert all(one.attributes.get("scope") in ("col", "row") for one in page.all("th"))
        ids = [one.attributes["id"] for one in page.found if "id" in one.attributes]
        assert len(ids) == len(set(ids)), path
        named = {one.attributes[name] for one in page.found for name in ("aria-labelledby", "for") if name in one.attributes}
        assert named <= set(ids), path
        assert all("tabindex" in one.attributes for one in page.found if one.attributes.get("class") == "scroll")


def test_the_list_shows_state_gates_improvement_and_who_is_waited_for() -> None:
    """At a glance, in words."""
    words = Elements(pages().client.get("/perfproof/").text).words
    for expected in ("60 cycles, newest first", "Waiting", "Phase 3: Optimization", "Gate 1 Pass", "Gate 2 Waived", "Gate 3 Fail",
                     "not yet", "81.8 %", "proved", "Product Owner", "Gate 3 decision", "2026-11-24 12:50:28 UTC"):  # fmt: skip
        assert expected in words


def test_the_list_is_read_in_pages_and_chosen_by_state_and_words() -> None:
    """The addresses of neighbouring pages keep the choice."""
    found = pages()
    page = Elements(found.client.get("/perfproof/", params={"page": 2, "state": "halted", "q": " a&b "}).text)
    assert found.reader.asked == [(2, 25, "halted", "a&b")]
    hrefs = {one.attributes.get("rel"): one.attributes["href"] for one in page.all("a") if "rel" in one.attributes}
    assert hrefs == {"prev": "/perfproof/?state=halted&q=a%26b&page=1", "next": "/perfproof/?state=halted&q=a%26b&page=3"}


def test_an_empty_list_says_what_to_do() -> None:
    """And a choice that fits nothing says that."""
    found = pages(reader=Reader(summaries=[]))
    assert "No cycle has been opened yet." in found.client.get("/perfproof/").text
    assert "No cycle matches." in found.client.get("/perfproof/?q=x").text


def test_a_cycle_that_cannot_be_read_is_said_to_be_so_in_the_list() -> None:
    """With the line of the problem; nothing else is claimed."""
    empty: dict[str, Any] = {key: [] if isinstance(value, list) else None for key, value in summary().items()}
    found = pages(reader=Reader(summaries=[{**empty, "run": RUN, "state": "unreadable", "problem": "EVI-603 log: a hole"}]))
    words = Elements(found.client.get("/perfproof/").text).words
    assert "Not readable EVI-603 log: a hole" in words


def test_the_pages_read_real_evidence(tmp_path: Path) -> None:
    """A cycle whose log holds nothing but its beginning."""
    from perfproof.evidence import Actor, EvidenceStore, LocalBackend
    from perfproof_airflow.web.cycles import CycleReader

    backend = LocalBackend(tmp_path)
    store = EvidenceStore(backend, RUN)
    parameters = {"protocol": "demo", "objective": "Faster <now>", "target_metric": "p95", "services": ["shop"], "environment": "test"}
    genesis = {"dag_id": OPTIMIZATION, "run_id": "manual__1", "triggered_by": "ann", "protocol_sha256": SHA, "parameters": parameters}
    store.open_run(genesis=genesis, time=NOW, actor=Actor("task", "prerequisites.open_cycle", "A1"), attempt=None)
    reader: Any = CycleReader(backend)
    client = pages(reader=reader).client
    for path, expected in (("/", "Faster <now>"), (f"/cycles/{RUN}", "Triggered by ann"), ("/approvals", "Nothing waits for you.")):
        answer = client.get(f"/perfproof{path}")
        assert answer.status_code == 200
        assert expected in look(answer.text).words
    assert client.get("/perfproof/cycles/manual__2-b3dbc7a3e99a4548").status_code == 404


def test_a_failed_gate_shows_figures_reasons_and_options() -> None:
    """Which criterion, by how much, and what can be done."""
    words = Elements(pages().client.get(f"/perfproof/cycles/{RUN}").text).words
    for expected in ("Why it did not pass regressions: memory", "What can be done Refine Waive Halt",
                     "regressions not met 1 == 0 yes memory", "samples undecided – >= 5 no none"):  # fmt: skip
        assert expected in words


def test_a_gate_shows_what_was_decided_since_its_last_evaluation() -> None:
    """A decision about an earlier one says nothing about this."""
    from perfproof_airflow.web.pages.cycle import gates

    decision, evaluation = {"kind": "decision", "gate": 3, "title": "halt"}, {"kind": "gate", "gate": 3}
    row = {"gate": 3, "name": "n", "outcome": "FAIL"}
    for items, expected, times in (([evaluation, decision], decision, 1), ([evaluation, decision, evaluation], None, 2), ([], None, 0)):
        (gate,) = gates({"phases": [{"items": items}]}, {"gates": [row]})
        assert (gate["decision"], gate["times"], gate["last"]) == (expected, times, evaluation if times else None)
    assert "Decided a decision" in Elements(pages().client.get(f"/perfproof/cycles/{RUN}").text).words


def test_an_open_request_shows_what_is_asked_of_whom_and_the_task_to_mark() -> None:
    """With evidence by digest, refusals, deputies, and how to answer."""
    page = Elements(pages().client.get(f"/perfproof/cycles/{RUN}").text)
    for expected in ("Gate 3 failed.", "What now?", "retry, waiver, halt", "Mark the task success.", "Note: retry, waiver or halt.",
                     "demo-performance (nobody decides about their own work)", "A Deputy deputy for demo-owner",
                     "APR-403 does not hold the role", "halt by Demo Owner demo-owner for X", "“too risky”", "regressions"):  # fmt: skip
        assert expected in page.words
    hrefs = [str(one.attributes["href"]) for one in page.all("a") if "data-airflow" in one.attributes]
    assert f"/dags/{APPROVALS}/runs/{RUN}__gate_3_decision__-1__r0a1/tasks/approve/mapped/0" in hrefs
    assert f"/dags/{OPTIMIZATION}/runs/manual__1/tasks/optimization.gate_3_decision" in hrefs
    assert f"/perfproof/cycles/{RUN}/artifacts/gate-3-result.json?sha256={SHA}" in [one.attributes["href"] for one in page.all("a")]
    assert SHA in [one.attributes.get("data-copy") for one in page.all("button")]


@pytest.mark.parametrize("path", ["/approvals", f"/task?dag_id={OPTIMIZATION}&run_id=manual__1&task_id=optimization.gate_3_decision"])
def test_whoever_looks_is_told_whether_and_why_they_can_answer(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The read model is asked about the person who is logged in, now."""
    from perfproof_airflow.web import cards

    asked: list[tuple[str, str, Any]] = []

    def answer(_approval: Any, *, person_id: str, person_name: str, at: Any) -> tuple[bool, str, str | None]:
        asked.append((person_id, person_name, at))
        return person_id == "demo-owner", f"this is about {person_id}", "product_owner" if person_id == "demo-owner" else None

    monkeypatch.setattr(cards, "can_answer", answer)
    mine = Elements(pages(name="Demo Owner").client.get(f"/perfproof{path}").text)
    assert "You can answer this is about demo-owner. Open the task to mark" in mine.words
    (button,) = [one for one in mine.all("a") if one.attributes.get("class") == "button"]
    assert button.attributes["href"] == f"/dags/{APPROVALS}/runs/{RUN}__gate_3_decision__-1__r0a1/tasks/approve/mapped/0"
    theirs = Elements(pages(user="outsider").client.get(f"/perfproof{path}").text).words
    assert "You cannot answer this is about outsider." in theirs
    assert "Open the task to mark" not in theirs
    assert set(asked) == {("demo-owner", "Demo Owner", NOW), ("outsider", "outsider", NOW)}


def test_a_request_that_is_over_is_said_to_be_overdue() -> None:
    """Nobody has to compare dates."""
    found = pages(reader=Reader(approvals=[approval(expires_at="2026-11-24T12:59:59Z")]))
    assert "Overdue" in found.client.get("/perfproof/approvals").text
    assert "Overdue" not in pages().client.get("/perfproof/approvals").text


def test_many_requests_are_paged_and_the_own_ones_come_first() -> None:
    """Sixty wait, thirty of them for the viewer: 25 a page, totals beside the headings, and a link to the next page."""
    nobody = [{**role, "people": [{"id": "else", "name": "Else"}], "deputies": []} for role in approval()["roles"]]
    asked = [
        approval(request_id=f"r{place:02d}", seq=place, step=f"step_{place:02d}", **({} if place % 2 else {"roles": nobody}))
        for place in range(60)
    ]  # fmt: skip
    client = pages(reader=Reader(approvals=asked)).client
    first, second, third = (Elements(client.get(f"/perfproof/approvals?page={number}").text) for number in (1, 2, 3))
    assert [len(page.all("article")) for page in (first, second, third)] == [25, 25, 10]
    assert "You can answer (25 or more)" in first.words and "Others are asked" not in first.words
    assert "You can answer (30)" in second.words and "Others are asked (30)" in second.words
    assert "You can answer (30)" not in third.words and "Page 3 of 3" in third.words
    steps = [word for page in (first, second, third) for word in re.findall(r"Step (\d\d) Waiting", page.words)]
    assert steps == [f"{place:02d}" for place in (*range(1, 60, 2), *range(0, 60, 2))]
    hrefs = [str(one.attributes["href"]) for one in first.all("a") if one.attributes.get("rel") == "next"]
    assert hrefs == ["/perfproof/approvals?page=2"]
    assert "Page 3 of 3" in Elements(client.get("/perfproof/approvals?page=99").text).words


def test_the_rules_are_not_asked_about_everybody_on_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sixty requests that name others only, those of the page are examined: each takes half a millisecond."""
    from perfproof_airflow.web import cards

    asked: list[str] = []

    def answer(found: Any, **_person: Any) -> tuple[bool, str, str | None]:
        asked.append(found["request_id"])
        return False, "it names others", None

    monkeypatch.setattr(cards, "can_answer", answer)
    found = Reader(approvals=[approval(request_id=f"r{place}", seq=place) for place in range(60)])
    assert pages(reader=found, user="outsider").client.get("/perfproof/approvals").status_code == 200
    assert asked == [f"r{place}" for place in range(25)]


def test_the_rules_are_asked_no_further_than_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty requests that the viewer can answer: the first page needs twenty-five of them."""
    from perfproof_airflow.web import cards

    asked: list[str] = []

    def answer(found: Any, **_person: Any) -> tuple[bool, str, str | None]:
        asked.append(found["request_id"])
        return True, "it names them", "product_owner"

    monkeypatch.setattr(cards, "can_answer", answer)
    client = pages(reader=Reader(approvals=[approval(request_id=f"r{place}", seq=place) for place in range(60)])).client
    assert "You can answer (25 or more)" in Elements(client.get("/perfproof/approvals").text).words
    assert asked == [f"r{place}" for place in range(25)]
    last = Elements(client.get("/perfproof/approvals?page=3").text)
    assert "You can answer (60)" in last.words and len(last.all("article")) == 10


def test_a_request_that_is_over_is_never_among_the_own_ones() -> None:
    """The rules would refuse the answer; it is said to be overdue among the others."""
    over = [approval(request_id=f"r{place}", seq=place, expires_at="2026-11-24T12:59:59Z") for place in range(3)]
    words = Elements(pages(reader=Reader(approvals=over)).client.get("/perfproof/approvals").text).words
    assert "You can answer (0)" in words and "Others are asked (3)" in words and words.count("Overdue") == 3


def test_only_a_cycle_that_can_move_is_refreshed() -> None:
    """A closed one is asked for once."""
    ended = Reader(summaries=[summary(state="passed", ended_at="2026-11-24T12:59:00Z")])
    live = [
        one for one in Elements(pages().client.get(f"/perfproof/cycles/{RUN}").text).found if "data-live" in one.attributes
    ]  # fmt: skip
    assert [one.attributes["id"] for one in live] == ["cycle-region"]
    page = pages(reader=ended).client.get(f"/perfproof/cycles/{RUN}").text
    assert "data-live" not in page
    assert "/stop" not in page


def test_the_tab_of_a_run_leads_to_its_cycle_or_says_that_there_is_none() -> None:
    """Airflow shows the tab on the runs of every Dag."""
    client = pages().client
    answer = client.get("/perfproof/run", params={"dag_id": OPTIMIZATION, "run_id": "manual__1"})
    assert (answer.status_code, answer.headers["location"]) == (302, f"/perfproof/cycles/{RUN}")
    assert "This is not a protocol run" in client.get("/perfproof/run?dag_id=other&run_id=manual__1").text
    assert "has not opened its cycle yet" in client.get(f"/perfproof/run?dag_id={OPTIMIZATION}&run_id=new").text


@pytest.mark.parametrize(("given_index", "asked"), [("{MAP_INDEX}", -1), ("", -1), ("-1", -1), ("2", 2), ("²", -1)])
def test_the_tab_of_a_task_knows_a_task_that_is_not_mapped(given_index: str, asked: int) -> None:
    """Airflow then leaves its placeholder in the address."""
    found = pages()
    query = {"dag_id": OPTIMIZATION, "run_id": "manual__1", "task_id": "optimization.gate_3_decision", "map_index": given_index}
    assert "Gate 3 failed." in found.client.get("/perfproof/task", params=query).text
    assert found.reader.asked == [(OPTIMIZATION, "manual__1", "optimization.gate_3_decision", asked)]


def test_the_tab_of_another_task_says_so() -> None:
    """In a line, for a task of the protocol and for any other."""
    client = pages().client
    assert "asks nobody for an approval" in client.get(f"/perfproof/task?dag_id={OPTIMIZATION}&run_id=r&task_id=t").text
    assert "not a task of the protocol" in client.get("/perfproof/task?dag_id=d&run_id=r&task_id=t").text


def test_nobody_waits_for_the_verification_of_another() -> None:
    """The threads are the api-server's."""
    from perfproof_airflow.web.pages import cycle

    with cycle._verifying:
        answer = pages().client.get(f"/perfproof/cycles/{RUN}/verify")
    assert answer.status_code == 503
    assert "Reload the page in a moment." in answer.text


def test_a_verification_shows_outcome_assurance_findings_and_what_was_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `perfproof verify` says it."""
    from perfproof.evidence.verdict import Finding, Outcome, Verification
    from perfproof_airflow.web.pages import cycle
    from perfproof_airflow.web.reading import Checked

    finding = Finding("log/<00000003>.json", "differs", Outcome.TAMPERED)
    result = Checked(Verification(Outcome.TAMPERED, (finding,), {"entries": 4, "head": SHA}), "A0", "not checked: no signatures")
    monkeypatch.setattr(cycle, "verification_of", lambda run: result if run == RUN else None)
    words = Elements(pages().client.get(f"/perfproof/cycles/{RUN}/verify").text).words
    for expected in ("Tampered", "Assurance that this proves: A0", "log/<00000003>.json differs", "Not checked: no signatures."):
        assert expected in words
