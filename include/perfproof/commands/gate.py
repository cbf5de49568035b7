"""`perfproof gate NAME DIR`: recompute a gate from the artifacts of a cycle. Exit 0 pass, 1 fail, 2 indeterminate or nothing to judge."""

from __future__ import annotations

import argparse

from perfproof.gates import from_directory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The gate by its name, then the directory."""
    parser.add_argument("gate", choices=sorted(from_directory.NAMES), help="which gate")
    from_directory.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Recomputes, prints table and text."""
    return from_directory.run(from_directory.NAMES[options.gate], options)
