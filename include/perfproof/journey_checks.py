"""What a protocol file may not say about user journeys: which file, how many users, and within which bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfproof.config_ranges import check_positive
from perfproof.config_refusals import refusal

if TYPE_CHECKING:
    from perfproof.config import Journeys, Load

DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_USERS = 1000
MAX_WORKERS = 64
MAX_REQUESTS = 2_000_000


def check_journeys(journeys: Journeys, load: Load, where: str) -> None:
    """Raises ConfigError for journeys whose file is not pinned, or that no authorization could bound."""
    from perfproof.config_checks import check_relative

    check_relative(journeys.file, f"{where}.file")
    if not journeys.file.endswith(".py"):
        raise refusal(831, f"{where}.file", "not a Python file", "name the Locust file", got=journeys.file)
    if not DIGEST.fullmatch(journeys.sha256):
        raise refusal(
            831, f"{where}.sha256", "not a digest", "write what `sha256sum` prints for the file", got=journeys.sha256,
            expected="64 digits of 0-9 and a-f",
        )  # fmt: skip
    check_positive(journeys.users, f"{where}.users", most=MAX_USERS, number=830)
    check_positive(journeys.spawn_rate, f"{where}.spawn_rate", most=MAX_USERS, number=830)
    check_positive(journeys.max_rate, f"{where}.max_rate", most=load.max_rate, number=830)
    check_positive(journeys.seconds, f"{where}.seconds", most=load.max_duration_seconds, number=830)
    length = journeys.spawn_seconds + journeys.seconds
    if length > load.max_duration_seconds:
        raise refusal(
            830, f"{where}.seconds", "longer than max_duration_seconds", "shorten it, or raise spawn_rate",
            got=f"{length:g} s until all users are there and after it", expected=f"at most {load.max_duration_seconds:g}",
        )  # fmt: skip
    if journeys.max_rate * length > MAX_REQUESTS:
        raise refusal(
            830, f"{where}.max_rate", "too many requests", "lower it, or shorten the test", got=f"{journeys.max_rate * length:.0f}",
            expected=f"at most {MAX_REQUESTS}",
        )  # fmt: skip
    _check_workers(journeys, where)


def _check_workers(journeys: Journeys, where: str) -> None:
    workers = journeys.processes + journeys.remote_workers
    if journeys.processes < 0 or journeys.remote_workers < 0 or not 1 <= workers <= min(MAX_WORKERS, journeys.users):
        raise refusal(
            830, f"{where}.processes", "no number of workers", "give at least one in all, and no more than users",
            got=f"{journeys.processes} here, {journeys.remote_workers} elsewhere",
            expected=f"1 to {min(MAX_WORKERS, journeys.users)} in all",
        )  # fmt: skip
    if not 1024 <= journeys.master_port < 65536:
        raise refusal(830, f"{where}.master_port", "not a port", "give a free one", got=journeys.master_port, expected="1024 to 65535")
