"""The container engine that the stack is run with: a docker that answers, else podman as root with a service and storage of its own."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 30.0
SERVICE_SECONDS = 60.0
# Of open files and processes; runc could not set a limit of processes as high as the machine's own.
MOST_LIMIT = 8192
# What podman as root needs of Debian 12. netavark and aardvark-dns: service names; catatonit: the first process of `init: true`.
PACKAGES = ("podman", "runc", "docker-compose", "debootstrap", "netavark", "aardvark-dns", "catatonit", "iptables")
PREPARE = "as root on Debian 12, `make compose-test PREPARE=1` installs what is missing"
CONFIGURATION = """\
[containers]
default_ulimits = [{ulimits}]
init_path = "{init}"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
{runtime}
[network]
network_backend = "netavark"
network_config_dir = "{root}/networks"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{root}/storage"
runroot = "/run/perfproof-compose-test"
"""


class CannotRun(Exception):
    """Why the stack cannot be run on this machine, in one line."""


class Failed(Exception):
    """What did not hold in the stack that ran, in one line."""


@dataclass(slots=True)
class Engine:
    """`program` is docker or podman, `composing` the compose command. `environment` is what both are called with."""

    program: str
    composing: tuple[str, ...]
    environment: Mapping[str, str]
    version: str
    service: subprocess.Popen[bytes] | None = None
    _log: list[str] = field(default_factory=list)

    @property
    def drives_health_checks(self) -> bool:
        """podman leaves them to timers of systemd, which need not be there."""
        return self.program == "docker"

    def output(self, *arguments: str, data: bytes | None = None, seconds: float = 900) -> str:
        """What the engine writes. Raises Failed with its last line when it fails."""
        return self.bytes_of(*arguments, data=data, seconds=seconds).decode(errors="replace")

    def bytes_of(self, *arguments: str, data: bytes | None = None, seconds: float = 900) -> bytes:
        """What the engine writes to standard output."""
        done = self.tried(*arguments, data=data, seconds=seconds)
        if done.returncode != 0:
            raise Failed(f"{self.program} {arguments[0]}: {last_line(done.stderr or done.stdout) or done.returncode}")
        return done.stdout

    def tried(self, *arguments: str, data: bytes | None = None, seconds: float = 900) -> subprocess.CompletedProcess[bytes]:
        """The ended call, whatever its exit code."""
        return subprocess.run(
            [self.program, *arguments], env=dict(self.environment), input=data or b"", capture_output=True, timeout=seconds, check=False
        )

    def compose(self, *arguments: str, directory: Path, log: Path, seconds: float = 3600) -> bool:
        """Whether a compose command in `directory` succeeded; what it writes is added to `log`."""
        with log.open("ab") as stream:
            done = subprocess.run(
                [*self.composing, *arguments], cwd=directory, env=dict(self.environment), stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, timeout=seconds, check=False,
            )  # fmt: skip
        return done.returncode == 0

    def has_image(self, tag: str) -> bool:
        """Whether the image is there."""
        return self.tried("image", "inspect", tag).returncode == 0

    def build(
        self, context: Path, *, tag: str, target: str = "", arguments: Mapping[str, str] | None = None, network: str = "default"
    ) -> None:
        """Builds an image."""
        words = [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
        stage = ["--target", target] if target else []
        self.output("build", "--quiet", "--network", network, *words, *stage, "--tag", tag, str(context), seconds=3600)

    def inspect(self, *containers: str) -> list[dict[str, Any]]:
        """What the engine knows of the containers."""
        if not containers:
            return []
        found: list[dict[str, Any]] = json.loads(self.output("container", "inspect", *containers))
        return found

    def with_variables(self, variables: Mapping[str, str]) -> Engine:
        """The same engine with further variables for the compose file."""
        return Engine(self.program, self.composing, {**self.environment, **variables}, self.version, self.service)

    def close(self) -> None:
        """Ends podman's service, if this started one."""
        if self.service is not None and self.service.poll() is None:
            self.service.send_signal(signal.SIGTERM)
            try:
                self.service.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.service.kill()
                self.service.wait()


def find_engine(directory: Path) -> Engine:
    """A docker that answers, else podman. Raises CannotRun if neither can be used; what podman needs is written below `directory`."""
    docker = _docker()
    return docker if docker is not None else _podman(directory)


