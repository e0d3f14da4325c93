"""Options and fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import REPO, Cli

pytest_plugins = ["tests.kernel_gate"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew from what the reports give now")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is refused where CI is set: golden files are made, looked at and committed by people.")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are to be written instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def repo() -> Path:
    """Return the top folder of the source tree."""
    return REPO


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Return a function that runs a console script of this environment: cli("analyze", "overview", folder)."""
    return Cli()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes a minute and more, unless -m asks for it by its mark: `make fault-test` does."""
    if "long" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
