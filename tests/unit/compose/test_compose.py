"""docker-compose.yaml and compose/ checked without a container engine."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof_airflow.provider import get_provider_info
from perfproof_demo import compose_setup
from perfproof_demo.airflow_processes import PEOPLE
from perfproof_demo.compose_env import environment_text
from perfproof_demo.settings import DemoSettings, Side

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOT = {"init"}
REQUIRED = re.compile(r"\$\{([A-Z0-9_]+):\?[^}]+\}")
SECRET_NAME = re.compile(r"PASSWORD|SECRET|AUTH$|(^|_)KEY($|_)")
ADDRESS_WITH_PASSWORD = re.compile(r"://[^/@:\s]*:(?P<password>[^@]*)@")


def environments() -> list[tuple[str, str, str]]:
    """Every environment variable as service, name, value."""
    return [(name, key, str(value)) for name, service in SERVICES.items() for key, value in service.get("environment", {}).items()]


@pytest.fixture(params=sorted(SERVICES))
def service(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """One service with its name."""
    return request.param, SERVICES[request.param]


def test_the_stack_has_every_part() -> None:
    """The parts of a distributed Airflow, and what it measures with and against."""
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer", "worker", "init"}
    assert set(SERVICES) == airflow | {"postgres", "redis", "s3", "prometheus", "demo-target"}


def test_service_has_a_health_check_unless_it_ends(service: tuple[str, dict[str, Any]]) -> None:
    """A long-running service says whether it works and is started again; a one-shot is not."""
    name, body = service
    if name in ONE_SHOT:
        assert body["restart"] == "no"
        return
    assert body["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(body["healthcheck"])


def test_service_waits_only_for_what_can_come(service: tuple[str, dict[str, Any]]) -> None:
    """service_healthy needs a health check, service_completed_successfully a service that ends."""
    for other, rule in service[1].get("depends_on", {}).items():
        if rule["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert rule["condition"] == "service_completed_successfully"
            assert other in ONE_SHOT


def test_dependencies_have_no_circle() -> None:
    """Some order of starting them exists; sharing a namespace is a dependency too."""
    waits = {name: set(body.get("depends_on", {})) for name, body in SERVICES.items()}
    for name, body in SERVICES.items():
        waits[name] |= {body[key].removeprefix("service:") for key in ("network_mode", "pid") if key in body}
    while waits:
        ready = {name for name, others in waits.items() if not others & set(waits)}
        assert ready, f"circle among {sorted(waits)}"
        waits = {name: others for name, others in waits.items() if name not in ready}


def test_image_is_a_variable_with_a_default(service: tuple[str, dict[str, Any]]) -> None:
    """Local images can take the place of each; a default names a version."""
    assert re.fullmatch(r"\$\{[A-Z0-9]+_IMAGE:-[a-z0-9./-]+:(?!latest)[A-Za-z0-9._-]+\}", service[1]["image"])


def test_service_is_hardened(service: tuple[str, dict[str, Any]]) -> None:
    """No capabilities, no new privileges, a read-only root, bounded logs, processor and memory."""
    body = service[1]
    assert body["cap_drop"] == ["ALL"]
    assert "cap_add" not in body
    assert "privileged" not in body
    assert body["security_opt"] == ["no-new-privileges:true"]
    assert body["read_only"] is True
    assert set(body["logging"]["options"]) == {"max-size", "max-file"}
    # Not under `deploy`, where docker-compose 1.29 does not look for them.
    assert body["cpus"] > 0
    assert re.fullmatch(r"\d+[mg]", body["mem_limit"])


def test_memory_file_systems_are_bounded(service: tuple[str, dict[str, Any]]) -> None:
    """A tmpfs without a size may take half of the host's memory."""
    assert all(re.search(r"size=\d+[mg]$", mount) for mount in service[1].get("tmpfs", []))


def test_image_from_elsewhere_does_not_run_as_root(service: tuple[str, dict[str, Any]]) -> None:
    """Our images name their user; the others get one here."""
    body = service[1]
    assert "build" in body or body["user"] not in ("root", "0", "0:0")


