# Needs git, make and Python 3.11 or newer with venv; everything else goes into .venv.
#   make run      the demo on http://127.0.0.1:8000/ (PORT=9000 moves it)
#   make test     the whole suite, on SQLite and on PostgreSQL
#   make help     the rest

# One recipe at a time: targets share .venv, and the last line of `make test` is pytest's.
.NOTPARALLEL:
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --require-hashes

# Passed to pytest, for example: make test PYTEST="-k chain -x"
# More processes than cores: many tests wait for a server, a clock or a disk.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# Whoever has done its share takes from another's: see tests/order.py.
PYTEST ?= -n $(shell expr $(CORES) + 2) --maxprocesses 8 --dist worksteal

export PORT
export PIP_NO_INPUT = 1
# Some containers forbid Python to keep what it compiled. Each process of a run would then compile all
# of the tests again, which takes it longer than to collect them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run setup migrate test browser-test check bench prove prove-streams fmt lock

help:
	@echo "run setup test browser-test check fmt bench prove prove-streams lock; see README.md"

run: $(VENV)/runtime
	@$(PY) manage.py migrate --verbosity 0
	@exec $(PY) manage.py demo

setup: $(VENV)/development

test: $(VENV)/development
	@echo "--- the suite on SQLite"
	@env -u DATABASE_URL $(PY) -m pytest $(PYTEST)
	@echo "--- the suite on PostgreSQL"
	@env -u DATABASE_URL $(PY) -m tests.on_postgresql $(PYTEST)

# The pages in a real Chromium, against a real server with its worker. Two at once: each is three
# processes already. `make browser-test ENGINES=sqlite` is one half.
ENGINES ?= sqlite postgresql
browser-test: $(VENV)/development
	@set -e; for engine in $(ENGINES); do \
	  echo "--- the browser on $$engine"; \
	  case $$engine in postgresql) run=tests.on_postgresql ;; *) run=pytest ;; esac; \
	  env -u DATABASE_URL $(PY) -m $$run -n 2 tests/browser $(BROWSER); \
	done

check: $(VENV)/development
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m tests.house.rooms
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py schema_lock --check
	$(PY) manage.py openapi --check
	$(PY) manage.py asyncapi --check
	@echo "$(PY) manage.py check --deploy --fail-level WARNING   (as deployed)"
	@AGENTMESH_PUBLIC_URL=https://agentmesh.example AGENTMESH_HOST=0.0.0.0 \
	  AGENTMESH_TRUSTED_PROXIES=10.0.0.0/8 \
	  AGENTMESH_SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
	  $(PY) manage.py check --deploy --fail-level WARNING

fmt: $(VENV)/development
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(VENV)/development
	@$(PY) -m tests.bench

# What takes too long for the suite: 1,000 random changes of the database, each found at its seq;
# workers killed and paused; a poison event; a tenant far behind; the relay and its broker killed;
# the API asked for whatever its document allows, and for what it does not; agents and their server
# killed.
prove: $(VENV)/development
	@$(PY) -m tests.prove
	@$(PY) -m tests.prove.workers
	@$(PY) -m tests.prove.poison
	@$(PY) -m tests.prove.fairness
	@$(PY) -m tests.prove.relay
	@$(PY) -m tests.prove.openapi
	@$(PY) -m tests.prove.agents

# A thousand clients of the stream, ten thousand of their returns, five hundred that never read:
# some ten minutes on each engine. Numbers are arguments: STREAMS="crowd --clients 200 --seconds 10"
prove-streams: $(VENV)/development
	@$(PY) -m tests.prove.streams $(STREAMS)

# After a change to a *.in file: pins, with hashes, for every platform and Python we support.
lock: $(VENV)/development
	for file in requirements requirements-dev; do \
	  $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-annotate --no-header $$file.in -o $$file.txt; \
	done

# The environment is made anew when the pinned requirements change, and only then.
$(VENV)/runtime: requirements.txt
	@python=$$($(SHELL) .ci/find-python) && "$$python" -m venv --clear $(VENV)
	@echo "Installing what AgentMesh runs on into $(VENV) ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/development: requirements-dev.txt $(VENV)/runtime
	@echo "Installing what its tests and checks need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@
