"""What must hold in an environment that has the wheel: each check is a function that returns what it saw, or raises CheckFailed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from build import Built
from environment import CheckFailed, Environment

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
DAGS = {"baseline_capture", "performance_approvals", "performance_optimization"}
INIT = (
    "init", "mine", "--baseline", "127.0.0.1:8101", "--candidate", "127.0.0.1:8102", "--path", "GET /orders/{id:1-900}",
    "--metric-query", 'orders_latency_p95=histogram_quantile(0.95, rate(seconds_bucket{instance="$instance"}[$window]))',
    "--owner", "tests-engineer:Person One", "--role", "product_owner=tests-product:Person Two", "--role", "sre_lead=tests-sre:Person Three",
    "--role", "security=tests-security:Person Four",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked: the environment, what was built, and the lock of this Python."""

    environment: Environment
    built: Built
    lock: Path

    @property
    def site(self) -> Path:
        return self.environment.root / "venv"


def lock(subject: Subject) -> str:
    """Everything of the lock installs by hash, and no file of it has to be compiled."""
    subject.environment.pip("install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(subject.lock))
    return f"{len(pins(subject.lock))} packages"


def wheel(subject: Subject) -> str:
    """The wheel installs without an index."""
    subject.environment.pip("install", "--quiet", "--no-deps", "--no-index", str(subject.built.wheel))
    return subject.built.wheel.name


def pip_check(subject: Subject) -> str:
    """What the wheel and the lock need is there, in the versions that they need."""
    return subject.environment.pip("check").strip()


def version(subject: Subject) -> str:
    """The program names the version of the wheel, and Airflow that of the lock."""
    told = subject.environment.tool("perfproof", "--version").strip()
    if told != f"perfproof {subject.built.version}":
        raise CheckFailed(f"perfproof --version says {told!r}")
    airflow = subject.environment.tool("airflow", "version").strip().splitlines()[-1]
    if airflow != pins(subject.lock)["apache-airflow"]:
        raise CheckFailed(f"airflow version says {airflow}")
    return f"{told}, Airflow {airflow}"


def migrate(subject: Subject) -> str:
    """An empty AIRFLOW_HOME becomes an Airflow with our DAG files, which the installation itself names."""
    source = Path(subject.environment.tool("perfproof", "dags").strip())
    if not source.is_relative_to(subject.site):
        raise CheckFailed(f"perfproof dags names {source}, which is not in the environment")
    folder = subject.environment.home / "dags"
    folder.mkdir()
    for path in source.glob("*.py"):
        shutil.copy2(path, folder)
    subject.environment.tool("airflow", "db", "migrate")
    return f"{len(list(folder.iterdir()))} DAG files"


def dags(subject: Subject) -> str:
    """Airflow lists our three DAGs and no import error, read from its database."""
    subject.environment.tool("airflow", "dags", "reserialize")
    errors = subject.environment.listed("dags", "list-import-errors")
    if errors:
        raise CheckFailed(f"import errors: {str(errors)[:800]}")
    found = {row["dag_id"] for row in subject.environment.listed("dags", "list")}
    if found != DAGS:
        raise CheckFailed(f"airflow dags list gave {sorted(found)}")
    return ", ".join(sorted(found))


def bundle(subject: Subject) -> str:
    """A DAG bundle that points to the installation, instead of copies, gives the same DAGs."""
    path = "airflow.dag_processing.bundles.local.LocalDagBundle"
    own = {"name": "perfproof", "classpath": path, "kwargs": {"path": subject.environment.tool("perfproof", "dags").strip()}}
    variables = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([own])}
    found = {row["dag_id"] for row in subject.environment.listed("dags", "list", "--local", "-B", "perfproof", variables=variables)}
    if found != DAGS:
        raise CheckFailed(f"the bundle has {sorted(found)}")
    return f"{len(found)} DAGs from the installation"


