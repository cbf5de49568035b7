"""Passes bytes on in both directions, as well as the fault of the moment lets it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from perfproof.config import Fault

CHUNK = 64 << 10
# What may wait in the delay line of a connection: beyond it the dependency is not read, as with a full socket.
WAITING_CHUNKS = 256
CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Active:
    """A fault until `until` (the loop's time)."""

    fault: Fault
    until: float
    latency: float = 0.0
    bytes_per_second: float = 0.0


class FaultProxy:
    """Connections to one target. Faults act on what the target answers, and on connections."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.accepted = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._active: Active | None = None
        self._link_free_at = 0.0

    @property
    def connections(self) -> int:
        """Connections from the service that are open now."""
        return len(self._open)

    @property
    def active(self) -> Active | None:
        """The fault of the moment."""
        if self._active is not None and _now() >= self._active.until:
            self._active = None
        return self._active

    def begin(self, fault: Fault, *, seconds: float, latency: float = 0.0, bytes_per_second: float = 0.0) -> int:
        """Begins a fault in place of any other; how many connections it ended at once."""
        self._active = Active(fault, _now() + seconds, latency, bytes_per_second)
        self._link_free_at = 0.0
        if fault is not Fault.LOST_CONNECTIONS:
            return 0
        lost = list(self._open)
        for writer in lost:
            writer.transport.abort()
        return len(lost)

    def end(self) -> None:
        """Ends the fault of the moment."""
        self._active = None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the service, until either side ends it."""
        self.accepted += 1
        active = self.active
        if active is not None and active.fault is Fault.LOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            opened = asyncio.open_connection(self.host, self.port)
            answers, requests = await asyncio.wait_for(opened, CONNECT_SECONDS)
        except (OSError, TimeoutError):
            self._open.discard(writer)
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, requests, self._at_once))
                group.create_task(_pass_on(answers, writer, self._due))
        except* OSError:
            pass  # one side is gone, and with it the connection
        finally:
            self._open.discard(writer)
            for side in (writer, requests):
                side.transport.abort()

    def _at_once(self, size: int) -> float:
        return 0.0

    def _due(self, size: int) -> float:
        """When `size` bytes that arrived just now reach the service."""
        active, now = self.active, _now()
        if active is None:
            return 0.0
        if active.fault is Fault.SLOW_DEPENDENCY:
            return now + active.latency
        if active.fault is Fault.LOW_BANDWIDTH:
            self._link_free_at = max(now, self._link_free_at) + size / active.bytes_per_second
            return min(self._link_free_at, active.until)
        return 0.0


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, due: Callable[[int], float]) -> None:
    """Writes what is read, each chunk when it is due and none before an earlier one; ends with the reader's end."""
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING_CHUNKS)

    async def deliver() -> None:
        while True:
            at, data = await line.get()
            await asyncio.sleep(max(0.0, at - _now()))
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async def take() -> None:
        while data := await reader.read(CHUNK):
            await line.put((due(len(data)), data))
        await line.put((0.0, b""))

    async with asyncio.TaskGroup() as group:
        group.create_task(deliver())
        group.create_task(take())


def _now() -> float:
    return asyncio.get_running_loop().time()
