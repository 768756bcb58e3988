.DEFAULT_GOAL := help
.PHONY: help run test check bench format lock build clean

export PYTHONPATH := functions/link:layers/core

PYTHON := .venv/bin/python
UV := .tools/bin/uv
UV_VERSION := 0.13.9

help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## the service on localhost: embedded PostgreSQL, a sample roster, one curl to try
	@$(PYTHON) -m local.serve

test: .venv/installed ## all tests, against a real PostgreSQL
	$(PYTHON) -m pytest -q -n 2

check: .venv/installed ## what a machine can tell of the code: style, types, templates
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy functions layers local tests benchmarks

bench: .venv/installed ## what linking costs, side by side with the plain way and with the bound
	@$(PYTHON) -m benchmarks

format: .venv/installed ## mend what a machine can mend
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lock: $(UV) ## pin every package by hash, anew
	$(UV) pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --python-version 3.13 --universal pyproject.toml --group dev -o requirements-dev.txt
	$(UV) pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.13 pyproject.toml -c requirements-dev.txt -o layers/core/requirements.txt

clean: ## remove what the other targets made
	rm -rf .venv .tools .aws-sam .local

$(UV):
	python3 -m venv .tools
	.tools/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION)

.venv/installed: requirements-dev.txt | $(UV)
	$(UV) venv -q --allow-existing --python 3.13 .venv
	$(UV) pip sync -q --require-hashes --python $(PYTHON) requirements-dev.txt
	@touch $@
