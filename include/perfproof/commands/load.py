"""`perfproof load FILE [AFTER]`: what a load tool's result file shows, or whether the second one is worse (with --threshold: better).

Exit codes: with one file 0. With two as `perfproof judge`: 0 no regression, or the improvement is there; 1 a regression, or the
improvement is not there; 4 inconclusive, which summaries always are. 2 usage or unreadable input.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import stat
import sys
from pathlib import Path

from perfproof.commands.junit import Case, Outcome, junit
from perfproof.config import Mode
from perfproof.errors import ArtifactError, LoadError, ParameterError
from perfproof.load_files import LoadFile, read_load_file
from perfproof.load_files.comparison import METRICS, Answer, LoadComparison, Question, compare_files
from perfproof.load_files.documents import comparison_document, file_document, limits_of
from perfproof.load_files.figures import after_warmup, figures_by_name, figures_of, span_of
from perfproof.load_files.text import comparison_text, file_text
from perfproof.load_files.time_blocks import Block, blocks_of

CODES = {Answer.PASS: 0, Answer.FAIL: 1, Answer.INCONCLUSIVE: 4}
OUTCOMES = {Answer.PASS: Outcome.PASS, Answer.FAIL: Outcome.FAILURE, Answer.INCONCLUSIVE: Outcome.ERROR}
ONE_AFTER_THE_OTHER = "the sides were not measured in turns: a drift of the machine or the network between them is in the difference"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One or two files, the question about two, and how the answer is written."""
    parser.add_argument("file", type=Path, help="a result of k6, JMeter, Gatling, Locust, vegeta or hey; known by its content")
    parser.add_argument("after", type=Path, nargs="?", help="the same of the other side, to be compared with")
    parser.add_argument("--metric", choices=METRICS, default="p95", help="what is compared (default p95), beside the error rate")
    parser.add_argument("--name", metavar="ROUTE", help="only the requests of this name")
    parser.add_argument("--block-seconds", type=float, default=60.0, help="length of a block, the unit that is compared (default 60)")
    parser.add_argument("--skip-seconds", type=float, default=0.0, help="warm-up at the beginning that is left out (default 0)")
    parser.add_argument("--threshold", type=float, metavar="PERCENT", help="ask for an improvement of so much instead of for no regression")
    parser.add_argument("--margin", type=float, default=5.0, metavar="PERCENT", help="how much worse is tolerated (default 5)")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the interval (default 0.95)")
    parser.add_argument(
        "--mode", choices=tuple(mode.value for mode in Mode), default=Mode.PROVED.value, help="what decides (default proved)"
    )
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="print everything as JSON")
    written.add_argument("--junit", action="store_true", help="print JUnit XML")


def run(options: argparse.Namespace) -> int:
    """Reads, sums up or judges, prints."""
    _check(options)
    before = _read(options.file)
    if options.after is None:
        return _show(before, options)
    return _compare(before, _read(options.after), options)


def _show(file: LoadFile, options: argparse.Namespace) -> int:
    requests, limits = file.requests, limits_of(file, skip_seconds=options.skip_seconds)
    if requests is None:
        if options.name is not None or options.skip_seconds:
            fix = "give a file with one row per request"
            raise ParameterError(345, where=str(options.file), what="a summary: nothing can be taken out of it", fix=fix)
        document = file_document(file, figures=None, by_name=(), blocks=(), block_seconds=options.block_seconds, skip_seconds=0.0)
        text = file_text(file, figures=None, by_name=(), blocks="", limits=limits)
    else:
        if options.name is not None and options.name not in requests.names:
            known = ", ".join(sorted(requests.names)[:20])
            raise ParameterError(
                344, where=str(options.file), what="no request of that name", got=options.name, expected=known, fix="choose one"
            )
        measured = after_warmup(requests, skip_seconds=options.skip_seconds)
        if not len(measured):
            raise LoadError(431, where=str(options.file), what="all of it is warm-up", got=options.skip_seconds, fix="skip fewer seconds")
        seconds = span_of(measured)
        measured = measured if options.name is None else measured.named(options.name)
        if not len(measured):
            raise LoadError(431, where=str(options.file), what="no request of that name after the warm-up", fix="skip fewer seconds")
        figures, by_name = figures_of(measured, seconds=seconds, name=options.name or "all"), figures_by_name(measured, seconds=seconds)
        blocks, words = _blocks(file, options)
        document = file_document(
            file, figures=figures, by_name=by_name, blocks=blocks, block_seconds=options.block_seconds, skip_seconds=options.skip_seconds
        )
        text = file_text(file, figures=figures, by_name=by_name, blocks=words, limits=limits)
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n" if options.json else text)
    return 0


