# make run     the TUI, on this machine's own state; assembles the starter image when there is none
# make demo    the same job without a screen: an image, a container, what the kernel knows of it; leaves nothing behind
# make test    all tests (those that ask the kernel need root)
# make lint    ruff, mypy --strict, the import order
# make bench   start-up, memory and exec, beside docker and podman where these are installed
# make screenshots    the pictures of the README, of the running application; needs rsvg-convert
# make clean   what the targets above made here; never an image or a container
#
# PYTHON=/path/to/python3 chooses the interpreter; else the first of 3.11 or newer is found.

PYTHON ?=
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/ready
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: run demo test lint format bench screenshots clean
.DEFAULT_GOAL := run

$(READY): pyproject.toml tools/venv.sh
	@tools/venv.sh $(VENV) "$(PYTHON)"
	@touch $@

run: $(READY)
	@$(SUDO) $(VENV)/bin/tuidock image inspect tuidock/starter >/dev/null 2>&1 || $(SUDO) $(VENV)/bin/tuidock image starter
	@$(SUDO) $(VENV)/bin/tuidock

demo: $(READY)
	@$(SUDO) tools/demo.sh $(VENV)/bin/tuidock

test: $(READY)
	$(PY) -m pytest $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

format: $(READY)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(READY)
	@$(SUDO) $(PY) -m tests.bench $(ARGS)

screenshots: $(READY)
	@$(SUDO) $(PY) -m tests.e2e.screenshots

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
