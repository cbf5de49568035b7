"""`make tamper`: a closed, signed run is changed in every way that its directory allows, and `perfproof verify` has to say so.

Prints, for each class of tampering and for what the auditor brings along, how many cases were injected and how they came out. Exit
code 0 only if with a trust root and one anchor no case reads as verified, and every untouched copy does.

    tamper.py [--run DIR --trust FILE] [--positions N] [--sample N] [--seed N]
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import complete_cycle
import tamper_cases
from complete_cycle import KEY, OTHER_KEY, Plan, trust_document, write_cycle
from tamper_cases import Case, Files, Forgeries

from perfproof.commands.verify import Trusted, verify_directory
from perfproof.evidence import MemoryBackend
from perfproof.evidence.trust import TrustRoot, read_trust_root
from perfproof.evidence.verdict import Outcome
from perfproof.evidence.verify import verify, verify_run

SETTINGS = ("nothing", "anchor", "trust root", "trust root, anchor")
DEMANDED = SETTINGS[-1]


@dataclass
class Tally:
    """How the cases of one class came out for one auditor."""

    tampered: int = 0
    unfinished: int = 0
    missed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Auditor:
    """What is compared with: the run as it was, its anchor and its trust root."""

    run: str
    files: Files
    anchor: tuple[int, str]
    trust: TrustRoot | None
    scratch: Path

    def outcomes(self, case: Case) -> dict[str, Outcome]:
        """What the case reads as, for each of SETTINGS.

        Findings are only ever added by a trust root, an anchor and the checks of gates and approvals, and the worst one counts:
        what is tampered without them is so with them, and is not looked at again.
        """
        files = case.make()
        bare = self.look(files, anchored=False, trusted=False)
        if bare is Outcome.TAMPERED:
            return dict.fromkeys(SETTINGS, bare)
        directory = self.on_disk(files)
        checks = verify_directory(directory, trusted=Trusted()).outcome
        shutil.rmtree(directory)
        order = list(Outcome)
        found = {}
        for setting in SETTINGS:
            anchored, trusted = "anchor" in setting, "trust" in setting
            found[setting] = max(checks, self.look(files, anchored=anchored, trusted=trusted), key=order.index)
        return found

    def look(self, files: Mapping[str, bytes], *, anchored: bool, trusted: bool) -> Outcome:
        """The outcome without the checks of gates and approvals."""
        backend = MemoryBackend()
        backend.data = {f"{self.run}/{name}": data for name, data in files.items()}
        anchors = [self.anchor] if anchored else []
        return verify_run(backend, self.run, anchors=anchors, trust=self.trust if trusted else None).outcome

    def on_disk(self, files: Mapping[str, bytes]) -> Path:
        """A directory with these files."""
        directory = Path(tempfile.mkdtemp(dir=self.scratch))
        for name, data in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return directory


def files_of(directory: Path) -> Files:
    """Every file below a directory by its name."""
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def forgeries() -> Forgeries:
    """Cycles that somebody without the key could write, with better figures, and others of this installation."""
    faster = 180.0
    return Forgeries(
        unsigned=imagined(Plan(after=faster, key=None)),
        other_key=imagined(Plan(after=faster, key=OTHER_KEY)),
        stolen_key=imagined(Plan(after=faster)),
        other_run=imagined(Plan(run_id="manual__2")),
        older=imagined(Plan(upto=3)),
    )


def imagined(plan: Plan) -> Files:
    """The files of a cycle that was never on a disk."""
    backend = MemoryBackend()
    run = complete_cycle.write_into(backend, plan).store.run
    return {key.removeprefix(f"{run}/"): data for key, data in backend.data.items()}


def cases_of(files: Files, forged: Forgeries | None, *, seed: int, positions: int) -> Iterator[Case]:
    """Every case on the files of a run; forged cycles only where there are some."""
    yield from tamper_cases.mechanical(files, seed=seed, positions=positions)
    for generator in tamper_cases.GENERATORS:
        yield from generator(files)
    if forged is not None:
        yield from tamper_cases.rewrites(files, forged, OTHER_KEY)
        yield from tamper_cases.replays(files, forged)


def sampled(cases: Iterable[Case], *, sample: int | None, seed: int) -> list[Case]:
    """The cases, or `sample` of each class."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.kind, []).append(case)
    chance = random.Random(seed)
    if sample is not None:
        kinds = {kind: chance.sample(group, min(sample, len(group))) for kind, group in kinds.items()}
    return [case for group in kinds.values() for case in group]


