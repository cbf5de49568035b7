"""`python -m perfproof_airflow.fault_proxy --listen PORT --control PORT --target HOST:PORT`: runs until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from aiohttp import web

from perfproof_airflow.fault_proxy.control import control
from perfproof_airflow.fault_proxy.proxy import FaultProxy

LOOPBACK = "127.0.0.1"


def main() -> None:
    """Parses the arguments and serves."""
    parser = argparse.ArgumentParser(prog="perfproof_airflow.fault_proxy", description="Makes a dependency slow, lost or narrow.")
    parser.add_argument("--listen", type=int, required=True, metavar="PORT", help="where the service connects, on 127.0.0.1 (0: any)")
    parser.add_argument("--control", type=int, required=True, metavar="PORT", help="where faults are asked for, on 127.0.0.1 (0: any)")
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="the dependency")
    options = parser.parse_args()
    host, _, port = options.target.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        parser.error("--target is HOST:PORT")
    asyncio.run(_serve(FaultProxy(host.strip("[]"), int(port)), listen=options.listen, control_port=options.control))


async def _serve(proxy: FaultProxy, *, listen: int, control_port: int) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = await asyncio.start_server(proxy.handle, LOOPBACK, listen)
    runner = web.AppRunner(control(proxy), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, control_port)
    await site.start()
    ports = [server.sockets[0].getsockname()[1], runner.addresses[0][1]]
    sys.stdout.write(f"passes {LOOPBACK}:{ports[0]} on to {proxy.host}:{proxy.port}; control {LOOPBACK}:{ports[1]}\n")
    sys.stdout.flush()
    await ended.wait()
    await runner.cleanup()
    server.close()


if __name__ == "__main__":
    main()
