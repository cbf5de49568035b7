"""The tamper suite, a few cases of each class: what `make tamper` does with all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from modules import load

SUITE = Path(__file__).parents[2] / "faults" / "tamper.py"


def test_a_sample_of_every_class_of_tampering_is_detected(capsys: pytest.CaptureFixture[str]) -> None:
    """With a trust root and one anchor nothing is missed, and untouched copies verify; the table says how it looks without them."""
    code = load("tamper", SUITE).main(["--sample", "2", "--positions", "1"])
    shown = capsys.readouterr().out
    print(shown)
    assert code == 0, shown
    assert "as demanded" in shown and "missed with trust root, anchor" not in shown
    rows = {line[:55].strip(): line.split()[-12:] for line in shown.splitlines()[2:-1]}
    assert len(rows) >= 26
    # tampered, unfinished and missed; for an auditor with nothing, with an anchor, with a trust root, with both
    assert rows["tail cut, views rebuilt, later checkpoints removed"] == ["0", "2", "0", "2", "0", "0", "0", "2", "0", "2", "0", "0"]
    assert rows["whole cycle written anew, unsigned"] == ["0", "0", "1", "1", "0", "0", "0", "1", "0", "1", "0", "0"]
    assert rows["whole cycle written anew, signed with another key"] == ["0", "0", "1", "1", "0", "0", "1", "0", "0", "1", "0", "0"]
    assert rows["whole cycle written anew, signed with the stolen key"] == ["0", "0", "1", "1", "0", "0", "0", "0", "1", "1", "0", "0"]


def test_a_run_that_does_not_verify_is_no_subject(tmp_path: Path) -> None:
    """The suite changes good evidence; a directory that is none is refused."""
    with pytest.raises(SystemExit):
        load("tamper", SUITE).main(["--run", str(tmp_path), "--sample", "1"])
