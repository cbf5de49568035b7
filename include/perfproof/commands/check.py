"""`perfproof check FILE`: is this protocol file valid? Exit 0 yes, 2 no (one line says what is wrong and where)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perfproof.config import load_protocol
from perfproof.errors import ConfigError
from perfproof.input_file import read_input
from perfproof.strict_yaml import MAX_BYTES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The protocol file."""
    parser.add_argument("file", type=Path, help="a protocol file (YAML)")


def run(options: argparse.Namespace) -> int:
    """Loads and checks the file; prints its digest and what it is about."""
    data = read_input(options.file, limit=MAX_BYTES, error=ConfigError, number=180)
    protocol = load_protocol(data, where=str(options.file))
    services = ", ".join(f"{s.name} ({len(s.metrics)} metrics, {len(s.guards)} guards)" for s in protocol.services)
    sys.stdout.write(f"valid: protocol {protocol.name}, sha256 {protocol.digest}\nservices: {services}\n")
    return 0
