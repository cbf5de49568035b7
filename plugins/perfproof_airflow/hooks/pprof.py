"""Profiles a running service through its pprof endpoint, as Go's net/http/pprof serves it: CPU samples, heap and others."""

from __future__ import annotations

import socket

from perfproof.config import Endpoint, Target
from perfproof.errors import ProfileError
from perfproof.load.targets import check_address, check_target
from perfproof.profile_formats.collapsed import collapsed
from perfproof.profile_formats.content import uncompressed
from perfproof.profile_formats.pprof import Pprof, read_pprof
from perfproof.profiles import Weight
from perfproof_airflow.hooks.plain_get import TooLarge, Unanswered, plain_get
from perfproof_airflow.hooks.profiler import Recording

MAX_BYTES = 16 << 20
MAX_SECONDS = 600.0
# The endpoint answers when the recording is over; after that it only has to send it.
GRACE_SECONDS = 10.0


class PprofHook:
    """Asks one endpoint for profiles: no proxy, no redirect, bounded in time and size.

    :param endpoint: the deployment; its `pprof_path` answers the profile
    :param allow: where connections may go; checked by name before, and by address at the connection
    """

    def __init__(self, endpoint: Endpoint, *, allow: tuple[Target, ...]) -> None:
        self._endpoint = endpoint
        self._allow = allow

    def record(self, *, seconds: float, rate_hz: int) -> Recording:
        """The CPU profile of the next `seconds`; the call takes as long. The service's own rate counts, not `rate_hz`.

        Raises ProfileError for no proper answer, LoadError for a target that is not on the allow-list.
        """
        if not 0 < seconds <= MAX_SECONDS:
            raise ProfileError(
                181, where="pprof", what="duration out of range", got=seconds, expected=f"at most {MAX_SECONDS:g} s", fix="choose less"
            )
        # The endpoint takes whole seconds.
        whole = max(1, round(seconds))
        path = f"{self._endpoint.pprof_path}?seconds={whole}"
        where = f"{self._endpoint.url}{path}"
        read = read_pprof(uncompressed(self._get(path, where=where, within=whole + GRACE_SECONDS), where=where), where=where)
        if read.profile.weight is not Weight.SAMPLES:
            raise ProfileError(
                185, where=where, what="no CPU profile", got=", ".join(read.values), expected="samples and cpu",
                fix="let pprof_path name the CPU profile, such as /debug/pprof/profile",
            )  # fmt: skip
        return Recording(collapsed(read.profile), None, read.seconds or float(whole), round(read.rate_hz) or rate_hz, "pprof cpu", None)

    def snapshot(self, path: str, *, value: str | None = None, within: float = GRACE_SECONDS) -> tuple[Pprof, bytes]:
        """The profile that `path` answers, such as /debug/pprof/heap, by `value`, and the bytes of the answer as they came.

        A heap has inuse_space (what is held now, the default), inuse_objects, alloc_space and alloc_objects (all since the start).
        Raises ProfileError, also for a value that the profile has not; LoadError for a target that is not on the allow-list.
        """
        where = f"{self._endpoint.url}{path}"
        body = self._get(path, where=where, within=within)
        return read_pprof(uncompressed(body, where=where), where=where, value=value), body

    def _get(self, path: str, *, where: str, within: float) -> bytes:
        host, port = self._endpoint.host, self._endpoint.port
        check_target(host, port, allow=self._allow, where=where)
        try:
            status, body = plain_get(
                host, port, path, accept="application/octet-stream", within=within, limit=MAX_BYTES,
                on_connected=lambda connected: self._check_peer(connected, where),
            )  # fmt: skip
        except Unanswered as error:
            raise ProfileError(
                182, where=where, what="the service does not answer", got=str(error), fix="start it, or correct host and port"
            ) from None
        except TooLarge:
            raise ProfileError(
                184, where=where, what="the answer is too large", expected=f"at most {MAX_BYTES} bytes", fix="profile for less time"
            ) from None
        if status != 200:
            raise ProfileError(
                183, where=where, what="the service did not answer 200", got=status, expected=200,
                fix="name a profile that the service has; only one CPU profile can be recorded at a time",
            )  # fmt: skip
        return body

    def _check_peer(self, connected: socket.socket, where: str) -> None:
        address, port = connected.getpeername()[:2]
        check_address(address, port, allow=self._allow, where=where)
