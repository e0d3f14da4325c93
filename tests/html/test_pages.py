"""Pages in a real browser: one file, no error, no request; tables that sort and filter; text of a stranger that stays text."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.analyzer.conftest import on_terminal, run
from tests.html.browser import Browser
from tests.html.conftest import HOSTILE, SHOWN, Make


def column(browser: Browser, number: int, table: str = "table") -> list[str]:
    return browser.texts(f"{table} tbody tr td:nth-child({number})")


def click(browser: Browser, name: str) -> str | None:
    """Click on the heading of a column and return how the table says it is sorted."""
    headings = {button.text.split("\n")[0].split(" ")[0].rstrip("▲▼"): button for button in browser.all("th button")}
    headings[name].click()
    sort: str | None = browser.run("return arguments[0].closest('th').getAttribute('aria-sort')", headings[name])
    return sort


@pytest.mark.parametrize("report", ["processes", "tcp_connects", "latency_histogram", "overview"])
@pytest.mark.parametrize("dark", [False, True])
def test_every_page_is_without_an_error_and_without_a_request(report: str, dark: bool, lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make(report, lossy), dark)
    assert browser.all("tbody tr")
    assert browser.troubles() == []


def test_a_table_has_what_csv_has(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("tcp_connects", lossy))
    csv = [line.split(",") for line in run("analyzer.cli", "tcp_connects", lossy, "--format", "csv").stdout.splitlines()]
    ports = csv[0].index("dport")
    assert column(browser, ports + 1) == [line[ports] for line in csv[1:]]
    assert browser.one(".bar-tools .muted").text == f"{len(csv) - 1} rows"


def test_a_click_sorts_and_a_third_one_gives_the_order_of_the_report_back(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("processes", lossy))
    pids = column(browser, 1)
    assert click(browser, "pid") == "descending"
    assert column(browser, 1) == sorted(pids, key=int, reverse=True)
    assert click(browser, "pid") == "ascending"
    assert column(browser, 1) == sorted(pids, key=int)
    assert click(browser, "pid") is None
    assert column(browser, 1) == pids
    lives = [click(browser, "life_ms"), column(browser, 6)]
    click(browser, "life_ms")
    numbers = [float(life) for life in lives[1] or [] if life]
    assert numbers == sorted(numbers, reverse=True)
    assert (lives[1] or [])[-1] == column(browser, 6)[-1] == ""  # NULL is last, whichever way
    names = [click(browser, "comm"), column(browser, 3)]
    assert (names[0], names[1]) == ("ascending", sorted(names[1] or [], key=str.casefold))


def test_words_and_comparisons_filter(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("processes", lossy))
    every = len(column(browser, 1))
    search = browser.one("input[type=search]")

    def found(text: str) -> list[str]:
        search.send_keys(Keys.CONTROL, "a")
        search.send_keys(text)
        return column(browser, 1)

    assert 0 < len(found("SSHD")) < every
    assert set(column(browser, 3)) == {"sshd"}
    assert set(found("pid=601")) == {"601"}
    assert all(int(pid) >= 700 for pid in found("pid>=700 exit"))
    assert found("life_ms<100")
    assert all(float(life) < 100 for life in column(browser, 6))
    assert found("no such text") == []
    assert browser.one(".bar-tools .muted").text == f"0 of {every} rows"
    assert found(Keys.BACKSPACE) == column(browser, 1)
    assert len(column(browser, 1)) == every


def test_numbers_stand_to_the_right_and_have_their_units_and_bars(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("top_talkers", lossy))
    units = dict(zip(browser.texts("th button"), browser.texts("th small"), strict=False))
    assert "bytes" in browser.texts("th small"), units
    aligned = "return [...document.querySelectorAll(arguments[0])].map((cell) => getComputedStyle(cell).textAlign)"
    assert set(browser.run(aligned, "td.number")) == set(browser.run(aligned, "th.number button")) == {"right"}
    browser.open(make("latency_histogram", lossy))
    widths = browser.run("return [...document.querySelectorAll('td.bar i')].map((bar) => bar.getBoundingClientRect().width)")
    counts = [int(text) for text in browser.texts("td.bar span")]
    assert counts
    assert widths == pytest.approx([max(widths) * count / max(counts) for count in counts], abs=0.1)
    assert max(widths) > 50


@pytest.mark.parametrize(
    ("sql", "verdict", "empty", "kind"),
    [
        ("SELECT comm FROM exec WHERE false", "✓ complete", "no rows", "nothing "),
        ("SELECT comm FROM clone WHERE false", "! lossy", "no rows in what was recorded: lossy", "nothing doubt"),
        ("SELECT pid FROM tcp_connect", "∅ not recorded", "not recorded, which is not the same as no rows", "nothing blank"),
    ],
)
def test_an_empty_page_says_what_that_means(
    sql: str, verdict: str, empty: str, kind: str, lossy: Path, not_recorded: Path, browser: Browser, make: Make
) -> None:
    browser.open(make("--sql", sql, not_recorded if "tcp" in sql else lossy))
    assert browser.texts(".trust b") == [verdict]
    assert (browser.one(".nothing").text, browser.one(".nothing").get_attribute("className")) == (empty, kind)
    assert not browser.all("table")


def test_a_page_says_what_was_asked(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("--sql", "SELECT count(*) AS n -- '<b>'\nFROM exec WHERE pid = CAST($pid AS INTEGER)", lossy, "--param", "pid=700"))
    assert browser.texts("h1") == ["SQL"]
    assert browser.texts("header .value") == ["pid = 700"]
    assert browser.texts("footer pre") == ["SELECT count(*) AS n -- '<b>'\nFROM exec WHERE pid = CAST($pid AS INTEGER)"]
    assert column(browser, 1) == ["3"]


def test_text_of_a_stranger_stays_text(hostile: Path, browser: Browser, make: Make) -> None:
    for report in ("overview", "processes", "containers", "probes"):
        page = make(report, hostile)
        assert "<img" not in page.read_text().split("<script", 1)[0].split("</style>")[1]
        browser.open(page)
        assert browser.run("return typeof pwned") == "undefined"
        assert not browser.all("img, iframe, object, a[href^=javascript]")
        assert SHOWN in "".join(browser.texts("td"))
        shown = "".join(browser.texts("body"))
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2028]", shown)
        assert browser.troubles() == []
    assert HOSTILE != SHOWN


def test_a_report_of_ones_own_may_be_hostile_too(lossy: Path, browser: Browser, make: Make, tmp_path: Path) -> None:
    report = tmp_path / "</title><img src=x onerror=pwned=1>.sql"
    report = tmp_path / "own.sql"
    header = f"-- T {HOSTILE[:60]}\n-- Question: <b>Why?</b>\n-- Columns:\n--   a<b  BIGINT  <u>  <i>x</i>\n-- Caveats: {HOSTILE[:40]}\n"
    report.write_text(
        header + f"SELECT 1 AS \"{HOSTILE.replace(chr(34), '')[:70]}\", 9007199254740993 AS big, 'nan'::DOUBLE AS f, [1, 2] AS l, NULL AS n"
    )
    browser.open(make(report, lossy))
    assert browser.run("return typeof pwned") == "undefined"
    assert column(browser, 2) + column(browser, 3) + column(browser, 4) + column(browser, 5) == ["9007199254740993", "nan", "[1, 2]", ""]
    assert browser.one(".question").text == "<b>Why?</b>"


def test_the_policy_of_a_page_lets_nothing_in_and_nothing_out(lossy: Path, browser: Browser, make: Make) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        browser.open(make("processes", lossy))
        browser.run(
            """const url = arguments[0];
            const tags = { img: "src", script: "src", link: "href", audio: "src" };
            for (const [tag, name] of Object.entries(tags)) {
              const element = document.createElement(tag); element.rel = "stylesheet"; element[name] = url + tag; document.body.append(element);
            }
            const own = document.createElement("script"); own.textContent = "window.pwned = 1"; document.body.append(own);
            const style = document.createElement("style"); style.textContent = "body { color: red }"; document.body.append(style);
            return fetch(url + "fetch").catch(() => 0);""",
            f"http://127.0.0.1:{server.server_port}/",
        )
        server.shutdown()
        thread.join()
    assert asked == []
    assert browser.run("return typeof pwned") == "undefined"
    assert browser.run("return getComputedStyle(document.body).color") != "rgb(255, 0, 0)"
    refused = [trouble for trouble in browser.troubles() if not trouble.startswith("request:")]
    assert refused
    assert all("Content Security Policy" in trouble or "Refused" in trouble or "CSP" in trouble for trouble in refused), refused


def test_a_page_takes_so_many_rows_and_says_how_many_it_left_out(lossy: Path, browser: Browser, make: Make) -> None:
    browser.open(make("--sql", "SELECT i AS n, 'x' AS t FROM range(30000) r(i) ORDER BY i", lossy))
    assert "10,000 rows were left out" in browser.one(".remark").text
    assert browser.one(".bar-tools .muted").text == "20,000 of 30,000 rows"
    assert len(column(browser, 1)) == 200
    browser.one("div > button").click()
    assert column(browser, 1) == [str(number) for number in range(2200)]
    search = browser.one("input[type=search]")
    search.send_keys("n=19999")
    assert column(browser, 1) == ["19999"]


def test_a_page_is_for_a_file_and_not_for_a_terminal(lossy: Path) -> None:
    assert on_terminal("processes", str(lossy), "--format", "html") == (2, [])
    done = run("analyzer.cli", "processes", lossy, "--format", "html")
    assert (done.returncode, done.stderr, done.stdout[:15], done.stdout[-8:]) == (0, "", "<!doctype html>", "</html>\n")


def test_a_page_can_be_read_without_eyes(lossy: Path, browser: Browser, make: Make) -> None:
    for report in ("processes", "overview"):
        browser.open(make(report, lossy))
        assert len(browser.all("h1")) == 1
        assert all(browser.texts("caption"))
        assert len(browser.all("th[scope=col]")) == len(browser.all("th")) > 0
        unnamed = "return [...document.querySelectorAll('button, input, select')].filter((e) => !e.textContent && !e.closest('label')).length"
        assert browser.run(unnamed) == 0
        assert browser.run("return document.documentElement.lang") == "en"
        assert all(chart.get_attribute("aria-label") for chart in browser.all("[role=img], [role=region]"))


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_told_from_its_ground(dark: bool, lossy: Path, hostile: Path, browser: Browser, make: Make) -> None:
    for page in (make("overview", lossy), make("overview", hostile)):
        browser.open(page, dark)
        browser.run("for (const folded of document.querySelectorAll('details')) folded.open = true")
        weak = browser.run(CONTRAST)
        assert weak == []


# WCAG 2.1, 1.4.3: relative luminance of the text against the first ground behind it that is not transparent.
CONTRAST = """
const parse = (text) => text.match(/[0-9.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
function ground(element) {
  for (; element; element = element.parentElement) {
    const found = parse(getComputedStyle(element).backgroundColor);
    if (found.length < 4 || found[3] === 1) return found;
  }
}
const weak = new Set();
for (const element of document.querySelectorAll("body *:not(script):not(svg *)")) {
  if (![...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) || element.id === "tip") continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) weak.add(element.tagName + "." + element.className + " " + (a + 0.05) / (b + 0.05));
}
return [...weak];
"""
