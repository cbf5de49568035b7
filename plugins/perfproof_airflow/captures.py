"""The recurring captures of one protocol: measure one data interval, service by service, and keep it in the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from perfproof.baseline import Window, baseline_document, cells_of, read_baseline
from perfproof.baseline_comparison import compare_with_history
from perfproof.capture_changes import Beside, change_words, changes_document, found_changes, interval_length, merged, read_changes
from perfproof.change_points.acknowledged import NOTHING_ACKNOWLEDGED, Acknowledged, read_acknowledged
from perfproof.config import Protocol, Provides, load_protocol
from perfproof.config_checks import IDENTIFIER
from perfproof.drift_cycle import drift_cycle, other_run_ids
from perfproof.errors import ArtifactError, ConfigError, ParameterError
from perfproof.history import Decision, before, check_interval, decide, entry_name, entry_path, part_path
from perfproof.input_file import read_input
from perfproof.intake_inbox import drift_item, drifts_reported
from perfproof.moments import parse_stamp
from perfproof.prerequisites import MAX_FILE_BYTES
from perfproof.strict import read_json
from perfproof.strict_yaml import MAX_BYTES as MAX_YAML_BYTES
from perfproof.telemetry import document_bytes, sha256_hex
from perfproof_airflow import settings
from perfproof_airflow.hooks.baseline import measure_service, metric_hooks
from perfproof_airflow.hooks.workspace import Absent, Workspace

HISTORY_DIRECTORY = ".artifacts/performance/history"
# Two weeks of hourly captures: what a change of level is looked for in.
COMPARED = 336
CHANGES = "changes.json"
ACKNOWLEDGED = ".acknowledged.json"
# An interval is asked at the protocol file's step, or at a coarser one that gives this many samples.
MAX_SAMPLES = 360


@dataclass(frozen=True, slots=True)
class Captures:
    """One data interval of one protocol. `directory` holds the history, relative to the workspace."""

    protocol: Protocol
    start: datetime
    end: datetime
    now: datetime
    workspace: Workspace
    directory: str

    @classmethod
    def of(cls, name: Any, *, start: datetime | None, end: datetime | None, now: datetime) -> Captures:
        """The captures of the protocol file `name`. Raises ParameterError or ConfigError before anything is measured."""
        interval = check_interval(start, end, now=now)
        if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
            raise ParameterError(
                255, where="params.protocol", what="not the name of a protocol file", got=name, fix="give a name like demo"
            )
        path = settings.protocol_path(name)
        data = read_input(path, limit=MAX_YAML_BYTES, error=ConfigError, number=180)
        workspace = Workspace(settings.workspace_root())
        directory = settings.option("history_dir", HISTORY_DIRECTORY)
        return cls(load_protocol(data, where=path.name), interval[0], interval[1], now, workspace, directory)

    @property
    def name(self) -> str:
        """File name of the interval in the history."""
        return entry_name(self.start, self.end)

    @property
    def window(self) -> Window:
        """The interval with the step that it is asked at."""
        start, end = self.start.timestamp(), self.end.timestamp()
        return Window(start, end, max(self.protocol.baseline.step_seconds, (end - start) / MAX_SAMPLES))

    def capture(self, service: str, *, protocol_sha256: str) -> dict[str, str]:
        """Measures one service, writes its part, and answers the reference to it."""
        if protocol_sha256 != self.protocol.digest:
            raise ParameterError(
                256, where=f"{self.protocol.name}.yaml", what="changed while this run was going on", got=self.protocol.digest,
                expected=protocol_sha256, fix="clear the run from its first task",
            )  # fmt: skip
        document = measure_service(
            self.protocol,
            self.protocol.service(service),
            window=self.window,
            hooks=metric_hooks(self.protocol),
            # Which build answered in the past cannot be asked now.
            build=None,
            fetched_at=self.now,
            # A source that recorded nothing in the interval is a gap, which the history shows.
            judge_sources=False,
        )
        path = part_path(self.directory, self.protocol.name, self.name, service)
        data = document_bytes(document)
        self.workspace.write(path, data)
        return {"name": path, "sha256": sha256_hex(data), "uri": f"file://{self.workspace.root / path}"}

    def record(self, references: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Joins the parts to the interval's baseline and puts it into the history, unless a fuller one is there."""
        parts = [self._part(reference) for reference in references]
        captured = baseline_document(
            [cell for part in parts for cell in cells_of(part)],
            window=parts[0]["window"] if parts else {},
            protocol_sha256=self.protocol.digest,
            services=self.protocol.services,
            builds={part["service"]: part["build"] for part in parts},
            adherence={key: value for part in parts for key, value in part["adherence"].items()},
            now=self.now,
        )
        path = entry_path(self.directory, self.protocol.name, self.name)
        existing = self._kept(path)
        decision = decide(existing, captured)
        data = document_bytes(captured)
        if decision is Decision.WRITE:
            self.workspace.write(path, data)
        kept = captured if decision is Decision.WRITE or existing is None else existing
        history = self.history()
        limit = self.protocol.baseline.regression_limit_percent
        acknowledged = acknowledged_changes(self.protocol.name)
        comparison = compare_with_history(kept, history, limit_percent=limit, acknowledged=acknowledged)
        changes = self._report_changes([*history, kept])
        return {
            "name": path,
            "sha256": sha256_hex(self.workspace.read(path)),
            "uri": f"file://{self.workspace.root / path}",
            "protocol": self.protocol.name,
            "decision": decision.value,
            "baseline_completeness": kept["baseline_completeness"],
            "missing_metrics": kept["missing_metrics"],
            "regressed": comparison["regressed"],
            "inconclusive": comparison["inconclusive"],
            "changes": changes,
            **self._open_drifts(acknowledged, length=interval_length(kept)),
        }

    def history(self) -> list[dict[str, Any]]:
        """The newest baselines whose interval ended before this one began, oldest first. Unreadable ones are left out."""
        return kept_history(self.workspace, self.directory, self.protocol.name, until=self.start)

    def _report_changes(self, documents: Sequence[Mapping[str, Any]]) -> list[str]:
        """Lines of the changes over `documents` that were not reported before; all that ever were stay in the history's `changes.json`.

        A change is known by its metric, kind and first capture, so that the next capture, or the same one run again, is silent.
        """
        path = f"{self.directory}/{self.protocol.name}/{CHANGES}"
        reported = self._reported(path)
        found = found_changes(documents, reported_by=self.name.removesuffix(".json"))
        records, new = merged(reported, found, length=interval_length(documents[-1]), beside=self._beside)
        if new:
            self.workspace.write(path, document_bytes(changes_document(records)))
        return [change_words(record) for record in new]

    def _open_drifts(self, acknowledged: Acknowledged, *, length: timedelta) -> dict[str, Any]:
        """`drifts` that this capture was the first to report and that are offered to the next intake; `cycle` that they ask for, None
        without one; `earlier_cycles`, the run ids that other drifts which are still offered asked for.

        Opened from what the history holds, so that a try after one that was killed opens them too.
        """
        from perfproof_airflow.inbox import Inbox

        inbox = Inbox.of(self.protocol.name)
        records, reported_by = self._reported(f"{self.directory}/{self.protocol.name}/{CHANGES}"), self.name.removesuffix(".json")
        own = drifts_reported(records, reported_by=reported_by)
        items = [drift_item(r, protocol=self.protocol.name, length=length, evidence=self._captures_of(r, length)) for r in own]
        opened = {item["id"] for item in inbox.open(items)}
        offered = inbox.refresh(dated=self.end, acknowledged=acknowledged)["items"]
        drifts = [item for item in offered if item["id"] in opened]
        asking = {"protocol": self.protocol.name, "reported_by": reported_by}
        wanted = bool(drifts) and self.protocol.captures.trigger_cycle
        return {
            "drifts": [{key: item[key] for key in ("id", "service", "metric", "title")} for item in drifts],
            "cycle": drift_cycle(drifts, **asking) if wanted else None,
            "earlier_cycles": other_run_ids(offered, **asking) if wanted else [],
        }

    def _captures_of(self, record: Mapping[str, Any], length: timedelta) -> list[dict[str, str]]:
        """The captures before and at a change, and the one that reported it, with their digests, as far as they are there."""
        at = parse_stamp(record["at"])
        names = dict.fromkeys((entry_name(at - length, at), entry_name(at, at + length), self.name))
        found = []
        for name in names:
            path = entry_path(self.directory, self.protocol.name, name)
            with suppress(Absent):
                found.append({"name": path, "sha256": sha256_hex(self.workspace.read(path))})
        return found

    def _reported(self, path: str) -> list[dict[str, Any]]:
        try:
            return read_changes(self.workspace.read(path), where=path)
        except Absent:
            return []

    def _beside(self) -> Beside:
        """Deployments and incidents, as far as the protocol's sources tell them; a source that does not is said to be unknown."""
        from perfproof_airflow.hooks.sources import read_source

        items: dict[Provides, list[Mapping[str, Any]]] = {Provides.DEPLOYMENTS: [], Provides.INCIDENTS: []}
        unknown = []
        for kind, told in items.items():
            sources = [source for source in self.protocol.sources if source.provides is kind]
            documents = [read_source(self.protocol, source, now=self.now, workspace=self.workspace) for source in sources]
            told += [item for document in documents for item in document["items"] if item["type"] == kind.value]
            if not any(document["status"] == "ok" for document in documents):
                unknown.append(f"{kind.value} unknown")
        return Beside(items[Provides.DEPLOYMENTS], items[Provides.INCIDENTS], unknown)

    def _part(self, reference: Mapping[str, str]) -> dict[str, Any]:
        data = self.workspace.read(reference["name"])
        if sha256_hex(data) != reference["sha256"]:
            raise ArtifactError(
                397, where=reference["name"], what="differs from what was captured", got=sha256_hex(data), expected=reference["sha256"],
                fix="clear capture_service",
            )  # fmt: skip
        document: dict[str, Any] = read_json(data, where=reference["name"], limit=MAX_FILE_BYTES)
        return document

    def _kept(self, path: str) -> dict[str, Any] | None:
        return _valid(self.workspace, path)


