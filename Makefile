# Everything that a user or a developer types. The work is done by the scripts in packaging/.

PREFIX ?= /usr/local
DESTDIR ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
TARGET ?=
RUNS ?= 100000
FUZZ_ARGS ?=
KERNEL ?=
export PREFIX DESTDIR

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-install fault-test vm-test witness fuzz lint bench install uninstall clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with record, analyze and bpftape in .venv/bin; as root, install what the distribution must provide
	@packaging/setup.sh

demo: setup ## record this machine for 10 s (as root) and print reports of it
	@packaging/demo.sh

test: setup ## run all tests; as root those on the real kernel, too (PYTEST_ARGS='-k name')
	@packaging/test.sh $(PYTEST_ARGS)

test-install: setup ## install into a clean Debian, remove it, and look for what is left (as root)
	@[ "$$(id -u)" = 0 ] || { echo "test-install needs root. Type: sudo make test-install" >&2; exit 77; }
	@packaging/system-packages.sh test-install
	unshare --mount .venv/bin/python -m pytest tests/packaging/clean_tree.py $(PYTEST_ARGS)

fault-test: setup ## kill, starve, stop and deny the recorder for minutes, and look at what is left (as root)
	@[ "$$(id -u)" = 0 ] || { echo "fault-test needs root. Type: sudo make fault-test" >&2; exit 77; }
	.venv/bin/python -m pytest -m long -rP -o faulthandler_timeout=1800 tests/kernel $(PYTEST_ARGS)

vm-test: setup ## run tests of the kernel on stock kernels in virtual machines (as root; KERNEL=6.1, PYTEST_ARGS=tests/kernel/test_argv.py)
	@[ "$$(id -u)" = 0 ] || { echo "vm-test needs root. Type: sudo make vm-test" >&2; exit 77; }
	@packaging/system-packages.sh vm-test
	@.venv/bin/python -m tests.vm $(KERNEL) $(if $(PYTEST_ARGS),-- $(PYTEST_ARGS))

witness: setup ## hold 100,000 events of a recording against what strace and perf saw of them (as root; KERNEL=6.1: in a virtual machine)
	@[ "$$(id -u)" = 0 ] || { echo "witness needs root. Type: sudo make witness" >&2; exit 77; }
	$(if $(KERNEL),@packaging/system-packages.sh vm-test)
	.venv/bin/python -m $(if $(KERNEL),tests.vm $(KERNEL) -- -v,pytest -o faulthandler_timeout=1800) tests/kernel/witness/full.py $(PYTEST_ARGS)

lint: setup ## check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

fuzz: setup ## give parsers hostile input, 100,000 each, guided by the branches that it takes (TARGET=pack RUNS=1000 FUZZ_ARGS=--keep)
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --group fuzz || echo "fuzz: atheris does not install for this Python" >&2
	.venv/bin/python -m tests.fuzz --runs $(RUNS) $(FUZZ_ARGS) $(TARGET)

bench: setup ## measure speed, memory and size against BCC's own Python callback and other engines (as root)
	@packaging/system-packages.sh bench
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --group bench || echo "bench: not every peer could be installed" >&2
	.venv/bin/python -m benchmarks $(BENCH_ARGS)

install: ## install for the whole machine: commands in $(PREFIX)/bin (as root)
	@packaging/install.sh install

uninstall: ## remove exactly what install made
	@packaging/install.sh uninstall

clean: ## remove .venv, caches and built packages; recordings stay
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
