"""kubernetes/values.yaml checked without a cluster and without the chart: its keys, its secrets, its agreement with docker-compose.yaml."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.strict_yaml import read_yaml
from perfproof_airflow.provider import get_provider_info

ROOT = Path(__file__).parents[3]
FILE = ROOT / "kubernetes" / "values.yaml"
VALUES = read_yaml(FILE.read_bytes(), where="values.yaml")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["x-airflow-environment"]
COMPONENTS = ("scheduler", "dagProcessor", "triggerer", "apiServer", "workers")
# The keys of the chart (1.19) that may stand here, with those below them. Helm ignores a misspelt key without a word.
COMPONENT = {"resources", "livenessProbe", "startupProbe", "logGroomerSidecar", "persistence", "replicas", "enabled"}
CHART: dict[str, set[str] | None] = {
    "defaultAirflowRepository": None,
    "defaultAirflowTag": None,
    "airflowVersion": None,
    "executor": None,
    "uid": None,
    "gid": None,
    "securityContexts": {"pod", "containers"},
    "airflowLocalSettings": None,
    "env": None,
    "volumes": None,
    "volumeMounts": None,
    "data": {"metadataSecretName"},
    "fernetKeySecretName": None,
    "apiSecretKeySecretName": None,
    "jwtSecretName": None,
    "enableBuiltInSecretEnvVars": None,
    "config": None,
    "workers": {"resources", "terminationGracePeriodSeconds", "safeToEvict", "serviceAccount", "persistence"},
    "scheduler": COMPONENT - {"persistence", "enabled"},
    "dagProcessor": COMPONENT - {"persistence", "startupProbe"},
    "triggerer": COMPONENT - {"startupProbe"},
    "apiServer": COMPONENT - {"persistence", "logGroomerSidecar", "livenessProbe"},
    "postgresql": {"enabled"},
    "redis": {"enabled"},
    "createUserJob": {"enabled"},
    "webserver": {"defaultUser"},
    "statsd": {"enabled"},
    "cleanup": {"enabled"},
}
# What compose sets and this file sets otherwise or not at all, with the reason.
OTHERWISE = {
    "core.executor": "the chart sets it from `executor`",
    "core.execution_api_server_url": "the name of the chart's service",
    "core.fernet_key": "from a Secret",
    "core.simple_auth_manager_users": "accounts belong to the auth manager of the team",
    "core.simple_auth_manager_passwords_file": "likewise",
    "database.sql_alchemy_conn": "from a Secret",
    "api.base_url": "compose publishes a port of choice",
    "api.secret_key": "from a Secret",
    "api_auth.jwt_secret": "from a Secret",
    "logging.base_log_folder": "the chart mounts a directory for it",
    "logging.remote_base_log_folder": "another bucket",
    "perfproof.protocols_dir": "from a ConfigMap; the image holds the demo's",
    "perfproof.evidence_uri": "another bucket",
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


def compose_options() -> dict[str, str]:
    """What docker-compose.yaml sets in Airflow, as section.option; of a variable that .env may set, the default."""
    names = (key for key in COMPOSE if key.startswith("AIRFLOW__"))
    return {".".join(key.lower().removeprefix("airflow__").split("__")): _default(str(COMPOSE[key])) for key in names}


def _default(text: str) -> str:
    whole = re.fullmatch(r"\$\{\w+:-(.*)\}", text)
    return whole[1] if whole else text


def airflow_options() -> dict[str, set[str]]:
    """The options of Airflow, of its Kubernetes provider where it is installed, and of perfproof by section."""
    files = importlib.metadata.files("apache-airflow-core") or []
    core = yaml.safe_load(Path(next(str(file.locate()) for file in files if file.name == "config.yml")).read_text())
    sections = {section: set(body["options"]) for section, body in core.items()}
    sections["perfproof"] = set(get_provider_info()["config"]["perfproof"]["options"])
    try:
        from airflow.providers.cncf.kubernetes.get_provider_info import get_provider_info as kubernetes
    except ImportError:
        # Without the provider the section cannot be checked; the extra `kubernetes` brings it.
        sections["kubernetes_executor"] = set(VALUES["config"]["kubernetes_executor"])
    else:
        for section, body in kubernetes()["config"].items():
            sections.setdefault(section, set()).update(body["options"])
    return sections


def test_every_key_is_one_of_the_chart() -> None:
    """Also one level below."""
    assert set(VALUES) <= set(CHART)
    unknown = {key: set(VALUES[key]) - below for key, below in CHART.items() if below is not None and key in VALUES}
    assert {key: names for key, names in unknown.items() if names} == {}


def test_every_option_of_the_configuration_exists() -> None:
    """A misspelt option is ignored by Airflow without a word."""
    known = airflow_options()
    options = [(section, option) for section, body in VALUES["config"].items() for option in body]
    assert len(options) > 15
    assert [pair for pair in options if pair[1] not in known.get(pair[0], ())] == []


def test_options_are_text() -> None:
    """The chart writes them into airflow.cfg; a number or a truth value would be written as Go does."""
    assert [path for path, value in leaves(VALUES["config"]) if not isinstance(value, str)] == []


def test_configuration_is_that_of_compose_where_nothing_says_otherwise() -> None:
    """The same package on the same Airflow: what differs has a reason, and nothing of compose is forgotten."""
    here = {f"{section}.{option}": value for section, body in VALUES["config"].items() for option, value in body.items()}
    compose = {name: value for name, value in compose_options().items() if not name.startswith("celery.")}
    assert {name: value for name, value in compose.items() if name not in OTHERWISE and here.get(name) != value} == {}


def test_no_secret_has_a_value_here() -> None:
    """Secrets are named. Nothing that is called like one holds one, no address holds a login, and no text looks generated."""
    words = re.compile(r"(pass(word|wd)?|secret|token|fernetkey|jwt|private|credential|(^|[._])key)$", re.IGNORECASE)
    for path, value in leaves(VALUES):
        if isinstance(value, bool):
            continue
        text = str(value)
        assert not words.search(path), path
        assert "@" not in text, path
        assert not re.search(r"(?=[a-z_-]*[A-Z0-9+=])[A-Za-z0-9+_=-]{24,}", text), path
    for name in ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName"):
        assert re.fullmatch(r"perfproof-[a-z-]+", VALUES[name])
    assert re.fullmatch(r"perfproof-[a-z-]+", VALUES["data"]["metadataSecretName"])


def test_what_would_come_with_a_known_password_is_off() -> None:
    """The chart's own Postgres and its first user have passwords that everybody knows."""
    assert VALUES["postgresql"]["enabled"] is False
    assert VALUES["createUserJob"]["enabled"] is False
    assert VALUES["webserver"]["defaultUser"]["enabled"] is False


