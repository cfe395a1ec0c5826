# Every command of this repository; `make help` lists them. Each is a Python module in scripts/ or ci/, or a pytest run.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export VLLM_CHART_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vllm-chart
# bytecode is kept, but outside the checkout: without it each test process compiles for 5 s
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(VLLM_CHART_CACHE)/bytecode
# checkouts share the environment, so it can't contain the project
export PYTHONPATH := $(CURDIR)/src
export UV_CACHE_DIR ?= $(VLLM_CHART_CACHE)/uv
# variables of the targets below
export IMAGES CLUSTER WORKERS PORT ASK VLLM_CHART_WHEELS
export VALUES JUNIT RELEASE NAMESPACE CONTEXT FROM TO
export MODEL GPU GPUS NODE_GPUS CONTEXT_LENGTH CONCURRENCY EXPOSURE CONFIG PARAMETERS UTILIZATION KV_CACHE_DTYPE
export VERSION DUMP METRICS
export SAMPLE SEED ONLY MINUTES
export PUSH SIGN_KEY SIGN_KEYRING SIGN_PASSPHRASE_FILE

PYTHON3 ?= python3
# the uv on PATH, else the pinned one, which pip installs
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
UV := $(or $(shell command -v uv),$(VLLM_CHART_CACHE)/uv-$(UV_VERSION)/bin/uv)
# named after the content of the lock, so that a changed lock makes another environment
VENV := $(VLLM_CHART_CACHE)/venv-$(firstword $(shell cksum requirements.lock))
PYTHON := $(VENV)/bin/python
# written last, so that an interrupted installation starts again
READY := $(VENV)/.ready
# vllm-chart with the programs that it needs; variables reach it through the environment, so that any text is one word
VLLM_CHART_WITH = $(PYTHON) -m ci.tools with $(1) -- $(PYTHON) -m vllm_chart
E2E_FLAGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use
.PHONY: demo
demo: $(READY) ## Create a cluster, install the chart with a small CPU model and stream one answer (ASK="…")
	@$(PYTHON) -m ci.demo

##@ Your values and releases
.PHONY: check
check: $(READY) ## Find problems of values files before an install: VALUES=a.yaml,b.yaml [JUNIT=result.xml CHECK_FLAGS=…]
	@$(call VLLM_CHART_WITH,helm) check $${VALUES:+--values="$$VALUES"} $${JUNIT:+--junit="$$JUNIT"} $(CHECK_FLAGS)

.PHONY: migrate
migrate: $(READY) ## Convert manifests that run vLLM to a values file: FROM=deployment.yaml[,service.yaml…] [TO=values.yaml]
	@IFS=,; set -f; $(call VLLM_CHART_WITH,helm) migrate $${TO:+--to="$$TO"} $$FROM

.PHONY: new-values
new-values: $(READY) ## Write a values file for a model and GPUs: MODEL= GPU= [GPUS= CONTEXT_LENGTH= CONCURRENCY= …]
	@$(call VLLM_CHART_WITH,helm) size $${GPU:+--gpu="$$GPU"} $${GPUS:+--gpus="$$GPUS"} \
	  $${NODE_GPUS:+--node-gpus="$$NODE_GPUS"} $${CONTEXT_LENGTH:+--context-length="$$CONTEXT_LENGTH"} \
	  $${CONCURRENCY:+--concurrency="$$CONCURRENCY"} $${EXPOSURE:+--exposure="$$EXPOSURE"} $${CONFIG:+--config="$$CONFIG"} \
	  $${PARAMETERS:+--parameters="$$PARAMETERS"} $${UTILIZATION:+--utilization="$$UTILIZATION"} \
	  $${KV_CACHE_DTYPE:+--kv-cache-dtype="$$KV_CACHE_DTYPE"} $${TO:+--to="$$TO"} $${MODEL:+"$$MODEL"}

.PHONY: doctor
doctor: $(READY) ## Find problems of a release: RELEASE=name [NAMESPACE= CONTEXT= KUBECONFIG=]
	@$(call VLLM_CHART_WITH,kubectl) doctor $${NAMESPACE:+--namespace="$$NAMESPACE"} \
	  $${CONTEXT:+--kube-context="$$CONTEXT"} $${RELEASE:+"$$RELEASE"}

##@ Test
.PHONY: test
test: $(READY) ## Run lint and all tests that need no cluster (30 s)
	@$(PYTHON) -m scripts.run_tests test

.PHONY: test-all
test-all: $(READY) ## Also run the tests of commands, alert rules, random values and the oldest supported Helm
	@$(PYTHON) -m scripts.run_tests test-all

.PHONY: lint
lint: $(READY) ## Check format, types, spelling, scripts, workflows and that generated files are current
	@$(PYTHON) -m scripts.lint

.PHONY: format
format: $(READY) ## Format the Python code and fix what ruff can fix
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

.PHONY: test-rules
test-rules: $(READY) ## Test the alert rules with promtool
	@$(PYTHON) -m pytest -n 2 tests/rules

.PHONY: test-release
test-release: $(READY) ## Release into a local registry; install, vendor and verify from there (requires Go)
	@$(PYTHON) -m pytest tests/release

.PHONY: coverage
coverage: $(READY) ## List the template branches that no values file reaches
	@$(PYTHON) -m pytest --helm=pinned -s tests/coverage

.PHONY: mutation
mutation: $(READY) ## List the template mutants that no test detects (hours; SAMPLE=100 SEED=1 ONLY=_args.tpl)
	@$(PYTHON) -m scripts.mutation

##@ Cluster
.PHONY: tools
tools: $(READY) ## Find or install Helm, kubectl and kind, and print which are used
	@$(PYTHON) -m ci.tools

