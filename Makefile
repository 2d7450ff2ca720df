# make demo: the main job on MovieLens-100K, from nothing. make test: the tests. make docs: the documentation's site.
# All set up .venv first.
PYTHON ?= python3
VENV := .venv
RUN ?= runs/ml-100k

.PHONY: setup demo test lint docs
setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (pinned packages; torch is the largest)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=…")'
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup
	@$(VENV)/bin/slmrec run ml-100k --out $(RUN)
	@echo
	@echo "What the distilled student recommends to user 1:"
	@$(VENV)/bin/slmrec recommend $(RUN)/student --user 1 --data $(RUN)/data -k 5
	@echo "$(VENV)/bin/slmrec recommend $(RUN)/student --history '50,181,172'   # or any history of yours"
	@echo "$(VENV)/bin/slmrec serve $(RUN)/student $(RUN)/sasrec $(RUN)/teacher   # then open http://127.0.0.1:8080"

# One thread a worker: threads of two trainings on the same cores wait for each other.
test: setup
	OMP_NUM_THREADS=1 $(VENV)/bin/pytest -n 2 --dist loadfile

docs: setup
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet
	@echo "build/site/index.html   ($(VENV)/bin/python -m http.server -d build/site serves it, search included)"

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
