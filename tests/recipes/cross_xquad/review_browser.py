"""The review page as a reviewer has it, for tests that drive a real browser."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from recipes.cross_xquad.items import Item
from recipes.cross_xquad.review.apply import write_review
from tests.report.test_page_in_browser import DESK

ESCAPE, ENTER, TAB, CONTROL = "\ue00c", "\ue007", "\ue004", "\ue009"
# The marks of one language's passage; a key as the browser reports it.
MARKS = (
    "return [...document.querySelectorAll(`[data-language=${arguments[0]}] .passage mark`)]"
    ".map((m) => [m.textContent, m.dataset.letter])"
)
KEY = (
    "document.activeElement.dispatchEvent(new KeyboardEvent('keydown',"
    "{key: arguments[0], code: arguments[1], repeat: arguments[2], bubbles: true}))"
)
WAIT = 20.0  # seconds for a file to be downloaded


def written(folder: Path, items: list[Item], title: str = "Review") -> Path:
    write_review(items, folder / "review", title=title)
    return folder / "review" / "index.html"


class Page:
    """The page as a reviewer has it: keys go to whatever has the focus."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads

    def open(self, path: Path, *, fresh: bool = True, size: tuple[int, int] = DESK, dark: bool = False) -> None:
        """Load it; `fresh` forgets what the browser kept."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        for _ in range(10):  # what was cleared can still be there on the next load, or the one after
            self.driver.get("about:blank")
            self.driver.get(path.as_uri())
            if not fresh or self.js("return localStorage.length") == 0:
                break
            self.js("localStorage.clear()")
        assert self.js("return document.documentElement.dataset.ready") == "yes"

    def begin(self, folder: Path, items: list[Item], **options: Any) -> None:
        """Write the page, load it, and give initials."""
        self.open(written(folder, items, **options))
        self.press("ab", ENTER)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def text(self, css: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).textContent", css))

    def place(self) -> str:
        return self.text("#place code")

    def saved(self, reviewer: str) -> Path:
        """Press s and wait for the file."""
        review = self.js("return JSON.parse(document.getElementById('data').textContent).review")
        path = self.downloads / f"decisions-{reviewer}-{review[:8]}.json"
        path.unlink(missing_ok=True)
        self.press("s")
        until = time.monotonic() + WAIT
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert path.exists(), [p.name for p in self.downloads.iterdir()]
        return path

    def wait_for(self, words: str) -> None:
        """Wait until the notice says so: a file is read in its own time."""
        until = time.monotonic() + WAIT
        while words not in self.text("#notice") and time.monotonic() < until:
            time.sleep(0.05)
        assert words in self.text("#notice")
