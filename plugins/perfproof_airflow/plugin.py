"""What perfproof adds to the api-server: pages, who is calling, and the act of who marked a task."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from perfproof_airflow.api import act_listener
from perfproof_airflow.api.caller import CallerMiddleware
from perfproof_airflow.web import PREFIX, LazyApp


class PerfproofPlugin(AirflowPlugin):
    """Registered once, by the entry point `airflow.plugins`."""

    name = "perfproof"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": PREFIX, "name": "perfproof"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {"name": "Perfproof", "href": f"{PREFIX}/", "destination": "nav", "url_route": "perfproof", "nav_top_level": True},
        {"name": "Proof", "href": f"{PREFIX}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}", "destination": "dag_run", "url_route": "proof"},
        {
            "name": "Approval",
            "href": f"{PREFIX}/task?dag_id={{DAG_ID}}&run_id={{RUN_ID}}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}",
            "destination": "task_instance",
            "url_route": "approval",
        },
    ]
    fastapi_root_middlewares = [{"middleware": CallerMiddleware, "args": [], "kwargs": {}, "name": "perfproof caller"}]  # noqa: RUF012
    listeners = [act_listener]  # noqa: RUF012  Airflow reads these lists from the class
