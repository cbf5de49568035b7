"""The trigger form's values: empty fields take the protocol file's own, everything else must be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfproof.config import Protocol, load_protocol
from perfproof.errors import ParameterError
from perfproof.parameters import check_not_closed, read_parameters

DEMO = Path(__file__).parents[3] / "include" / "protocols" / "demo.yaml"


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return load_protocol(DEMO.read_bytes(), where="demo.yaml")


def test_an_untouched_form_is_a_working_cycle(protocol: Protocol) -> None:
    """Empty text and empty lists mean the protocol file's own values."""
    parameters = read_parameters({"protocol": "demo", "environment": "", "services": [], "objective": "", "optimizations": []}, protocol)
    assert parameters.services == ("shop",) and parameters.environment == "demo"
    assert parameters.target_metric == protocol.target_metric and parameters.load_profile == "demo"


def test_what_was_read_reads_back_the_same(protocol: Protocol) -> None:
    """The document in the log's first entry gives the same parameters again."""
    parameters = read_parameters({"protocol": "demo", "optimizations": ["OPT-001"]}, protocol)
    assert read_parameters(parameters.document(), protocol) == parameters


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ({"colour": "red"}, "PAR-201"),
        ({"objective": "{{ var.value.secret }}"}, "PAR-202"),
        ({"optimizations": ["{% x %}"]}, "PAR-202"),
        ({"services": ["{# x #}"]}, "PAR-202"),
        ({"objective": "fast\nfaster"}, "PAR-208"),
        ({"objective": "x" * 501}, "PAR-203"),
        ({"services": "shop"}, "PAR-204"),
        ({"services": [{"a": 1}]}, "PAR-204"),
        ({"objective": 7}, "PAR-204"),
        ({"optimizations": ["OPT-001", "OPT-001"]}, "PAR-205"),
        ({"services": ["payments"]}, "PAR-206"),
        ({"target_metric": "nothing"}, "PAR-206"),
        ({"optimizations": ["OPT-999"]}, "PAR-206"),
        ({"environment": "production"}, "PAR-206"),
        ({"load_profile": "huge"}, "PAR-206"),
    ],
)
def test_bad_parameters_are_refused_by_name(protocol: Protocol, raw: dict[str, Any], code: str) -> None:
    """Unknown, templated, too long, of a wrong type, doubled, or unknown to the protocol file."""
    with pytest.raises(ParameterError) as caught:
        read_parameters(raw, protocol)
    assert caught.value.code == code and caught.value.where.startswith("params.")


def test_a_round_is_closed_once() -> None:
    """A later round of the same run is open; the closed one, found by a run that was triggered anew, is not."""
    check_not_closed([], round=0, run_id="manual__1")
    check_not_closed([0], round=1, run_id="manual__1")
    with pytest.raises(ParameterError, match=r"PAR-209 run_id: the evidence of this run is closed \(got manual__1"):
        check_not_closed([0, 2], round=2, run_id="manual__1")
