# make demo   install everything into .venv, then measure, fit, search and retrain on this CPU
# make test   install everything into .venv, then run the tests
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint install clean

demo: install
	$(RUN) demo.py

test: install
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist worksteal -q

lint: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

install: $(VENV)/installed

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -r requirements.txt
	$(VENV)/bin/pip check
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