def test_secret_comes_from_a_required_variable() -> None:
    """Nothing that is named like a secret has a value or a default in the file."""
    literal = [
        (name, key)
        for name, key, value in environments()
        if SECRET_NAME.search(key) and not key.endswith("PASSWORDS_FILE") and not REQUIRED.fullmatch(value)
    ]
    assert literal == []


def test_password_in_an_address_comes_from_a_required_variable() -> None:
    """Database and broker addresses hold a variable where the password stands."""
    found = [match["password"] for _, _, value in environments() for match in ADDRESS_WITH_PASSWORD.finditer(value)]
    assert len(found) > 3
    assert all(REQUIRED.fullmatch(password) for password in found)


def test_command_line_holds_no_secret(service: tuple[str, dict[str, Any]]) -> None:
    """Command lines can be read by everybody on the host."""
    body = service[1]
    words = [*body.get("command", []), *body.get("entrypoint", []), *body.get("healthcheck", {}).get("test", [])]
    assert not any(REQUIRED.search(word) for word in words)


def test_generated_environment_has_what_the_stack_requires() -> None:
    """`compose_env` makes each required variable, and nothing that nobody reads."""
    text = (ROOT / "docker-compose.yaml").read_text()
    lines = environment_text(lambda count: b"\x01" * count).splitlines()
    made = {line.partition("=")[0] for line in lines if "=" in line}
    assert made - {"COMPOSE_PROJECT_NAME"} == set(REQUIRED.findall(text))


@pytest.mark.parametrize("key", ["APPROVALS_KEY", "SIGNING_KEY"])
def test_signing_key_is_given_to_init_only(key: str) -> None:
    """The keys that sign approvals and checkpoints are in no other service's environment."""
    assert {name for name, variable, value in environments() if key in variable + value} == {"init"}


def test_evidence_goes_to_the_bucket_that_init_makes() -> None:
    """Workers on several hosts share no disk; the bucket's name stands once for both."""
    bucket = SERVICES["init"]["environment"]["EVIDENCE_BUCKET"]
    shared = COMPOSE["x-airflow-environment"]
    assert shared["AIRFLOW__PERFPROOF__EVIDENCE_URI"].startswith(f"s3://{bucket}/")
    assert shared["AIRFLOW__PERFPROOF__EVIDENCE_CONNECTION"] == compose_setup.S3_CONNECTION


def test_superuser_of_the_database_is_known_where_databases_are_made() -> None:
    """Airflow has a role of its own."""
    assert {name for name, _, value in environments() if "{POSTGRES_PASSWORD" in value} == {"postgres", "init", "demo-target"}


def test_port_is_published_on_loopback_only(service: tuple[str, dict[str, Any]]) -> None:
    """Neither the UI nor the metrics can be reached from another host."""
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+", port) for port in service[1].get("ports", []))


def test_volume_is_declared_or_a_file_of_the_repository(service: tuple[str, dict[str, Any]]) -> None:
    """Named volumes are declared, mounted files exist and are read-only."""
    for mount in service[1].get("volumes", []):
        source, _, target = mount.partition(":")
        if source.startswith("./"):
            assert (ROOT / source).is_file()
            assert target.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


def test_declared_volume_is_used() -> None:
    """No volume is left over."""
    used = {mount.partition(":")[0] for body in SERVICES.values() for mount in body.get("volumes", [])}
    assert set(COMPOSE["volumes"]) <= used


def test_service_in_another_network_has_none_of_its_own(service: tuple[str, dict[str, Any]]) -> None:
    """Engines refuse ports and networks beside network_mode; ports belong to the network's owner."""
    body = service[1]
    if "network_mode" in body:
        assert body["network_mode"] == body["pid"] == "service:demo-target"
        assert not {"ports", "networks"} & set(body)
        # An init is for the first process of a namespace.
        assert body["init"] is False
    else:
        assert body["init"] is True


