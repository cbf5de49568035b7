"""Settings that Airflow imports at the start of each of its processes."""

from __future__ import annotations

import sys

# Before the workers fork: each task would import it for seconds.
if "worker" in sys.argv:
    import perfproof_airflow.preload  # noqa: F401
