# One virtual environment, made once (and again when pyproject.toml changes); everything else runs in it.
PYTHON ?= python3
BIN := .venv/bin
# The revision that example-repo/ is validated against; empty: where this branch left the protected one.
BASE ?=

# What is compiled once is not compiled again by each of the thousands of processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo peers node slow test coverage lint bench docs site-docs example clean

help:
	@echo 'make demo      see it work: validate, render, install, and a refused change'
	@echo 'make test      the tests, but for those that take long'
	@echo 'make slow      those that take long'
	@echo 'make coverage  all of them, and which lines and branches they reach'
	@echo 'make peers     what the tests of the server run beside pip and uv'
	@echo 'make node      what judges pages in a browser, their HTML, and the Worker'
	@echo 'make lint      style, types, layers, and the promise of example-repo/'
	@echo 'make bench     measure, and write benchmarks/'
	@echo 'make docs      write the pages of docs/reference that are made of the code'
	@echo 'make site-docs build/docs: the documentation as a site'
	@echo 'make example   build example-repo/ again from its sources'
	@echo 'make clean     remove what these made'

.venv: .venv/installed

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.13 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.3'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

# Other people's indexes and installers, by which tests/peers judges the server; without it those tests are skipped.
.venv-peers/installed: pyproject.toml
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.3'
	.venv-peers/bin/python -m pip install --quiet --group peers
	@touch $@

peers: .venv-peers/installed

# By what tests judge pages and the Worker: axe-core, the checker of HTML that w3.org runs, and Cloudflare's runtime.
.node/installed: tests/browser/package.json tests/browser/package-lock.json
	mkdir -p .node
	cp $^ .node/
	cd .node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

node: .node/installed

demo: .venv/installed
	@demo/run.sh

test: .venv/installed
	$(BIN)/python -m pytest -q -n 3 --dist worksteal -m "not slow"

# What takes both processors for a minute or more: readers over a hundred publishes, kills at every write.
slow: .venv/installed
	$(BIN)/python -m pytest -q -n 2 -m slow

coverage: .venv/installed
	$(BIN)/python -m pytest -q -n 3 --dist worksteal --cov --cov-branch --cov-report=term

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy example-repo/build.py
	$(BIN)/lint-imports
	$(BIN)/gitindex -C example-repo validate --all $(if $(BASE),--base '$(BASE)')

# What ours is compared with; what they stand on need not be what gitindex stands on.
.venv-bench/installed: pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.3'
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --group rivals
	@touch $@

bench: .venv/installed .venv-bench/installed
	$(BIN)/python benchmarks/run.py --write

docs: .venv/installed
	$(BIN)/python tools/make_commands.py
	$(BIN)/python tools/make_formats.py
	$(BIN)/python tools/make_rules.py

site-docs: .venv/installed
	$(BIN)/zensical build --strict

example: .venv/installed
	$(BIN)/python example-repo/build.py

clean:
	rm -rf .node .venv .venv-peers .venv-bench build dist site .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
