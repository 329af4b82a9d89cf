# Targets create the environments that they need, such as .venv; `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
PEERS := .venv-peers
OLD = benchmarks/results/before.json
NEW = benchmarks/results/latest.json

# RLlib pins an older Gymnasium, so it has an environment of its own.
RLLIB_BIN := .venv-rllib/bin
RLLIB_INSTALLED := .venv-rllib/installed

.PHONY: help demo test test-rllib test-envpool lint format types bench bench-peers bench-compare bench-docs bench-learning clean

help:
	@echo "make demo            train a two-level hierarchy on mpe2.simple_spread_v3 and show its results (runs/demo/)"
	@echo "make test            run the tests"
	@echo "make test-rllib      run the tests of the RLlib view, and of the folders below it, with RLlib's versions"
	@echo "make test-envpool    install EnvPool (0.7 GB) into .venv and run its tests"
	@echo "make lint            check style"
	@echo "make format          fix style"
	@echo "make types           check types"
	@echo "make bench           run the benchmarks"
	@echo "make bench-compare OLD=a.json NEW=b.json    show the changes between two runs"
	@echo "make bench-docs      run the benchmarks and write the figures into docs/"
	@echo "make bench-learning  train on one environment of each family and compare with random actions"
	@echo "make bench-peers     install other libraries (4 GB in .venv-peers/) and compare HERON with them"
	@echo "make clean           remove .venv, .venv-rllib, .venv-peers and caches"

# PYTHONWARNINGS: pip warns about every editable install.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	@touch $@

$(RLLIB_INSTALLED): pyproject.toml constraints-rllib.txt
	test -x $(RLLIB_BIN)/python || $(PYTHON) -m venv .venv-rllib
	$(RLLIB_BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(RLLIB_BIN)/python -m pip install --quiet --constraint constraints-rllib.txt --editable '.[rllib,train,test]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/python examples/demo.py

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

test-rllib: $(RLLIB_INSTALLED)
	$(RLLIB_BIN)/python -m pytest tests/wrappers/rllib
	$(RLLIB_BIN)/python -m pytest --numprocesses 2 --dist worksteal tests/agents tests/batch tests/vector tests/play tests/wrappers

test-envpool: $(INSTALLED)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --constraint constraints.txt envpool==1.2.5
	$(BIN)/python -m pytest tests/wrappers/sources/test_envpool_driver.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(INSTALLED)
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks run $(ARGS)

bench-compare: $(INSTALLED)
	$(BIN)/python -m benchmarks compare $(OLD) $(NEW)

bench-docs: $(INSTALLED)
	$(BIN)/python -m benchmarks run $(ARGS)
	$(BIN)/python -m benchmarks report docs/performance.md --plot docs/scaling.png

bench-learning: $(INSTALLED)
	$(BIN)/python -m benchmarks learn $(ARGS)

# If a library cannot be installed, its row in the table states the reason. PufferLib is built without its games, which
# its build would download.
bench-peers: $(INSTALLED)
	for name in common agilerl pufferlib; do \
		test -x $(PEERS)/$$name/bin/python || $(PYTHON) -m venv $(PEERS)/$$name; \
	done
	-$(PEERS)/common/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements.txt
	-$(PEERS)/agilerl/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements-agilerl.txt
	-$(PEERS)/pufferlib/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements-pufferlib.txt
	-NO_OCEAN=1 NO_TRAIN=1 PYTHONPATH=$(CURDIR)/benchmarks/peers/pufferlib_build $(PEERS)/pufferlib/bin/python -m pip \
		install --quiet --no-deps --no-build-isolation pufferlib==3.0.0
	$(BIN)/python -m benchmarks run peers --json benchmarks/results/peers.json

clean:
	rm -rf .venv .venv-rllib .venv-peers .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
