# A thin face over CMake. `make run` and `make test` each do everything on a fresh Debian 12 machine.
.DEFAULT_GOAL := help
.PHONY: help setup build run test proofs bench fuzz format clean
SHELL := bash

PROMPT ?= Why is the sky blue? Answer in two sentences.
MODEL ?=

help:
	@echo "make run [PROMPT=\"...\"] [MODEL=path]  install, build, fetch the default model, answer a prompt"
	@echo "make test                             install, build, run every check"
	@echo "make proofs                           install, check every proof, run the model beside the C++"
	@echo "make build                            the program, at build/tattletale"
	@echo "make bench                            the benchmarks, at build/bench/"
	@echo "make fuzz [FUZZ_SECONDS=600]               every fuzz target for that long"

setup:
	@tools/setup.sh build

build: setup
	@tools/build.sh release tattletale

run: build
	@model="$(MODEL)"; [ -n "$$model" ] || model=$$(tools/fetch_model.sh) || exit 1; \
	build/tattletale run -m "$$model" -- "$(PROMPT)"

test:
	@tools/setup.sh test
	@tools/test.sh

proofs:
	@tools/setup.sh test
	@tools/build.sh test cache_trace
	@proofs/run.sh

bench:
	@tools/setup.sh bench
	@tools/build.sh bench all bench_cache
	@echo "built: $$(find build/bench -name 'bench_*' -type f -executable | sort | tr '\n' ' ')"

fuzz:
	@tools/setup.sh test
	@tools/fuzz.sh $(or $(FUZZ_SECONDS),600)

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format-19 -i

clean:
	rm -rf build build-*
