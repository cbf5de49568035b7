"""`perfproof slo DIR|FILE --format FORM`: objectives for the tools that alert and plan; `perfproof slo backtest`: what their alerts
would have done.

DIR is a cycle's directory, FILE its SLO proposal or SLO record (JSON), or a protocol file (YAML) for the objectives in force. Exit
codes: 0 printed; 2 usage or unreadable input; of a back-test also 4: the history is too short to show anything.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from perfproof.commands.slo_backtest import add_backtest_arguments, run_backtest
from perfproof.config import load_protocol
from perfproof.errors import ArtifactError, ConfigError, ParameterError
from perfproof.input_file import read_input
from perfproof.slos.exports import RULES_FILE, Format, export
from perfproof.slos.objective import PERIOD_DAYS, Objective, objective_of
from perfproof.slos.proposal import objectives_of
from perfproof.strict import read_json
from perfproof.strict_yaml import MAX_BYTES
from perfproof.telemetry import sha256_hex

BACKTEST = Path("backtest")
PROPOSAL, RECORD = Path("evidence") / "slo-proposal.json", Path("slo-update-record.json")
MAX_JSON = 16 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is read, the form, and where it goes; with `backtest` in the place of a file, the history."""
    parser.add_argument(
        "path", type=Path, metavar="DIR|FILE|backtest", help="a cycle's directory, its SLO proposal or record, or a protocol file"
    )
    parser.add_argument("--format", choices=tuple(form.value for form in Format), help="what is to read the objectives")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")
    parser.add_argument("--service", help="only the objectives of this service")
    parser.add_argument("--buckets", metavar="LE,LE,…", help="upper ends of a protocol file's latency histograms, in their own unit")
    parser.add_argument("--rules-file", default=RULES_FILE, help=f"the rule file that a promtool test names (default {RULES_FILE})")
    parser.add_argument("--namespace", default="perfproof", help="of the CloudWatch metrics (default perfproof)")
    parser.add_argument("--alarm-action", action="append", default=[], metavar="ARN", help="what CloudWatch notifies; may be repeated")
    parser.add_argument("--period-days", type=int, default=PERIOD_DAYS, help=f"of the error budget (default {PERIOD_DAYS})")
    add_backtest_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Reads, exports, prints."""
    if options.path == BACKTEST:
        return run_backtest(options)
    if options.format is None:
        raise ParameterError(371, where="--format", what="missing", expected=" | ".join(Format), fix="name what is to read the objectives")
    objectives, note = _objectives(options)
    if options.service is not None:
        objectives = tuple(objective for objective in objectives if objective.service == options.service)
    if not objectives:
        raise ArtifactError(583, where=str(options.path), what="no objective", fix="name another file or service")
    data = export(
        Format(options.format), objectives, rules_file=options.rules_file, namespace=options.namespace, actions=options.alarm_action
    )
    if note:
        sys.stderr.write(f"{note}\n")
    _write(data, options.out)
    return 0


def _write(data: bytes, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(data.decode())
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise ArtifactError(469, where=str(out), what="cannot be written", got=error.strerror, fix="choose another file") from None


def _objectives(options: argparse.Namespace) -> tuple[tuple[Objective, ...], str | None]:
    """The objectives, and a note about their standing if they are those of a cycle."""
    path: Path = options.path
    if path.is_dir():
        return _of_cycle(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _of_protocol(options), None
    document = _json(path)
    if isinstance(document, dict) and "update_date" in document:
        return _of_cycle(path.parent)
    return objectives_of(document, where=str(path)), f"{path.name} is a proposal: nobody's approval was looked for"


def _of_cycle(directory: Path) -> tuple[tuple[Objective, ...], str]:
    """The objectives of the proposal, if it is the one that the record cites where there is a record."""
    path = directory / PROPOSAL
    data = read_input(path, limit=MAX_JSON, error=ArtifactError, number=469)
    objectives = objectives_of(read_json(data, where=str(path)), where=str(path))
    if not (directory / RECORD).exists():
        return objectives, "proposed, not approved: there is no slo-update-record.json"
    record = _json(directory / RECORD)
    cited = record.get("proposal") if isinstance(record, dict) else None
    if not isinstance(cited, dict) or cited.get("sha256") != sha256_hex(data):
        raise ArtifactError(
            584, where=str(path), what="not the proposal that slo-update-record.json cites", got=sha256_hex(data),
            expected=cited.get("sha256") if isinstance(cited, dict) else "a digest", fix="check the directory with perfproof verify",
        )  # fmt: skip
    return objectives, f"{record.get('approval_status')}, as {RECORD} says; perfproof verify checks the approvals"


def _of_protocol(options: argparse.Namespace) -> tuple[Objective, ...]:
    data = read_input(options.path, limit=MAX_BYTES, error=ConfigError, number=180)
    protocol = load_protocol(data, where=str(options.path))
    buckets = _buckets(options.buckets)
    return tuple(
        objective_of(service, metric=slo.metric, target=slo.target, slo=slo, period_days=options.period_days, buckets=buckets)
        for service in protocol.services
        for slo in service.slos
    )


def _buckets(text: str | None) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        found = (math.nan,)
    if not all(math.isfinite(bucket) for bucket in found):
        raise ParameterError(372, where="--buckets", what="not numbers", got=text, expected="0.1,0.25,0.5", fix="correct it")
    return found


def _json(path: Path) -> Any:
    return read_json(read_input(path, limit=MAX_JSON, error=ArtifactError, number=469), where=str(path))
