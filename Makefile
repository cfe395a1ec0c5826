# Every command of this repository; `make help` lists them. Each is a Python module in scripts/ or a pytest run.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export VLLM_CHART_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/vllm-chart
# compiled Python is kept, though not in the checkout: without it each process of the tests compiles for 5 s
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPATH := $(CURDIR)/src
export PYTHONPYCACHEPREFIX := $(VLLM_CHART_CACHE)/bytecode
# a folder beside the checkout may hold torch's CPU wheel, which PyPI doesn't have (ci/offline/vllm_image.py)
export VLLM_CHART_WHEELS ?= $(wildcard $(CURDIR)/../shared/cache)
# registry | build; without it the registry is tried first
export IMAGES
export CLUSTER WORKERS PORT ASK
export RELEASE NAMESPACE CONTEXT
# of make new-values
export MODEL GPU GPUS NODE_GPUS CONTEXT CONCURRENCY EXPOSURE CONFIG PARAMETERS UTILIZATION KV_CACHE_DTYPE TO
# of make vllm-args
export VERSION DUMP METRICS
# of make release
export PUSH SIGN_KEY SIGN_KEYRING SIGN_PASSPHRASE_FILE REPOSITORY_URL

PYTHON3 ?= python3
# named after the lock file's content, so that a changed lock makes a new environment
VENV := $(VLLM_CHART_CACHE)/venv-$(firstword $(shell cksum requirements.lock))
PYTHON := $(VENV)/bin/python
# written last: an interrupted installation starts again
READY := $(VENV)/.ready
# the same and what makes the documentation and its pictures
DOCS_VENV := $(VLLM_CHART_CACHE)/venv-docs-$(firstword $(shell cksum requirements-docs.lock))
E2E_FLAGS ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##—— every day
.PHONY: demo
demo: $(READY) ## from nothing to an answer: tools, cluster, image, model, helm install, a question (ASK="…")
	@$(PYTHON) -m ci.demo

.PHONY: test
test: $(READY) ## lint, and the contract, render, meta and documentation tests; needs no cluster
	@$(PYTHON) -m scripts.run_tests test -n 2

.PHONY: test-all
test-all: $(READY) ## make test, make test-rules, what people type, values made at random, and the oldest Helm
	@$(PYTHON) -m scripts.run_tests test-all -n 2

export MINUTES
export VALUES JUNIT CHECK_FLAGS SAMPLE SEED ONLY
.PHONY: check
check: $(READY) ## say what is wrong with values files of yours (VALUES=a.yaml,b.yaml JUNIT=result.xml)
	@$(PYTHON) -m ci.tools with helm -- $(PYTHON) -m vllm_chart.check.command check -f "$(VALUES)" $(if $(JUNIT),--junit "$(JUNIT)") $(CHECK_FLAGS)

.PHONY: coverage
coverage: $(READY) ## which branches of the templates no value set reaches
	@$(PYTHON) -m scripts.run_tests coverage

.PHONY: mutation
mutation: $(READY) ## which mistakes in the templates no test sees; takes hours, so try a SAMPLE=100 (SEED=1 ONLY=_args.tpl)
	@$(PYTHON) -m scripts.mutation

.PHONY: test-rules
test-rules: $(READY) ## check the alert rules with promtool: each fires when it must, and is silent when it must not
	@$(PYTHON) -m scripts.run_tests rules -n 2

.PHONY: lint
lint: $(READY) ## format check, lint and types of the Python code, and the generated files are current
	@$(PYTHON) -m scripts.lint

.PHONY: e2e
e2e: $(READY) ## install on the kind cluster, talk to real vLLM, update, delete, drain; starts what it needs
	@$(PYTHON) -m scripts.run_tests e2e/core $(E2E_FLAGS)

.PHONY: e2e-lifecycle
e2e-lifecycle: $(READY) ## crashes, a wedged engine, warm-up, overload, two API servers, compile cache (about 35 min)
	@$(PYTHON) -m scripts.run_tests e2e/lifecycle $(E2E_FLAGS)

