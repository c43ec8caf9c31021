# Every target sets up what it needs; `make` alone prints the targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
PY := .venv/bin/python

# What people choose is said on make's command line, and a target takes only what it knows (infra/switches.py). The same
# names in the environment belong to others: they count for nothing here, and no command sees them.
quoted = '$(subst ','\'',$(1))'
named := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
answer := $(shell $(firstword $(wildcard $(PY)) $(PYTHON)) infra/switches.py $(foreach word,$(MAKECMDGOALS) -- $(named),$(call quoted,$(word))))
ifeq ($(firstword $(answer)),refused:)
$(error $(wordlist 2,$(words $(answer)),$(answer)))
endif
# Without any Python the only thing to be done is to say so, as setup does; else nothing runs unchecked.
ifeq ($(answer),)
ifneq ($(wildcard $(PY)),)
$(error infra/switches.py does not run with $(PY); see above, or remove .venv)
endif
endif
foreign := $(foreach name,$(answer),$(if $(filter environment,$(firstword $(origin $(name)))),$(name)))
$(foreach name,$(foreign),$(eval override $(name) :=) $(eval unexport $(name)))
# The chosen ones as words for a command.
given = $(foreach name,$(filter $(answer),$(named)),$(call quoted,$(name)=$(value $(name))))

.PHONY: help setup demo up watch deploy plan destroy package wheel image image-test push sbom test crashtest crashtest-mutants faults bench bench-scale bench-compact alert-storm profile screenshots check lint types imports audit-dependencies format lock docs site dashboards clean

help:  ## print the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':[^#]*## ' '{ printf "%-20s%s\n", $$1, $$2 }'

setup: .venv/ready .local-aws/ready  ## create both environments (every target does this when needed)

.local-aws/ready: requirements/local.txt infra/setup.sh
	@infra/setup.sh $(PYTHON) .local-aws requirements/local.txt "local AWS"

.venv/ready: requirements/dev.txt requirements/build.txt pyproject.toml infra/setup.sh
	@infra/setup.sh $(PYTHON) .venv requirements/dev.txt "product"

.lint/%/ready: requirements/lint-%.txt infra/setup.sh
	@infra/setup.sh $(PYTHON) .lint/$* requirements/lint-$*.txt "$*"

.bench/ready: requirements/bench.txt infra/setup.sh
	@infra/setup.sh $(PYTHON) .bench requirements/bench.txt "bench"

.site/ready: requirements/site.txt infra/setup.sh
	@infra/setup.sh $(PYTHON) .site requirements/site.txt "site"

.local-prometheus/ready: infra/debian.sh
	@infra/debian.sh .local-prometheus prometheus prometheus promtool

.local-zstd/ready: infra/debian.sh
	@infra/debian.sh .local-zstd zstd zstd

.local-registry/ready: infra/debian.sh
	@infra/debian.sh .local-registry docker-registry docker-registry

demo: setup  ## local stack + simulator + audit; FOR=60 DEVICES=50 RATE=100 for a bounded run; CONTRACT=zigbee2mqtt for devices of docs/devices
	@exec $(PY) -m infra.local demo $(given)

up: setup  ## local stack in the foreground until Ctrl-C; writes .local/env; CONSUMER=no for one of your own, CONSOLE=no for none; [PARAMS="ArchiveMaxSeconds=5"]
	@exec $(PY) -m infra.local up $(given)

watch: .venv/ready .local-prometheus/ready  ## Prometheus with the rules beside the running local stack: [PROMETHEUS_PORT=9090]
	@exec $(PY) -m infra.local watch $(given)

deploy: .venv/ready  ## deploy to AWS: STACK=name EMAIL=address [REGION=r] [PARAMS="ShardCount=4"] [IMAGE=i]
	@exec $(PY) -m infra deploy $(given)

plan: .venv/ready  ## what deploy would change; the same variables (what a fleet costs: sensorstream plan)
	@exec $(PY) -m infra plan $(given)

destroy: .venv/ready  ## take a deployment away: STACK=name [YES=1]; keeps its readings unless DELETE_DATA=name, asks first
	@exec $(PY) -m infra destroy $(given)

package: .venv/ready  ## templates with their artifacts for the console or the aws command: [BUCKET=b]
	@exec $(PY) -m infra package $(given)

test: setup .local-prometheus/ready .local-zstd/ready .site/ready  ## all tests; at least 95 % of the consumer's branches must have been taken
	@$(PY) -m pytest tests/unit infra/local/emulator-extension/tests tests/component -n auto --dist loadfile --cov --cov-report=
	@$(PY) -m pytest tests/system --cov --cov-append --cov-report=term --cov-report=json:build/coverage/report.json
	@$(PY) -m tests.branches build/coverage/report.json 95

