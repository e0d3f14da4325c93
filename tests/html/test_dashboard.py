"""The dashboard in a real browser: its charts show what the reports say, and zoom together; what was not recorded is shaded or said."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from analyzer.charts import panels
from analyzer.recording import open_recording
from analyzer.report import of_chart
from tests.analyzer.conftest import run
from tests.html.browser import Browser
from tests.html.conftest import HOSTILE, Make
from tests.report_checks import run as rows_of
from tests.rows import Row, read_rows, write_recording

MEGABYTE = 1_000_000


def paths(browser: Browser, section: str, mark: str) -> list[str]:
    """Return the outlines of the marks of one kind in the charts of a section."""
    selector = f"#{section} figure:not([hidden]) .mark-{mark}.role-mark > path"
    found: list[str] = browser.run("return [...document.querySelectorAll(arguments[0])].map((path) => path.getAttribute('d'))", selector)
    return found


def domains(browser: Browser) -> set[tuple[float, ...]]:
    """Return what the charts over time show, in seconds."""
    script = "return charts.filter((chart) => chart.timed && chart.view).map((chart) => chart.view.scale('x').domain())"
    return {tuple(round(end, 2) for end in domain) for domain in browser.run(script)}


def test_it_has_a_section_for_each_panel_and_a_link_to_it(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", lossy))
    titles = ["What is in it", *(module.PANEL.title for _, module in panels())]
    assert browser.texts("h2") == browser.texts("nav a") == titles
    assert browser.texts("h1") == [lossy.name]
    assert browser.run("return [...document.querySelectorAll('nav a')].every((link) => document.querySelector(link.hash))")


def test_charts_have_a_mark_for_each_row(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", lossy))
    recording = open_recording(lossy)
    for section, mark in (("events", "rect"), ("process_lives", "rect"), ("connects", "symbol"), ("latency", "rect"), ("service_map", "rule")):
        module = dict(panels())[section]
        rows = rows_of(of_chart(module.PANEL.marks), recording)[2]
        shades = browser.run(f"return charts.find((chart) => chart.figure.closest('#{section}')).shades.length")
        drawn = browser.all(f"#{section} .mark-{mark}.role-mark > *")
        assert len(drawn) >= len(rows) > 0, section
        assert len(drawn) <= len(rows) + 20 * shades, section


def test_what_is_missing_and_what_was_dropped_is_shaded(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", lossy))
    # One event of clone was lost between 7 and 8 s, and packets were dropped between 7 and 9 s: of connects nothing is missing.
    assert [(row["from_s"], row["to_s"], row["lost"]) for row in run_rows("losses", lossy) if row["table"] == "clone"] == [(7.0, 8.0, 1)]
    shaded = browser.run("return Object.fromEntries(charts.map((chart) => [chart.figure.closest('section').id, chart.shades]))")
    assert shaded["events"] == shaded["process_lives"] == ["dropped", "lost"]
    assert (shaded["connects"], shaded["latency"], shaded["service_map"]) == (["dropped"], [], [])
    left, width, _ = browser.middle("#connects .background")
    boxes = "return [...document.querySelectorAll('#connects .mark-rect.role-mark path')].map((path) => path.getBoundingClientRect())"
    ((x, length),) = [(box["left"], box["width"]) for box in browser.run(boxes)]
    assert ((x - left) / width * 10, length / width * 10) == pytest.approx((7, 2), abs=0.1)
    assert browser.texts(".tools span:has(i)") == ["packets dropped on purpose", "events lost"]
    assert [text.startswith("! lossy") for text in browser.texts("#process_lives > .trust")] == [True]


def test_a_time_that_was_not_seen_is_shaded(hostile: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", hostile))
    shaded = browser.run("return Object.fromEntries(charts.map((chart) => [chart.figure.closest('section').id, chart.shades]))")
    assert shaded["process_lives"] == ["dropped", "lost", "not attached"]
    assert "not attached" not in shaded["connects"]
    left, width, _ = browser.middle("#process_lives .background")
    box = browser.run("return document.querySelector('#process_lives .mark-rect.role-mark path').getBoundingClientRect()")
    assert ((box["left"] - left) / width * 10, box["width"] / width * 10) == pytest.approx((3, 7), abs=0.1)
    assert browser.texts("#process_lives > .trust b") == ["◐ partial"]


def test_a_part_of_the_time_is_what_the_charts_show(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", lossy, "--since", "2s", "--until", "8s"))
    assert domains(browser) == {(2.0, 8.0)}
    assert browser.texts("header .remark") == ["note: narrowed by --since 2s --until 8s"]
    left, width, _ = browser.middle("#connects .background")
    boxes = "return [...document.querySelectorAll('#connects .mark-rect.role-mark path')].map((path) => path.getBoundingClientRect())"
    ((x, length),) = [(box["left"], box["width"]) for box in browser.run(boxes)]
    assert ((x - left) / width * 6, length / width * 6) == pytest.approx((5, 1), abs=0.1)


def run_rows(report: str, recording: Path) -> list[dict[str, Any]]:
    _, result, rows = rows_of(of_chart(report), open_recording(recording))
    return [dict(zip((field.name for field in result.fields), row, strict=True)) for row in rows]


def test_a_table_that_was_not_recorded_is_not_shown_as_nothing(not_recorded: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", not_recorded))
    assert browser.texts("header .trust b") == ["∅ not recorded"]
    for section in ("connects", "latency", "service_map"):
        assert browser.texts(f"#{section} > .trust b") == ["∅ not recorded"]
        assert browser.texts(f"#{section} > .nothing") == ["not recorded, which is not the same as no rows"]
        assert not browser.all(f"#{section} figure")
    assert all("not recorded" in text for text in browser.texts("#connects summary span"))
    assert browser.all("#process_lives figure")


def test_dragging_zooms_all_charts_over_time_and_a_double_click_undoes_it(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", lossy))
    (whole,) = domains(browser)
    left, width, y = browser.middle("#events .background")
    begin, end = left + width * 0.2, left + width * 0.5
    browser.mouse(("mousePressed", begin, y), ("mouseMoved", begin + 9, y), ("mouseMoved", end, y), ("mouseReleased", end, y))
    (zoomed,) = domains(browser)
    assert zoomed == pytest.approx((whole[1] * 0.2, whole[1] * 0.5), abs=whole[1] / width * 2)
    assert [float(browser.run(f"return document.getElementById('{name}').value")) for name in ("from", "to")] == pytest.approx(zoomed, abs=0.01)
    for clicks in (1, 2):
        browser.mouse(("mousePressed", end, y), ("mouseReleased", end, y), clicks=clicks)
    assert domains(browser) == {whole}
    browser.run("const from = document.getElementById('from'); from.value = '3'; from.dispatchEvent(new Event('change'))")
    assert domains(browser) == {(3.0, whole[1])}
    browser.one("#whole").click()
    assert domains(browser) == {whole}


def test_a_tooltip_is_text(hostile: Path, browser: Browser, make: Make) -> None:
    browser.open(make("overview", hostile))
    left, width, y = browser.middle("#process_lives .mark-rect.role-mark path:last-child")
    browser.mouse(("mouseMoved", left + width / 2, y))
    tip = browser.one("#tip")
    assert "comm: </script><script>pwned=1" in tip.text
    assert browser.run("return document.getElementById('tip').children.length") == 0
    assert browser.run("return typeof pwned") == "undefined"
    assert HOSTILE[:20] in "".join(browser.texts("#process_lives svg text"))


def test_charts_take_the_colours_of_the_page_while_it_is_open(lossy: Path, browser: Browser, make: Make) -> None:
    ink = "return [...new Set([...document.querySelectorAll('.role-axis-label text')].map((text) => getComputedStyle(text).fill))]"
    ground = "return getComputedStyle(document.body).backgroundColor"
    browser.open(make("overview", lossy))
    before = browser.run(ink), browser.run(ground)
    browser.colours(dark=True)
    browser.run("return new Promise((done) => setTimeout(done, 50))")
    browser.drawn()
    after = browser.run(ink), browser.run(ground)
    assert len(before[0]) == len(after[0]) == 1
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_several_recordings_are_chosen_from(lossy: Path, browser: Browser, tmp_path: Path, make: Make) -> None:
    rows = read_rows()
    other = write_recording(tmp_path / "other.bpftape", rows | {"exit": []}, uuid.uuid4())
    browser.open(make("overview", lossy, other))
    assert browser.texts("h1") == ["2 recordings"]
    shown = len(paths(browser, "process_lives", "rect"))
    browser.run("const s = document.getElementById('recording'); s.value = 'other.bpftape'; s.dispatchEvent(new Event('change'))")
    browser.run("return new Promise((done) => setTimeout(done, 50))")
    browser.drawn()
    assert browser.texts("#recording option") == [lossy.name, "other.bpftape"]
    assert len(paths(browser, "process_lives", "rect")) != shown
    assert {row.split(".")[0] for row in browser.texts("#tables td:last-child")}


def test_a_busy_minute_is_a_small_page(browser: Browser, tmp_path: Path, make: Make) -> None:
    rows = read_rows()
    start_ns = rows["recording"][0]["start_ns"]

    def many(table: str, count: int, **columns: Any) -> list[Row]:
        row = rows[table][0] | columns
        return [row | {"ts_ns": start_ns + n * 10**6, "pid": 100_000 + n, "start_ns": start_ns + n * 10**6 - 1} for n in range(count)]

    argv = ["program", *(f"--option-{n}={'x' * 60}" for n in range(55))]
    busy = rows | {"exec": many("exec", 4000, argv=argv), "exit": many("exit", 4000, exit_code=1), "tcp_connect": many("tcp_connect", 4000)}
    page = make("overview", write_recording(tmp_path / "busy.bpftape", busy))
    assert page.stat().st_size < 3 * MEGABYTE
    browser.open(page)
    assert "not drawn" in browser.one("#process_lives figcaption").text
    assert any("rows were left out" in text for text in browser.texts("#process_lives .remark"))


def test_without_the_libraries_it_says_what_to_type_and_leaves_no_file(lossy: Path, tmp_path: Path) -> None:
    (tmp_path / "altair.py").write_text("raise ImportError('gone', name='altair')")
    target = tmp_path / "out.html"
    done = run("analyzer.cli", "overview", lossy, "--format", "html", "-o", target, env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"})
    assert (done.returncode, done.stdout) == (73, "")
    assert "needs altair and vl-convert-python, which are not installed (altair)" in done.stderr
    assert "-m pip install altair vl-convert-python" in done.stderr
    assert not target.exists()
    other = run("analyzer.cli", "processes", lossy, "--format", "html", "-o", target, env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"})
    assert (other.returncode, target.exists()) == (0, True), other.stderr
