# `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
RELEASE := .release
RELEASE_TOOLS := $(RELEASE)/tools/.installed
SITE_TOOLS := $(RELEASE)/site-tools/.installed
DEMO_ARGS ?=
BENCH ?=
DATA ?= runs/bank
# Processes that tests are spread over; each takes a gigabyte. One that is done takes tests from another.
JOBS ?= 2

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- installing ---------------------------------------------------------------------------------

.PHONY: install
install: $(INSTALLED) ## The project and its tools in .venv (PYTHON=python3.12 to choose another Python)

# Made again only when what it installs has changed, so every target may depend on it.
$(INSTALLED): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "srcid needs Python 3.11, 3.12 or 3.13: install python3.11 and python3.11-venv, or name one with make PYTHON=..."; exit 1; }
	@[ -x $(BIN)/pip ] || { echo "making .venv with $$($(PYTHON) --version)"; $(PYTHON) -m venv .venv; }
	@echo "installing $$(grep -c '==' requirements.lock) packages into .venv (torch is the large one; two or three minutes the first time)"
	@$(BIN)/pip install --disable-pip-version-check --no-compile --progress-bar off -r requirements.lock | awk \
		'/^Collecting/ {n++; if (n % 10 == 0) print "  " n " packages found"} \
		/^Installing collected/ {print "  " n " packages found; unpacking them, about a minute"} {fflush()}'
	@$(BIN)/pip install --disable-pip-version-check --no-deps -qq -e .
	@touch $@
	@echo "installed"

