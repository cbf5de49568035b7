"""Airflow finds the package: its options, its plugin, its approvals DAG."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import airflow
import jsonschema

from perfproof_airflow import settings
from perfproof_airflow.plugin import PerfproofPlugin
from perfproof_airflow.provider import get_provider_info

REPOSITORY = Path(__file__).parents[3]


def test_the_provider_info_is_what_airflow_accepts() -> None:
    """Airflow drops a provider whose info does not fit its schema, or whose name is not its distribution's."""
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    info = get_provider_info()
    jsonschema.validate(info, schema)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert info["package-name"] == project["name"]


def test_the_entry_points_lead_to_provider_and_plugin() -> None:
    """Once each: a plugin that is registered twice is an import error in Airflow."""
    (provider,) = [e for e in entry_points(group="apache_airflow_provider") if e.value.startswith("perfproof_airflow.")]
    (plugin,) = [e for e in entry_points(group="airflow.plugins") if e.value.startswith("perfproof_airflow.")]
    assert provider.load() is get_provider_info
    assert plugin.load() is PerfproofPlugin


def test_the_options_are_those_that_the_code_reads() -> None:
    """Defaults are written once for people and once for code, and agree."""
    options = get_provider_info()["config"]["perfproof"]["options"]
    assert set(options) >= {"workspace", "protocols_dir", "evidence_uri", "notifiers", "api_connection"}
    source = Path(settings.__file__).read_text()
    for name in ("protocols_dir", "evidence_uri"):
        assert f'"{name}", "{options[name]["default"]}"' in source


def test_airflow_scans_no_file_of_the_package_as_a_loose_plugin() -> None:
    """Its loader would import each under its bare name, over modules of the same name."""
    assert (REPOSITORY / "plugins" / ".airflowignore").read_text() == "perfproof_airflow/\n"