.PHONY: cluster
cluster: $(READY) ## Create a kind cluster (WORKERS=2 for two workers)
	@$(PYTHON) -m ci.cluster up

.PHONY: cluster-addons
cluster-addons: $(READY) ## Install metrics-server on the cluster
	@$(PYTHON) -m ci.addons.install

.PHONY: image
image: $(READY) ## Put the vLLM CPU image on the cluster's nodes, pulled or built
	@$(PYTHON) -m ci.load_images vllm

.PHONY: model
model: $(READY) ## Put the demo's model on the cluster's nodes if they can't fetch it
	@$(PYTHON) -m ci.load_images model

.PHONY: cluster-down
cluster-down: $(READY) ## Delete the cluster; only the cache folder is left
	@$(PYTHON) -m ci.cluster down

.PHONY: e2e
e2e: $(READY) ## Install, ask, upgrade, drain and delete real servers; creates the cluster
	@$(PYTHON) -m scripts.run_tests e2e/core $(E2E_FLAGS)

.PHONY: e2e-lifecycle
e2e-lifecycle: $(READY) ## Test crashes, a stalled engine, warm-up, overload and the compile cache (35 min)
	@$(PYTHON) -m scripts.run_tests e2e/lifecycle $(E2E_FLAGS)

.PHONY: e2e-multinode
e2e-multinode: $(READY) ## Test a server on two nodes: lost members, rollout, Ray (35 min)
	@$(PYTHON) -m scripts.run_tests e2e/multinode $(E2E_FLAGS)

.PHONY: e2e-exposure
e2e-exposure: $(READY) ## Test model sources, API keys, TLS, upgrades, subcharts and an OCI registry (35 min)
	@$(PYTHON) -m scripts.run_tests e2e/exposure $(E2E_FLAGS)

.PHONY: e2e-observability
e2e-observability: $(READY) ## Test Prometheus, alerts, dashboard, logs, traces, an HPA and KEDA (30 min)
	@$(PYTHON) -m scripts.run_tests e2e/observability $(E2E_FLAGS)

.PHONY: e2e-doctor
e2e-doctor: $(READY) ## Test `make doctor` on broken releases (5 min)
	@$(PYTHON) -m scripts.run_tests e2e/doctor $(E2E_FLAGS)

.PHONY: soak
soak: $(READY) ## Run 30 minutes of load with a rollout, a deletion and a crash (MINUTES=30)
	@$(PYTHON) -m scripts.run_tests e2e/soak $(E2E_FLAGS)

##@ Maintain
.PHONY: generate
generate: $(READY) ## Write every generated file: schemas, READMEs, dashboard, snapshots, indexes, addresses
	@$(PYTHON) -m scripts.generate

.PHONY: compare-renders
compare-renders: $(READY) ## Show what each values file renders with the chart of another commit and with this one (BASE=main)
	@$(PYTHON) -m scripts.compare_renders "$(BASE)" $(COMPARE_FLAGS)

.PHONY: upgrade-vllm
upgrade-vllm: $(READY) ## Move the chart to another vLLM, or renew its flags: [VERSION=0.33.0 DUMP=path METRICS=path]
	@$(PYTHON) -m scripts.upgrade_vllm

.PHONY: crds
crds: $(READY) ## Write the schemas of custom resources for the tests (requires Go)
	@$(PYTHON) -m scripts.generate.custom_resources

.PHONY: pictures
pictures: $(READY) ## Draw the dashboard from the last `make e2e-observability`
	@$(PYTHON) -m scripts.docs.pictures

.PHONY: docs
docs: $(READY) ## Build the documentation's site into build/site and check its links
	@$(PYTHON) -m scripts.docs

.PHONY: docs-serve
docs-serve: $(READY) ## Serve the site at http://127.0.0.1:8001 and follow changes
	@$(PYTHON) -m scripts.docs --serve

.PHONY: lock
lock: $(READY) ## Resolve pyproject.toml into requirements.lock
	@"$(UV)" pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
	  --group dev --group docs pyproject.toml --output-file requirements.lock

.PHONY: release
release: $(READY) ## Package the chart, sign it (SIGN_KEY=…) and push it (PUSH=oci://…)
	@$(PYTHON) -m scripts.release

.PHONY: bench-start
bench-start: $(READY) ## Compare install to Ready with the same container under `docker run`
	@$(PYTHON) -m scripts.bench_start

.PHONY: clean-cache
clean-cache: ## Delete everything that was downloaded or built (run cluster-down first)
	@[ ! -e "$(VLLM_CHART_CACHE)/docker/docker.pid" ] || { echo "A Docker engine of this project is running: make cluster-down first."; exit 1; }
	rm -rf "$(VLLM_CHART_CACHE)"

# no prerequisite but uv: the name contains the lock's checksum, and files of a fresh clone are always newer
$(READY): | $(UV)
	@echo "Python environment → $(@D) (about 30 s)"
	@"$(UV)" venv --quiet --clear --python "$(PYTHON3)" "$(@D)"
	@"$(UV)" pip sync --quiet --require-hashes --python "$(PYTHON)" requirements.lock
	@touch "$@"

$(VLLM_CHART_CACHE)/uv-$(UV_VERSION)/bin/uv:
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required; set PYTHON3=/path/to/python3.11")'
	@$(PYTHON3) -m venv --clear "$(@D)/.."
	@awk '/^[a-z]/ {of_uv = /^uv==/} of_uv' requirements.lock > "$(@D)/../uv.txt"
	@"$(@D)/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$(@D)/../uv.txt"
