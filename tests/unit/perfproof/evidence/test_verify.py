"""`verify` proves a run from a copy of its directory, and names what was changed, removed or added."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfproof.errors import Tampered
from perfproof.evidence import EvidenceStore, LocalBackend, MemoryBackend, Reference
from perfproof.evidence.records import canonical
from perfproof.evidence.verdict import Finding, Outcome, Verification
from perfproof.evidence.verify import verify, verify_run
from perfproof.telemetry import sha256_hex


def bad_places(verification: Verification) -> set[str]:
    """Where something was found to be tampered with."""
    return {finding.where for finding in verification.findings if finding.outcome is Outcome.TAMPERED}


def overwrite(path: Path, data: bytes) -> None:
    """Replaces a read-only file, as somebody with the disk can."""
    path.unlink()
    path.write_bytes(data)


def test_a_finished_run_verifies_from_a_copy_under_another_name(finished_run: Path) -> None:
    """Nothing but the directory is needed, and nothing is found."""
    verification = verify(finished_run)
    assert verification.findings == ()
    assert verification.outcome is Outcome.VERIFIED
    assert verification.outcome.exit_code == 0
    assert verification.figures["artifacts"] == 13
    assert verification.figures["approvals"] == 1


def test_sha256sum_agrees(finished_run: Path) -> None:
    """An auditor without our code checks the same bytes with coreutils."""
    for line in (finished_run / "SHA256SUMS").read_text().splitlines():
        digest, path = line.split("  ")
        assert sha256_hex((finished_run / path).read_bytes()) == digest


def test_bit_flips_in_entries_are_detected(finished_run: Path) -> None:
    """One bit in every seventh byte of every entry, each flip on its own; each is named to the entry or its neighbour."""
    missed = []
    files = sorted((finished_run / "log").iterdir())
    names = [f"log/{file.name}" for file in files]
    original = {file.name: file.read_bytes() for file in files}
    backend = MemoryBackend()
    run = json.loads(original["00000000.json"])["run"]
    for path in finished_run.rglob("*"):
        if path.is_file():
            backend.data[f"{run}/{path.relative_to(finished_run)}"] = path.read_bytes()
    from perfproof.evidence.inspection import inspect_log, inspect_log_views

    everything = [key.removeprefix(f"{run}/") for key in backend.data]
    for file in files:
        key = f"{run}/log/{file.name}"
        data = original[file.name]
        for position in range(0, len(data), 7):
            flipped = bytearray(data)
            flipped[position] ^= 1 << (position % 8)
            backend.data[key] = bytes(flipped)
            entries, findings = inspect_log(backend, run, names)
            if not findings:
                findings = list(inspect_log_views(backend, run, everything, entries))
            seq = int(file.name[:8])
            if not any(f.where in (f"log/{seq:08d}.json", f"log/{seq + 1:08d}.json", "protocol-execution-log.jsonl") for f in findings):
                missed.append((file.name, position))
        backend.data[key] = data
    assert missed == []


def test_a_deleted_entry_is_named(finished_run: Path) -> None:
    """Every entry but the last leaves a gap (the last one is a cut tail, below)."""
    for file in sorted((finished_run / "log").iterdir())[:-1]:
        data = file.read_bytes()
        file.unlink()
        verification = verify(finished_run)
        file.write_bytes(data)
        assert verification.outcome is Outcome.TAMPERED
        assert f"log/{file.name}" in bad_places(verification)


def test_a_cut_tail_shows_in_the_views_of_a_closed_run(finished_run: Path) -> None:
    """The one-file log holds more entries than the directory."""
    last = max((finished_run / "log").iterdir())
    last.unlink()
    assert "protocol-execution-log.jsonl" in bad_places(verify(finished_run))


def test_a_cut_tail_with_its_views_needs_an_anchor(finished_run: Path) -> None:
    """Without a head kept elsewhere the cut looks like a run that is not finished; with one it is proved."""
    figures = verify(finished_run).figures
    anchor = (int(figures["entries"]), str(figures["head"]))
    max((finished_run / "log").iterdir()).unlink()
    (finished_run / "protocol-execution-log.jsonl").unlink()
    (finished_run / "SHA256SUMS").unlink()
    assert verify(finished_run).outcome is Outcome.UNFINISHED
    assert verify(finished_run, anchors=[anchor]).outcome is Outcome.TAMPERED


def test_a_rewritten_log_needs_an_anchor(finished_run: Path, tmp_path: Path) -> None:
    """Entries rewritten with a chain of their own are consistent, but not the ones that the anchor knows."""
    figures = verify(finished_run).figures
    anchor = (int(figures["entries"]), str(figures["head"]))
    previous = None
    for file in sorted((finished_run / "log").iterdir()):
        entry = json.loads(file.read_bytes())
        entry["time"] = "2025-02-16T11:00:00.000Z"
        entry["prev"] = previous or entry["prev"]
        data = canonical(entry, where="test")
        overwrite(file, data)
        previous = sha256_hex(data)
    assert verify(finished_run, anchors=[anchor]).outcome is Outcome.TAMPERED


def test_a_truncated_entry_is_named(finished_run: Path) -> None:
    """Half a file, and an empty one."""
    for file in sorted((finished_run / "log").iterdir()):
        data = file.read_bytes()
        for part in (data[: len(data) // 2], b""):
            overwrite(file, part)
            assert f"log/{file.name}" in bad_places(verify(finished_run))
        overwrite(file, data)


def test_swapped_entries_are_named(finished_run: Path) -> None:
    """Two neighbours exchanged."""
    files = sorted((finished_run / "log").iterdir())
    for one, other in zip(files[3:8:2], files[4:8:2], strict=False):
        first, second = one.read_bytes(), other.read_bytes()
        overwrite(one, second)
        overwrite(other, first)
        assert {f"log/{one.name}", f"log/{other.name}"} <= bad_places(verify(finished_run))
        overwrite(one, first)
        overwrite(other, second)


def test_an_entry_that_is_not_canonical_is_named(finished_run: Path) -> None:
    """The same values with another spelling are not the bytes that were committed."""
    file = finished_run / "log" / "00000003.json"
    overwrite(file, json.dumps(json.loads(file.read_bytes())).encode())
    assert "log/00000003.json" in bad_places(verify(finished_run))


def test_changed_deleted_and_swapped_objects_are_named(finished_run: Path) -> None:
    """Every object that the log commits, one after the other."""
    objects = sorted((finished_run / "objects" / "sha256").iterdir())
    assert len(objects) >= 18
    for number, file in enumerate(objects):
        data = file.read_bytes()
        where = f"objects/sha256/{file.name}"
        file.unlink()
        assert where in bad_places(verify(finished_run))
        file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        assert where in bad_places(verify(finished_run))
        overwrite(file, objects[number - 1].read_bytes())
        assert where in bad_places(verify(finished_run))
        overwrite(file, data)
    assert verify(finished_run).outcome is Outcome.VERIFIED


def test_changed_and_deleted_views_are_named(finished_run: Path) -> None:
    """The files that people read are the committed ones."""
    for file in [f for f in finished_run.rglob("*") if f.is_file() and f.parent.name not in ("log", "sha256")]:
        name = str(file.relative_to(finished_run))
        data = file.read_bytes()
        file.write_bytes(data + b" ")
        assert name in bad_places(verify(finished_run)), name
        file.unlink()
        verification = verify(finished_run)
        assert name in {finding.where for finding in verification.findings}, name
        assert verification.outcome in (Outcome.TAMPERED, Outcome.UNFINISHED)
        file.write_bytes(data)


def test_a_view_behind_the_log_is_unfinished_while_open_and_tampered_when_closed(
    disk_store: EvidenceStore, publish: Callable[..., Any], note: Callable[..., Any], tmp_path: Path
) -> None:
    """A killed writer leaves an old view; nothing does so after the run was closed."""
    publish(disk_store, "hypothesis-log.md", "old")
    publish(disk_store, "hypothesis-log.md", "new", round=1)
    directory = tmp_path / "root" / disk_store.run
    (directory / "hypothesis-log.md").write_text("old")
    verification = verify(directory)
    assert verification.outcome is Outcome.UNFINISHED
    assert any("older version" in finding.what for finding in verification.findings)
    note(disk_store, "run.closed", {})
    assert "hypothesis-log.md" in bad_places(verify(directory))


@pytest.mark.parametrize("name", ["evidence/forged.json", "prerequisites.json", "approvals/r-9.json", "log/extra.json", "objects/loose"])
def test_a_file_that_no_entry_publishes_is_named(finished_run: Path, name: str) -> None:
    """A planted artifact looks like evidence, so it counts."""
    (finished_run / name).parent.mkdir(exist_ok=True)
    (finished_run / name).write_text("{}")
    assert name in bad_places(verify(finished_run))


def test_other_files_are_only_noted(finished_run: Path) -> None:
    """A reader's own file beside the evidence changes nothing."""
    (finished_run / "my-comments.txt").write_text("looks good")
    verification = verify(finished_run)
    assert verification.outcome is Outcome.VERIFIED
    assert [finding.where for finding in verification.findings] == ["my-comments.txt"]


