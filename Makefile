# m2s: every target works from a bare checkout and builds its own environment in .venv first.
#   make reproduce PROFILE=lab DATA=sample   PROFILE: smoke, lab, full, large or paper; DATA: sample, phantom, or a folder of data sets

PYTHON  ?= python3
PROFILE ?= lab
DATA    ?= sample

VENV := .venv
PY   := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help reproduce test lab explore student site executed format lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

reproduce: $(VENV)/.installed  ## train every run and execute every notebook: PROFILE=lab DATA=sample
	$(PY) -m m2s reproduce --profile $(PROFILE) --data "$(DATA)"

test: $(VENV)/.installed  ## lint, types, the imports' directions and the whole test suite
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q

lab: $(VENV)/.installed  ## open the notebooks in JupyterLab
	JUPYTER_PREFER_ENV_PATH=1 $(PY) -m jupyterlab notebooks

explore: $(VENV)/.installed  ## open the explorer of feature maps in JupyterLab
	JUPYTER_PREFER_ENV_PATH=1 $(PY) -m jupyterlab notebooks/41_explorer.ipynb

student: $(VENV)/.installed  ## build/: notebooks without solutions, and an archive for a room without a network
	$(PY) -m m2s student --profile $(PROFILE)

site: $(VENV)/.installed  ## build/site/index.html, a site of what was executed, without network: PROFILE=lab DATA=sample
	$(PY) docs/build.py --profile $(PROFILE) --data "$(DATA)"

executed: reproduce  ## docs/executed: the notebooks as executed, small, to be read on the web
	$(PY) docs/executed.py --profile $(PROFILE) --data "$(DATA)"

format: $(VENV)/.installed  ## format and sort with ruff
	$(PY) -m ruff check --fix --exit-zero .
	$(PY) -m ruff format .

lock: $(VENV)/.installed  ## compile requirements.lock from pyproject.toml, keeping the versions it has
	$(PY) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra test pyproject.toml -o requirements.lock

clean:  ## remove the environment, the caches, the site and the smoke and lab results (full and paper results stay)
	rm -rf $(VENV) .snakemake .pytest_cache .ruff_cache .mypy_cache .import_linter_cache m2s.egg-info build
	rm -rf results/smoke-* results/lab-*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp appears only after a whole installation, and one that was interrupted (its marker is still there) starts anew.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || { echo "m2s: error: $(PYTHON) is not Python 3.11, 3.12 or 3.13; name one that is: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "m2s: error: $(PYTHON) has no venv module; install it (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 2; }
	@rm -f $@; test ! -e $(VENV)/.installing && $(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $(VENV)/.installing
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(PY) -m uv pip install --python $(PY) --require-hashes --compile-bytecode --requirement requirements.lock
	$(PY) -m uv pip install --python $(PY) --no-deps --no-build-isolation --editable .
	@mv $(VENV)/.installing $@
