"""Gate 3, Optimization Validation, from the directory of a run: exit 0 pass, 1 fail, 2 indeterminate, 3 usage."""

from __future__ import annotations

import sys

from perfproof.gates.from_directory import main

if __name__ == "__main__":
    sys.exit(main(3))
