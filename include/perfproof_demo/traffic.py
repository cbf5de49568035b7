"""The demo's users: a few requests a second on the baseline, so that it has a history to measure.

`python -m perfproof_demo.traffic --target http://127.0.0.1:18101 ...`. They step aside while somebody else loads either
shop: a load test beside live users would measure both, and the counters of the service would count both.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from perfproof_demo.errors import DemoError
from perfproof_demo.processes import exclusive, python_arguments, running_pid, start_detached, stop_process
from perfproof_demo.settings import DemoSettings, Side

NAME = "traffic"
DEFAULT_RATE = 8.0
DEFAULT_LEASE_SECONDS = 120.0
LONGEST_SECONDS = 6 * 3600.0
MOST_IN_FLIGHT = 32
ORDERS_SHARE = 0.7
PROBE_SECONDS = 0.5
# Somebody looking at a page is no load test; a load test has pauses between its blocks.
FOREIGN_REQUESTS = 3
STEP_ASIDE_SECONDS = 20.0


@dataclass(slots=True)
class ForeignLoad:
    """Tells from the request counters of a shop whether somebody else sends requests.

    `own` is how many requests we have sent, some of which the shop may not have counted yet: the difference is a
    lower bound, so our own requests never look like a stranger's.
    """

    foreign: int | None = None
    total: int = 0
    own_before: int = 0
    total_before: int = 0

    def see(self, *, total: int, own: int) -> bool:
        """True if at least FOREIGN_REQUESTS requests that are not ours came since the last call."""
        restarted = total < self.total
        self.total = total
        if self.foreign is None or restarted:
            self.total_before, self.own_before, self.foreign = total, own, 0
            return False
        foreign = max(self.foreign, (total - self.total_before) - (own - self.own_before))
        new, self.foreign = foreign - self.foreign, foreign
        return new >= FOREIGN_REQUESTS


class Traffic:
    """An open loop: requests leave at random moments at `rate` a second, whether or not earlier ones are answered."""

    def __init__(self, *, target: str, watch: Sequence[str], rate: float, seed: int, customers: int, products: int) -> None:
        self._target = target
        self._watch = {url: ForeignLoad() for url in watch}
        self._rate = rate
        self._random = random.Random(seed)
        self._customers = customers
        self._products = products
        self._in_flight: set[asyncio.Task[None]] = set()
        self._quiet_until = 0.0
        self.sent = 0

    async def run(self, *, lease: Path, lease_seconds: float, aside: Path) -> None:
        """Sends until the lease is gone or older than `lease_seconds`, and never longer than six hours.

        `aside` is touched whenever the users step aside, so that nobody takes the silence for their usual traffic.
        """
        timeout = aiohttp.ClientTimeout(total=10)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            watcher = asyncio.create_task(self._watch_others(session, aside))
            try:
                await self._send_until_expired(session, lease, lease_seconds)
            finally:
                watcher.cancel()
                for task in self._in_flight:
                    task.cancel()
                await asyncio.gather(watcher, *self._in_flight, return_exceptions=True)

    async def _send_until_expired(self, session: aiohttp.ClientSession, lease: Path, lease_seconds: float) -> None:
        due = time.monotonic()
        end = due + LONGEST_SECONDS
        while due < end and lease_is_valid(lease, seconds=lease_seconds, now=time.time()):
            due = max(due, time.monotonic() - 1) + self._random.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if time.monotonic() >= self._quiet_until and len(self._in_flight) < MOST_IN_FLIGHT:
                task = asyncio.create_task(self._request(session, self._path()))
                self._in_flight.add(task)
                task.add_done_callback(self._in_flight.discard)

    async def _request(self, session: aiohttp.ClientSession, path: str) -> None:
        self.sent += 1
        try:
            async with session.get(self._target + path) as answer:
                await answer.read()
        except aiohttp.ClientConnectorError:
            self.sent -= 1  # the shop never saw it, so it will never count it
        except (aiohttp.ClientError, TimeoutError):
            pass  # a user whose request fails goes on; the shop has counted it

    async def _watch_others(self, session: aiohttp.ClientSession, aside: Path) -> None:
        while True:
            for url, load in self._watch.items():
                total = await _requests_served(session, url)
                if total is not None and load.see(total=total, own=self.sent if url == self._target else 0):
                    self._quiet_until = time.monotonic() + STEP_ASIDE_SECONDS
                    aside.touch()
            await asyncio.sleep(PROBE_SECONDS)

    def _path(self) -> str:
        if self._random.random() < ORDERS_SHARE:
            return f"/customers/{self._random.randint(1, self._customers)}/orders"
        return f"/products/{self._random.randint(1, self._products)}/quote"


def lease_is_valid(lease: Path, *, seconds: float, now: float) -> bool:
    """True if `lease` exists and was renewed in the last `seconds`."""
    try:
        return now - lease.stat().st_mtime <= seconds
    except FileNotFoundError:
        return False


def renew_lease(settings: DemoSettings) -> None:
    """Lets the traffic go on. Whoever started it calls this every few seconds."""
    settings.run_directory.mkdir(parents=True, exist_ok=True)
    (settings.run_directory / "traffic.lease").touch()


def undisturbed_since(settings: DemoSettings) -> float:
    """Since when the demo's users send without a break, in seconds since the epoch: ahead while they step aside, now if they do not run."""
    pid = running_pid(settings, NAME)
    if pid is None:
        return time.time()
    since = psutil.Process(pid).create_time()
    try:
        return max(since, _aside(settings).stat().st_mtime + STEP_ASIDE_SECONDS)
    except FileNotFoundError:
        return since