@pytest.mark.parametrize("name", ["log/00000002.json", "optimization-plan.json", "log", "objects/sha256"])
def test_a_symbolic_link_in_place_of_evidence_is_refused(finished_run: Path, tmp_path: Path, name: str) -> None:
    """Even one that leads to the very same bytes."""
    path, elsewhere = finished_run / name, tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert verify(finished_run).outcome is Outcome.TAMPERED


def test_a_pipe_in_place_of_evidence_does_not_hang(finished_run: Path) -> None:
    """A reader that opened it to read would wait for ever."""
    path = finished_run / "optimization-plan.json"
    path.unlink()
    os.mkfifo(path)
    assert "optimization-plan.json" in bad_places(verify(finished_run))


def test_orphans_are_noted_and_harmless(finished_run: Path) -> None:
    """A writer that died between object and entry."""
    data = b"never committed"
    (finished_run / "objects" / "sha256" / sha256_hex(data)).write_bytes(data)
    verification = verify(finished_run)
    assert verification.outcome is Outcome.VERIFIED
    assert verification.figures["orphans"] == 1


def test_a_manifest_that_says_something_else_than_the_log_is_named(
    memory_store: EvidenceStore, publish: Callable[..., Any], note: Callable[..., Any], now: Any
) -> None:
    """The published bytes are whole, but what they say was not derived from the log."""
    from perfproof.evidence.manifest import build_manifest

    publish(memory_store, "hypothesis-log.md", "x")
    document = build_manifest(memory_store, time=now)
    document["predicate"]["gates"] = [{"gate": 1, "outcome": "PASS"}]
    publish(memory_store, "performance-report-manifest.json", json.dumps(document))
    verification = verify_run(memory_store.backend, memory_store.run)
    assert (
        Finding("performance-report-manifest.json", "predicate.gates is not what the log says", Outcome.TAMPERED) in verification.findings
    )


