"""What pages read: cycles, their artifacts and requests, from the evidence of this Airflow. Nothing is written.

Bounded in memory: a summary of each of the newest cycles that were looked at, and the logs of a few.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

from perfproof.approvals.rules import DAG_ID as APPROVALS_DAG
from perfproof.cycles.approvals import approval_documents
from perfproof.cycles.artifacts import artifact_document, artifact_documents
from perfproof.cycles.summary import committed, summary_of, unreadable_summary
from perfproof.cycles.timeline import cycle_timeline
from perfproof.cycles.trends import PROMISED_GAINS, trends
from perfproof.cycles.view import fresh_view, has_entry
from perfproof.cycles.waiting import UNREADABLE
from perfproof.errors import PerfproofError
from perfproof.evidence.backend import Backend, Missing
from perfproof.evidence.names import is_name, is_run
from perfproof.evidence.records import PUBLICATIONS, Entry
from perfproof.evidence.store import EvidenceStore
from perfproof.run_key import run_key
from perfproof_airflow import settings
from perfproof_airflow.web.capture_history import CaptureHistory
from perfproof_airflow.web.newest import Newest
from perfproof_airflow.web.run_order import RunOrder, side_by_side

MAX_SUMMARIES = 4000
MAX_LOGS = 16
MAX_LOG_ENTRIES = 20_000
MAX_SIZE = 200
MAX_WAITING = 500
GOVERNANCE = 4
HISTORIES = 3
AT_ONCE = 100
SEARCHED = ("run", "run_id", "objective", "protocol", "target_metric")
Document = dict[str, Any]


class CycleReader:
    """Reads the cycles on `backend`. One reader serves many requests at once."""

    def __init__(self, backend: Backend, *, history: CaptureHistory | None = None) -> None:
        self.backend = backend
        self.history = history
        self._order = RunOrder(backend)
        self._summaries: Newest[Document] = Newest(MAX_SUMMARIES)
        self._cycles: Newest[Document] = Newest(MAX_LOGS)
        self._promises: Newest[tuple[int, Document]] = Newest(MAX_LOGS)
        self._waiting: Newest[tuple[int, list[Document]]] = Newest(MAX_WAITING)
        self._logs: Newest[EvidenceStore] = Newest(MAX_LOGS, limit=MAX_LOG_ENTRIES)

    def list_cycles(self, *, page: int = 1, size: int = 25, state: str = "", text: str = "") -> Document:
        """Summaries, the newest cycle first: `items`, whether there are `more`, and the `total` (null where `state` or `text` filter).

        Only what the page shows is read, and with a filter what lies before it. `state` is a `State` or empty; `text` is looked for in
        names, objective, protocol, target metric and services.
        """
        page, size = max(page, 1), min(max(size, 1), MAX_SIZE)
        runs = self._order.newest_first()
        first, filtered = (page - 1) * size, bool(state or text)
        if filtered:
            found = list(islice(self._matching(runs, state, text.casefold()), first, first + size + 1))
        else:
            found = self._summaries_of(runs[first : first + size + 1])
        return {
            "items": found[:size], "page": page, "size": size, "more": len(found) > size, "total": None if filtered else len(runs),
        }  # fmt: skip

    def summary(self, run: str) -> Document:
        """The summary of a run: of the last look at it if its log has not grown, of its view, or computed from its log.

        Raises Missing for a run that was never opened. One whose log is not what was committed says so in `problem`.
        """
        self._check_run(run)
        return self._summary(run)

    def _summaries_of(self, runs: Sequence[str]) -> list[Document]:
        return side_by_side(self.backend, self._summary, runs)

    def _summary(self, run: str) -> Document:
        known = self._summaries.get(run)
        if known is None or known["entries"] is None or has_entry(self.backend, run, known["entries"]):
            known = fresh_view(self.backend, run) or self._computed(run)
        self._summaries.put(run, known)
        return known

    def cycle(self, run: str) -> Document:
        """Everything about one cycle: summary, timeline, approvals and artifacts. Raises Missing, or Tampered for its log.

        Made once for a log of this length: whoever gets it changes nothing in it.
        """
        store, entries = self._log(run)
        known = self._cycles.get(run)
        if known is None or known["summary"]["head"] != entries[-1].sha256:
            known = self._whole(store, entries)
            self._cycles.put(run, known)
        return known

    def _whole(self, store: EvidenceStore, entries: list[Entry]) -> Document:
        return {
            "summary": summary_of(store, entries),
            "timeline": cycle_timeline(entries),
            "approvals": approval_documents(entries),
            "artifacts": artifact_documents(entries),
        }

    def artifact(self, run: str, name: str, *, sha256: str | None = None) -> tuple[Document, bytes]:
        """An artifact and its content, by digest and hashed again: the live version, or the version with that digest.

        Raises Missing if it was never published, or never under this name with that digest.
        """
        store, entries = self._log(run)
        document = artifact_document(entries, name) if is_name(name) else None
        versions = {e.body["sha256"] for e in entries if e.type in PUBLICATIONS and e.body["name"] == name}
        wanted = sha256 or (str(document["sha256"]) if document else "")
        if document is None or wanted not in versions:
            raise Missing(404, where=f"{run}/{name}", what="the artifact is not published", fix="check the name and the version")
        return document, store.get_object(wanted)

    def run_of(self, dag_id: str, run_id: str) -> str | None:
        """The key of the cycle of a Dag run, None if the run is no cycle."""
        run = run_key(dag_id, run_id)
        return run if has_entry(self.backend, run, 0) else None

    def waiting(self, *, limit: int = 200) -> list[Document]:
        """The open requests of all cycles with the cycle that each belongs to, the one that waits longest first, `limit` at most."""
        found = []
        for summary in self._summaries_of(self._order.newest_first()):
            if summary["waiting"]:
                cycle = {key: summary[key] for key in ("run", "dag_id", "run_id", "protocol", "objective")}
                found += [{"cycle": cycle, "approval": one} for one in self._waiting_in(summary)]
        return sorted(found, key=lambda one: (str(one["approval"]["asked_at"]), one["approval"]["request_id"]))[:limit]

    def request(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Document | None:
        """The last request that a task asks: a task of a protocol's run that waits, or the task of a request that people mark."""
        if dag_id == APPROVALS_DAG:
            # `<run key>__<step>__<map index>__r<round>a<attempt>`, and a run key may hold `__` too.
            run = run_id.rsplit("__", 3)[0]
            known = is_run(run) and has_entry(self.backend, run, 0)
            return next((one for one in self._requests(run) if one["request_id"] == run_id), None) if known else None
        cycle = self.run_of(dag_id, run_id)
        asked = [one for one in self._requests(cycle) if one["asked_by"] is not None] if cycle else []
        own = [one for one in asked if one["asked_by"]["task_id"] == task_id]
        exact = [one for one in own if one["asked_by"]["map_index"] == map_index]
        return next(iter(reversed(exact or own)), None)

    def trends(self, *, limit: int = 200) -> Document:
        """Improvements and promised gains of the newest `limit` cycles. A cycle hands its history on: one per protocol is read."""
        summaries = self._summaries_of(self._order.newest_first()[:limit])
        newest: dict[str, list[Document]] = {}
        for summary in summaries:
            looked_at = newest.setdefault(str(summary["protocol"]), [])
            # Written in the last phase. One without it is no reason to read the logs of all the others.
            if summary["phase"] == GOVERNANCE and len(looked_at) < HISTORIES and not any(looked_at):
                looked_at.append(self._promised(summary))
        return trends(summaries, promised=[document for found in reversed(newest.values()) for document in found])

    def _promised(self, summary: Document) -> Document:
        """The promised gains of a cycle, empty where it has none; read once for a log of this length."""
        run, entries = summary["run"], summary["entries"]
        known = self._promises.get(run)
        if known is None or known[0] != entries:
            try:
                store, _ = self._log(run)
                entry = store.live(PROMISED_GAINS)
            except PerfproofError:
                entry = None
            found = committed(store, entry.body["sha256"]) if entry is not None else None
            known = (entries, found if isinstance(found, dict) else {})
            self._promises.put(run, known)
        return known[1]

    def baselines(self, protocol: str) -> Document | None:
        """The history of a protocol's captures; None where there is none."""
        return self.history.baselines(protocol) if self.history is not None else None

    def protocols_with_history(self) -> list[str]:
        """The protocols that have captures, by name."""
        return self.history.protocols() if self.history is not None else []

    def _waiting_in(self, summary: Document) -> list[Document]:
        """The open requests of a cycle, made once for a log of this length."""
        run, entries = summary["run"], summary["entries"]
        known = self._waiting.get(run)
        if known is None or known[0] != entries:
            known = (entries, [one for one in self._requests(run) if one["state"] == "open"])
        self._waiting.put(run, known)
        return known[1]

    def _requests(self, run: str) -> list[Document]:
        return approval_documents(self._log(run)[1])

    def _matching(self, runs: Sequence[str], state: str, text: str) -> Iterator[Document]:
        for summary in (one for start in range(0, len(runs), AT_ONCE) for one in self._summaries_of(runs[start : start + AT_ONCE])):
            words = [str(summary[key] or "") for key in SEARCHED] + summary["services"]
            if (not state or summary["state"] == state) and (not text or any(text in word.casefold() for word in words)):
                yield summary

    def _computed(self, run: str) -> Document:
        try:
            return summary_of(*self._log(run))
        except Missing:
            raise
        except UNREADABLE as problem:
            return unreadable_summary(run, str(problem))

    def _log(self, run: str) -> tuple[EvidenceStore, list[Entry]]:
        """The store of a run, which keeps what it has read of the log, and the entries."""
        self._check_run(run)
        store = self._logs.get(run) or EvidenceStore(self.backend, run)
        entries = store.entries()
        if not entries:
            raise _unknown(run)
        self._logs.put(run, store, weight=len(entries))
        return store, entries

    def _check_run(self, run: str) -> None:
        if not is_run(run) or not has_entry(self.backend, run, 0):
            raise _unknown(run)


def _unknown(run: str) -> Missing:
    return Missing(404, where=run, what="there is no such cycle", fix="check the address, and the evidence directory")


@cache
def cycle_reader() -> CycleReader:
    """The reader of this Airflow's evidence, one for the whole process."""
    return CycleReader(settings.evidence_backend(), history=CaptureHistory.of_this_airflow())
