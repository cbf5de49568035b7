"""Where the demo keeps its files, which ports it takes, and what it is replaced by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from perfproof_demo.errors import DemoError

DEFAULT_PORT_BASE = 18100
HOST = "127.0.0.1"
# In place of a program in PROMETHEUS_BIN: the embedded metrics server, although a `prometheus` is on PATH.
EMBEDDED = "embedded"
_OFFSETS = {"shop-baseline": 1, "shop-candidate": 2, "database": 32, "airflow": 80, "metrics": 90}


class Side(StrEnum):
    """The two deployments of the shop that run side by side."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Optimization(StrEnum):
    """What the engineer can deploy. Each changes the work that a request costs."""

    INDEX = "index"
    BATCH = "batch"
    PRECOMPILE = "precompile"
    CACHE = "cache"


# The ids that include/protocols/demo.yaml gives them.
OPTIMIZATION_IDS = {
    "OPT-001": Optimization.INDEX,
    "OPT-002": Optimization.BATCH,
    "OPT-003": Optimization.PRECOMPILE,
    "OPT-004": Optimization.CACHE,
}


@dataclass(frozen=True, slots=True)
class ShopSize:
    """How much data each shop database holds. Tests take less."""

    customers: int = 6_000
    products: int = 1_000
    orders: int = 120_000


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """One demo: a directory of its own and a block of ports on 127.0.0.1.

    `database_url` (an administrator's) and `prometheus_url` replace the embedded servers. `prometheus_bin` is the program
    that is started instead of the `prometheus` on PATH, or EMBEDDED.
    """

    home: Path
    port_base: int = DEFAULT_PORT_BASE
    database_url: str | None = None
    prometheus_url: str | None = None
    prometheus_bin: str | None = None
    size: ShopSize = ShopSize()

    def __post_init__(self) -> None:
        if not self.home.is_absolute():
            raise DemoError(101, where="home", what="not an absolute path", got=str(self.home), fix="pass Path(...).resolve()")
        if not 1024 <= self.port_base <= 65_000:
            raise DemoError(
                102, where="DEMO_PORT_BASE", what="port is out of range", got=self.port_base, expected="1024 to 65000", fix="change it"
            )
        if self.prometheus_url is not None and not _is_address(self.prometheus_url):
            raise DemoError(
                850, where="PROMETHEUS_URL", what="not an address that the demo can use",
                # What stands before an @ may be a password.
                got=self.prometheus_url.rpartition("@")[2], expected="http or https, a host, maybe a port and a path; no login, no query",
                fix="change it, or unset it",
            )  # fmt: skip

    @classmethod
    def from_environment(cls, home: Path, environment: Mapping[str, str]) -> DemoSettings:
        """The settings for `home` with DEMO_PORT_BASE, DEMO_DATABASE_URL, PROMETHEUS_URL and PROMETHEUS_BIN from `environment`."""
        text = environment.get("DEMO_PORT_BASE") or str(DEFAULT_PORT_BASE)
        if not text.isascii() or not text.isdigit():
            raise DemoError(
                103, where="DEMO_PORT_BASE", what="not a port number", got=text, expected="a number like 18100", fix="change it"
            )
        return cls(
            home=home.resolve(),
            port_base=int(text),
            database_url=environment.get("DEMO_DATABASE_URL") or None,
            prometheus_url=(environment.get("PROMETHEUS_URL") or "").rstrip("/") or None,
            prometheus_bin=environment.get("PROMETHEUS_BIN") or None,
        )

    def port(self, name: str) -> int:
        """The port of `shop-baseline`, `shop-candidate`, `database`, `airflow` or `metrics`."""
        return self.port_base + _OFFSETS[name]

    def shop_url(self, side: Side) -> str:
        """The address of the shop of `side`, without a slash at the end."""
        return f"http://{self.shop_instance(side)}"

    def shop_instance(self, side: Side) -> str:
        """Host and port of the shop of `side`: what a Prometheus that scrapes it puts into the label `instance`."""
        return f"{HOST}:{self.port(f'shop-{side}')}"

    @property
    def metrics_url(self) -> str:
        """The address of the Prometheus API, without a slash at the end."""
        return self.prometheus_url or f"http://{HOST}:{self.port('metrics')}"

    @property
    def run_directory(self) -> Path:
        """Holds pid files, the lease of the traffic, and what is deployed."""
        return self.home / "run"

    @property
    def log_directory(self) -> Path:
        """Holds what the processes write, and the shop's access logs and traces."""
        return self.home / "logs"

    @property
    def input_directory(self) -> Path:
        """Holds the prerequisites' artifacts."""
        return self.home / "inputs"

    @property
    def change_directory(self) -> Path:
        """Holds one change reference per deployment."""
        return self.home / "changes"

    def pid_file(self, name: str) -> Path:
        """The pid file of the process `name`."""
        return self.run_directory / f"{name}.pid"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    plain = "@" not in parts.netloc and not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and not any(c.isspace() for c in url)
