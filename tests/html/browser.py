"""A real Chromium without a window, and what went wrong in it: errors of scripts, messages on the console, requests to a network."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
_WAIT_S = 30


def found() -> str:
    """Return the path of a browser; empty where there is none, or nothing to drive it with."""
    browser = shutil.which("chromium") or shutil.which("google-chrome") or ""
    return browser if shutil.which("chromedriver") else ""


class Browser:
    """One Chromium with a profile of its own in ``folder``."""

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        for argument in (*_ARGUMENTS, f"--user-data-dir={folder}"):
            options.add_argument(argument)
        options.binary_location = found()
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        # Named, so that nothing is looked for elsewhere.
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or "chromedriver"))

    def quit(self) -> None:
        self.driver.quit()

    def open(self, path: Path, dark: bool = False, width: int = 1200, height: int = 900) -> None:
        """Load a page and wait until its charts, if it has any, are drawn."""
        self.resize(width, height)
        self.colours(dark)
        self.troubles()  # those of the page before
        self.driver.get(path.as_uri())
        self.drawn()

    def drawn(self) -> None:
        """Wait until every chart that is shown has been drawn."""
        script = "return typeof charts !== 'undefined' && charts.every((chart) => chart.figure.hidden || chart.view) "
        WebDriverWait(self.driver, _WAIT_S, 0.05).until(lambda _: self.run(script))

    def colours(self, dark: bool) -> None:
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def resize(self, width: int, height: int) -> None:
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def command(self, name: str, **arguments: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def mouse(self, *events: tuple[str, float, float], clicks: int = 1) -> None:
        """Send events of the mouse: mouseMoved, mousePressed, mouseReleased, each at a place of the window."""
        for kind, x, y in events:
            button = "none" if kind == "mouseMoved" else "left"
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=int(kind != "mouseReleased"), clickCount=clicks)

    def middle(self, selector: str) -> tuple[float, float, float]:
        """Scroll to the first element that matches; return its left edge, its width, and the middle of its height."""
        script = """const element = document.querySelector(arguments[0]); element.scrollIntoView({ block: 'center' });
            const box = element.getBoundingClientRect(); return [box.left, box.width, box.top + box.height / 2]"""
        left, width, y = self.run(script, selector)
        return left, width, y

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page, which the page's own policy does not bind, and return its value."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> WebElement:
        (found,) = self.all(selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """Return the text of all elements that match, those out of sight too."""
        found: list[str] = self.run("return [...document.querySelectorAll(arguments[0])].map((element) => element.textContent)", selector)
        return found

    def troubles(self) -> list[str]:
        """Return what was said on the console, and all requests but that for the page, since the last call."""
        said = [f"{entry['level']}: {entry['message']}" for entry in self._log("browser")]
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                page, url = message["params"]["documentURL"], message["params"]["request"]["url"]
                if page.startswith("file://") and url != page:  # not Chromium's own pages
                    said.append(f"request: {url}")
        return said

    def _log(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.driver.get_log(name)  # type: ignore[no-untyped-call]
        return found

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write a picture of the page, for eyes."""
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
