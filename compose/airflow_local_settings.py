"""Settings that Airflow imports at the start of each of its processes."""

from __future__ import annotations

import sys

# Before the workers fork: a gate's task would import it for seconds each time.
if "worker" in sys.argv:
    import great_expectations  # noqa: F401
