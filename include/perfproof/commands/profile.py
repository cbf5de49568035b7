"""`perfproof profile FILE …`: where does the time or the memory go, and with --before, what did a change move?

Exit codes: 0 read, or the functions of --named shrank; 1 a function of --named did not shrink; 2 usage or unreadable input;
4 the profiles do not decide whether they shrank.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from perfproof.commands.changes import write_picture
from perfproof.errors import ParameterError, ProfileError, quoted
from perfproof.input_file import read_input
from perfproof.profile_comparison import ProfileComparison, ProfileVerdict, compare_profiles
from perfproof.profile_formats.content import MAX_BYTES, Imported, read_profile
from perfproof.profiles import HotFunction, Profile, hot_functions, merge, normalise
from perfproof.share_changes import Change, ShareChange

EXIT = {None: 0, ProfileVerdict.CONSISTENT: 0, ProfileVerdict.NOT_CONSISTENT: 1, ProfileVerdict.UNDECIDED: 4}
SHOWN = 20
MAX_FILES = 100


@dataclass(frozen=True, slots=True)
class _Side:
    files: list[str]
    imported: list[Imported]
    profiles: list[Profile]

    @property
    def whole(self) -> Profile:
        return merge(self.profiles, where=", ".join(self.files))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The profiles, what is asked of them, and how the answer is written."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="collapsed stacks, speedscope, pprof or Pyroscope; several are profiles of the same build"
    )
    parser.add_argument("--before", action="append", default=[], metavar="FILE", help="profile before the change; may be repeated")
    parser.add_argument("--named", action="append", default=[], metavar="FUNCTION", help="was to get cheaper; may be repeated")
    parser.add_argument("--value", metavar="NAME", help="which value of pprof files, such as inuse_space or alloc_space")
    parser.add_argument("--svg", type=Path, metavar="FILE.svg", help="draw the flame graph; with --before what changed")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(options: argparse.Namespace) -> int:
    """Reads, compares, prints."""
    if options.named and not options.before:
        raise ParameterError(341, where="--named", what="nothing to compare with", fix="name the profile before the change with --before")
    after = _side(options.files, options.value)
    if not options.before:
        return _one(after, options)
    before = _side(options.before, options.value)
    compared = compare_profiles(before.profiles, after.profiles, named=options.named)
    if options.svg:
        from perfproof.differential_flame_graph import differential_flame_graph

        drawn = differential_flame_graph(before.whole, after.whole, title=f"{before.files[0]} to {after.files[0]}")
        write_picture(options.svg, drawn.encode())
    if options.json:
        sys.stdout.write(json.dumps(_comparison_document(before, after, compared), indent=2, allow_nan=False) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _comparison_lines(before, after, compared)))
    return EXIT[compared.verdict]


def _side(files: Sequence[str], value: str | None) -> _Side:
    if len(files) > MAX_FILES:
        raise ParameterError(341, where="FILE", what="too many files", got=len(files), expected=f"at most {MAX_FILES}", fix="give fewer")
    read = [read_profile(read_input(Path(f), limit=MAX_BYTES, error=ProfileError, number=208), where=quoted(f), value=value) for f in files]
    return _Side([quoted(f) for f in files], read, [normalise(one.profile) for one in read])


def _one(side: _Side, options: argparse.Namespace) -> int:
    whole = side.whole
    if options.svg:
        from perfproof.flame_graph import flame_graph

        write_picture(options.svg, flame_graph(whole, title=", ".join(side.files)).encode())
    hot = hot_functions(whole, limit=SHOWN)
    if options.json:
        sys.stdout.write(json.dumps(_side_document(side, whole) | {"hot_functions": [asdict(h) for h in hot]}, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in [*_taken(side, whole), *_hot_lines(hot)]))
    return 0


def _side_document(side: _Side, whole: Profile) -> dict[str, Any]:
    return {
        "files": side.files,
        "formats": [one.form.value for one in side.imported],
        "value": side.imported[0].value,
        "weight": whole.weight.value,
        "total": whole.total,
        "samples": whole.samples or None,
        "waiting": whole.waiting,
        "unread": whole.unread,
    }


def _comparison_document(before: _Side, after: _Side, compared: ProfileComparison) -> dict[str, Any]:
    own = [asdict(c) | dict(zip(("total_before", "total_after"), compared.totals[c.function], strict=True)) for c in compared.own]
    return {
        "before": _side_document(before, before.whole),
        "after": _side_document(after, after.whole),
        "functions": own,
        "named": [asdict(c) for c in compared.named],
        "grew": [asdict(c) for c in compared.grew],
        "verdict": compared.verdict,
        "reason": compared.reason,
    }


def _taken(side: _Side, whole: Profile) -> list[str]:
    forms = ", ".join(dict.fromkeys(one.form.value for one in side.imported))
    values = dict.fromkeys(one.value for one in side.imported if one.value)
    told = f" (value {', '.join(map(quoted, values))} of {', '.join(map(quoted, side.imported[0].values))})" if values else ""
    counted = "" if whole.weight == "samples" else f" from {whole.samples} samples" if whole.samples else ", number of samples not known"
    beside = "".join(f", {count} {what}" for count, what in ((whole.waiting, "waiting left out"), (whole.unread, "unread")) if count)
    return [f"{', '.join(side.files)}: {forms}{told}, {whole.amount}{counted}{beside}"]


def _hot_lines(hot: Sequence[HotFunction]) -> list[str]:
    if not hot:
        return ["no function was seen"]
    return [" own %  total %  function", *(f"{100 * h.own:6.1f} {100 * h.total:8.1f}  {h.function}" for h in hot)]


def _comparison_lines(before: _Side, after: _Side, compared: ProfileComparison) -> list[str]:
    lines = [*_taken(before, before.whole), *_taken(after, after.whole), "before   after  own %"]
    changed = [c for c in compared.own if c.change is not Change.UNCHANGED and c.before != c.after][:SHOWN]
    lines += [f"{100 * c.before:6.1f} {100 * c.after:7.1f}  {c.change.value} {c.function}{_interval(c)}" for c in changed]
    if not changed:
        lines.append("no function's own share changed, as far as these samples can tell")
    if compared.verdict is None:
        return lines
    grew = ", ".join(f"{c.function} ({_points(c.before)} -> {_points(c.after)})" for c in compared.grew[:SHOWN])
    lines.append(f"grew, of what lies outside of the named functions: {grew or 'nothing that these samples can tell'}")
    return [*lines, f"{compared.verdict.value} with the change: {compared.reason}"]


def _points(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(change: ShareChange) -> str:
    if change.low is None or change.high is None:
        return ""
    p = "" if change.p is None else f", p {change.p:.2g}"
    return f" ({100 * change.low:+.1f} to {100 * change.high:+.1f} points{p})"
