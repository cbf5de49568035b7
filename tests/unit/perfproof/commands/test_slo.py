"""`perfproof slo`: objectives of a protocol file or of a cycle for other tools, and a back-test of a history in a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfproof.cli import main
from perfproof.config import load_protocol
from perfproof.slo import propose_updates
from perfproof.telemetry import document_bytes, sha256_hex

DEMO = Path(__file__).parents[4] / "include" / "protocols" / "demo.yaml"
REF = {"name": "optimization-validation-report.json", "sha256": "a" * 64}


def called(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["slo", *map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


@pytest.fixture
def cycle(tmp_path: Path) -> Path:
    """A directory with a proposal, as a cycle leaves it."""
    proposal = propose_updates(
        validation={"target_metric": "orders_latency_p95", "improvement": {"percentage": 28.9}},
        validation_ref=REF,
        candidate_blocks=[50, 52, 51, 53],
        service=load_protocol(DEMO.read_bytes(), where="demo.yaml").service("shop"),
        now=datetime(2025, 2, 16, 17, 0, tzinfo=UTC),
    )
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "slo-proposal.json").write_bytes(document_bytes(proposal))
    return tmp_path


def record(cycle: Path, digest: str | None = None) -> Path:
    data = (cycle / "evidence" / "slo-proposal.json").read_bytes()
    path = cycle / "slo-update-record.json"
    document = {"update_date": "x", "approval_status": "approved", "proposal": {"name": "p", "sha256": digest or sha256_hex(data)}}
    path.write_bytes(document_bytes(document))
    return path


@pytest.mark.parametrize("form", ["prometheus", "promtool-test", "openslo", "sloth", "cloudwatch", "grafana"])
def test_the_objectives_in_force_are_printed_in_each_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a protocol file, with its target."""
    assert called(DEMO, "--format", form) == 0
    told = capsys.readouterr()
    assert list(yaml.safe_load_all(told.out)) and told.err == ""
    assert "shop-orders-latency-p95" in told.out or "shop_orders_latency_p95" in told.out


def test_known_buckets_turn_samples_into_requests(capsys: pytest.CaptureFixture[str]) -> None:
    """The target of 250 ms is the bucket of 0.25 s."""
    called(DEMO, "--format", "prometheus", "--buckets", "0.1,0.25")
    assert 'le="0.25"' in capsys.readouterr().out
    called(DEMO, "--format", "prometheus")
    assert 'le="0.25"' not in capsys.readouterr().out


def test_a_cycle_gives_what_it_proposed_and_says_whether_it_is_approved(cycle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The new target, from the directory, the proposal or the record; the standing goes to standard error."""
    assert called(cycle, "--format", "prometheus") == 0
    told = capsys.readouterr()
    assert "> bool 60" in told.out and "not approved" in told.err
    path = record(cycle)
    for given in (cycle, path):
        assert called(given, "--format", "prometheus") == 0
        assert "approved, as slo-update-record.json says" in capsys.readouterr().err
    assert called(cycle / "evidence" / "slo-proposal.json", "--format", "sloth") == 0
    assert "nobody's approval was looked for" in capsys.readouterr().err


def test_a_proposal_that_is_not_the_recorded_one_is_not_exported(cycle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was approved had other bytes."""
    record(cycle, "b" * 64)
    assert called(cycle, "--format", "prometheus") == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("ART-584")


def test_the_export_goes_into_a_file(cycle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is printed."""
    assert called(cycle, "--format", "openslo", "--out", cycle / "x.yaml") == 0
    assert capsys.readouterr().out == "" and (cycle / "x.yaml").read_text().startswith("apiVersion: openslo/v1")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["{dir}"], "PAR-371"),
        (["{dir}/none", "--format", "sloth"], "ART-469"),
        ([str(DEMO), "--format", "prometheus", "--buckets", "a"], "PAR-372"),
        ([str(DEMO), "--format", "prometheus", "--service", "other"], "ART-583"),
        (["backtest"], "PAR-373"),
        (["backtest", "--history", "{dir}/h.csv", "--objective", "200"], "PAR-374"),
        (["backtest", "--history", "{dir}/h.csv", "--objective", "99", "--metric", "p95"], "PAR-373"),
        (["backtest", "--history", "{dir}/h.csv", "--objective", "99"], "ART-585"),
        (
            [
                "backtest",
                "--history",
                "{dir}/h.csv",
                "--objective",
                "99",
                "--metric",
                "p95",
                "--target",
                "1",
                "--incidents",
                "{dir}/i.json",
            ],
            "ART-586",
        ),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and nothing on standard output."""
    (tmp_path / "h.csv").write_text("time,p95\n60,1\n120,2\n")
    (tmp_path / "i.json").write_text('[{"name": "x"}]')
    assert called(*(argument.format(dir=tmp_path) for argument in arguments)) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith(code) and told.err.count("\n") == 1


def test_an_old_proposal_without_objectives_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made by a version without exports."""
    path = tmp_path / "slo-proposal.json"
    path.write_text(json.dumps({"proposal_date": "x", "updates": [{"slo_name": "x"}]}))
    assert called(path, "--format", "prometheus") == 2
    assert capsys.readouterr().err.startswith("ART-582")


def history(path: Path, days: int = 8) -> Path:
    rows = ["time,good,total"]
    for minute in range(1, days * 1440):
        rows.append(f"{60 * minute},{0 if 5000 <= minute < 5060 else 100},100")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_back_test_counts_pages_and_times_incidents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For the new and the old objective, as lines and as JSON."""
    file = history(tmp_path / "h.csv")
    incidents = tmp_path / "i.json"
    incidents.write_text(json.dumps([{"name": "INC-1", "start": 5000 * 60, "end": "1970-01-04T12:20:00Z"}]))
    given: list[Any] = [
        "backtest",
        "--history",
        file,
        "--objective",
        99.5,
        "--old-objective",
        90,
        "--incidents",
        incidents,
        "--period-days",
        7,
    ]
    assert called(*given) == 0
    text = capsys.readouterr().out
    assert "new objective 99.5 %: back-test over 8.0 days" in text and "old objective 90 %" in text and "incident INC-1: page after" in text
    assert called(*given, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["new"]["pages"] == 1 and document["new"]["budget_left_percent"] < 0 < document["old"]["budget_left_percent"]
    assert document["new"]["detections"][0]["page_after_seconds"] < document["old"]["detections"][0]["page_after_seconds"]


def test_a_short_history_is_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4, and the sentence that people must not overlook."""
    file = tmp_path / "h.csv"
    file.write_text("time,p95\n60,1\n120,2\n")
    assert called("backtest", "--history", file, "--objective", 99, "--metric", "p95", "--target", 5) == 4
    assert "back-test: not shown" in capsys.readouterr().out