def test_scaled_service_can_be_scaled() -> None:
    """Workers and triggerers come in numbers, and nothing in them exists once."""
    for name in ("worker", "triggerer"):
        body = SERVICES[name]
        assert re.fullmatch(r"\$\{[A-Z_]+_REPLICAS:-\d\}", str(body["deploy"]["replicas"]))
        assert not {"container_name", "hostname", "ports"} & set(body)


def airflow_options() -> dict[str, set[str]]:
    """The options of Airflow, of the Celery provider and of perfproof by section."""

    def file_of(distribution: str, name: str) -> Path:
        files = importlib.metadata.files(distribution) or []
        return Path(next(str(file.locate()) for file in files if file.name == name))

    core = yaml.safe_load(file_of("apache-airflow-core", "config.yml").read_text())
    celery = runpy.run_path(str(file_of("apache-airflow-providers-celery", "get_provider_info.py")))["get_provider_info"]()
    sections: dict[str, set[str]] = {}
    for description in (core, celery["config"], get_provider_info()["config"]):
        for section, body in description.items():
            sections.setdefault(section, set()).update(body["options"])
    return sections


def test_airflow_variable_names_an_option_that_exists() -> None:
    """A misspelt option is ignored by Airflow without a word."""
    known = airflow_options()
    variables = {key for _, key, _ in environments() if key.startswith("AIRFLOW__")}
    assert len(variables) > 25
    unknown = []
    for name in variables:
        section, option = name.lower().removeprefix("airflow__").split("__")
        if option not in known.get(section, ()):
            unknown.append(name)
    assert unknown == []


def test_airflow_services_share_one_configuration() -> None:
    """Keys and addresses that differ between components break tokens and connections."""
    shared = COMPOSE["x-airflow-environment"]
    for name in ("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker"):
        assert shared.items() <= SERVICES[name]["environment"].items()


def test_accounts_are_those_of_the_demo() -> None:
    """The protocol file's people can log in, with the roles they have in the demo."""
    users = COMPOSE["x-airflow-environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert dict(user.split(":") for user in users.split(",")) == PEOPLE


def test_triggerer_holds_a_thousand_waiting_cycles() -> None:
    """More than Airflow's default of 1,000 triggers."""
    assert int(COMPOSE["x-airflow-environment"]["AIRFLOW__TRIGGERER__CAPACITY"]) > 1000


def test_endpoints_of_the_protocol_are_scraped_and_checked(tmp_path: Path) -> None:
    """Protocol, scrape configuration, health check and the shops agree on addresses."""
    protocol = yaml.safe_load((ROOT / "include/protocols/demo.yaml").read_text())
    endpoints = {f"{e['host']}:{e['port']}" for e in protocol["services"][0]["endpoints"].values()}
    scrape = yaml.safe_load((ROOT / "compose/prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
    settings = DemoSettings(home=tmp_path)
    checked = {word.removesuffix("/build") for word in SERVICES["demo-target"]["healthcheck"]["test"] if word.endswith("/build")}
    assert endpoints == set(scrape)
    assert {f"http://{endpoint}" for endpoint in endpoints} == checked == {settings.shop_url(side) for side in Side}


def test_modules_of_the_services_exist() -> None:
    """`python -m` and the scripts that the services start are in the repository."""
    for body in SERVICES.values():
        words = [*body.get("command", []), *body.get("healthcheck", {}).get("test", [])]
        for word in words:
            if word.startswith("perfproof_demo."):
                assert (ROOT / "include" / (word.replace(".", "/") + ".py")).is_file()
            if word.startswith("/opt/perfproof/compose/"):
                assert (ROOT / "compose" / word.rpartition("/")[2]).is_file()
                assert f"compose/{word.rpartition('/')[2]}" in DOCKERFILE


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "compose").glob("*.py")))
def test_script_of_the_images_needs_the_standard_library_only(script: str) -> None:
    """They run in images without our packages; what Airflow imports for its workers is the exception."""
    tree = ast.parse((ROOT / "compose" / script).read_text())
    names = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    allowed = {"json", "os", "sys", "urllib"} | ({"perfproof_airflow"} if script == "airflow_local_settings.py" else set())
    assert names <= allowed
