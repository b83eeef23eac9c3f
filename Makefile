# make lab     the student's room: environment, workspace, JupyterLab on its start page
# make test    everything a change must pass
# make help    the rest

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help lab teach workspace update test lint mutants notebooks demo bench metrics course clean

help:
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

workspace: $(READY) ## make or complete the student's folder, workspace/ (your work is never overwritten)
	@$(BIN)/python -m autograder workspace

update: $(READY) ## take the updates of chapters (your answers and own cells stay; the old notebooks go to workspace/backups/)
	@$(BIN)/python -m autograder workspace --update

# What a student's and an instructor's JupyterLab show stands in .jupyter/.
JUPYTER = PATH="$(abspath $(BIN)):$$PATH" JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter/$(1)" jupyter lab $(LAB)
LAB ?=

lab: workspace ## open the course in JupyterLab at its start page (more options: make lab LAB="--no-browser --port=9000")
	cd workspace && $(call JUPYTER,student) --LabApp.default_url=/lab/tree/start.ipynb

teach: $(READY) ## open JupyterLab for an instructor: sources, formgrader, submissions
	$(call JUPYTER,instructor) --LabApp.default_url=/lab/tree/README.md

test: $(READY) lint ## everything a change must pass
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/lint-imports

mutants: $(READY) ## how many planted bugs does each exercise's check catch?
	$(BIN)/python -m tests.mutants

notebooks: $(READY) ## write the nbgrader metadata of the source notebooks from the exercises
	$(BIN)/python -m autograder normalize

demo: $(READY) ## grade a class of made-up students, end to end
	$(BIN)/python -m autograder demo

bench: $(READY) ## timings, as ratios within one run
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.convolution
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.conv_layer
	$(BIN)/python -m benchmarks.grading

metrics: $(READY) ## train every chapter's networks on several seeds and record what they reach
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.metrics

course: $(READY) ## run every notebook in full, cut off from the network: minutes, memory, results (KEEP=folder keeps them)
	$(shell command -v bwrap >/dev/null && echo bwrap --dev-bind / / --unshare-net) $(BIN)/python -m benchmarks.course $(if $(KEEP),--keep "$(KEEP)")

clean: ## remove what can be made again (never workspace/, submitted/ or the gradebook)
	rm -rf $(VENV) release demo .pytest_cache .ruff_cache
