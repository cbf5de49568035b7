"""The Dockerfile and its build context checked without a container engine."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_dockerfile_names_no_index_and_takes_its_base() -> None:
    """A mirror or a wheelhouse can serve it, and every stage starts from BASE_IMAGE."""
    assert "index-url" not in DOCKERFILE
    assert "http" not in DOCKERFILE
    assert "--no-index --find-links wheelhouse" in DOCKERFILE
    sources = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert sources[0] == "${BASE_IMAGE}"
    assert set(sources[1:]) == {"base"}


def test_dockerfile_installs_what_is_locked() -> None:
    """Each install is complete by itself: hashes, or the project from its own source."""
    installs = re.findall(r"pip install (.*?)(?=\n[A-Z]|\Z| \\\n)", DOCKERFILE, re.DOTALL)
    assert len(installs) == 3
    assert all("--no-deps" in install for install in installs)
    assert sum("--require-hashes" in install for install in installs) == 2


def test_images_end_as_an_ordinary_user() -> None:
    """A number, because an engine cannot check a name against root."""
    final = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    for stage in final:
        if re.match(r"base AS (s3|perfproof)\n", stage):
            assert re.findall(r"^USER (\S+)", stage, re.MULTILINE) == ["50000:50000"]


def test_dockerfile_copies_what_the_build_context_lets_in() -> None:
    """.dockerignore is a list of what is allowed; nothing copied is missing from it or from the repository."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    assert len(copied) > 8
    for word in copied:
        assert word.split("/")[0] in allowed
        assert (ROOT / word).exists()
