"""A change that changes nothing, measured for real: the demo's shop twice, the load engine, the looks, the judge.

python bench/unchanged_code.py [--times 10] [--port-base 20100] [--protocol include/protocols/demo.yaml]

What `measure_blocks` and `validate` do in a cycle, with the same functions, without Airflow's scheduler and without people: each time the
candidate is deployed anew from unchanged code, gets the peak, and is measured. Exit code 0 if no time was a pass or a regression.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from perfproof.load.authorization import authorization_document, read_authorization
from perfproof.load.plan import Scenario, plan_for
from perfproof.validation import validate_change
from perfproof_demo import database, deployment, target
from perfproof_demo.settings import DEFAULT_PORT_BASE, DemoSettings, ShopSize, Side

if TYPE_CHECKING:
    from perfproof_airflow.cycle import Cycle

PROTOCOL = Path(__file__).parents[1] / "include" / "protocols" / "demo.yaml"
REF = {"sha256": "0" * 64}


def main() -> int:
    """Measures, and prints one line for each time."""
    parser = argparse.ArgumentParser(description="The measuring part of a cycle on unchanged code, several times.")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--port-base", type=int, default=20100)
    parser.add_argument("--protocol", type=Path, default=PROTOCOL)
    parser.add_argument("--looks", action="store_true", help="also print what each look found")
    options = parser.parse_args()
    # Not below the working directory: as root, Postgres runs as another account that must reach it.
    home = Path(tempfile.mkdtemp(prefix="perfproof-unchanged-"))
    settings = DemoSettings(home=home, port_base=options.port_base, size=ShopSize())
    prepare(home, options.protocol.read_text(encoding="utf-8"), options.port_base)
    listen(looks=options.looks)
    try:
        database.start_database(settings)
        for side in Side:
            deployment.ensure_running(settings, side)
        results = [once(settings, number) for number in range(1, options.times + 1)]
    finally:
        target.stop_target(settings)
        shutil.rmtree(home)
    good = sum(1 for report in results if report["status"] != "pass" and not report["regression_count"])
    write(f"{good} of {len(results)}: neither a pass nor a regression")
    return 0 if good == len(results) else 1


def prepare(workspace: Path, protocol: str, port_base: int) -> None:
    """A workspace with the protocol file on these ports, and a key for what is signed in it."""
    ports = re.sub(rf"\b{DEFAULT_PORT_BASE // 100}(?=0[12]\b)", str(port_base // 100), protocol)
    directory = workspace / "include" / "protocols"
    directory.mkdir(parents=True)
    (directory / "demo.yaml").write_text(ports, encoding="utf-8")
    os.environ["AIRFLOW__PERFPROOF__WORKSPACE"] = str(workspace)
    os.environ["AIRFLOW_HOME"] = str(workspace / "airflow")
    key = {"conn_type": "generic", "login": "unchanged-code", "password": os.urandom(32).hex()}
    os.environ["AIRFLOW_CONN_PERFPROOF_APPROVALS"] = json.dumps(key)


def listen(*, looks: bool) -> None:
    """What the task log would say of the looks, or nothing. Importing Airflow sets up logging, so it comes first."""
    import airflow

    logging.getLogger(airflow.__name__).setLevel(logging.WARNING)
    logging.getLogger("perfproof_airflow").setLevel(logging.WARNING)
    logging.getLogger("perfproof_airflow.measure_steps").setLevel(logging.INFO if looks else logging.WARNING)


def once(settings: DemoSettings, number: int) -> Mapping[str, Any]:
    """One measurement of a candidate that was just deployed; prints and returns the validation report."""
    from perfproof_airflow.cycle import Cycle, now
    from perfproof_airflow.load_steps import endpoint_of, seed_of, send, target_service
    from perfproof_airflow.measure_steps import Measuring, until_decided

    began = time.monotonic()
    deployment.deploy(settings, Side.CANDIDATE)
    cycle = Cycle.open(context(number))
    load, service = cycle.protocol.load, target_service(cycle)
    # What the SRE lead would sign, without a person: the bounds are the same and are checked before each test.
    allowed = read_authorization(authorization_document(load, profile=cycle.profile, now=now() - timedelta(seconds=1)))
    candidate = endpoint_of(service, "candidate")
    peak = plan_for(
        Scenario.PEAK, service=service, endpoint=candidate, environment=cycle.protocol.environment, profile=cycle.profile, load=load,
        seed=seed_of(cycle, "candidate", "peak"),
    )  # fmt: skip
    send(cycle, peak, allowed=allowed, endpoint=candidate)
    measurement = until_decided(Measuring(cycle, service, allowed))
    report = validate(cycle, measurement)
    tell(number, report, seconds=time.monotonic() - began)
    return report


def context(number: int) -> Any:
    """What Airflow gives to a task, as far as a cycle asks."""
    ti = SimpleNamespace(dag_id="performance_optimization", task_id="optimization.measure_blocks", map_index=-1, try_number=1, id="1")
    dag_run = SimpleNamespace(
        dag_id=ti.dag_id, run_id=f"unchanged__{number}", clear_number=0, triggering_user_name="bench", run_type="manual"
    )
    return {"ti": ti, "dag_run": dag_run, "params": {"protocol": "demo"}}


def validate(cycle: Cycle, measurement: Mapping[str, Any]) -> dict[str, Any]:
    """The validation report. There was no phase 1, so the drift since then is unknown."""
    from perfproof_airflow.cycle import now

    service = cycle.protocol.service(str(measurement["service"]))
    metric = cycle.parameters.target_metric
    spec = service.metric(metric)
    cell = {"metric_name": metric, "service": service.name, "value": None, "unit": spec.unit.value if spec else None, "timestamp": None}
    return validate_change(
        measurement=measurement,
        baseline_document={"cells": [cell]},
        baseline_ref={"name": "baseline-metrics.json", **REF},
        plan_ref={"name": "optimization-plan.json", **REF},
        measurement_ref={"name": "evidence/measurement.json", **REF},
        service=service,
        target_metric=metric,
        optimization_ids=["OPT-000"],
        thresholds=cycle.protocol.thresholds,
        judge=cycle.protocol.judge,
        now=now(),
    )


def tell(number: int, report: Mapping[str, Any], *, seconds: float) -> None:
    """One line for the verdict and one for each guard that is not clear."""
    verdict, course = report["verdict"], report["sequential"] or {}
    write(
        f"{number}: {report['status']}, target {verdict['label']} {report['improvement']['percentage']} %"
        f" ({verdict['ci_low']} to {verdict['ci_high']} %), {report['regression_count']} regressions,"
        f" {len(course.get('looks', ()))} looks, {course.get('used_blocks')} of {course.get('most_blocks')} blocks a side, {seconds:.0f} s:"
        f" {course.get('stopped_because')}"
    )
    left_out = sum(len(side["left_out"]) for side in report["samples"].values() if isinstance(side, dict) and "left_out" in side)
    if left_out:
        write(f"   {left_out} blocks were no measurement")
    for guard in report["guards"]:
        if guard["label"] != "no regression":
            write(f"   {guard['metric']} {guard['label']}: {guard['reason']}")
    for doubt in course.get("unconfirmed_regressions", ()):
        write(f"   seen at look {doubt['look']} and not confirmed: {doubt['metric']}")


def write(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
