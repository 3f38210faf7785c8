# Sluice: what a developer types. `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-long check bench fmt clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what is needed to build and to run
	@scripts/setup

run: setup ## Build for speed and run the quickstart (simulated chain unless ETH_RPC_URL is set)
	swift build -c release --product sluice
	@scripts/run

test: ## Install what the tests need, build, run all quick tests
	@scripts/setup --test
	@scripts/test

test-long: ## The same with the slow suites: crash loops, soak runs
	@scripts/setup --test
	@SLUICE_TEST_LONG=1 scripts/test

check: ## Formatting, warnings, generated pages and tests, as before a commit
	swift format lint --strict -r Package.swift Sources Tests Benchmarks
	@scripts/check-docs
	$(MAKE) test

bench: setup ## Measure every figure that the project claims (BENCH="path --runs 1" for less)
	swift build -c release --product sluice
	swift build -c release --product sluice-bench
	.build/release/sluice-bench $(or $(BENCH),all)

fmt: ## Format the Swift sources in place
	swift format -i -r Package.swift Sources Tests Benchmarks

clean: ## Remove what was built (downloads in the cache folder stay)
	rm -rf .build
