"""Which addresses this process may connect to: those on the allow-list, whatever code asks, and no others.

An audit hook sees each connect and each datagram of Python's sockets, those of gevent included, after names were resolved; it cannot be
taken out again. What it does not see are sockets that a C library makes by itself.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from perfproof.errors import LoadError
from perfproof.load.targets import check_address

SENDING = frozenset(("socket.connect", "socket.sendto", "socket.sendmsg"))
# A process that is started from here would have no guard.
STARTING = frozenset(("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"))


class Listed(NamedTuple):
    """An entry of the allow-list."""

    host: str
    port: int


class UnlistedAddress(OSError):
    """A connection was about to go to an address that is not on the allow-list."""


class NoProcess(OSError):
    """A journey was about to start a process."""


class AddressGuard:
    """Refuses what is not in `allow`, after telling `on_refused` in one line. `passed` counts what went through."""

    def __init__(self, allow: Sequence[Listed], *, on_refused: Callable[[str], None]) -> None:
        self._allow = tuple(allow)
        self._on_refused = on_refused
        self._no_processes = False
        self.passed = 0

    def install(self) -> None:
        """From now on, for the life of the process."""
        sys.addaudithook(self._look)

    def forbid_processes(self) -> None:
        """From now on no other process can be started from here."""
        self._no_processes = True
        # What multiprocessing starts with, which no hook is told of.
        starter: Any = importlib.import_module("_posixsubprocess")
        starter.fork_exec = self._refuse_process

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in SENDING:
            # A datagram on a connected socket names no address: the connect was looked at.
            if arguments[1] is not None:
                self._check(arguments[1])
        elif self._no_processes and event in STARTING:
            self._refuse_process(event)

    def _refuse_process(self, event: object = "spawn", *_: object) -> None:
        reason = f"the journey was about to start a process ({event if isinstance(event, str) else 'spawn'})"
        self._on_refused(reason)
        raise NoProcess(reason)

    def _check(self, address: Any) -> None:
        # A path is that of a local socket, behind which anything may be; a name would be resolved after this look.
        numeric, port = (str(address[0]), address[1]) if isinstance(address, tuple) and len(address) >= 2 else (repr(address), 0)
        try:
            check_address(numeric, port, allow=self._allow, where="journey")  # type: ignore[arg-type]  # host and port is all it reads
        except LoadError as error:
            self._on_refused(str(error))
            raise UnlistedAddress(str(error)) from None
        self.passed += 1
