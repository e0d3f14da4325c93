"""One browser for all tests of pages, and pages that the real command line makes, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.analyzer.conftest import run
from tests.html.browser import Browser, found
from tests.kernel_gate import required
from tests.rows import Rows, read_rows, write_recording

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not found() and not required():
        pytest.skip("needs Chromium and its driver: packaging/system-packages.sh test")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Return the browser; a page that had an error, or asked for something of a network, fails the test that opened it."""
    chromium.troubles()
    yield chromium
    assert chromium.troubles() == []


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that makes a page and returns its path: make("overview", recording)."""
    folder = tmp_path_factory.mktemp("pages")
    made: dict[tuple[str, ...], Path] = {}

    def page(*arguments: str | Path) -> Path:
        key = tuple(map(str, arguments))
        if key not in made:
            made[key] = folder / f"{len(made)}.html"
            done = run("analyzer.cli", *arguments, "--format", "html", "-o", made[key])
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr
        return made[key]

    return page


@pytest.fixture(scope="session")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the recording of fixtures/rows, in which one event of clone was lost."""
    return write_recording(tmp_path_factory.mktemp("lossy") / "web1_20260115T120000Z.bpftape", read_rows())


@pytest.fixture(scope="session")
def not_recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording whose recorder was not asked for TCP."""
    rows = read_rows()
    tcp: Rows = {name: [] for name in rows if name.startswith("tcp_")}
    coverage = [row for row in rows["coverage"] if row["tracer"] != "tcp"]
    recording = [row | {"tracers": ["clone", "container"]} for row in rows["recording"]]
    return write_recording(tmp_path_factory.mktemp("not") / "x.bpftape", rows | tcp | {"coverage": coverage, "recording": recording})


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording in which everybody who could choose a text chose one that is code somewhere; exec was seen for three seconds."""
    rows = read_rows()
    for row in (row for table in rows.values() for row in table):
        for name, value in row.items():
            if name in ("comm", "filename", "exe", "nodename", "name", "image", "host", "hook", "reason", "end_reason"):
                row[name] = HOSTILE if value is not None else None
            elif name in ("argv", "cmdline", "filters") and value:
                row[name] = [HOSTILE, "\u202e\x1b[2J"]
    coverage = [row | {"attached": row["table"] != "exec" or row["ts_ns"] < 1_003_000_000_000} for row in rows["coverage"]]
    coverage = [*coverage, rows["coverage"][0] | {"table": HOSTILE, "lost": 3}]
    return write_recording(tmp_path_factory.mktemp("hostile") / "<img src=x onerror=pwned=1>.bpftape", rows | {"coverage": coverage})


HOSTILE = "</script><script>pwned=1</script><img src=x onerror=pwned=1>'\"`${pwned=1}{{pwned}}<!--\u202e\x1b]0;x\x07\u2028"
SHOWN = r"""</script><script>pwned=1</script><img src=x onerror=pwned=1>'"`${pwned=1}{{pwned}}<!--\u202e\x1b]0;x\x07\u2028"""