def test_a_manifest_that_lags_behind_is_unfinished(memory_store: EvidenceStore, publish: Callable[..., Any], now: Any) -> None:
    """An artifact superseded after the manifest was built."""
    from perfproof.evidence.manifest import build_manifest

    publish(memory_store, "hypothesis-log.md", "x")
    publish(memory_store, "performance-report-manifest.json", json.dumps(build_manifest(memory_store, time=now)))
    publish(memory_store, "hypothesis-log.md", "y", round=1)
    verification = verify_run(memory_store.backend, memory_store.run)
    assert verification.outcome is Outcome.UNFINISHED
    assert any("does not cover the live version of hypothesis-log.md" in finding.what for finding in verification.findings)


def test_an_slo_update_that_traces_to_nothing_is_named(memory_store: EvidenceStore, publish: Callable[..., Any]) -> None:
    """Missing reference, a digest never published, and one since superseded are told apart."""
    record = "slo-update-record.json"

    def found(document: dict[str, Any], round_: int) -> list[tuple[str, Outcome]]:
        publish(memory_store, record, json.dumps(document), round=round_)
        findings = verify_run(memory_store.backend, memory_store.run).findings
        return [(f.what, f.outcome) for f in findings if f.where == record and "traces_to" in f.what]

    name = "optimization-validation-report.json"
    traces = {"traces_to": {"baseline": {"name": "baseline-metrics.json", "sha256": "0" * 64}}}
    first = publish(memory_store, name, json.dumps(traces))
    assert found({}, 0) == [(f"traces_to.validation does not name {name}", Outcome.TAMPERED)]
    forged = {"traces_to": {"validation": {"name": name, "sha256": "0" * 64}}}
    assert found(forged, 1) == [(f"traces_to.validation names content of {name} that was never published", Outcome.TAMPERED)]
    good = {"traces_to": {"validation": {"name": name, "sha256": first.sha256}}}
    assert found(good, 2) == []
    publish(memory_store, name, json.dumps({**traces, "second": True}), round=1)
    assert found({**good, "again": 1}, 3) == [(f"traces_to.validation names a version of {name} since superseded", Outcome.UNFINISHED)]


def test_inputs_and_judged_evidence_must_be_in_the_evidence(
    memory_store: EvidenceStore, publish: Callable[..., Any], note: Callable[..., Any]
) -> None:
    """A gate that judged, or a document that derives from, content that nobody can look at."""
    nowhere = Reference("baseline-metrics.json", "0" * 64, "memory:x")
    publish(memory_store, "hypothesis-log.md", "x", inputs=(nowhere,))
    note(memory_store, "gate.evaluated", {"gate": 1, "outcome": "PASS", "evidence": [{"name": "x", "sha256": "1" * 64}]})
    assert {"hypothesis-log.md", "log/00000002.json"} <= bad_places(verify_run(memory_store.backend, memory_store.run))


def test_a_waiver_shows_as_waived(memory_store: EvidenceStore, note: Callable[..., Any]) -> None:
    """A waived gate never reads as a pass."""
    note(memory_store, "waiver.granted", {"gate": 3})
    verification = verify_run(memory_store.backend, memory_store.run)
    assert Finding("log/00000001.json", "gate 3 is waived, not passed", Outcome.WAIVED) in verification.findings
    assert Outcome.WAIVED.exit_code == 4


