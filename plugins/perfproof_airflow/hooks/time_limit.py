"""Ends what blocks on a socket when its time is up: read timeouts begin anew with every byte that a server sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(slots=True)
class CutOff:
    """The socket that is watched, as soon as there is one, and whether its time was up: what was read until then is not whole."""

    socket: socket.socket | None = None
    happened: bool = False

    def _now(self) -> None:
        self.happened = True
        if self.socket is not None:
            with suppress(OSError):
                # The method of the plain socket: that of a TLS socket would take its state away from who is reading.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


@contextmanager
def cut_off_after(seconds: float) -> Iterator[CutOff]:
    """Shuts the socket down that the block puts into what it is given, unless the block is left within `seconds`.

    Who waits for the socket then gets an error, or the end of an answer that has none of its own: ask `happened`.
    """
    cut = CutOff()
    timer = threading.Timer(max(0.0, seconds), cut._now)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()