def plugin(subject: Subject) -> str:
    """The plugin is registered once, by the entry point."""
    rows = [row for row in subject.environment.listed("plugins") if row["name"] == "perfproof"]
    if len(rows) != 1 or not str(rows[0]["source"]).startswith(f"perfproof=={subject.built.version}"):
        raise CheckFailed(f"airflow plugins lists perfproof {len(rows)} times: {str(rows)[:300]}")
    return f"once, {str(rows[0]['source']).partition(': ')[0]}"


def provider(subject: Subject) -> str:
    """Airflow knows the package as a provider of that version."""
    rows = [row for row in subject.environment.listed("providers", "list") if row["package_name"] == "perfproof"]
    if len(rows) != 1 or rows[0]["version"] != subject.built.version:
        raise CheckFailed(f"airflow providers list has {rows}")
    return str(rows[0]["version"])


def options(subject: Subject) -> str:
    """Airflow knows the options of our configuration section with their defaults."""
    told = subject.environment.tool("airflow", "config", "get-value", "perfproof", "evidence_uri").strip().splitlines()[-1]
    if told != ".artifacts/performance":
        raise CheckFailed(f"[perfproof] evidence_uri is {told!r}")
    return f"evidence_uri = {told}"


def protocol(subject: Subject) -> str:
    """`perfproof init` writes a protocol file that `perfproof check` accepts."""
    subject.environment.tool("perfproof", *INIT)
    file = subject.environment.work / "include" / "protocols" / "mine.yaml"
    return subject.environment.tool("perfproof", "check", str(file)).strip().splitlines()[0][:80]


def judge(subject: Subject) -> str:
    """`perfproof judge` accepts equal sides and blames a slower one."""
    files = {"before": 0.0, "same": 0.1, "slower": 40.0}
    for name, more in files.items():
        rows = "".join(f"{100 + (number * 7) % 5 + more}\n" for number in range(20))
        (subject.environment.work / f"{name}.csv").write_text(f"latency\n{rows}")
    told = subject.environment.tool("perfproof", "judge", "--metric", "latency", "before.csv", "same.csv")
    try:
        subject.environment.tool("perfproof", "judge", "--metric", "latency", "before.csv", "slower.csv")
    except CheckFailed as failed:
        if ": exit 1:" not in str(failed):
            raise
        return f"{told.strip().splitlines()[0][:60]}; 40 % slower: exit 1"
    raise CheckFailed("perfproof judge accepts what became 40 % slower")


def imports(subject: Subject) -> str:
    """Every module of the wheel and every DAG file imports here, and none of what is imported comes from the checkout."""
    told = subject.environment.probe(HERE / "probe.py", str(subject.environment.home / "dags"))
    if told["failed"]:
        raise CheckFailed(f"{len(told['failed'])} modules do not import: {str(told['failed'])[:800]}")
    elsewhere = [name for name in told["files"] if not Path(name).is_relative_to(subject.site)]
    ours = [name for name in told["everything"] if Path(name).is_relative_to(ROOT) and Path(name) != HERE / "probe.py"]
    on_path = [name for name in told["path"] if Path(name).is_relative_to(ROOT)]
    if elsewhere or ours or on_path:
        raise CheckFailed(f"not from the environment: {[*elsewhere, *ours, *on_path][:5]}")
    return f"{told['modules']} modules, {len(told['everything'])} files, none of the checkout"


CHECKS: Mapping[str, Callable[[Subject], str]] = {
    "lock": lock,
    "wheel": wheel,
    "pip check": pip_check,
    "version": version,
    "db migrate": migrate,
    "dags": dags,
    "bundle": bundle,
    "plugin": plugin,
    "provider": provider,
    "options": options,
    "protocol": protocol,
    "judge": judge,
    "imports": imports,
}
# Nothing of the others can hold if one of these does not.
NEEDED = ("lock", "wheel")


def pins(lock_file: Path) -> dict[str, str]:
    """The version of every package that a lock names."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", lock_file.read_text(), re.MULTILINE))
