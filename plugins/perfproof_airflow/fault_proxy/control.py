"""The control port: begin a fault, end it, ask what is going on."""

from __future__ import annotations

import ipaddress
from typing import Any

from aiohttp import web

from perfproof.config import Fault
from perfproof.errors import LoadError
from perfproof.strict import read_json
from perfproof_airflow.fault_proxy import CONTROL_HEADER, CONTROL_PATH, MAX_SECONDS
from perfproof_airflow.fault_proxy.proxy import FaultProxy

MAX_BODY = 4096
# The figure that each fault needs, and the largest that is taken.
FIGURES: dict[Fault, tuple[str, float] | None] = {
    Fault.SLOW_DEPENDENCY: ("latency_ms", 60_000.0),
    Fault.LOST_CONNECTIONS: None,
    Fault.LOW_BANDWIDTH: ("bytes_per_second", 1e12),
}


def control(proxy: FaultProxy) -> web.Application:
    """The control port of `proxy`: GET, POST and DELETE of /fault, each answered with its state."""

    async def show(_: web.Request) -> web.Response:
        return _answer(proxy)

    async def begin(request: web.Request) -> web.Response:
        try:
            asked = read_json(await request.read(), where="fault", error=LoadError, number=333)
            fault, seconds, figure = _fault(asked)
        except LoadError as error:
            return web.json_response({"error": str(error)}, status=400)
        latency, rate = (figure / 1000, 0.0) if fault is Fault.SLOW_DEPENDENCY else (0.0, figure)
        return _answer(proxy, ended=proxy.begin(fault, seconds=seconds, latency=latency, bytes_per_second=rate))

    async def end(_: web.Request) -> web.Response:
        proxy.end()
        return _answer(proxy)

    application = web.Application(middlewares=[_only_from_here], client_max_size=MAX_BODY)
    application.add_routes([web.get(CONTROL_PATH, show), web.post(CONTROL_PATH, begin), web.delete(CONTROL_PATH, end)])
    return application


@web.middleware
async def _only_from_here(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refuses what a page in a browser on this machine could send: no header of ours, or a name of its own for the address."""
    if request.headers.get(CONTROL_HEADER) != "1" or "Origin" in request.headers or not _is_loopback(request.host):
        return web.json_response({"error": "not from a program on this machine"}, status=403)
    answer: web.StreamResponse = await handler(request)
    return answer


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.rpartition(":")[0]).is_loopback
    except ValueError:
        return False


def _fault(asked: Any) -> tuple[Fault, float, float]:
    """Fault, seconds, and its figure (0 for one without)."""
    kind = asked.get("fault") if isinstance(asked, dict) else None
    fault = next((fault for fault in FIGURES if fault == kind), None)
    if fault is None:
        raise _refused("fault", kind, " | ".join(FIGURES))
    needed = FIGURES[fault]
    unknown = set(asked) - {"fault", "seconds", *([needed[0]] if needed else [])}
    if unknown:
        raise _refused(min(unknown), asked[min(unknown)], "no such key for this fault")
    figure = _number(asked, *needed) if needed else 0.0
    return fault, _number(asked, "seconds", MAX_SECONDS), figure


def _number(asked: dict[str, Any], key: str, most: float) -> float:
    value = asked.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise _refused(key, value, f"above 0, at most {most:g}")
    return float(value)


def _refused(key: str, got: object, expected: str) -> LoadError:
    return LoadError(333, where=f"fault proxy: {key}", what="cannot be done", got=got, expected=expected, fix="ask for a fault it knows")


def _answer(proxy: FaultProxy, **more: object) -> web.Response:
    active = proxy.active
    target = f"{proxy.host}:{proxy.port}"
    state = {"fault": None if active is None else active.fault.value, "target": target, "connections": proxy.connections, **more}
    return web.json_response(state)
