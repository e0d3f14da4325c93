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


LEFT_OUT = ("long", "own_machine", "podman")
"""Marks of tests that run only where -m asks for them: they take a minute and more, or need a machine of their own."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is so marked."""
    marks = [mark for mark in LEFT_OUT if mark not in config.option.markexpr]
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in marks)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
