"""What a person says of a service to begin with, read and checked: names, addresses, paths, queries, people.

The protocol file that is made of it is checked as a whole after that; here is refused what could not be written into one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfproof.config.sources import SourceKind
from perfproof.starting.traffic import Metric, Path, read_metric, read_path, with_resources
from perfproof.starting.words import read_identifier, read_number, read_text, refuse_twice, refused

# What can be asked for metrics, with the Connection that its hook takes by itself.
CONNECTIONS: Mapping[SourceKind, str] = {
    SourceKind.PROMETHEUS: "perfproof_prometheus",
    SourceKind.OPENMETRICS: "perfproof_openmetrics",
    SourceKind.CLOUDWATCH: "perfproof_cloudwatch",
    SourceKind.DATADOG: "perfproof_datadog",
}
METRIC_SOURCES = (*CONNECTIONS, SourceKind.METRIC_FILE)
# Who approves, by the names that the steps of the file use; the owner implements.
APPROVING = {"product_owner": "Product Owner", "sre_lead": "SRE Lead", "security": "Security"}
DEFAULT_CHANGE = "The change that is to be measured: write what it is"
MAX_RATE = 10_000.0
_HOST_PORT = re.compile(r"([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?):([0-9]{1,5})")
_CONNECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Host and port of a deployment."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Person:
    """The user name in Airflow, and the name that records show."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of the service. `roles` are the three approving ones, `owner` is who implements the change.

    `connection` is None for a file of metrics and `file` None for everything else; `database` and `pprof_path` are None where there
    is none. `rate` is in requests/s, `slo_ms` the objective of the target metric, `scrape_seconds` the distance of two samples.
    """

    name: str
    service: str
    environment: str
    baseline: Endpoint
    candidate: Endpoint | None
    allow: tuple[Endpoint, ...]
    paths: tuple[Path, ...]
    source: SourceKind
    connection: str | None
    file: str | None
    metrics: tuple[Metric, ...]
    owner: Person
    roles: tuple[tuple[str, tuple[Person, ...]], ...]
    change: str
    database: str | None
    fault_proxy: int
    pprof_path: str | None
    rate: float
    slo_ms: float
    scrape_seconds: float
    build: str
    inputs: str

    @property
    def target_metric(self) -> str:
        """p95 of the first path."""
        return f"{self.paths[0].name}_latency_p95"

    @property
    def endpoints(self) -> tuple[tuple[str, Endpoint], ...]:
        """The deployments by side."""
        return (("baseline", self.baseline), *((("candidate", self.candidate),) if self.candidate is not None else ()))


def read_given(
    *,
    name: str,
    baseline: str,
    paths: Sequence[str],
    queries: Sequence[str],
    owner: str,
    roles: Sequence[str],
    service: str | None = None,
    candidate: str | None = None,
    allow: Sequence[str] = (),
    environment: str = "test",
    source: str = SourceKind.PROMETHEUS,
    connection: str | None = None,
    file: str | None = None,
    change: str = DEFAULT_CHANGE,
    database: str | None = None,
    fault_proxy: int = 15433,
    pprof_path: str | None = None,
    rate: float = 20.0,
    slo_ms: float = 250.0,
    scrape_seconds: float = 15.0,
    build: str = "UNKNOWN",
    inputs: str = "inputs",
) -> Given:
    """What the words say. Raises ParameterError 950 to 956 and 959 for the first that cannot be used."""
    kind = _source(source, connection=connection, file=file)
    read = tuple(read_path(text) for text in paths)
    refuse_twice([path.name for path in read], "--path", 952)
    if not read:
        raise refused(952, "--path", "no path", "name what users ask for, the slowest first", expected="'GET /orders'")
    told = tuple(read_metric(text, known=[path.name for path in read]) for text in queries)
    refuse_twice([metric.name for metric in told], "--metric-query", 953)
    given = Given(
        name=read_identifier(name, "NAME"),
        service=read_identifier(service if service is not None else name, "--service"),
        environment=read_text(environment, "--environment"),
        baseline=_endpoint(baseline, "--baseline"),
        candidate=None if candidate is None else _endpoint(candidate, "--candidate"),
        allow=tuple(_endpoint(text, "--allow") for text in allow),
        paths=read,
        source=kind,
        connection=_connection(connection or CONNECTIONS[kind], "--connection") if kind in CONNECTIONS else None,
        file=None if file is None else read_text(file, "--file"),
        metrics=with_resources(told, kind),
        owner=_person(owner, "--owner"),
        roles=_roles(roles),
        change=read_text(change, "--change"),
        database=None if database is None else _connection(database, "--database"),
        fault_proxy=fault_proxy,
        pprof_path=None if pprof_path is None else read_text(pprof_path, "--pprof-path"),
        rate=read_number(rate, "--rate", most=MAX_RATE),
        slo_ms=read_number(slo_ms, "--slo", most=1e9),
        scrape_seconds=read_number(scrape_seconds, "--scrape-seconds", most=3600.0),
        build=read_text(build, "--build"),
        inputs=read_text(inputs, "--inputs").rstrip("/"),
    )
    _check_together(given)
    return given


def _check_together(given: Given) -> None:
    if given.target_metric not in {metric.name for metric in given.metrics}:
        raise refused(
            953,
            "--metric-query",
            "no query of the target metric, p95 of the first path",
            "give it",
            expected=f"{given.target_metric}=QUERY",
        )
    if given.candidate == given.baseline:
        raise refused(951, "--candidate", "the same as the baseline", "leave it out if there is one deployment only")
    held = {given.owner.id.casefold(): "the owner"}
    for role, people in given.roles:
        for person in people:
            other = held.setdefault(person.id.casefold(), role)
            if other != role:
                raise refused(
                    955, "--role", f"one person is {other} and {role}", "name another: nobody approves what he owns, or for two roles",
                    got=person.id,
                )  # fmt: skip


def _source(text: str, *, connection: str | None, file: str | None) -> SourceKind:
    kind = next((kind for kind in METRIC_SOURCES if kind.value == text), None)
    if kind is None:
        raise refused(956, "--source", "not a source of metrics", "choose one", got=text, expected=" | ".join(METRIC_SOURCES))
    of_a_file = kind is SourceKind.METRIC_FILE
    if of_a_file != (file is not None) or (of_a_file and connection is not None):
        raise refused(
            956, "--source", "metric_file needs --file and no --connection, and every other source the reverse", "correct the options",
            got=kind.value,
        )  # fmt: skip
    return kind


def _roles(texts: Sequence[str]) -> tuple[tuple[str, tuple[Person, ...]], ...]:
    found: dict[str, list[Person]] = {role: [] for role in APPROVING}
    for text in texts:
        role, equals, person = read_text(text, "--role").partition("=")
        if not equals or role not in found:
            raise refused(954, "--role", "not a role, = and a person", "correct it", got=text, expected=f"{' | '.join(APPROVING)}=ID:NAME")
        found[role].append(_person(person, "--role"))
    absent = [role for role, people in found.items() if not people]
    if absent:
        raise refused(
            955, "--role", "a role without a person", "name who approves in it", got=", ".join(absent), expected=f"{absent[0]}=ID:NAME"
        )
    return tuple((role, tuple(people)) for role, people in found.items())


def _person(text: str, where: str) -> Person:
    identity, colon, name = (part.strip() for part in read_text(text, where).partition(":"))
    if not identity or not colon or not name:
        raise refused(954, where, "not a person", "write the user name in Airflow and the person's name", got=text, expected="ID:NAME")
    return Person(identity, name)


def _endpoint(text: str, where: str) -> Endpoint:
    found = _HOST_PORT.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65536:
        raise refused(951, where, "not a host and port", "no URL and no path", got=text, expected="127.0.0.1:8080")
    return Endpoint(found[1], int(found[2]))


def _connection(text: str, where: str) -> str:
    if not _CONNECTION.fullmatch(text.replace("{side}", "x")):
        raise refused(956, where, "not the id of a Connection", "use letters, digits, _ - .", got=text)
    return text
