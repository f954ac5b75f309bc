# make demo   install everything into .venv, then measure, fit, search and retrain on this CPU
# make check  the same installation, then lint and the quick tests
# make test   the same installation, then all tests
# make peers  the tools that benchmarks.accuracy compares with, into .venv-peers
# FRAMEWORK=pytorch after each: without MXNet, on Python 3.11 to 3.13 (PYTHON=python3.12)
PYTHON ?= python3.11
FRAMEWORK ?= mxnet
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal -q

.PHONY: demo check test lint install peers clean

demo: install
	$(RUN) demo.py

check: lint
	$(PYTEST) -m "not slow"

test: install
	$(PYTEST)

lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

install: $(VENV)/installed-$(FRAMEWORK)

$(VENV)/installed-mxnet: requirements.txt
$(VENV)/installed-pytorch: requirements-pytorch.txt
$(VENV)/installed-%:
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -r $<
	$(VENV)/bin/pip check
	touch $@

peers: .venv-peers/installed

.venv-peers/installed: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -r $<
	.venv-peers/bin/pip check
	touch $@

clean:
	rm -rf $(VENV) .venv-peers .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
