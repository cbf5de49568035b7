"""A DAG of the tests: which perfproof the task's process imports."""

from __future__ import annotations

from airflow.sdk import dag, task


@dag(schedule=None, catchup=False, is_paused_upon_creation=False)
def version_of_tasks() -> None:
    @task
    def imported() -> str:
        import perfproof

        return f"{perfproof.__version__} {perfproof.__file__}"

    imported()


version_of_tasks()
