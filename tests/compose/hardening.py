"""What the compose file promises of every container, read from the running stack: from the engine, from /proc, and by trying."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.stack import ONE_SHOT, Container, Stack

MEBIBYTE = 1 << 20
NO_CAPABILITIES = 0
SECCOMP_FILTER = "2"


@dataclass(frozen=True, slots=True)
class Finding:
    """One container's line of the table, and what does not hold of it."""

    container: Container
    cells: tuple[str, ...]
    problems: tuple[str, ...]


HEADER = ("container", "user", "capabilities", "root", "memory", "processors", "restart", "log", "health")


def examine(stack: Stack, compose_file: dict[str, Any]) -> list[Finding]:
    """Every container of the stack that runs, against what the compose file says of its service."""
    services = compose_file["services"]
    return [_examine(stack, one, services[one.service]) for one in stack.containers() if one.service != ONE_SHOT]


def table(findings: list[Finding]) -> str:
    """The findings as aligned lines."""
    rows = [HEADER, *(finding.cells for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _examine(stack: Stack, container: Container, service: dict[str, Any]) -> Finding:
    host = container.told["HostConfig"]
    wanted_bytes, wanted_processors = _bytes(service["mem_limit"]), float(service["cpus"])
    processors = host["NanoCpus"] / 1e9 if host.get("NanoCpus") else (host.get("CpuQuota") or 0) / (host.get("CpuPeriod") or 100_000)
    statuses = [status for pid in container.processes() if (status := _status(pid))]
    users = sorted({status["Uid"].split()[0] for status in statuses})
    log = _log_limit(host["LogConfig"])
    writes = stack.engine.tried("exec", container.id, "sh", "-c", "echo x > /perfproof-was-here").returncode == 0
    restart = host["RestartPolicy"]["Name"]
    facts = {
        "no process was found": bool(statuses),
        "runs as root": "0" not in users,
        "has capabilities": all(int(status["CapEff"], 16) == int(status["CapBnd"], 16) == NO_CAPABILITIES for status in statuses),
        "may get new privileges": all(status["NoNewPrivs"] == "1" for status in statuses),
        "has no seccomp filter": all(status["Seccomp"] == SECCOMP_FILTER for status in statuses),
        "its root can be written": host["ReadonlyRootfs"] and not writes,
        f"memory is not limited to {service['mem_limit']}": host["Memory"] == wanted_bytes,
        f"processors are not limited to {wanted_processors:g}": abs(processors - wanted_processors) < 0.01,
        f"is not restarted ({restart or 'no rule'})": restart == service["restart"],
        "its log is not limited": bool(log),
        f"is {container.health or 'without a health check'}": container.health == "healthy",
        "publishes a port beyond loopback": _loopback_only(container),
    }
    cells = (
        container.name, ",".join(users), "none" if facts["has capabilities"] else "some", "read-only" if host["ReadonlyRootfs"] else "open",
        f"{host['Memory'] / MEBIBYTE:g} MiB", f"{processors:g}", restart, log or "no limit", container.health,
    )  # fmt: skip
    return Finding(container, cells, tuple(f"{container.name} {words}" for words, holds in facts.items() if not holds))


def _status(pid: int) -> dict[str, str]:
    """The lines of /proc/<pid>/status by name; empty when it ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    found = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    # An exec that ended leaves a line without these.
    return found if {"Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"} <= set(found) else {}


def _bytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([kmg])b?", text).groups()  # type: ignore[union-attr]  # the unit tests hold the form
    return int(number) << {"k": 10, "m": 20, "g": 30}[unit]


def _log_limit(told: dict[str, Any]) -> str:
    """How large a log gets: docker names the options, podman one size."""
    options = told.get("Config") or {}
    if "max-size" in options:
        return f"{options['max-size']} x {options.get('max-file', '1')}"
    return str(told.get("Size") or "").replace("0B", "")


def _loopback_only(container: Container) -> bool:
    ports = (container.told["NetworkSettings"].get("Ports") or {}).values()
    return all(place["HostIp"] == "127.0.0.1" for places in ports if places for place in places)