.PHONY: soak
soak: $(READY) ## half an hour of load with saturation, a rollout, a deletion and a crash in it (MINUTES=30)
	@$(PYTHON) -m scripts.run_tests e2e/soak $(E2E_FLAGS)

.PHONY: e2e-multinode
e2e-multinode: $(READY) ## one server on two nodes: answers, lost members, rollout, Ray (about 35 min)
	@$(PYTHON) -m scripts.run_tests e2e/multinode $(E2E_FLAGS)

.PHONY: e2e-exposure
e2e-exposure: $(READY) ## sources, adapters, quantized models, keys, TLS, upgrades, subcharts, an OCI registry (about 35 min)
	@$(PYTHON) -m scripts.run_tests e2e/exposure $(E2E_FLAGS)

.PHONY: e2e-observability
e2e-observability: $(READY) ## Prometheus, alerts, dashboard, logs, traces; an HPA and KEDA follow the queue (about 30 min)
	@$(PYTHON) -m scripts.run_tests e2e/observability $(E2E_FLAGS)

.PHONY: e2e-doctor
e2e-doctor: $(READY) ## make doctor on releases that are really broken, side by side (about 5 min)
	@$(PYTHON) -m scripts.run_tests e2e/doctor $(E2E_FLAGS)

##—— a release of yours
.PHONY: doctor
doctor: $(READY) ## say what is wrong with a release: RELEASE=name, and NAMESPACE, CONTEXT, KUBECONFIG where they differ
	@$(PYTHON) -m ci.tools with kubectl -- $(PYTHON) -m vllm_chart.doctor.command

##—— documentation and releases
.PHONY: docs
docs: $(DOCS_VENV)/.ready ## build the documentation's site into build/site, and check its links
	@$(DOCS_VENV)/bin/python -m scripts.docs

.PHONY: docs-serve
docs-serve: $(DOCS_VENV)/.ready ## show the site at http://127.0.0.1:8001, and follow changes
	@$(DOCS_VENV)/bin/python -m scripts.docs --serve

.PHONY: release
release: $(READY) ## package the chart, sign it (SIGN_KEY=…) and push it (PUSH=oci://…); nothing is pushed without PUSH
	@$(PYTHON) -m scripts.release

.PHONY: test-release
test-release: $(READY) ## release into a registry on this machine, and install, vendor and verify from there; needs Go
	@$(PYTHON) -m scripts.run_tests release

##—— the cluster and what it runs
.PHONY: tools
tools: $(READY) ## find or install Helm, kubectl and kind, and say which are used
	@$(PYTHON) -m ci.tools

.PHONY: cluster
cluster: $(READY) ## a kind cluster with 1 worker (WORKERS=2 for two)
	@$(PYTHON) -m ci.cluster up

.PHONY: cluster-addons
cluster-addons: $(READY) ## metrics-server on the cluster
	@$(PYTHON) -m ci.addons.install

.PHONY: cluster-down
cluster-down: $(READY) ## delete the cluster; nothing outside the cache folder is left
	@$(PYTHON) -m ci.cluster down

.PHONY: image
image: $(READY) ## the vLLM CPU image, pulled or built, on the cluster's nodes
	@$(PYTHON) -m ci.load_images vllm

.PHONY: model
model: $(READY) ## the demo's model, on the cluster's nodes where it can't be fetched from the Hub
	@$(PYTHON) -m ci.load_images model

##—— your own values
.PHONY: migrate
migrate: $(READY) ## manifests that run vLLM become a values file: FROM=deployment.yaml[,service.yaml…] [TO=values.yaml]
	@$(PYTHON) -m ci.tools with helm -- $(PYTHON) -m vllm_chart.migrate.command "$(FROM)" "$(TO)"

