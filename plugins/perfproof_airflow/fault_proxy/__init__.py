"""A TCP proxy between a service and a dependency, which makes the dependency slow, unreachable or narrow for some seconds.

`python -m perfproof_airflow.fault_proxy --listen PORT --control PORT --target HOST:PORT`, on the machine of the service. It listens on
127.0.0.1 only. `hooks/fault.py` asks its control port; a fault ends by itself, whoever asked for it.
"""

from __future__ import annotations

CONTROL_PATH = "/fault"
# A page in a browser cannot send it to another origin without being asked first, and is then refused.
CONTROL_HEADER = "X-Perfproof-Fault"
MAX_SECONDS = 3600.0
