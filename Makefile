# `make` alone lists what there is. Python 3.11 to 3.13, make and a package index are all it takes.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
APPROVE ?= auto
OPTIMIZATION ?= index+batch
PYTHONS ?= python3.11 python3.12 python3.13

# Byte code is worth writing: without it every Airflow process compiles Airflow again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo demo-stop test test-unit test-long test-parts bench bench-telemetry bench-pages bench-scale faults tamper chaos audit sbom dist wheel-test bench-evidence bench-load bench-judge test-e2e compose-env compose-test lint lock clean-demo

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/installed ## install everything, locked and hashed, into .venv

$(VENV)/installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# The lock is complete, so pip has nothing to resolve: every file is named with its hash.
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m pip check
	touch $@

demo: install ## one optimization cycle on a real service (APPROVE=manual, OPTIMIZATION=cache|none|precompile|index|batch)
	$(BIN)/perfproof-demo run --approve $(APPROVE) --optimization $(OPTIMIZATION)

demo-stop: ## end every process of the demo
	@if test -x $(BIN)/perfproof-demo; then $(BIN)/perfproof-demo stop; else echo "no demo is installed"; fi

clean-demo: demo-stop ## end the demo and delete its home (evidence under .artifacts stays)
	$(BIN)/perfproof-demo clean

test: install ## unit, DAG, integration and end-to-end tests
	$(BIN)/python -m pytest -n 2 tests/unit
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not long" tests/dags tests/integration tests/parts
	@# These two wait most of their time, each on an Airflow of its own; the cycles measure, and want the machine for themselves.
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not long" tests/e2e --ignore tests/e2e/test_cycle.py
	$(BIN)/python -m pytest -m "not long" tests/e2e/test_cycle.py

test-long: install ## the tests that `make test` leaves out for their time
	$(BIN)/python -m pytest -m long tests

test-parts: install ## install real parts into .parts (Prometheus, Alertmanager, Locust, …), and run the tests that need them
	$(BIN)/python tests/parts/install_parts.py .parts
	$(BIN)/python tests/parts/run_parts.py .parts

test-unit: install ## the tests of the pure core, in seconds
	$(BIN)/python -m pytest tests/unit/perfproof

faults: install ## inject a fault at every file call of every writer of evidence
	$(BIN)/python tests/faults/run.py

tamper: install ## change a signed cycle's evidence in every way, and count what is found
	$(BIN)/python tests/faults/tamper.py

bench-evidence: install ## what an append costs, beside bare writes; speed of the search for secrets
	$(BIN)/python bench/evidence.py

bench: install ## what perfproof costs over the least it can cost: parsing, a gate, a whole cycle, as one table of ratios
	$(BIN)/python bench/overhead.py

bench-telemetry: install ## a range query of 1,000,000 samples, beside bare HTTP and prometheus-api-client (of .parts, if it is there)
	$(BIN)/python bench/range_query.py $(if $(wildcard .parts/python/bin/python),--competitor-python .parts/python/bin/python)

bench-pages: install ## how fast the pages answer with 1,000 cycles of 20 artifacts
	$(BIN)/python bench/pages.py

bench-scale: install ## waiting, running, a large capture and a year of captures, each beside its floor
	$(BIN)/python bench/scale.py

bench-load: install ## does the open-loop generator keep its rate, and does a stall show (needs two quiet cores)
	$(BIN)/python bench/load_engine.py

bench-judge: install ## the judge against labelled series and synthetic pairs (LABELLED=DIR, OTAVA_PYTHON=python)
	$(BIN)/python bench/judge.py $(if $(LABELLED),--labelled $(LABELLED)) $(if $(OTAVA_PYTHON),--otava-python $(OTAVA_PYTHON))

test-e2e: install ## the tests that start a real Airflow
	$(BIN)/python -m pytest -m "not long" tests/e2e

dist: install ## build wheel and sdist into dist
	$(BIN)/python -m hatchling build -d dist -t sdist -t wheel

wheel-test: install ## install the wheel of the last commit into fresh environments (PYTHONS), and check it there
	$(BIN)/python tests/wheel/run.py $(PYTHONS)

compose-env: install ## write .env for docker-compose.yaml with generated secrets
	$(BIN)/python -m perfproof_demo.compose_env .env

compose-test: install ## run docker-compose.yaml, a cycle with approvals on it, kill parts meanwhile, verify, take it down (PREPARE=1 makes images with podman, CLEAN=1 removes them)
	$(BIN)/python tests/compose/run.py $(if $(PREPARE),--prepare) $(if $(CLEAN),--clean)

lint: install ## ruff, mypy and bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit -q -c pyproject.toml -r include plugins dags

chaos: install ## kill parts of a real stack in every phase of real cycles (long; CELLS=F01-F12, KILLS=24 SEED=7)
	$(BIN)/python tests/chaos/run.py --cells $(or $(CELLS),all) --random $(or $(KILLS),0) --seed $(or $(SEED),1)

audit: install ## look up every locked dependency in the public list of known vulnerabilities
	@$(BIN)/pip-audit --requirement requirements.lock --require-hashes --disable-pip --strict --progress-spinner off || { \
		echo "audit failed: a dependency has a known vulnerability or could not be looked up (see above); neither is a pass" >&2; exit 1; }

sbom: install ## CycloneDX of the locked environment, dist/perfproof.cdx.json
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --sv 1.6 --of JSON --validate -o dist/perfproof.cdx.json $(BIN)/python

# The locks of production follow what was tested.
lock: ## write requirements.lock and locks/ anew (needs uv)
	uv pip compile pyproject.toml --all-extras --group dev --group build --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o requirements.lock
	for version in 3.11 3.12 3.13; do \
		uv pip compile pyproject.toml --extra distributed --extra kubernetes --extra pagerduty --extra parquet --extra slack \
			--constraints requirements.lock --python-version $$version --python-platform linux --generate-hashes --no-annotate \
			--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o locks/python-$$version.txt || exit 1; \
	done
