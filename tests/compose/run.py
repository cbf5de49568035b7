"""Runs docker-compose.yaml for real: `python tests/compose/run.py [--prepare] [--keep] [DIRECTORY]`, .compose by default.

Builds the images, starts the stack with two workers and two triggerers, captures a baseline, runs a cycle in whose middle a worker and
a triggerer are killed, verifies its evidence from the bucket, and takes everything down. Exit code 0 if all of it held, 1 if something
did not, 2 with one line if this machine cannot run it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from compose.trial import main

if __name__ == "__main__":
    sys.exit(main(__doc__))
