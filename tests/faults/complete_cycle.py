"""One complete, closed and signed cycle: documents by the package's own producers, every approval by a request, a signed act and the rules.

The tamper suite changes copies of it, and the tests of `perfproof verify` ask about it. Nothing here is a measurement.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parent))

from signed_approvals import ACT_KEY, REQUESTER, Approving

from perfproof.approvals import Decision, Note, SigningKey
from perfproof.artifacts import Artifact, gate_result_name
from perfproof.config import Target, load_protocol
from perfproof.evidence import Backend, EntryType, EvidenceStore, MemoryBackend, idempotency
from perfproof.evidence.envelope import CheckpointKey
from perfproof.evidence.manifest import build_manifest
from perfproof.evidence.views import close_run
from perfproof.load.authorization import authorization_document
from perfproof.load.plan import Scenario, plan_for
from perfproof.moments import stamp
from perfproof.parameters import read_parameters
from perfproof.run_key import run_key
from perfproof.telemetry import document_bytes
from perfproof.waivers import check_waiver
from perfproof.waivers.claims import claims

TESTS = Path(__file__).parents[1]
KEY = CheckpointKey("suite", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = CheckpointKey("other", Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
# A morning with everything behind it: what is asked of the calendar (windows, expiries) starts here.
START = datetime(2025, 2, 16, 8, 0, tzinfo=UTC)
CHANGE, ROLLED_BACK, LATER = "PR-482", "PR-480", "PR-490"


def producers() -> ModuleType:
    """The module of the tests that writes a cycle's documents phase by phase."""
    name = "cycle_producers"
    if name not in sys.modules:
        path = TESTS / "unit" / "perfproof" / "gates" / "test_from_directory.py"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise SystemExit(f"{path} cannot be read")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def trust_document(*keys: CheckpointKey) -> bytes:
    """A trust root with these keys."""
    return json.dumps({"version": 1, "keys": [{"id": key.id, "public_key": key.public_hex} for key in keys or (KEY,)]}).encode()


