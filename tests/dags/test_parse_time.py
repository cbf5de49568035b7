"""Parsing a DAG file is cheap: it imports no library for numbers, checks, plots or clouds, and computes nothing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAGS = Path(__file__).resolve().parents[2] / "dags"
HEAVY = ("pandas", "great_expectations", "scipy", "boto3", "botocore", "matplotlib")
# What the tasks of the protocol import when they run: each of them parses the file first.
STEPS = ("numpy", "perfproof.approvals", "perfproof.config", "perfproof.evidence", "perfproof.gates", "perfproof_airflow.cycle")
NAMES = ("baseline_capture", "performance_approvals", "performance_optimization")
IMPORTED = """
import json, runpy, sys
import airflow.sdk
before = set(sys.modules)

runpy.run_path(sys.argv[1], run_name="parsed")
print("RESULT " + json.dumps({"bare": sorted(before), "all": sorted(sys.modules)}))
"""
# What a DAG file may do at its top: say what it is, import, name constants, wire.
TOP = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef)
COMPUTES = (ast.For, ast.While, ast.If, ast.Try, ast.With, ast.BinOp, ast.Lambda, ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp,
            ast.IfExp, ast.AugAssign, ast.Return, ast.Raise, ast.Import, ast.ImportFrom, ast.JoinedStr)  # fmt: skip


def modules_after(path: Path, home: Path) -> dict[str, list[str]]:
    """What is imported before and after a fresh process has parsed the file."""
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(path)], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-2000:]
    found: dict[str, list[str]] = json.loads(lines[0].removeprefix("RESULT "))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_parsing_imports_nothing_heavy(name: str, tmp_path: Path) -> None:
    """Beyond what Airflow's own SDK has imported already."""
    found = modules_after(DAGS / f"{name}.py", tmp_path)
    assert len(found["all"]) > len(found["bare"]) > 0
    assert [module for module in HEAVY if module in found["all"] and module not in found["bare"]] == []


def test_the_protocol_is_parsed_without_what_its_steps_need(tmp_path: Path) -> None:
    """Wiring needs neither judge nor evidence nor configuration."""
    found = modules_after(DAGS / "performance_optimization.py", tmp_path)
    assert [module for module in STEPS if module in found["all"] and module not in found["bare"]] == []


def test_the_check_sees_an_import(tmp_path: Path) -> None:
    """A file that does import one of them is found out."""
    guilty = tmp_path / "guilty.py"
    guilty.write_text("import scipy\n")
    assert "scipy" in modules_after(guilty, tmp_path)["all"]


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_file_wires_and_computes_nothing(name: str) -> None:
    """No branch, loop, expression or helper: docstring, imports, constants, one decorated function, one call."""
    tree = ast.parse((DAGS / f"{name}.py").read_text(encoding="utf-8"))
    assert [type(node).__name__ for node in tree.body if not isinstance(node, TOP)] == []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [function.name for function in functions] == [name]
    decorators = [ast.unparse(decorator).partition("(")[0] for decorator in functions[0].decorator_list]
    assert decorators == ["dag"]
    assert wires_only(functions[0])
    assert ast.unparse(tree.body[-1]) == f"{name}()"


def wires_only(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a body is calls and dependencies; `>>` is the only operator."""
    found = [node for statement in function.body for node in ast.walk(statement) if isinstance(node, COMPUTES)]
    return all(isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift) for node in found)


@pytest.mark.parametrize(
    "body", ["x = 1 + 1", "for a in b:\n  c()", "x = [f(a) for a in b]", "if a:\n  b()", "import os", "x = lambda: 1", 'print(f"{a}")']
)
def test_the_wiring_check_finds_what_computes(body: str) -> None:
    """A rule that never fires is none."""
    source = "def f():\n" + "\n".join(f"  {line}" for line in body.splitlines())
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert not wires_only(function)


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_file_reads_neither_environment_nor_files(name: str) -> None:
    """Every process that parses it comes to the same DAG."""
    tree = ast.parse((DAGS / f"{name}.py").read_text(encoding="utf-8"))
    imported = {
        alias.name.partition(".")[0] if isinstance(node, ast.Import) else (node.module or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= {"__future__", "datetime", "airflow", "perfproof_airflow"}
