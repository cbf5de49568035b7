"""The cycle that a drift asks for: one for one interval, with parameters that the form would take."""

from __future__ import annotations

import re
from typing import Any

from perfproof.drift_cycle import drift_cycle, drift_run_id, other_run_ids

AIRFLOW_RUN_ID = re.compile(r"^[A-Za-z0-9_.~:+-]+$")
INTERVAL = "20250216T090000Z_20250216T100000Z"


def drift(title: str = "p95 drifted from 50 to 60 ms", reported_by: str = INTERVAL) -> dict[str, Any]:
    return {"service": "shop", "title": title, "reported_by": reported_by}


def test_the_run_id_is_that_of_the_interval_whatever_else_it_finds() -> None:
    """A fuller look at the same interval that finds one drift more asks for the same run."""
    one = drift_cycle([drift()], protocol="demo", reported_by=INTERVAL)
    more = drift_cycle([drift("a"), drift()], protocol="demo", reported_by=INTERVAL)
    assert one["run_id"] == more["run_id"] == f"drift__demo__{INTERVAL}"
    assert AIRFLOW_RUN_ID.fullmatch(one["run_id"])
    assert drift_run_id("other", INTERVAL) != one["run_id"]


def test_the_parameters_name_the_protocol_and_what_drifted() -> None:
    """The product owner is asked to prioritize this sentence; nothing else is decided for him."""
    conf = drift_cycle([drift(), drift(), drift()], protocol="demo", reported_by=INTERVAL)["conf"]
    assert conf == {
        "protocol": "demo",
        "objective": "Explain and mitigate the drift of shop: p95 drifted from 50 to 60 ms (and 2 more)",
    }


def test_a_long_title_still_fits_the_form() -> None:
    """The objective takes 500 characters."""
    conf = drift_cycle([drift("x" * 900), drift()], protocol="demo", reported_by=INTERVAL)["conf"]
    assert len(conf["objective"]) == 500 and conf["objective"].endswith(" (and 1 more)")


def test_cycles_of_other_drifts_that_are_still_offered_are_named_once() -> None:
    """Not that of this very interval: Airflow refuses it itself."""
    offered = [drift(reported_by="a"), drift(reported_by="a"), drift(reported_by="b"), drift()]
    assert other_run_ids(offered, protocol="demo", reported_by=INTERVAL) == ["drift__demo__a", "drift__demo__b"]
