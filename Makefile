# The two commands are `make run` and `make test`; `make help` names the others. Every target is a thin call.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Not $(dir ...) and $(abspath ...), which take a path with a blank for two.
ROOT := $(shell cd "$$(dirname "$(strip $(MAKEFILE_LIST))")" && pwd)
BIN := $(ROOT)/.venv/bin
SCRIPTS := $(ROOT)/scripts
DEVENV := cd "$(ROOT)" && "$(BIN)/devenv"
# More arguments for the tool behind a target: make test ARGS="-k health", make docker-logs ARGS=backend.
ARGS ?=
# devenv's tests of its own attack surface that need neither an engine nor a terminal (docs/SECURITY.md).
SECURITY := tests/secrets tests/manifests/test_manifest_hostile.py tests/k8s/test_k8s_rbac.py \
	tests/k8s/test_k8s_network.py tests/unit/test_text.py tests/unit/test_masking.py tests/unit/test_guard.py \
	tests/unit/test_private_files.py tests/kube/test_wire_credentials.py tests/ci
# Tests run side by side, a file on one worker (tests/conftest.py); more workers than cores, as many tests mostly wait.
LANES ?= -n 4 --dist loadscope --no-loadscope-reorder

.PHONY: help run test smoke mutations slow fuzz soak check security tasks setup venv lock pictures bench \
	docker-up docker-down docker-logs docker-build docker-restart docker-clean docker-rebuild

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' "$(ROOT)/Makefile"

run: setup ## Bring the stack up and open the terminal on it (without a terminal: print its status)
	@$(DEVENV) up --wait
	@if [ -t 0 ] && [ -t 1 ]; then $(DEVENV) tui; else $(DEVENV) status; fi

test: setup ## Run every test: units, real engine, terminal, page in Chromium
	@"$(SCRIPTS)/browser"
	@"$(SCRIPTS)/postgres-server"
	@cd "$(ROOT)" && "$(BIN)/pytest" $(LANES) $(ARGS)

smoke: setup ## Prove on a copy of the stack that it works (ARGS=--running: on the one that is up)
	@cd "$(ROOT)" && "$(BIN)/pytest" smoketests $(ARGS)

mutations: setup ## Prove that the smoke tests see faults: break the stack in every way they are made for (half an hour)
	@cd "$(ROOT)" && "$(BIN)/pytest" -m mutation tests/mutations $(ARGS)

check: venv ## Lint, types, import contracts and the tests that need neither an engine nor a browser
	@cd "$(ROOT)" && "$(BIN)/ruff" check
	@cd "$(ROOT)" && "$(BIN)/ruff" format --check
	@cd "$(ROOT)" && "$(BIN)/mypy"
	@cd "$(ROOT)/compose/shared" && "$(BIN)/mypy" --config-file "$(ROOT)/pyproject.toml" -p docshared
	@cd "$(ROOT)/compose/backend" && MYPYPATH=../shared "$(BIN)/mypy" --config-file "$(ROOT)/pyproject.toml" -p docindexer
	@cd "$(ROOT)/compose/frontend" && MYPYPATH=../shared "$(BIN)/mypy" --config-file "$(ROOT)/pyproject.toml" -p docfront
	@cd "$(ROOT)" && "$(BIN)/lint-imports"
	@cd "$(ROOT)" && "$(BIN)/zizmor" --quiet --offline --pedantic .github
	@cd "$(ROOT)" && "$(BIN)/actionlint" .github/workflows/*.yml
	@cd "$(ROOT)/compose/frontend" && "$(BIN)/oxlint" --quiet --deny-warnings docfront/static
	@cd "$(ROOT)" && "$(BIN)/hadolint" --config .hadolint.yaml compose/*/Dockerfile
	@cd "$(ROOT)" && "$(BIN)/pytest" $(LANES) -m "not engine and not terminal and not page" $(ARGS)

slow: setup ## Prove what makes environments of its own: the workflows run by act, a plain `pip install .` (half an hour)
	@cd "$(ROOT)" && "$(BIN)/pytest" -m slow $(ARGS)

fuzz: venv ## Let Atheris look for inputs that a parser does not take (ARGS=600: seconds)
	@"$(BIN)/python" -c 'import atheris' 2>/dev/null || "$(BIN)/python" -m pip install --quiet 'atheris>=3,<4'
	@cd "$(ROOT)" && "$(BIN)/python" -m tests.fuzz $(or $(ARGS),60)

soak: venv ## Prove that eight hours of events, compressed, leave the terminal as small as it was
	@cd "$(ROOT)" && "$(BIN)/pytest" -m slow tests/terminal/test_tui_soak.py $(ARGS)

security: venv ## Look for secrets, known vulnerabilities, and faults of Dockerfiles, workflows and manifests
	@cd "$(ROOT)" && "$(BIN)/hadolint" --config .hadolint.yaml compose/*/Dockerfile
	@cd "$(ROOT)" && "$(BIN)/zizmor" --quiet --offline --pedantic .github
	@cd "$(ROOT)" && "$(BIN)/actionlint" .github/workflows/*.yml
	@$(DEVENV) manifests check k8s/overlays/* k8s/rbac k8s/rbac/prover
	@$(DEVENV) secrets check --no-images
	@cd "$(ROOT)" && "$(BIN)/pytest" -q -m "not engine and not terminal" $(SECURITY) $(ARGS)
	@$(DEVENV) scan --no-images

tasks: venv ## Lint, types and tests of docsearch's packages, what did not change from the cache (ARGS=--affected)
	@$(DEVENV) run lint types contracts test $(ARGS)

setup: venv ## Prepare this machine: .venv, a Docker Engine that answers, a Python base image
	@"$(SCRIPTS)/engine"
	@"$(SCRIPTS)/base-image" >/dev/null

venv:
	@"$(SCRIPTS)/venv"

lock: ## Write the lock files again (ARGS=--upgrade: with the newest versions that fit)
	@"$(SCRIPTS)/lock" $(ARGS)

pictures: setup ## Draw the diagrams, the pictures and the recording of the documentation again (docsearch has to be up)
	@"$(SCRIPTS)/browser"
	@cd "$(ROOT)" && "$(BIN)/python" -m tests.diagrams
	@cd "$(ROOT)" && "$(BIN)/python" -m tests.terminal.record docs/demo.cast
	@cd "$(ROOT)" && "$(BIN)/python" -m tests.terminal.picture docs/tui.svg
	@cd "$(ROOT)" && "$(BIN)/python" -m tests.terminal.picture watch docs/watch.svg
	@cd "$(ROOT)" && "$(BIN)/python" -m tests.terminal.picture build docs/build.svg

bench: setup ## Measure first paint, delays, CPU and memory, and print them as a table
	@cd "$(ROOT)" && "$(BIN)/python" -m benchmarks $(ARGS)

docker-up: setup ## Start the stack and wait until it is ready
	@$(DEVENV) up --wait $(ARGS)

docker-down: venv ## Stop the stack and remove its containers; the data stays
	@$(DEVENV) down $(ARGS)

docker-logs: venv ## Print and follow the logs (ARGS=backend: of one service)
	@$(DEVENV) logs -f $(ARGS)

docker-build: setup ## Build the images
	@$(DEVENV) build $(ARGS)

docker-restart: venv ## Restart the services
	@$(DEVENV) restart $(ARGS)

docker-clean: venv ## Stop the stack and delete its data too (asks first)
	@$(DEVENV) down -v $(ARGS)

docker-rebuild: docker-build ## Build the images, then start what changed
	@$(DEVENV) up --wait $(ARGS)
