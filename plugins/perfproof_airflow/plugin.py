"""What perfproof adds to the api-server: who is calling, and the act of who marked a task."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from perfproof_airflow.api import act_listener
from perfproof_airflow.api.caller import CallerMiddleware


class PerfproofPlugin(AirflowPlugin):
    """Registered once, by the entry point `airflow.plugins`."""

    name = "perfproof"
    fastapi_root_middlewares = [{"middleware": CallerMiddleware, "args": [], "kwargs": {}, "name": "perfproof caller"}]  # noqa: RUF012
    listeners = [act_listener]  # noqa: RUF012  Airflow reads these lists from the class