def _aside(settings: DemoSettings) -> Path:
    return settings.run_directory / "traffic.aside"


def start_traffic(settings: DemoSettings, *, rate: float = DEFAULT_RATE, lease_seconds: float = DEFAULT_LEASE_SECONDS) -> int:
    """Starts the demo's users on the baseline, unless they run. Their pid."""
    if not 0 < rate <= 50:
        raise DemoError(
            161, where="traffic", what="rate is out of range", got=rate, expected="above 0, at most 50 per second", fix="change it"
        )
    with exclusive(settings, NAME):
        renew_lease(settings)
        known = running_pid(settings, NAME)
        if known is not None:
            return known
        started = settings.run_directory / "traffic.started"
        started.unlink(missing_ok=True)
        arguments = [
            *python_arguments(settings, NAME, "perfproof_demo.traffic"),
            f"--target={settings.shop_url(Side.BASELINE)}",
            f"--watch={settings.shop_url(Side.CANDIDATE)}",
            f"--rate={rate}",
            f"--customers={settings.size.customers}",
            f"--products={settings.size.products}",
            f"--lease={settings.run_directory / 'traffic.lease'}",
            f"--lease-seconds={lease_seconds}",
            f"--started={started}",
            f"--aside={_aside(settings)}",
        ]
        return start_detached(settings, NAME, arguments, environment={}, ready=started.exists)


def stop_traffic(settings: DemoSettings) -> bool:
    """Stops the demo's users. True if they ran."""
    (settings.run_directory / "traffic.lease").unlink(missing_ok=True)
    return stop_process(settings, NAME)


async def _requests_served(session: aiohttp.ClientSession, url: str) -> int | None:
    try:
        async with session.get(f"{url}/build", timeout=aiohttp.ClientTimeout(total=2)) as answer:
            return int(answer.headers["x-shop-requests"])
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
        return None


async def _serve(options: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    traffic = Traffic(
        target=options.target,
        watch=(options.target, *options.watch),
        rate=options.rate,
        seed=options.seed,
        customers=options.customers,
        products=options.products,
    )
    run = asyncio.create_task(traffic.run(lease=options.lease, lease_seconds=options.lease_seconds, aside=options.aside))
    stop = asyncio.create_task(stopping.wait())
    options.started.touch()
    await asyncio.wait({run, stop}, return_when=asyncio.FIRST_COMPLETED)
    for task in (run, stop):
        task.cancel()
    await asyncio.gather(run, stop, return_exceptions=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Sends requests until SIGTERM, or until the lease runs out."""
    parser = argparse.ArgumentParser(prog="perfproof_demo.traffic", description=main.__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--watch", action="append", default=[], help="another shop whose load makes the users step aside")
    parser.add_argument("--rate", type=float, default=DEFAULT_RATE)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--customers", type=int, required=True)
    parser.add_argument("--products", type=int, required=True)
    parser.add_argument("--lease", type=Path, required=True)
    parser.add_argument("--lease-seconds", type=float, default=DEFAULT_LEASE_SECONDS)
    parser.add_argument("--started", type=Path, required=True, help="made when the first request is about to leave")
    parser.add_argument("--aside", type=Path, required=True, help="touched whenever they step aside for somebody else's load")
    parser.add_argument("--demo-process", required=True, help="what the demo knows this process by")
    asyncio.run(_serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
