"""Runs inside the environment under test: imports every module of the wheel and every DAG file, and tells as JSON where files came from.

`python -I probe.py DAGS`. The answer: `modules` imported, `failed` (module: error), `files` of the wheel's modules, `path`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import pkgutil
import sys
from pathlib import Path

# perfproof_demo needs the extra `demo`, which a production install leaves out.
PACKAGES = ("perfproof", "perfproof_airflow")
# Runs in a Python of its own that has Locust.
ELSEWHERE = {"locust", "gevent"}


def main() -> None:
    """Writes the answer as one line."""
    names, failed = [], {}
    for package in PACKAGES:
        root = importlib.import_module(package)
        found = pkgutil.walk_packages(root.__path__, f"{package}.", onerror=lambda name: failed.update({name: "not imported"}))
        for module in found:
            # A DAG file is no module of the package, and a program would run.
            if module.name.startswith("perfproof_airflow.dags") or module.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(module.name)
                names.append(module.name)
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] not in ELSEWHERE:
                    failed[module.name] = str(error)
            except Exception as error:  # any reason is what is asked for
                failed[module.name] = f"{type(error).__name__}: {error}"
    for number, path in enumerate(sorted(Path(sys.argv[1]).glob("*.py"))):
        spec = importlib.util.spec_from_file_location(f"dag_file_{number}", path)
        if spec is None or spec.loader is None:
            failed[str(path)] = "cannot be loaded"
            continue
        module_of_file = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module_of_file)
    files = sorted(
        str(module.__file__)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0].startswith("perfproof") and module.__file__
    )
    everything = sorted(str(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None))
    sys.stdout.write(json.dumps({"modules": len(names), "failed": failed, "files": files, "everything": everything, "path": sys.path}))


if __name__ == "__main__":
    main()