def test_every_pod_is_an_ordinary_user_on_a_read_only_root() -> None:
    """The user of the Dockerfile, no capabilities, no way to more rights; /tmp is the one place to write, and bounded."""
    pod, container = VALUES["securityContexts"]["pod"], VALUES["securityContexts"]["containers"]
    user = re.search(r"^USER (\d+):(\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert (pod["runAsUser"], pod["runAsGroup"]) == (VALUES["uid"], VALUES["gid"]) == (int(user[1]), int(user[2]))
    assert pod["runAsNonRoot"] is container["runAsNonRoot"] is container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    (tmp,) = (volume for volume in VALUES["volumes"] if "emptyDir" in volume)
    assert tmp["emptyDir"]["sizeLimit"]
    assert [mount["mountPath"] for mount in VALUES["volumeMounts"] if mount["name"] == tmp["name"]] == ["/tmp"]  # noqa: S108  in a container
    assert [variable["value"] for variable in VALUES["env"] if variable["name"] == "HOME"] == ["/tmp"]  # noqa: S108  likewise
    assert {mount["name"] for mount in VALUES["volumeMounts"]} == {volume["name"] for volume in VALUES["volumes"]}


@pytest.mark.parametrize("component", COMPONENTS)
def test_component_is_bounded(component: str) -> None:
    """Requests and limits of processor and memory, the limit not below the request."""
    resources = VALUES[component]["resources"]
    for kind in ("cpu", "memory"):
        assert amount(resources["requests"][kind]) <= amount(resources["limits"][kind])


@pytest.mark.parametrize("component", ["scheduler", "dagProcessor", "triggerer"])
def test_component_is_asked_whether_it_lives(component: str) -> None:
    """Often enough to be started again within minutes, and with time for a process that imports Airflow."""
    probe = VALUES[component]["livenessProbe"]
    assert probe["timeoutSeconds"] >= 30
    assert probe["timeoutSeconds"] < probe["periodSeconds"] <= 120
    assert probe["failureThreshold"] * probe["periodSeconds"] <= 300
    assert VALUES[component]["logGroomerSidecar"]["enabled"] is False


def test_one_triggerer_may_die_with_a_thousand_cycles_waiting() -> None:
    """Two of them, each with room for all."""
    assert VALUES["triggerer"]["replicas"] >= 2
    assert int(VALUES["config"]["triggerer"]["capacity"]) == int(COMPOSE["AIRFLOW__TRIGGERER__CAPACITY"]) >= 4000


def test_pods_of_tasks_keep_evidence_in_a_bucket_and_have_time_to_end_a_load_test() -> None:
    """They share no local disk, and network file systems are refused for evidence."""
    assert VALUES["executor"] == "KubernetesExecutor"
    assert VALUES["config"]["perfproof"]["evidence_uri"].startswith("s3://")
    assert VALUES["workers"]["terminationGracePeriodSeconds"] >= 180
    assert VALUES["workers"]["safeToEvict"] is False
    assert VALUES["workers"]["serviceAccount"]["automountServiceAccountToken"] is False


def test_image_and_airflow_are_those_of_this_version() -> None:
    """The tag is the package's version, and the chart is told the Airflow that the lock holds."""
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{VALUES["defaultAirflowTag"]}"' in project
    assert f"\napache-airflow=={VALUES['airflowVersion']} " in (ROOT / "requirements.lock").read_text()


def amount(text: str) -> float:
    """A Kubernetes quantity as a number: 500m, 2, 1536Mi, 3Gi."""
    found = re.fullmatch(r"(\d+)(m|Mi|Gi)?", str(text))
    assert found is not None, text
    return int(found[1]) * {None: 1.0, "m": 0.001, "Mi": 2.0**20, "Gi": 2.0**30}[found[2]]