def kept_history(workspace: Workspace, directory: str, protocol: str, *, until: datetime) -> list[dict[str, Any]]:
    """The newest valid captures of a protocol whose interval ended at or before `until`, oldest first."""
    names = before(workspace.names(f"{directory}/{protocol}"), until, limit=COMPARED)
    found = [_valid(workspace, entry_path(directory, protocol, name)) for name in names]
    return [document for document in found if document is not None]


def acknowledged_changes(protocol: str) -> Acknowledged:
    """The accepted changes beside the protocol file, in `<protocol>.acknowledged.json`; nothing is accepted without that file.

    It lies there because accepting a change is a decision that is reviewed as the protocol file is. Raises ArtifactError or
    ConfigError for one that cannot be read.
    """
    path = settings.protocol_path(protocol).with_suffix(ACKNOWLEDGED)
    if not path.exists():
        return NOTHING_ACKNOWLEDGED
    return read_acknowledged(read_input(path, limit=MAX_FILE_BYTES, error=ConfigError, number=180), where=path.name)


def _valid(workspace: Workspace, path: str) -> dict[str, Any] | None:
    """The valid capture at `path`. A damaged one counts as none, so that a new capture can take its place."""
    try:
        return read_baseline(workspace.read(path), where=path)
    except ArtifactError:
        return None
