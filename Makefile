# Each target does its own set-up in .venv. On Linux, add the index of torch's CPU builds to avoid
# several GB of CUDA libraries:   make lab TORCH_INDEX=https://download.pytorch.org/whl/cpu
# With no network, from a folder that `make wheelhouse` filled:   make lab WHEELHOUSE=wheelhouse
PYTHON ?= python3
TORCH_INDEX ?=
WHEELHOUSE ?=
TORCH ?=
TRANSFORMERS ?=
LAB ?=
RUN ?=
BENCH ?=
SURVEY ?=
BIN := .venv/bin
# transformers 5 lies beside 4, and is used where PYTHONPATH names it: make lab TRANSFORMERS=5
FIVE := PYTHONPATH="$(CURDIR)/.venv/transformers5$(if $(PYTHONPATH),:$(PYTHONPATH))"
LINE := $(if $(filter 5 5.%,$(TRANSFORMERS)),$(FIVE))
COURSE := .venv/course.done $(if $(LINE),.venv/transformers5.done)
FROM := $(if $(WHEELHOUSE),--no-index --find-links $(WHEELHOUSE)) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
TESTS := $(BIN)/python -m pytest -n 2
EXACT := --disable-pip-version-check --constraint constraints.txt $(FROM)
PIP := $(BIN)/python -m pip install $(EXACT)

.PHONY: lab run bench survey wheelhouse lane test quick rehearse lint system format hooks screenshot clean

lab: $(COURSE)  ## the course in JupyterLab; LAB=--no-browser on a machine without a screen
	$(LINE) $(BIN)/jupyter lab $(LAB) notebooks/00_start_here.ipynb

run: $(COURSE)  ## every notebook, or RUN=notebooks/NAME.ipynb, headless, to HTML in output/
	$(LINE) $(BIN)/tsnb run --output output $(RUN)

bench: .venv/bench.done  ## ways to run a model, compared; CSV and a figure in output/
	$(BIN)/tsnb bench --output output $(BENCH)

survey: .venv/test.done .venv/transformers5.done  ## classes of transformers, judged; SURVEY=bert for one family; an hour
	$(BIN)/python -m tools.survey $(SURVEY)

wheelhouse: .venv/course.done  ## every package of the course as files, for a room without a network
	$(BIN)/python -m pip wheel $(EXACT) --wheel-dir wheelhouse . hatchling editables

lane:  ## the package's steps and all notebooks with another pair, in .lanes/: TORCH=2.9.1 TRANSFORMERS=4.57.6
	$(PYTHON) tools/lane.py "$(TORCH)" "$(TRANSFORMERS)" -- $(FROM)

test: lint system .venv/transformers5.done  ## everything that CI checks; PYTEST="-k words" for a part
	$(TESTS) $(PYTEST)
	$(FIVE) BOTH_LINES=1 $(TESTS) $(PYTEST) || [ $$? = 5 ]  # no test of that part is for both lines

quick: lint  ## what starts no kernel, browser, compiler or second Python, and neither measures nor trains
	$(TESTS) -m "not process and not rehearsal" --ignore tests/claims --ignore tests/tiny_bert $(PYTEST)

rehearse: system .venv/transformers5.done  ## README's commands, Binder on one CPU, every notebook restarted
	$(TESTS) -m rehearsal $(PYTEST)

lint: .venv/test.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

system: .venv/test.done
	tests/system.sh

format: .venv/test.done
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

hooks: .venv/test.done  ## the quick checks before every commit
	$(BIN)/pre-commit install

screenshot: .venv/test.done  ## the picture in the README, from notebook 02 in a browser
	$(BIN)/python -m tools.screenshot README.png

clean:
	rm -rf .venv .lanes output

.venv/course.done: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version.split()[0] + ". Name another: make lab PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable .
	$(BIN)/jupyter labextension disable --level=sys_prefix "@jupyterlab/apputils-extension:announcements"  # asks nobody
	touch $@

.venv/bench.done: .venv/course.done
	$(PIP) --editable '.[bench]'
	touch $@

.venv/test.done: .venv/course.done
	$(PIP) --editable '.[test,bench]'
	touch $@

# A second transformers, beside the first.
.venv/transformers5.done: .venv/course.done constraints-transformers5.txt
	$(BIN)/python -m pip install $(FROM) --quiet --no-deps --target .venv/transformers5 --upgrade --requirement $(word 2,$^)
	touch $@
