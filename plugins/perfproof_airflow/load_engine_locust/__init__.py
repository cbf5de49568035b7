"""User journeys with Locust, under the same safety as the open-loop engine.

`python -m perfproof_airflow.load_engine_locust DIRECTORY/plan.json` is the conductor: it asks the target for its consent, starts the
processes of Locust, takes their rows, and ends them. `hooks/load.py` starts and supervises it like the other engine.

Importing locust patches sockets and threads of its process, so only `process.py` does it. That module and those that it uses
(`addresses`, `watch`, `traffic`) need nothing but locust and the standard library: `PERFPROOF_LOCUST_PYTHON` may name a Python that has
only these.
"""

from __future__ import annotations

LOCUST_PYTHON = "PERFPROOF_LOCUST_PYTHON"
LOCUSTFILE = "journeys.py"
# What the conductor changes as long as it lives and reacts; the processes of Locust watch it.
CONDUCTOR_LEASE = "conductor-lease"
EXIT_WITHOUT_LOCUST = 7
EXIT_BAD_FILE = 8
EXIT_LEASE_LOST = 9
