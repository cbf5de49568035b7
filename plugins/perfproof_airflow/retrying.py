"""When a task of ours is tried again: for what dies under it. An error of ours is a halt, and is not.

The tries have to outlast an api-server that is away for a minute, for without it no try can even begin: with a fixed short delay
they are used up before it is back, and the cycle fails although nothing is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

RETRIES = 5
RETRY_DELAY = timedelta(seconds=3)
# 3, 6, 12, 24 and 48 seconds at least, together a minute and a half; Airflow makes each up to twice as long.
RETRYING: Mapping[str, Any] = {
    "retries": RETRIES,
    "retry_delay": RETRY_DELAY,
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(seconds=60),
}
