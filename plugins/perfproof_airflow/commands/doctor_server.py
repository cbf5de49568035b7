"""What the api-server tells `perfproof doctor` over REST: parts, DAGs, pools, triggerers, Connections. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from perfproof.config import Protocol
from perfproof.doctor.capacity import CapacityFacts, Pool
from perfproof.doctor.connections import Looked, Seen
from perfproof.doctor.installation import Dag, ServerFacts
from perfproof.errors import ParameterError, PerfproofError
from perfproof_airflow.commands.airflow_access import refused
from perfproof_airflow.commands.run import APPROVALS, DAG
from perfproof_airflow.rest import AirflowApi

CAPTURES = "baseline_capture"
LIMIT = 100
POOL = "default_pool"
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
Told = TypeVar("Told")


@dataclass(slots=True)
class Server:
    """An api-server as one account sees it. `unasked` says why nobody asks it, `error` why it does not answer; both None: it answers."""

    api: AirflowApi | None
    url: str
    user: str
    unasked: str | None = None
    error: PerfproofError | None = None

    def log_in(self) -> None:
        """Finds out whether it can be asked at all."""
        if self.api is None:
            return
        try:
            self.api.client  # noqa: B018  it logs in when it is first used
        except httpx.HTTPStatusError as error:
            self.error = refused(self.url, error.response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
            self.error = ParameterError(
                223, where=self.url, what="what answers is no Airflow 3, or nothing answers", got=f"{type(error).__name__}: {error}",
                fix="check --url",
            )  # fmt: skip

    @property
    def answers(self) -> bool:
        """Whether it can be asked."""
        return self.api is not None and self.error is None

    def get(self, path: str, **parameters: str | int | bool) -> Any:
        """The JSON value at a path of the API. Raises httpx.HTTPError."""
        if self.api is None:
            raise RuntimeError("nobody asks this server")  # callers look at `answers` first
        answer = self.api.client.get(f"/api/v2/{path}", params=parameters)
        answer.raise_for_status()
        return answer.json()

    def told(self, name: str, question: Callable[[], Told], untold: dict[str, str]) -> Told | None:
        """What `question` gives; None, and in `untold` the reason by `name`, where it is refused."""
        try:
            return question()
        except httpx.HTTPStatusError as error:
            untold[name] = f"Airflow answered {error.response.status_code} to {self.user}"
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            untold[name] = f"{type(error).__name__}: {error}"
        return None


def server_facts(server: Server, protocols: list[Protocol]) -> ServerFacts:
    """Plugin, provider, DAGs."""
    if not server.answers:
        return ServerFacts(url=server.url, error=server.error, unasked=server.unasked, user=server.user)
    untold: dict[str, str] = {}
    plugins = server.told("plugins", lambda: [(str(p["name"]), str(p["source"])) for p in _plugins(server)], untold)
    errors = server.told("plugins", lambda: server.get("plugins/importErrors")["import_errors"], untold) or []
    return ServerFacts(
        url=server.url,
        user=server.user,
        plugins=plugins,
        plugin_errors=[(str(e["source"]), str(e["error"])) for e in errors],
        providers=server.told("providers", lambda: {str(p["package_name"]): str(p["version"]) for p in _providers(server)}, untold),
        dags=server.told("dags", lambda: _dags(server, protocols), untold),
        import_errors=server.told("import_errors", lambda: _import_errors(server), untold),
        untold=untold,
    )


def _plugins(server: Server) -> list[Mapping[str, Any]]:
    return list(server.get("plugins", limit=LIMIT)["plugins"])


def _providers(server: Server) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    while True:
        page = server.get("providers", limit=LIMIT, offset=len(found))
        found += page["providers"]
        if not page["providers"] or len(found) >= page["total_entries"]:
            return found


def _dags(server: Server, protocols: list[Protocol]) -> list[Dag]:
    drifts = any(protocol.captures.trigger_cycle for protocol in protocols)
    needed = {
        DAG: "cycles that are triggered would not begin",
        APPROVALS: "requests would be opened and nobody asked",
        CAPTURES: "a protocol file asks for captures that trigger cycles, and nothing is captured" if drifts else None,
    }
    return [Dag(name, _paused(server, name), why) for name, why in needed.items()]


def _paused(server: Server, name: str) -> bool | None:
    try:
        return bool(server.get(f"dags/{quote(name)}")["is_paused"])
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return None
        raise


def _import_errors(server: Server) -> list[tuple[str, str]]:
    listed = server.get("importErrors", limit=LIMIT)["import_errors"]
    return [(str(e["filename"]), _last_line(str(e["stack_trace"]))) for e in listed]


def _last_line(trace: str) -> str:
    return next((line.strip() for line in reversed(trace.splitlines()) if line.strip()), "no reason")


def capacity_facts(server: Server, *, capacity: int | None, parallelism: int | None) -> CapacityFacts:
    """Triggerers, pools, open requests; `capacity` and `parallelism` are those of this machine's configuration."""
    if not server.answers:
        why = server.unasked or "the api-server does not answer"
        return CapacityFacts(capacity=capacity, parallelism=parallelism, untold={"triggerers, pools and requests": why})
    untold: dict[str, str] = {}
    return CapacityFacts(
        triggerers=server.told("triggerers", lambda: _triggerers(server), untold),
        capacity=capacity,
        deferred=server.told("deferred", lambda: _total(server, "dags/~/dagRuns/~/taskInstances", "deferred"), untold),
        pools=server.told("pools", lambda: [_pool(server.get(f"pools/{POOL}"))], untold),
        parallelism=parallelism,
        unhealthy=server.told("unhealthy", lambda: _unhealthy(server), untold),
        requests=server.told("requests", lambda: _total(server, f"dags/{APPROVALS}/dagRuns", "running"), untold),
        most_requests=server.told("most_requests", lambda: int(server.get(f"dags/{APPROVALS}/details")["max_active_runs"]), untold),
        untold=untold,
    )


def _triggerers(server: Server) -> list[str]:
    listed = server.get("jobs", job_type="TriggererJob", is_alive="true", limit=LIMIT, order_by="-latest_heartbeat")["jobs"]
    return [str(job["hostname"]) for job in listed if job.get("state") == "running"]


def _total(server: Server, path: str, state: str) -> int:
    return int(server.get(path, state=state, limit=1)["total_entries"])


def _pool(told: Mapping[str, Any]) -> Pool:
    return Pool(str(told["name"]), int(told["slots"]), bool(told["include_deferred"]), int(told["deferred_slots"]))


def _unhealthy(server: Server) -> list[str]:
    health = server.get("monitor/health")
    return [name for name in COMPONENTS if (health.get(name) or {}).get("status") != "healthy"]


def served_connection(server: Server, connection_id: str) -> tuple[Seen, str | None]:
    """A Connection as the api-server's database has it, and its login. Secrets are not in its answer."""
    if not server.answers:
        return Seen(Looked.UNSEEN, reason=server.unasked or "the api-server does not answer"), None
    try:
        told = server.get(f"connections/{quote(connection_id, safe='')}")
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return Seen(Looked.ABSENT), None
        return Seen(Looked.UNSEEN, reason=f"Airflow answered {error.response.status_code} to {server.user}"), None
    except (httpx.HTTPError, ValueError) as error:
        return Seen(Looked.UNSEEN, reason=f"{type(error).__name__}: {error}"), None
    return Seen(Looked.THERE, type=str(told.get("conn_type") or "")), told.get("login")


def close(server: Server) -> None:
    """Closes the connections."""
    if server.api is not None:
        with suppress(httpx.HTTPError):
            server.api.close()