def prepare() -> None:
    """Installs what podman needs, unless a docker answers. Raises CannotRun where it cannot."""
    if _docker() is not None:
        return
    program = shutil.which("apt-get")
    if os.geteuid() != 0 or program is None:
        raise CannotRun("no docker answers, and packages can be installed by root with apt-get only")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [program, "install", "--quiet=2", "--yes", "--no-install-recommends", *PACKAGES]
    for command in ([program, "update", "--quiet=2"], install):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            raise CannotRun(f"apt-get {command[1]}: {last_line(done.stderr)}")


def run(command: Sequence[str], *, log: Path | None = None) -> None:
    """Runs a command of the preparation. Raises CannotRun with its last line of errors when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if log is not None:
        log.write_bytes(done.stdout + done.stderr)
    if done.returncode != 0:
        raise CannotRun(f"{Path(command[0]).name}: {last_line(done.stderr or done.stdout)}" + (f" ({log})" if log else ""))


def last_line(output: bytes) -> str:
    """The last line that is not empty."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _docker() -> Engine | None:
    program = shutil.which("docker")
    if program is None:
        return None
    try:
        told = subprocess.run(
            [program, "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
        plugin = subprocess.run([program, "compose", "version"], capture_output=True, timeout=ANSWER_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return None
    composing = (program, "compose") if plugin else ("docker-compose",)
    if told.returncode != 0 or not told.stdout.strip() or (not plugin and shutil.which("docker-compose") is None):
        return None
    return Engine("docker", composing, dict(os.environ), f"docker {told.stdout.strip()}")


def _podman(directory: Path) -> Engine:
    program = shutil.which("podman")
    missing = [name for name in ("podman", "docker-compose", "debootstrap") if shutil.which(name) is None]
    if missing or program is None:
        raise CannotRun(f"no docker answers, and {', '.join(missing)} is not installed: {PREPARE}")
    if os.geteuid() != 0:
        raise CannotRun("no docker answers, and podman is used as root only (limits, and networks with names)")
    root = directory.resolve()
    root.mkdir(parents=True, exist_ok=True)
    (root / "networks").mkdir(exist_ok=True)
    service_socket = Path("/run/perfproof-compose-test.sock")
    service_socket.unlink(missing_ok=True)
    (root / "storage.conf").write_text(STORAGE.format(root=root))
    (root / "containers.conf").write_text(_configuration(root))
    environment = {
        **os.environ,
        "CONTAINERS_CONF": str(root / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(root / "storage.conf"),
        "DOCKER_HOST": f"unix://{service_socket}",
    }
    asked = [program, "version", "--format", "{{.Client.Version}}"]
    told = subprocess.run(asked, env=environment, capture_output=True, check=False)
    if told.returncode != 0:
        raise CannotRun(f"podman: {last_line(told.stderr)}")
    with (root / "podman-service.log").open("ab") as log:
        command = [program, "system", "service", "--time=0", f"unix://{service_socket}"]
        # A session of its own: an interrupt from the keyboard must not end it before the stack is taken down.
        service = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    engine = Engine("podman", ("docker-compose",), environment, f"podman {told.stdout.decode().strip()}", service)
    deadline = time.monotonic() + SERVICE_SECONDS
    while not _answers(service_socket):
        if service.poll() is not None or time.monotonic() > deadline:
            engine.close()
            raise CannotRun(f"podman's service does not start ({root / 'podman-service.log'})")
        time.sleep(0.2)
    return engine


def _answers(path: Path) -> bool:
    """Whether somebody listens on the socket; one of an earlier service may be left over."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        return connection.connect_ex(str(path)) == 0


def _configuration(root: Path) -> str:
    """podman's defaults may be above what this machine allows anybody, and its default runtime refuses mixed cgroups."""
    limits = []
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(number)[1]
        limit = MOST_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MOST_LIMIT)
        limits.append(f'"{name}={limit}:{limit}"')
    init = shutil.which("catatonit") or shutil.which("tini") or "/usr/libexec/podman/catatonit"
    runtime = 'runtime = "runc"\n' if shutil.which("runc") else ""
    return CONFIGURATION.format(root=root, ulimits=", ".join(limits), init=init, runtime=runtime)