def act_keys_document(*keys: SigningKey) -> bytes:
    """A file of act keys."""
    return json.dumps({"version": 1, "keys": {key.id: key.secret.hex() for key in keys or (ACT_KEY,)}}).encode()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written: `after` ms on the candidate (258 passes, 401 falls short), and how long a waiver of gate 3 holds.

    `upto` is the phase after which the cycle stops (4: it is closed); `protocol` another protocol file than the demo's.
    """

    after: float = 258.0
    waived_until: datetime | None = None
    upto: int = 4
    run_id: str = "manual__1"
    start: datetime = START
    key: CheckpointKey | None = KEY
    protocol: bytes | None = None


def write_cycle(root: Path, plan: Plan | None = None) -> Path:
    """The directory of a cycle below `root`, a copy of one that was written in memory: that takes no fsync for each of its files."""
    backend = MemoryBackend()
    cycle = write_into(backend, plan or Plan())
    for key, data in backend.data.items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root / str(cycle.store.run)


def write_into(backend: Backend, plan: Plan) -> Any:
    """The cycle, written as far as it is planned."""
    cycle = open_cycle(backend, plan)
    cycle.prerequisites()
    for phase in [cycle.phase_1, cycle.phase_2, cycle.phase_3, cycle.phase_4][: plan.upto]:
        phase()
    return cycle


def open_cycle(backend: Backend, plan: Plan) -> Any:
    """A cycle whose prerequisites can be approved, with nothing decided yet."""
    made = producers()
    data = plan.protocol or made.PROTOCOL.read_bytes()
    protocol = load_protocol(data, where="demo.yaml")
    store = EvidenceStore(backend, run_key("performance_optimization", plan.run_id))
    genesis = {
        "dag_id": "performance_optimization",
        "run_id": plan.run_id,
        "triggered_by": REQUESTER,
        "protocol_sha256": store.put_object(data),
        "parameters": read_parameters({"protocol": "demo"}, protocol).document(),
    }
    store.open_run(genesis=genesis, time=plan.start, actor=made.ACTOR)
    cycle = cycle_class(made)(store, protocol, plan.start)
    cycle.plan = plan
    cycle.put("evidence/protocol.yaml", data)
    cycle.put("prerequisites.json", {"artifacts": [], "verified_at": stamp(plan.start)})
    return cycle


def cycle_class(made: ModuleType) -> Any:
    """`Written` of the producers, with approvals as the protocol's sensors make them."""

    class Cycle(Approving, made.Written):  # type: ignore[name-defined,misc]
        """A cycle that is being written."""

        plan: Plan

        def put(self, name: str, product: Any, *, inputs: Sequence[str] = ()) -> Any:
            """Publishes; before the measurement everything that it needs is asked and sent."""
            if name == "evidence/measurement.json":
                self.implementation(comment=f"deployed {ROLLED_BACK}, a cache", round_=0)
                self.implementation(comment=f"deployed with {CHANGE}, index added.", round_=1)
                for side in ("candidate", "baseline", "candidate"):
                    self.load(Scenario.MEASUREMENT, side)
            return super().put(name, product, inputs=inputs)

        def judge(self, gate: int) -> Any:
            """The gate, and a checkpoint."""
            result = super().judge(gate)
            self.signed()
            return result

        def prerequisites(self) -> None:
            """The three approvals before anything is measured."""
            service = self.protocol.services[0]
            profile = next(iter(self.protocol.load.profiles.values()))
            ends = [e for e in (service.endpoints.baseline, service.endpoints.candidate) if e is not None]
            allowed = authorization_document(
                self.protocol.load, profile=profile, now=self.now, targets=[Target(host=e.host, port=e.port) for e in ends]
            )
            about = ["prerequisites.json"]
            self.decide("prioritization", about, shown={"objective": "faster"}, map_index=0)
            self.decide("load_test_authorization", about, shown=allowed, map_index=1)
            self.decide("profiling_clearance", about, shown={"services": [service.name]}, map_index=2)

        def implementation(self, *, comment: str, round_: int) -> None:
            """The owner of each planned optimization says what was deployed."""
            for number, task in enumerate(json.loads(self.store.read(Artifact.OPTIMIZATION_PLAN))["tasks"]):
                self.decide(
                    "implementation",
                    [Artifact.OPTIMIZATION_PLAN],
                    shown={"id": task["id"]},
                    map_index=number,
                    round_=round_,
                    comment=comment,
                    note=Note.CHANGE_REFERENCE,
                    owner=task["owner"],
                )

        def load(self, scenario: Scenario, side: str) -> None:
            """A load test as the log shows one."""
            service = self.protocol.services[0]
            profile = next(iter(self.protocol.load.profiles.values()))
            endpoint = service.endpoints.baseline if side == "baseline" else service.endpoints.candidate or service.endpoints.baseline
            started = len(self.store.of_type(EntryType.LOADTEST_STARTED))
            plan = plan_for(
                scenario,
                service=service,
                endpoint=endpoint,
                environment=self.protocol.environment,
                profile=profile,
                load=self.protocol.load,
                seed=started,
            )
            facts = {"scenario": scenario.value, "target": endpoint.instance, "plan_sha256": plan.digest, "test": started + 1}
            self.log(EntryType.LOADTEST_STARTED, {**facts, "plan": plan.document()})
            self.now += timedelta(seconds=20)
            self.log(EntryType.LOADTEST_FINISHED, {**facts, "outcome": "completed", "reason": None, "build": "b1"})

        def phase_1(self) -> None:
            """Baseline and gate 1."""
            made.write_phase_1(self)
            self.judge(1)

        def phase_2(self) -> None:
            """Load, diagnostics and gate 2."""
            for scenario in (Scenario.PEAK, Scenario.STRESS, Scenario.FAILURE):
                self.load(scenario, "baseline")
            made.write_phase_2(self)
            self.judge(2)

        def phase_3(self) -> None:
            """Plan, change, measurement, gate 3; and its waiver where one is planned."""
            made.write_phase_3(self, after=self.plan.after)
            self.judge(3)
            if self.plan.waived_until is not None:
                self.waive(self.plan.waived_until)

        def waive(self, until: datetime) -> None:
            """Everybody who has to waives the short improvement."""
            name = gate_result_name(3)
            reason = f"criterion=improvement expires={stamp(until)} the index has to go out before the sale"
            records = self.decide("gate_3_decision", [name], shown={"gate": 3}, decision=Decision.WAIVER, comment=reason)
            (claim,) = claims(records)
            waiver = check_waiver(
                result=json.loads(self.store.read(name)),
                result_sha256=self.references[name]["sha256"],
                run=self.store.run,
                fields=claim.fields,
                approvals=claim.records,
                roles=self.protocol.roles,
                required=self.protocol.approvals.steps["gate_3_decision"],
                requester=REQUESTER,
                now=self.now.replace(microsecond=0),
            )
            self.log(EntryType.WAIVER_GRANTED, {**waiver.document(), "person": records[0]["person"]})
            self.log(EntryType.DECISION_RECORDED, {"gate": 3, "decision": "waiver", "result": self.references[name], "round": 0})

        def phase_4(self) -> None:
            """SLO updates, report, gate 4, handoff; the run is closed and signed."""
            self.implementation(comment=f"merged {LATER} as well", round_=2)
            made.write_phase_4(self)
            self.judge(4)
            self.decide("handoff", [gate_result_name(4), Artifact.VALIDATION_REPORT, Artifact.PERFORMANCE_REPORT], shown={})
            self.put(Artifact.MANIFEST, document_bytes(build_manifest(self.store, time=self.now)))
            cited = {"report": self.references[Artifact.PERFORMANCE_REPORT], "manifest": self.references[Artifact.MANIFEST]}
            self.log(EntryType.HANDOFF_COMPLETED, {"to": "Protocol 22", **cited})
            self.log(EntryType.ANNOUNCE, {"text": "complete"})
            self.now += timedelta(seconds=1)
            idem = idempotency("run.closed", "close", 0, [])
            close_run(self.store, body={"outcome": "completed"}, idem=idem, time=self.now, actor=made.ACTOR)
            self.signed()

    return Cycle
