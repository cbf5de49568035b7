"""What Airflow's provider manager is told: the package's name and the options of its configuration section."""

from __future__ import annotations

from typing import Any

# The version in which an option appeared: history, not the version of this package.
ADDED = "0.1.0"


def _option(description: str, *, default: str, example: str | None = None) -> dict[str, Any]:
    return {"description": description, "version_added": ADDED, "type": "string", "example": example, "default": default}


def get_provider_info() -> dict[str, Any]:
    """The provider info of perfproof. `package-name` must equal the name of the distribution."""
    return {
        "package-name": "perfproof",
        "name": "perfproof",
        "description": "Protocol 18, Performance Optimization & Tuning: no performance change reaches production without proof.",
        "config": {
            "perfproof": {
                "description": "Where perfproof finds its protocols and keeps its evidence.",
                "options": {
                    "workspace": _option(
                        "Directory that the relative paths of protocol files start from. Empty: the current directory.",
                        default="",
                        example="/opt/airflow",
                    ),
                    "default_protocol": _option(
                        "Name of the protocol file that scheduled captures take and the trigger forms offer.", default="demo"
                    ),
                    "capture_pool": _option(
                        "Airflow pool that bounds how many services are captured at once; it must exist.", default="default_pool"
                    ),
                    "protocols_dir": _option("Directory of the protocol files, relative to the workspace.", default="include/protocols"),
                    "evidence_uri": _option(
                        "Where evidence is kept: a directory on a local disk, relative to the workspace, or s3://bucket/prefix.",
                        default=".artifacts/performance",
                        example="s3://evidence/performance",
                    ),
                    "evidence_connection": _option("Connection of type aws for evidence in a bucket.", default="perfproof_s3"),
                    "evidence_object_lock": _option(
                        "Mode and days of S3 Object Lock for created evidence. Empty: the bucket's own rule.",
                        default="",
                        example="COMPLIANCE 365",
                    ),
                    "history_dir": _option(
                        "Where recurring captures are kept, relative to the workspace.", default=".artifacts/performance/history"
                    ),
                    "api_connection": _option(
                        "Connection to this Airflow's own REST API (host, login, password). With it a failed gate's retry clears "
                        "the tasks itself; without it, it says what to clear.",
                        default="perfproof_api",
                    ),
                    "notifiers": _option(
                        "Callables that receive every announcement, separated by commas.", default="", example="my_package.chat:post"
                    ),
                },
            }
        },
    }