.PHONY: lock
lock: ## Write requirements.lock from what .venv holds now (after a change of dependencies)
	@{ echo "# Exact versions of everything, tools included. Written by \`make lock\`; installed by \`make install\`."; \
		$(BIN)/pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' | LC_ALL=C sort -f | \
		sed -E '/^(nvidia-|cuda-|triton=)/ s/$$/ ; sys_platform == "linux" and platform_machine == "x86_64"/'; \
	} > requirements.lock.new
	@mv requirements.lock.new requirements.lock
	@echo "requirements.lock: $$(grep -c == requirements.lock) packages"

.PHONY: ci-deps
ci-deps: ## What CI needs beside `make install`, through apt where it is root
	@wanted=; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || wanted="python3 python3-venv"; \
	command -v strace >/dev/null || wanted="$$wanted strace"; \
	if [ -z "$$wanted" ] && [ -x /usr/bin/chromium ]; then echo "ci-deps: nothing to install"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq || true; \
		if [ -n "$$wanted" ]; then apt-get install -y -qq --no-install-recommends $$wanted >/dev/null; fi; \
		[ -x /usr/bin/chromium ] || apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null || \
			echo "ci-deps: no Chromium; the tests of the web page will be skipped"; \
	else echo "ci-deps: not root, or no apt-get: nothing installed"; fi

# --- checking -----------------------------------------------------------------------------------

.PHONY: check
check: lint types imports test ## Everything CI runs: lint, types, import contracts, tests (they run the docs too)

.PHONY: format
format: $(INSTALLED) ## Rewrite the code in the project's style
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

.PHONY: lint
lint: $(INSTALLED) ## Style and likely mistakes (ruff)
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check . && echo "lint: clean"

.PHONY: types
types: $(INSTALLED) ## Types (mypy --strict)
	@$(BIN)/mypy --no-error-summary && echo "types: clean"

.PHONY: imports
imports: $(INSTALLED) ## Who may import whom (import-linter; the contracts stand in pyproject.toml)
	@$(BIN)/lint-imports --no-logo

.PHONY: test
test: $(INSTALLED) ## The tests, JOBS=2 at a time: no network, GPU or Docker; six minutes on two cores
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -m "not slow and not gpu" --numprocesses=$(JOBS) --dist=worksteal

.PHONY: test-all
test-all: $(INSTALLED) ## The tests marked slow, gpu and docker too
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q

.PHONY: docker-test
docker-test: $(INSTALLED) ## Build the image and try it (DOCKER=command BASE_IMAGE=image DOCKER_NETWORK=host as needed)
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -s -m docker tests/docker

.PHONY: cov
cov: $(INSTALLED) ## The tests again, with the lines that none of them reaches
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -m "not slow and not gpu" --numprocesses=$(JOBS) --dist=worksteal \
		--cov --cov-report=term-missing:skip-covered

.PHONY: bench
bench: $(INSTALLED) ## All benchmarks, and benchmarks/results/summary.md of their goals: over an hour, on a quiet machine
	@$(BIN)/python -m benchmarks.summary $(BENCH)

# --- using --------------------------------------------------------------------------------------

.PHONY: demo
demo: $(INSTALLED) ## The shipped checkpoint, a small indexed corpus and the server, on 127.0.0.1:8000
	@$(BIN)/srcid demo $(DEMO_ARGS)

.PHONY: smoke
smoke: $(INSTALLED) ## Train the recipe `smoke`, then evaluate it: the whole path in a minute (DATA=folder: a bank)
	@[ "$(DATA)" != runs/bank ] || $(BIN)/python examples/make_a_bank.py $(DATA)
	@rm -rf runs/smoke
	@OMP_NUM_THREADS=1 $(BIN)/srcid train smoke --data $(DATA) --out runs/smoke
	@OMP_NUM_THREADS=1 $(BIN)/srcid evaluate runs/smoke --data $(DATA)

.PHONY: docs
docs: $(INSTALLED) ## Regenerate the pages made from code: api, cli, recipes and settings in docs/
	@$(BIN)/python -m docs.generate

.PHONY: docs-site
docs-site: $(SITE_TOOLS) ## The documentation as a website with search, in build/site
	@NO_MKDOCS_2_WARNING=1 $(RELEASE)/site-tools/bin/mkdocs build --quiet --strict
	@echo "read it at http://127.0.0.1:8080 with: python3 -m http.server --bind 127.0.0.1 --directory build/site 8080"

$(SITE_TOOLS):
	@$(PYTHON) -m venv --clear $(RELEASE)/site-tools
	@$(RELEASE)/site-tools/bin/pip install --disable-pip-version-check -qq mkdocs==1.6.1 mkdocs-material==9.8.2
	@touch $@

# --- releasing (docs/releasing.md) ---------------------------------------------------------------

.PHONY: dist
dist: $(RELEASE_TOOLS) ## The wheel and the source distribution, in dist/
	@rm -rf dist
	@$(RELEASE)/tools/bin/pyproject-build --outdir dist . >$(RELEASE)/build.log 2>&1 || { cat $(RELEASE)/build.log; exit 1; }
	@ls -l dist | awk 'NR > 1 {printf "%s: %.1f MB\n", $$NF, $$5 / 1e6}'

.PHONY: sbom
sbom: dist ## The wheel in an empty environment, and what that holds as an SBOM (CycloneDX), in dist/
	@$(PYTHON) -m venv --clear $(RELEASE)/installed
	@$(RELEASE)/installed/bin/pip install --disable-pip-version-check --no-compile -qq --constraint requirements.lock dist/*.whl
	@$(RELEASE)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file dist/srcid.cdx.json $(RELEASE)/installed/bin/python
	@echo "dist/srcid.cdx.json: $$(grep -c '"purl"' dist/srcid.cdx.json) packages"

.PHONY: audit
audit: $(RELEASE_TOOLS) ## Known vulnerabilities of what requirements.lock names (asks the Internet)
	@$(RELEASE)/tools/bin/pip-audit --requirement requirements.lock --no-deps --disable-pip

$(RELEASE_TOOLS):
	@$(PYTHON) -m venv --clear $(RELEASE)/tools
	@$(RELEASE)/tools/bin/pip install --disable-pip-version-check -qq build==1.6.1 cyclonedx-bom==7.5.0 pip-audit==2.10.1
	@touch $@
