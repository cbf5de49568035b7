"""The faults of a failure scenario, done to the test environment while load runs."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perfproof.config import Failure, Fault, Proxy
from perfproof.errors import LoadError
from perfproof.strict import read_json
from perfproof_airflow.fault_proxy import CONTROL_HEADER, CONTROL_PATH
from perfproof_airflow.hooks.time_limit import CutOff, cut_off_after

CONNECT_SECONDS = 3
# Asked by the thread that renews the generator's lease.
PROXY_SECONDS = 2.0
MAX_ANSWER = 1 << 16
_TERMINATE = """
select count(*) filter (where pg_terminate_backend(pid))
  from pg_stat_activity
 where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


@dataclass(frozen=True, slots=True)
class Harm:
    """How a scenario's fault is begun and ended. `ready` says before the load, with an error, that it could not be done."""

    ready: Callable[[], object]
    begin: Callable[[], object]
    end: Callable[[], object]


def harm_of(failure: Failure, *, dsn: Callable[[], str]) -> Harm:
    """The fault of `failure`: by its proxy, or on the database that `dsn` names."""
    if failure.proxy is None:
        hook = DatabaseFaultHook(dsn())
        return Harm(ready=lambda: None, begin=hook.terminate_database_connections, end=lambda: None)
    proxy = ProxyFaultHook(failure.proxy)
    return Harm(ready=proxy.state, begin=lambda: proxy.begin(failure.fault), end=proxy.end)


class DatabaseFaultHook:
    """Does harm to one database, which its Airflow connection names."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def terminate_database_connections(self) -> int:
        """Ends every other client connection of the database; returns how many. Raises LoadError 331."""
        import psycopg

        try:
            with psycopg.connect(self._dsn, connect_timeout=CONNECT_SECONDS, autocommit=True) as connection:
                row = connection.execute(_TERMINATE).fetchone()
        except psycopg.Error as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LoadError(
                331,
                where="fault terminate_database_connections",
                what="the database's connections could not be ended",
                got=reason,
                fix="give the connection a role that may call pg_terminate_backend",
            ) from None
        return int(row[0]) if row else 0


class ProxyFaultHook:
    """Asks a fault proxy (`perfproof_airflow.fault_proxy`) on its control port. Raises LoadError 332 where it does not do it."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._where = f"fault proxy {proxy.host}:{proxy.port}"

    def state(self) -> dict[str, Any]:
        """What the proxy does now."""
        return self._ask("GET", None)

    def begin(self, fault: Fault) -> dict[str, Any]:
        """Begins the fault for the seconds of the protocol file."""
        figures = {"latency_ms": self._proxy.latency_ms, "bytes_per_second": self._proxy.bytes_per_second}
        given = {name: value for name, value in figures.items() if value is not None}
        return self._ask("POST", {"fault": fault.value, "seconds": self._proxy.seconds, **given})

    def end(self) -> dict[str, Any]:
        """Ends it before its time."""
        return self._ask("DELETE", None)

    def _ask(self, method: str, document: dict[str, Any] | None) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._proxy.host, self._proxy.port, timeout=PROXY_SECONDS)
        body = None if document is None else json.dumps(document).encode()
        try:
            with cut_off_after(PROXY_SECONDS) as cut:
                status, data = self._answer(connection, method, body, cut)
        except (OSError, http.client.HTTPException) as error:
            raise self._refused("does not answer", str(error) or type(error).__name__) from None
        finally:
            connection.close()
        if status != http.client.OK:
            raise self._refused("does not do it", f"status {status}, {data[:200].decode(errors='replace')}")
        answer = read_json(data, where=self._where, error=LoadError, number=332)
        if not isinstance(answer, dict) or "fault" not in answer:
            raise self._refused("is none", data[:200].decode(errors="replace"))
        return answer

    @staticmethod
    def _answer(connection: http.client.HTTPConnection, method: str, body: bytes | None, cut: CutOff) -> tuple[int, bytes]:
        connection.connect()
        cut.socket = connection.sock
        connection.request(method, CONTROL_PATH, body=body, headers={CONTROL_HEADER: "1", "Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER)

    def _refused(self, what: str, got: str) -> LoadError:
        return LoadError(332, where=self._where, what=f"the fault proxy {what}", got=got, fix="start the proxy, or correct its port")