def _blocks(file: LoadFile, options: argparse.Namespace) -> tuple[list[Block], str]:
    if file.requests is None:
        return [], ""
    try:
        blocks = blocks_of(file.requests, seconds=options.block_seconds, skip_seconds=options.skip_seconds, name=options.name)
    except LoadError as error:
        # A short test has figures all the same; only a comparison needs blocks.
        return [], f"blocks of {options.block_seconds:g} s: none, {error.what}"
    return blocks, f"blocks of {options.block_seconds:g} s: {len(blocks)}"


def _compare(before: LoadFile, after: LoadFile, options: argparse.Namespace) -> int:
    question = Question(
        metric=options.metric, threshold=options.threshold, margin=options.margin, confidence=options.confidence,
        mode=Mode(options.mode), block_seconds=options.block_seconds, skip_seconds=options.skip_seconds, name=options.name,
    )  # fmt: skip
    comparison = compare_files(before, after, question, names=(str(options.file), str(options.after)))
    both = (*limits_of(before, skip_seconds=options.skip_seconds), *limits_of(after, skip_seconds=options.skip_seconds))
    limits = list(dict.fromkeys((ONE_AFTER_THE_OTHER, *both)))
    if options.json:
        document = comparison_document(comparison, before=before, after=after, limits=limits, block_seconds=options.block_seconds)
        sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    elif options.junit:
        sys.stdout.write(junit("perfproof load", _cases(comparison, options)))
    else:
        left_out = [f"{path}: {what}" for path, file in ((options.file, before), (options.after, after)) for what in file.left_out]
        sys.stdout.write(comparison_text(comparison, limits=limits, left_out=left_out))
    return CODES[comparison.answer]


def _cases(comparison: LoadComparison, options: argparse.Namespace) -> list[Case]:
    """One case, so that it shows what the exit code says; its text has all verdicts."""
    texts = [*comparison.reasons, *(f"{v.metric}: {v.label.value}: {v.reason}" for v in comparison.verdicts)]
    name = options.metric if options.name is None else f"{options.metric} of {options.name}"
    return [Case(name, OUTCOMES[comparison.answer], "\n".join(texts))]


def _check(options: argparse.Namespace) -> None:
    checks = {
        "--threshold": options.threshold is None or 0 < options.threshold < math.inf,
        "--margin": 0 <= options.margin < math.inf,
        "--confidence": 0.5 <= options.confidence <= 0.999,
        "--block-seconds": 0.001 <= options.block_seconds <= 86400,
        "--skip-seconds": 0 <= options.skip_seconds <= 86400 * 31,
    }
    for name, given in (("--junit", options.junit), ("--threshold", options.threshold is not None)):
        if given and options.after is None:
            raise ParameterError(346, where=name, what="there is nothing to compare with", fix="name the file of the other side too")
    for name, holds in checks.items():
        if not holds:
            value = getattr(options, name[2:].replace("-", "_"))
            raise ParameterError(331, where=name, what="out of range", got=value, fix="see perfproof load --help")


def _read(path: Path) -> LoadFile:
    """The file, read as a stream: such files are larger than the memory. A pipe or a device could block or never end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ArtifactError(469, where=str(path), what="cannot be read", got="no regular file", fix="name an existing file")
            return read_load_file(file, where=str(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ArtifactError(469, where=str(path), what="cannot be read", got=reason, fix="name an existing file") from None