wheel: .venv/ready  ## build/wheel: the service and the commands as a Python package
	@rm -rf build/lib build/wheel
	@.venv/bin/uv build -q --wheel --build-constraints requirements/build.txt --require-hashes --out-dir build/wheel
	@ls build/wheel/*.whl

image:  ## build the images of service and tools: [IMAGE=sensorstream:local] [ARCH=ARM64|X86_64] [BASE=debian:bookworm-slim@sha256:...]
	@infra/image/build.sh $(or $(IMAGE),sensorstream:local) $(ARCH)
	@TARGET=tools infra/image/build.sh $(or $(IMAGE),sensorstream:local)-tools $(ARCH)

image-test: setup .local-registry/ready .lint/sbom/ready image  ## run the image against the local stack: read-only, no root, no capabilities
	@infra/image/tools.sh engine
	@IMAGE=$(or $(IMAGE),sensorstream:local) $(PY) -m pytest tests/image

push: .venv/ready  ## push into a deployment's repository: STACK=name [REGION=r] [IMAGE=i, else this checkout's, ARCH=...]
	@exec $(PY) -m infra push $(given)

sbom: .lint/sbom/ready  ## write build/sbom.cdx.json: what the image is made of; [IMAGE=sensorstream:local]
	@infra/image/sbom.sh $(or $(IMAGE),sensorstream:local)

crashtest: setup  ## simulated crashes, zombies and bad networks around the real code; SCHEDULES=10000 SEED=1
	@$(PY) -m tests.simulation crashtest $(or $(SCHEDULES),10000) $(or $(SEED),1)

crashtest-mutants: setup  ## the same around deliberately broken code: each must be caught
	@$(PY) -m tests.simulation mutants $(or $(SCHEDULES),10000) $(or $(SEED),1)

faults: setup .local-prometheus/ready  ## the real daemon under load, fault by fault, audited after each; ROUNDS=1 SEED=n ONLY=name,name
	@LOCAL_DIR=$${LOCAL_DIR:-$(CURDIR)/.local/faults} exec $(PY) -m tests.faults

bench: setup .bench/ready  ## CPU per reading beside the usual ways, half an hour; writes docs/performance.md; QUICK=1 takes 5 minutes and writes nothing
	@exec $(PY) -m tests.bench $(given)

profile: setup .bench/ready  ## build/bench/flame.svg: a flame graph of the hot path
	@exec $(PY) -m tests.bench profile

bench-scale: setup .bench/ready  ## what leases cost and how fast they move, by the size of the fleet, in virtual time, half an hour; writes docs/performance.md
	@exec $(PY) -m tests.bench.scale

bench-compact: .venv/ready  ## compact and verify an hour of LINES=5000000 generated archive lines on one core; one in ODD=0 is rejected
	@$(PY) -m tests.bench.compact $(or $(LINES),5000000) $(or $(ODD),0)

alert-storm: setup  ## what alerts cost and tell when DEVICES=10000 go under the threshold in one minute, stay there and recover
	@$(PY) -m tests.bench.storm $(or $(DEVICES),10000)

docs: .venv/ready  ## generate the parts of docs/ that follow from code, templates and prices: settings, metrics, commands, resources ...
	@$(PY) -m infra.docs

site: .site/ready  ## build/site: the documents as a web site with search
	@NO_MKDOCS_2_WARNING=1 .site/bin/mkdocs build
	@echo "build/site is ready; to look at it: $(PYTHON) -m http.server --bind 127.0.0.1 --directory build/site"

screenshots: setup  ## make docs/console/*.png again, in a real browser
	@CONSOLE_SCREENSHOTS=docs/console $(PY) -m pytest tests/system/test_console.py tests/system/test_console_alerts.py -k picture

dashboards: .venv/ready  ## generate config/grafana/dashboards; RUNBOOK=https://... is the address of docs/operations.md
	@$(PY) -m config.grafana $(RUNBOOK)

lint: .venv/ready  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: .venv/ready  ## mypy --strict, for Linux and for macOS
	$(PY) -m mypy consumer producer infra config tests
	$(PY) -m mypy --platform darwin consumer producer infra

imports: .venv/ready  ## who may import what (import-linter)
	@PYTHONPATH=infra/local/emulator-extension .venv/bin/lint-imports --no-logo

check: setup lint types imports .lint/checkov/ready .lint/sam/ready .lint/schema/ready .local-prometheus/ready  ## lint, types, cfn-lint, sam, checkov, hadolint, schemas, promtool; warnings are errors
	@infra/lint.sh
	.lint/schema/bin/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	.lint/schema/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/bin/hadolint Dockerfile
	.local-prometheus/promtool check config config/prometheus/prometheus.yml config/prometheus/prometheus-local.yml

format: setup  ## format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

audit-dependencies: .lint/audit/ready  ## known vulnerabilities in requirements/*.txt; never green unchecked
	@status=0; for file in requirements/*.txt; do \
	  echo "$$file"; .lint/audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r "$$file" || status=1; \
	done; exit $$status

lock: .venv/ready  ## compile the hashed requirements again from pyproject.toml
	@infra/lock.sh .venv/bin/uv

clean:  ## remove the environments and the local state, but not .local/devices, the keys of devices in the cloud
	rm -rf .venv .local-aws .bench .lint .site .local-prometheus .local-registry .local-zstd .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@if [ -d .local ]; then find .local -mindepth 1 -maxdepth 1 ! -name devices -exec rm -rf {} +; fi
	@if [ -d .local ]; then find .local -maxdepth 1 -type d -empty -delete; fi
