"""One cycle as a task sees it: its protocol, its parameters, its evidence, and what it may say.

The log's first entry fixes protocol file, parameters and versions. Every later task reads the protocol from there, so a
file that is edited while a cycle waits for days changes nothing in that cycle.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perfproof import __version__
from perfproof.announcements import Announcement, error_line
from perfproof.config import Protocol, load_protocol
from perfproof.config_checks import IDENTIFIER
from perfproof.errors import ConfigError, EvidenceError, ParameterError, PerfproofError
from perfproof.evidence import Actor, Attempt, Entry, EntryType, EvidenceStore, Missing, Reference, idempotency
from perfproof.evidence.divergence import not_in_evidence, require_same_history
from perfproof.evidence.secrets import masked
from perfproof.input_file import read_input
from perfproof.notifications import TITLES, Kind, Notification
from perfproof.parameters import Parameters, check_not_closed, read_parameters
from perfproof.run_key import run_key
from perfproof.strict import read_json
from perfproof.strict_yaml import MAX_BYTES as MAX_YAML_BYTES
from perfproof.telemetry import document_bytes, sha256_hex
from perfproof_airflow import settings
from perfproof_airflow.checkpoints import refresh_view, signing_key

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
SOURCE_FIELDS = ("name", "sha256")


def now() -> datetime:
    """The clock of a task: the only place where perfproof_airflow's tasks ask for the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Cycle:
    """The cycle that a task belongs to. `round` grows whenever tasks of the run are cleared."""

    dag_id: str
    run_id: str
    run: str
    task_id: str
    map_index: int
    round: int
    triggered_by: str
    attempt: Attempt
    store: EvidenceStore
    protocol: Protocol
    parameters: Parameters

    @classmethod
    def of(cls, context: Context) -> Cycle:
        """The cycle of a running task. Raises EvidenceError if it has not been opened yet."""
        dag_run, ti = context["dag_run"], context["ti"]
        run = run_key(dag_run.dag_id, dag_run.run_id)
        store = EvidenceStore(settings.evidence_backend(), run, known_secrets=settings.known_secrets)
        # Once: each look at the log lists it, which in a bucket is a request.
        entries = store.entries()
        genesis = _genesis(store, entries)
        round_, run_after = dag_run.clear_number or 0, getattr(dag_run, "run_after", None)
        require_same_history(entries, attempt=_attempt(dag_run, ti), round_=round_, run_after=run_after)
        protocol = _protocol(store.get_object(genesis["protocol_sha256"]), f"{genesis['parameters']['protocol']}.yaml")
        cycle = cls._assemble(context, store, protocol, read_parameters(genesis["parameters"], protocol), run, ti)
        cycle._note_version(str(genesis["perfproof"]), [entry for entry in entries if entry.type is EntryType.CODE_CHANGED])
        return cycle

    @classmethod
    def open(cls, context: Context) -> Cycle:
        """Opens the cycle (or finds it open): checks protocol file and parameters, and writes the log's first entry."""
        dag_run, ti, raw = context["dag_run"], context["ti"], dict(context["params"])
        run = run_key(dag_run.dag_id, dag_run.run_id)
        backend = settings.evidence_backend()
        backend.probe()
        # A key that cannot sign is found now, not at the first gate.
        signing_key()
        store = EvidenceStore(backend, run, known_secrets=settings.known_secrets)
        if store.entries():
            closed = [entry.body.get("round") for entry in store.of_type(EntryType.RUN_CLOSED)]
            check_not_closed(closed, round=dag_run.clear_number or 0, run_id=dag_run.run_id)
            return cls.of(context)._with_protocol_file()
        name = raw.get("protocol")
        if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
            raise ParameterError(
                207, where="params.protocol", what="not the name of a protocol file", got=name, fix="give a name like demo"
            )
        path = settings.protocol_path(name)
        data = read_input(path, limit=MAX_YAML_BYTES, error=ConfigError, number=180)
        protocol = load_protocol(data, where=path.name)
        parameters = read_parameters(raw, protocol)
        cycle = cls._assemble(context, store, protocol, parameters, run, ti)
        genesis = {
            "dag_id": dag_run.dag_id,
            "run_id": dag_run.run_id,
            "triggered_by": cycle.triggered_by,
            "protocol_sha256": store.put_object(data),
            "parameters": parameters.document(),
            "perfproof": __version__,
            "schema_version": 1,
        }
        store.open_run(genesis=genesis, time=now(), actor=cycle.actor, attempt=cycle.attempt)
        return cycle._with_protocol_file()

    def _with_protocol_file(self) -> Cycle:
        """The cycle, with its protocol file among the evidence: also when an earlier try was killed before it got there."""
        name = "evidence/protocol.yaml"
        if self.store.live(name) is None:
            self.publish(name, lambda: self.store.get_object(self.protocol.digest))
        return self

    def _note_version(self, began: str, changes: Sequence[Entry]) -> None:
        """Records that another version than the last one that the log names goes on with the cycle; one entry for each change."""
        last = str(changes[-1].body["to"]) if changes else began
        if last != __version__:
            key = idempotency("code", f"{last} to {__version__}, {len(changes)}", 0, [])
            self.record_once(EntryType.CODE_CHANGED, {"from": last, "to": __version__}, key=key)

    @classmethod
    def _assemble(cls, context: Context, store: EvidenceStore, protocol: Protocol, parameters: Parameters, run: str, ti: Any) -> Cycle:
        dag_run = context["dag_run"]
        attempt = _attempt(dag_run, ti)
        return cls(
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            run=run,
            task_id=ti.task_id,
            map_index=attempt.map_index,
            round=dag_run.clear_number or 0,
            triggered_by=dag_run.triggering_user_name or "",
            attempt=attempt,
            store=store,
            protocol=protocol,
            parameters=parameters,
        )

    @property
    def actor(self) -> Actor:
        """Who writes the entries of this task."""
        return Actor(kind="task", id=self.task_id, auth="A1")

    @property
    def profile(self) -> Any:
        """The load profile that the trigger form chose."""
        return self.protocol.load.profiles[self.parameters.load_profile]

    def idem(self, kind: str, inputs: Sequence[str] = ()) -> str:
        """The key under which a fact of this task is committed once per round."""
        return idempotency(kind, self.task_id, self.round, inputs, self.map_index)

    def publish(
        self,
        name: str,
        produce: Callable[[], bytes | dict[str, Any] | str],
        *,
        inputs: Sequence[Mapping[str, Any]] = (),
        verified_by: dict[str, Any] | None = None,
        per_try: bool = False,
    ) -> dict[str, Any]:
        """The reference to `name`, made by `produce` unless an earlier try of this round has committed it already.

        `per_try` is for parts of something that is committed as a whole later: a try that measures anew must not keep the
        rows of the one before.
        """
        references = [Reference.from_dict(dict(item)) for item in inputs]
        kind = f"artifact:{name}" + (f":try {self.attempt.try_number}" if per_try else "")
        idem = self.idem(kind, [reference.sha256 for reference in references])
        committed = self.store.find(idem)
        if committed is not None:
            log.info("%s was committed by an earlier try as entry %s", name, committed.seq)
            return Reference(name=name, sha256=committed.body["sha256"], uri=self.store.backend.uri(f"{self.run}/{name}")).as_dict()
        product = produce()
        data = document_bytes(product) if isinstance(product, dict) else product.encode() if isinstance(product, str) else product
        reference = self.store.publish(
            name, data, idem=idem, time=now(), actor=self.actor, attempt=self.attempt, inputs=references, verified_by=verified_by
        )
        log.info("published %s sha256:%s (%s bytes)", name, reference.sha256, len(data))
        return reference.as_dict()

    def read(self, reference: Mapping[str, Any] | str) -> bytes:
        """The bytes of a reference, by digest and hashed again; of a name, the live version. Diverged for what only Airflow knows."""
        if isinstance(reference, str):
            return self.store.read(reference)
        known = Reference.from_dict(dict(reference))
        try:
            return self.store.read(known)
        except Missing:
            raise not_in_evidence(known.name, sha256=known.sha256) from None

    def document(self, reference: Mapping[str, Any] | str) -> Any:
        """The JSON document of a reference or name."""
        where = reference if isinstance(reference, str) else str(reference["name"])
        return read_json(self.read(reference), where=where)

    def profiles(self) -> list[dict[str, Any]]:
        """The profile documents of the cycle's services."""
        return [self.document(f"evidence/profile-{service}.json") for service in self.parameters.services]

    def reference(self, name: str) -> dict[str, Any]:
        """The live version of `name`. Raises EvidenceError if the cycle has none."""
        found = self.store.reference(name)
        if found is None:
            raise EvidenceError(520, where=name, what="the cycle has no such evidence yet", fix="clear the task that writes it")
        return found.as_dict()

    def source(self, reference: Mapping[str, Any]) -> dict[str, str]:
        """A reference as artifacts cite it: name and digest."""
        return {field: str(reference[field]) for field in SOURCE_FIELDS}

    def record(self, kind: EntryType, body: dict[str, Any], *, inputs: Sequence[str] = ()) -> None:
        """Commits a fact of this task to the execution log."""
        self.store.append(
            type=kind, body=body, idem=self.idem(f"{kind}:{sha256_hex(json.dumps(body, sort_keys=True).encode())}", inputs),
            time=now(), actor=self.actor, attempt=self.attempt,
        )  # fmt: skip

    def record_once(self, kind: EntryType, body: dict[str, Any], *, key: str) -> None:
        """Commits a fact under a key of `idem`, by which a later try finds it whatever else it would say of it."""
        self.store.append(type=kind, body=body, idem=key, time=now(), actor=self.actor, attempt=self.attempt)

    def announce(self, announcement: Announcement) -> None:
        """One of the specification's announcements: execution log, task log, notifiers; once per round."""
        # Not the task's own key: a mapped task announces its step once, not once for each of its instances.
        idem = idempotency("announce", announcement.name, self.round, [])
        if self.store.find(idem) is not None:
            return
        body = {"text": announcement.value}
        entry = self.store.append(type=EntryType.ANNOUNCE, body=body, idem=idem, time=now(), actor=self.actor, attempt=self.attempt)
        # Another instance may have been faster since: whose entry it is tells the notifiers.
        if entry.attempt == self.attempt:
            self.say(announcement.value, kind="announcement")

    def say(self, text: str, *, kind: str) -> None:
        """`text` into the task log and to the notifiers, as `notify` does."""
        step = self.task_id.rpartition(".")[2]
        title = f"{TITLES[Kind(kind)]}: {self.protocol.name}"
        self.notify(Notification(kind=Kind(kind), title=title, text=text, run=self.run, step=step, link=self.link, about=self.task_id))

    def notify(self, notification: Notification) -> None:
        """`notification` into the task log and to every notifier that takes its kind; none of them can stop or hold up a run."""
        from perfproof_airflow.notifying.telling import tell

        tell(self, notification)

    @property
    def link(self) -> str:
        """The page of the run in Airflow; empty where Airflow does not know its own address."""
        from perfproof_airflow.notifying.links import run_link

        return run_link(self.dag_id, self.run_id)

    def halt(self, step: str, error: PerfproofError) -> None:
        """Writes the specification's `[RAY ERROR]` line for a step whose result cannot be produced."""
        # A halt must be recorded whatever its reason quotes, so here a secret is masked, and not refused.
        line = error_line(step, self._masked(str(error)))
        self.record(EntryType.ERROR, {"step": step, "code": error.code, "text": line, "try": self.attempt.try_number})
        refresh_view(self.store)
        self.say(line, kind="error")

    def _masked(self, text: str) -> str:
        return masked(text, known=settings.known_secrets())


@functools.lru_cache(maxsize=4)
def _protocol(data: bytes, where: str) -> Protocol:
    """The protocol in `data`: a sensor looks at its cycle several times, and reading the YAML takes a tenth of a second."""
    return load_protocol(data, where=where)


def _attempt(dag_run: Any, ti: Any) -> Attempt:
    map_index = -1 if ti.map_index is None else ti.map_index
    return Attempt(dag_id=dag_run.dag_id, task_id=ti.task_id, map_index=map_index, try_number=ti.try_number, ti_id=str(ti.id))


def _genesis(store: EvidenceStore, entries: Sequence[Entry]) -> dict[str, Any]:
    if not entries:
        raise EvidenceError(521, where=store.run, what="the cycle has not been opened", fix="clear the first task of the run")
    genesis: dict[str, Any] = read_json(store.get_object(entries[0].prev), where="genesis", error=EvidenceError, number=522)
    return genesis