def symlinks(auditor: Auditor, *, sample: int | None, seed: int) -> Iterator[tuple[str, dict[str, Outcome]]]:
    """Every file and folder replaced by a link to the very same bytes, on a disk."""
    directory = auditor.on_disk(auditor.files)
    places = [*auditor.files, *sorted({name.rpartition("/")[0] for name in auditor.files} - {""})]
    if sample is not None:
        places = random.Random(seed).sample(places, min(sample, len(places)))
    for place in places:
        path, elsewhere = directory / place, auditor.scratch / "elsewhere"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        yield place, dict.fromkeys(SETTINGS, verify(directory).outcome)
        path.unlink()
        elsewhere.rename(path)
    shutil.rmtree(directory)


def suite(
    directory: Path, *, trust: TrustRoot | None, forged: Forgeries | None, scratch: Path, options: argparse.Namespace
) -> tuple[dict[str, dict[str, Tally]], bool]:
    """How every class came out, and whether that is what it must be."""
    whole = verify_directory(directory, trusted=Trusted(root=trust))
    if whole.outcome is not Outcome.VERIFIED:
        raise SystemExit(f"the untouched run is {whole.outcome}: {whole.findings[:3]}")
    # Orphans and readers' notes are no evidence: nothing depends on them.
    noted = {finding.where for finding in whole.findings}
    files = {name: data for name, data in files_of(directory).items() if name not in noted}
    entries = tamper_cases.entries_of(files)
    anchor = (len(entries), entries[-1].sha256)
    auditor = Auditor(entries[0].run, files, anchor, trust, scratch)
    table: dict[str, dict[str, Tally]] = {}

    def count(kind: str, what: str, outcomes: Mapping[str, Outcome]) -> None:
        row = table.setdefault(kind, {setting: Tally() for setting in SETTINGS})
        for setting, outcome in outcomes.items():
            if outcome is Outcome.TAMPERED:
                row[setting].tampered += 1
            elif outcome is Outcome.UNFINISHED:
                row[setting].unfinished += 1
            else:
                row[setting].missed.append(what)

    for case in sampled(
        cases_of(auditor.files, forged, seed=options.seed, positions=options.positions), sample=options.sample, seed=options.seed
    ):
        count(case.kind, case.what, auditor.outcomes(case))
    for place, outcomes in symlinks(auditor, sample=options.sample, seed=options.seed):
        count("symbolic link", place, outcomes)
    untouched = [verify_directory(auditor.on_disk(auditor.files), trusted=Trusted(root=trust), anchors=[anchor]).outcome for _ in range(3)]
    good = all(outcome is Outcome.VERIFIED for outcome in untouched) and not any(row[DEMANDED].missed for row in table.values())
    return table, good


def report(table: Mapping[str, Mapping[str, Tally]]) -> str:
    """The table: tampered + unfinished / missed of all that were injected, for each auditor."""
    width = max(map(len, table)) + 2
    lines = [f"{'':{width}}{'injected':>9}  " + "".join(f"{setting:>24}" for setting in SETTINGS)]
    lines.append(f"{'':{width}}{'':9}  " + f"{'tampered unfin. missed':>24}" * len(SETTINGS))
    totals = {setting: [0, 0, 0] for setting in SETTINGS}
    for kind, row in table.items():
        cells = {s: (t.tampered, t.unfinished, len(t.missed)) for s, t in row.items()}
        for setting, figures in cells.items():
            totals[setting] = [a + b for a, b in zip(totals[setting], figures, strict=True)]
        lines.append(f"{kind:{width}}{sum(cells[DEMANDED]):9}  " + "".join(f"{a:>10}{b:>7}{c:>7}" for a, b, c in cells.values()))
    lines.append(f"{'total':{width}}{sum(totals[DEMANDED]):9}  " + "".join(f"{a:>10}{b:>7}{c:>7}" for a, b, c in totals.values()))
    for kind, row in table.items():
        lines += [f"missed with {DEMANDED}: {kind}: {what}" for what in row[DEMANDED].missed]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs the suite and prints its table."""
    parser = argparse.ArgumentParser(prog="tamper", description="Change a closed run in every way, and count what verify says.")
    parser.add_argument("--run", type=Path, help="directory of a closed run; without it one is written")
    parser.add_argument("--trust", type=Path, help="its trust root")
    parser.add_argument("--positions", type=int, default=3, help="bits that are flipped in each file")
    parser.add_argument("--sample", type=int, help="so many cases of each class instead of all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tamper-") as temporary:
        scratch = Path(temporary)
        if options.run is None:
            directory, forged = write_cycle(scratch / "run"), forgeries()
            trust = read_trust_root(trust_document(KEY), where="trust root of the suite")
        else:
            directory, forged = options.run.resolve(), None
            trust = None if options.trust is None else read_trust_root(options.trust.read_bytes(), where=str(options.trust))
        table, good = suite(directory, trust=trust, forged=forged, scratch=scratch, options=options)
    verdict = "as demanded" if good else "NOT as demanded"
    sys.stdout.write(f"{report(table)}\nseed {options.seed}, {time.monotonic() - began:.0f} s: {verdict}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
