# make demo   install, then reproduce the three papers in small, on simulated data
# make test   install, then the fast tests
# make help   the rest
PYTHON ?= python3
VENV   ?= .venv
# What was installed last stays chosen until something else is.
INSTALLED := $(shell cat $(VENV)/.installed 2>/dev/null)
TORCH  ?= $(or $(word 1,$(INSTALLED)),cpu)
EXTRAS ?= $(or $(word 2,$(INSTALLED)),dev)

TORCH_VERSION := 2.13.0
# A folder of wheels that pip is configured with; uv does not read pip's configuration.
LINKS := $(or $(UV_FIND_LINKS),$(PIP_FIND_LINKS),$(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null))
export UV_FIND_LINKS := $(LINKS)
UV  := $(shell command -v uv 2>/dev/null)
PIP := $(if $(UV),VIRTUAL_ENV=$(VENV) $(UV) pip,$(VENV)/bin/python -m pip --disable-pip-version-check)
# --no-deps: what torch needs comes from the constraints; CPU wheels from a folder of wheels, else from PyTorch.
CPU_TORCH  := --no-deps torch==$(TORCH_VERSION)
CPU_INDEX  ?= https://download.pytorch.org/whl/cpu
RUN := $(VENV)/bin/python -m

.DEFAULT_GOAL := help
.PHONY: help setup demo dashboard test test-slow test-all docs bench lint type format clean another-choice

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
	@echo; echo "TORCH=cuda make setup   installs the CUDA build of torch instead of the CPU build"
	@echo "EXTRAS=dev,mlflow,docs make setup   adds MLflow and what builds the site of the documentation"

setup: $(VENV)/.installed  ## create .venv and install the tested set of packages

$(VENV)/.installed: pyproject.toml constraints.txt $(if $(filter-out $(INSTALLED),$(TORCH) $(EXTRAS)),another-choice)
	@test -x $(VENV)/bin/python || $(if $(UV),$(UV) venv -q --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
ifeq ($(TORCH),cuda)
	$(PIP) install -q torch==$(TORCH_VERSION)
else
	@# torch first and alone: an unpinned torch would bring gigabytes of CUDA
	$(PIP) install -q --no-index $(CPU_TORCH) 2>/dev/null || $(PIP) install -q --index-url $(CPU_INDEX) $(CPU_TORCH)
endif
	$(PIP) install -q -c constraints.txt -e '.[$(EXTRAS)]'
	@echo $(TORCH) $(EXTRAS) > $@

demo: setup  ## the three papers on simulated data in their quick preset: under ten minutes of running
	$(VENV)/bin/vitruvian-reproduce paper=all

dashboard: setup  ## show all runs of outputs in TensorBoard, on this machine only (RUNS=folder)
	$(VENV)/bin/python -u scripts/dashboard.py $(or $(RUNS),outputs)

test: setup  ## the fast tests
	$(RUN) pytest -n auto --dist worksteal -m "not slow"

test-slow: setup  ## the slow tests alone
	$(RUN) pytest -n auto --dist worksteal -m slow

test-all: setup  ## every test, also the slow ones
	$(RUN) pytest -n auto --dist worksteal

docs: setup  ## the documentation as a site, in build/site; needs EXTRAS=dev,docs make setup
	@$(RUN) mkdocs --version >/dev/null 2>&1 || { echo "MkDocs is not installed: EXTRAS=dev,docs make setup"; exit 2; }
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict
	@echo "build/site/index.html"

bench: setup  ## measure speed side by side with what one would use instead
	$(RUN) tests.benchmarks

lint: setup  ## ruff: rules and format
	$(RUN) ruff check .
	$(RUN) ruff format --check .

type: setup  ## mypy --strict on src
	$(RUN) mypy

format: setup  ## rewrite the files in the house's format
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

clean:  ## remove the environment and everything generated; runs in outputs stay
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
