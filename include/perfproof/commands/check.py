"""`perfproof check FILE`: is this protocol file valid? Exit 0 yes, 2 no (one line says what is wrong and where)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perfproof.config import load_protocol
from perfproof.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The protocol file."""
    parser.add_argument("file", type=Path, help="a protocol file (YAML)")


def run(options: argparse.Namespace) -> int:
    """Loads and checks the file; prints its digest and what it is about."""
    try:
        data = options.file.read_bytes()
    except OSError as error:
        raise ConfigError(180, where=str(options.file), what="cannot be read", got=error.strerror, fix="name an existing file") from None
    protocol = load_protocol(data, where=str(options.file))
    services = ", ".join(f"{s.name} ({len(s.metrics)} metrics, {len(s.guards)} guards)" for s in protocol.services)
    sys.stdout.write(f"valid: protocol {protocol.name}, sha256 {protocol.digest}\nservices: {services}\n")
    return 0