.PHONY: new-values
new-values: $(READY) ## a values file for a model and GPUs, with the arithmetic: MODEL= GPU= [GPUS= CONTEXT= CONCURRENCY= …]
	@$(PYTHON) -m ci.tools with helm -- $(PYTHON) -m vllm_chart.sizing.new_values

##—— numbers
.PHONY: bench-start
bench-start: $(READY) ## install to Ready against the same container under `docker run`, three alternating pairs
	@$(PYTHON) -m scripts.bench_start

.PHONY: bench-template
bench-template: $(READY) ## CPU time of helm template against a chart of helm create, in alternating pairs
	@$(PYTHON) -m scripts.bench_template

##—— upkeep
.PHONY: schema
schema: $(READY) ## write values.schema.json from values.schema.yaml
	@$(PYTHON) -m scripts.generate.schema

.PHONY: dashboard
dashboard: $(READY) ## write Grafana's dashboard from its description in scripts/generate/dashboard.py
	@$(PYTHON) -m scripts.generate.dashboard

.PHONY: pictures
pictures: $(DOCS_VENV)/.ready ## draw the dashboard, from what its queries returned in the last `make e2e-observability`
	@$(DOCS_VENV)/bin/python -m scripts.docs.pictures

.PHONY: chart-readme
chart-readme: $(READY) ## write the chart's README from its values, schema and checks
	@$(PYTHON) -m scripts.generate.chart_readme

.PHONY: rendered
rendered: $(READY) ## write the manifests of every file in values/ to tests/snapshots/
	@$(PYTHON) -m scripts.generate.snapshots

.PHONY: compare-renders
compare-renders: $(READY) ## what each values file renders with the chart of another commit and with this one (BASE=main)
	@$(PYTHON) -m scripts.compare_renders "$(BASE)" $(COMPARE_FLAGS)

.PHONY: vllm-args
vllm-args: $(READY) ## write down the flags of the chart's vLLM; of the next with VERSION=0.33.0 [DUMP=path METRICS=path], and say what changed
	@$(PYTHON) -m scripts.upgrade_vllm.upgrade

.PHONY: crds
crds: $(READY) ## write down the schemas of custom resources, for the tests; needs Go
	@$(PYTHON) -m scripts.generate.custom_resources

.PHONY: format
format: $(READY) ## format the Python code and mend what ruff can
	@$(VENV)/bin/ruff format . && $(VENV)/bin/ruff check --fix .

.PHONY: lock
lock: $(READY) ## resolve pyproject.toml again into requirements.lock and requirements-docs.lock
	@$(RESOLVE) --upgrade --group dev pyproject.toml --output-file requirements.lock
	@$(RESOLVE) --upgrade --group dev --group docs --constraint requirements.lock pyproject.toml \
	  --output-file requirements-docs.lock
RESOLVE = $(VENV)/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url

.PHONY: clean-cache
clean-cache: ## delete everything that was downloaded or built (run cluster-down first)
	@[ ! -e "$(VLLM_CHART_CACHE)/docker/docker.pid" ] || { echo "A Docker engine of this project runs: make cluster-down first."; exit 1; }
	rm -rf "$(VLLM_CHART_CACHE)"

# no prerequisite: the name says what is in it, and a fresh clone's files are always newer
$(READY): LOCK := requirements.lock
$(DOCS_VENV)/.ready: LOCK := requirements-docs.lock
$(READY) $(DOCS_VENV)/.ready:
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON3=/path/to/python3.11")'
	@echo "Python environment → $(@D) (about 20 s)"
	@rm -rf "$(@D)" && $(PYTHON3) -m venv "$(@D)"
	@# pip only brings uv, which installs the rest with a fifth of pip's work
	@awk '/^[a-z]/ {of_uv = /^uv==/} of_uv' $(LOCK) > "$(@D)/uv.txt"
	@"$(@D)/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement "$(@D)/uv.txt"
	@"$(@D)/bin/uv" pip sync --quiet --no-cache --require-hashes --python "$(@D)/bin/python" $(LOCK)
	@touch "$@"
