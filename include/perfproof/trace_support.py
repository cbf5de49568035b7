"""What slow traces say for or against a suspicion: whose spans take most of the self time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfproof.config import Cause, Service
from perfproof.traces import slowest_spans

# A part that takes less than half of the time may be slow for its own reasons; removing it leaves most of the time.
MOST_PERCENT = 50.0
# Instrumentation names database spans by the statement's verb in capitals (SELECT shop.orders) or by the system.
STATEMENT = re.compile(r"(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|BEGIN|COMMIT|ROLLBACK|COPY|FETCH|LOCK)\b")
DATABASES = frozenset(
    {
        "postgres", "postgresql", "psycopg", "asyncpg", "mysql", "mariadb", "sqlite", "mssql", "sqlserver", "oracle", "oracledb", "mongo",
        "mongodb", "dynamodb", "cassandra", "cockroachdb", "clickhouse", "db", "database", "sql", "jdbc",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TraceSupport:
    """Shares (percent of the self time) of the database's spans, of the service's other spans, and of each other service.

    `heaviest` is the span with the most time of each of the three, `traces` how many were counted, `slowest` whether they are the
    slowest of their window, `about` the transaction they are of (None: all of the service). What traces do not list is in no share.
    """

    traces: int
    slowest: bool
    about: str | None
    database: float
    own: float
    others: Mapping[str, float]
    heaviest: Mapping[str, str]

    def text(self, part: str, percent: float) -> str:
        """One sentence without its end, such as `in 20 slow traces of orders, database spans take 71 percent of the self time`."""
        about = f" of {self.about}" if self.about else ""
        traces = f"{self.traces} {'slow ' if self.slowest else ''}trace{'' if self.traces == 1 else 's'}{about}"
        name = {"database": "database spans take", "own": "the service's own spans take"}.get(part, f"spans of {part} take")
        return f"in {traces}, {name} {percent:.3g} percent of the self time (most in {self.heaviest.get(part, 'none')})"

    def observation(self, cause: Cause) -> dict[str, Any] | None:
        """{kind: traces, text, supports} for a suspicion of `cause`; None where traces say nothing about it."""
        if cause is Cause.DATABASE_CONTENTION:
            return {"kind": "traces", "text": self.text("database", self.database), "supports": self.database >= MOST_PERCENT}
        if cause is Cause.CODE_HOT_PATH:
            return {"kind": "traces", "text": self.text("own", self.own), "supports": self.own >= MOST_PERCENT}
        return None

    @property
    def elsewhere(self) -> str | None:
        """Words for the other service in which most of the time is spent, None if there is none."""
        name, percent = max(self.others.items(), key=lambda pair: pair[1], default=("", 0.0))
        return self.text(name, percent) if percent >= MOST_PERCENT else None


def trace_support(items: Sequence[Mapping[str, Any]], *, service: Service, metric: str) -> TraceSupport | None:
    """What the trace items say about `metric` of `service`; None without a trace that begins in it and has self times.

    If the metric's name begins with a transaction's, only traces of that transaction count, if there are any: those whose root is
    named by it, or by its method and path.
    """
    usable = [item for item in map(_with_whole, items) if item is not None and item["service"] == service.name]
    named = max((t for t in service.transactions if metric.startswith(f"{t.name}_")), key=lambda t: len(t.name), default=None)
    about: str | None = None
    if named:
        route = f"{named.method} {named.path}".casefold()
        own = [i for i in usable if str(i["transaction"]).casefold() == route or named.name.casefold() in _words(i["transaction"])]
        usable, about = (own, named.name) if own else (usable, None)
    found = slowest_spans(usable)
    if not found["traces"]:
        return None
    shares: dict[str, float] = {}
    heaviest: dict[str, str] = {}
    for row in found["spans"]:
        part = "database" if _of_database(row) else "own" if row["service"] == service.name else str(row["service"])
        shares[part] = shares.get(part, 0.0) + row["share_percent"]
        heaviest.setdefault(part, str(row["span"]))
    others = {name: share for name, share in shares.items() if name not in ("database", "own")}
    return TraceSupport(
        found["traces"], found["selection"] == "slowest", about, shares.get("database", 0.0), shares.get("own", 0.0), others, heaviest
    )


def _with_whole(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The item with `self_ms`, which sources that only give shares leave out; None for what is no trace with self times."""
    rows = item.get("self_time")
    if not isinstance(rows, list) or not rows or not item.get("service"):
        return None
    listed, percent = (sum(float(row.get(key) or 0.0) for row in rows) for key in ("ms", "share_percent"))
    whole = item.get("self_ms") or (100 * listed / percent if percent > 0 else None)
    return None if not whole else {"transaction": None, **item, "self_ms": whole}


def _of_database(row: Mapping[str, Any]) -> bool:
    return STATEMENT.match(str(row["span"])) is not None or bool(DATABASES & (_words(row["span"]) | _words(row["service"])))


def _words(text: Any) -> set[str]:
    told = str(text).casefold()
    return {*re.findall(r"[a-z0-9_]+", told), *re.findall(r"[a-z]+", told)}