def test_an_approval_below_the_demanded_assurance_is_named(finished_run: Path) -> None:
    """A1 evidence does not meet a demand for A2."""
    verification = verify(finished_run, minimum_assurance="A2")
    assert verification.outcome is Outcome.WAIVED
    assert [finding.what for finding in verification.findings] == ["assurance of the approval is below A2"]


def test_further_checks_add_their_findings(finished_run: Path) -> None:
    """Gate figures and signatures plug in here."""
    verification = verify(finished_run, checks=[lambda store: [Finding("gate-1-result.json", f"{len(store.entries())}", Outcome.TAMPERED)]])
    assert bad_places(verification) == {"gate-1-result.json"}


def test_a_directory_that_is_no_run_is_a_usage_error(tmp_path: Path) -> None:
    """Neither an empty nor a missing directory is called tampered with."""
    assert verify(tmp_path).outcome is Outcome.USAGE
    assert verify(tmp_path / "missing").outcome is Outcome.USAGE


def test_a_removed_log_is_tampering(finished_run: Path) -> None:
    """The artifacts alone prove nothing."""
    shutil.rmtree(finished_run / "log")
    assert verify(finished_run).outcome is Outcome.TAMPERED


def test_a_run_under_the_key_of_another_is_named(tmp_path: Path, now: Any, actor: Any) -> None:
    """The key is derived from the dag and run ids that the genesis holds."""
    store = EvidenceStore(LocalBackend(tmp_path), "other-0123456789abcdef")
    store.open_run(genesis={"dag_id": "a", "run_id": "b"}, time=now, actor=actor)
    assert "genesis" in bad_places(verify(tmp_path / store.run))


def test_reading_refuses_changed_content(finished_run: Path) -> None:
    """The store itself never hands out bytes with another digest."""
    run = json.loads((finished_run / "log" / "00000000.json").read_bytes())["run"]
    root = finished_run.parent
    finished_run.rename(root / run)
    store = EvidenceStore(LocalBackend(root), run)
    reference = store.reference("optimization-plan.json")
    assert reference is not None
    overwrite(root / run / "objects" / "sha256" / reference.sha256, b"{}")
    with pytest.raises(Tampered, match="EVI-606"):
        store.read(reference)
    (root / run / "objects" / "sha256" / reference.sha256).unlink()
    with pytest.raises(Tampered, match="EVI-605"):
        store.read("optimization-plan.json")


def test_an_entry_with_a_number_far_beyond_the_log_is_found_at_once(finished_run: Path) -> None:
    """A gap is one finding, not a hundred million."""
    (finished_run / "log" / "99999999.json").write_bytes((finished_run / "log" / "00000003.json").read_bytes())
    verification = verify(finished_run)
    last = len(list((finished_run / "log").iterdir())) - 1
    assert f"log/{last:08d}.json" in bad_places(verification) and "log/99999999.json" in bad_places(verification)
    assert len(verification.findings) < 10


@pytest.mark.parametrize("name", ["protocol-execution-log.jsonl", "SHA256SUMS"])
def test_a_view_of_the_log_that_is_missing_was_removed_if_the_run_was_closed(finished_run: Path, name: str) -> None:
    """It is written before the run is closed; while a run is open it may not be there yet."""
    (finished_run / name).unlink()
    assert bad_places(verify(finished_run)) == {name}


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("x"), ValueError("x"), AttributeError("x"), RecursionError(), ZeroDivisionError()]
)
def test_evidence_on_which_a_check_breaks_is_tampered(finished_run: Path, error: Exception) -> None:
    """A document of any shape costs the verifier neither its answer nor a traceback."""

    def broken(store: EvidenceStore) -> list[Finding]:
        raise error

    verification = verify(finished_run, checks=[broken])
    assert verification.outcome is Outcome.TAMPERED
    assert type(error).__name__ in verification.findings[-1].what


@pytest.mark.parametrize("value", [[], {}, None, 7, [["x"]]])
@pytest.mark.parametrize("type_", ["approval.granted", "approval.void", "gate.evaluated", "waiver.granted", "approval.requested"])
def test_entries_of_any_shape_are_read_without_a_traceback(
    memory_store: EvidenceStore, publish: Callable[..., Any], note: Callable[..., Any], type_: str, value: Any
) -> None:
    """Only publications have a shape that every reader of the log demands."""
    keys = ("request_id", "gate", "person", "evidence", "assurance", "act", "role", "step", "request", "result")
    publish(memory_store, "hypothesis-log.md", "x")
    note(memory_store, type_, dict.fromkeys(keys, value))
    assert verify_run(memory_store.backend, memory_store.run).outcome in (Outcome.UNFINISHED, Outcome.TAMPERED)
