"""`make bench-web`: measures the chat in a real browser: long tasks, the main thread's load, when text is on screen.

The page is the chat pane alone, built as it is for users, on a server of its own. Frames are those of a headless
browser at 60 Hz. Compare only figures of the same run: other work on the machine lengthens tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, async_playwright

from scripts.bench.web_server import ChatServer, Script, tokens
from tests.support.aimock import NODE, ROOT
from tests.support.browser import browser_program

LONGEST_TASK_MS = 50.0
LARGEST_SHARE = 0.25
FIRST_TEXT_MS = 60.0
MESSAGES = 2000
PAINTED = """() => {
  window.tasks = []
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.tasks.push(one.duration)
  }).observe({ type: 'longtask' })
  // the time at which the text of a reply was first in a frame that had been drawn
  window.painted = []
  window.awaitText = () => {
    const last = () => [...document.querySelectorAll('[aria-label=Reply]')].at(-1)
    const before = last()
    const look = () => {
      if (last() !== before && last()?.textContent) requestAnimationFrame(() => window.painted.push(Date.now()))
      else requestAnimationFrame(look)
    }
    requestAnimationFrame(look)
  }
}"""


@dataclass
class Figure:
    """One measurement, and the limit that it is held against."""

    what: str
    value: float
    limit: float
    unit: str

    def __str__(self) -> str:
        mark = "ok" if self.value <= self.limit else "OVER"
        return f"{self.what:<58} {self.value:8.1f} {self.unit:<3} (limit {self.limit:g})  {mark}"


def build(folder: Path) -> None:
    """Build the page of the chat pane."""
    vite = ROOT / "node_modules/vite/bin/vite.js"
    command = [NODE, vite, "build", ROOT / "scripts/bench/web", "--outDir", folder, "--logLevel", "error"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"NODE_ENV": "production"}, check=True, timeout=120)


async def opened(browser: Browser, server: ChatServer, messages: int) -> Page:
    page = await (await browser.new_context(viewport={"width": 1200, "height": 800})).new_page()
    await page.add_init_script(f"({PAINTED})()")
    await page.goto(f"{server.url}/c/{server.conversation(messages)}")
    await page.get_by_role("textbox", name="Message").wait_for()
    if messages:
        await page.get_by_role("article", name="Reply").last.wait_for()
    return page


async def longest_task(page: Page) -> float:
    """The longest task since this was last asked, in milliseconds; 0 where none was over 50."""
    await page.wait_for_timeout(300)
    return float(await page.evaluate("Math.max(0, ...window.tasks.splice(0))"))


async def busy_seconds(session: CDPSession) -> float:
    """How long the main thread has run tasks."""
    metrics: dict[str, Any] = await session.send("Performance.getMetrics")
    return float(next(one["value"] for one in metrics["metrics"] if one["name"] == "TaskDuration"))


async def scrolling_and_typing(browser: Browser, server: ChatServer) -> list[Figure]:
    page = await opened(browser, server, MESSAGES)
    section = page.get_by_role("region", name="Messages")
    await section.hover()
    # up to the first message once, which reads all of them
    while int(await section.get_by_role("listitem").first.get_attribute("aria-posinset") or 0) > 1 or not (
        await page.get_by_text("part 1?", exact=False).first.is_visible()
    ):
        await page.mouse.wheel(0, -4000)
        await page.wait_for_timeout(60)
    await longest_task(page)
    for _ in range(60):
        await page.mouse.wheel(0, 900)
        await page.wait_for_timeout(50)
    scrolled = await longest_task(page)
    await page.get_by_role("textbox", name="Message").click()
    for key in "The quick brown fox jumps over the lazy dog. " * 3:
        await page.keyboard.press(key if key != " " else "Space")
        await page.wait_for_timeout(15)
    typed = await longest_task(page)
    await page.context.close()
    return [
        Figure(f"longest task, scrolling through {MESSAGES:,} messages", scrolled, LONGEST_TASK_MS, "ms"),
        Figure(f"longest task, typing beside {MESSAGES:,} messages", typed, LONGEST_TASK_MS, "ms"),
    ]


async def streaming(browser: Browser, server: ChatServer, seconds: float) -> list[Figure]:
    page = await opened(browser, server, 200)
    session = await page.context.new_cdp_session(page)
    # time that the thread has run, not time that other programs had the core
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})
    server.script = Script(tokens(SAMPLE * 40)[: int(seconds * 50)], 0.02)
    await page.get_by_role("textbox", name="Message").fill("Tell me all of it")
    await longest_task(page)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Stop the reply").wait_for()
    before = await busy_seconds(session)
    await page.wait_for_timeout(seconds * 1000 * 0.9)
    share = (await busy_seconds(session) - before) / (seconds * 0.9)
    longest = await longest_task(page)
    await page.context.close()
    return [
        Figure("main thread busy, 50 tokens a second", share * 100, LARGEST_SHARE * 100, "%"),
        Figure("longest task while they come", longest, LONGEST_TASK_MS, "ms"),
    ]


async def first_text(browser: Browser, server: ChatServer, rounds: int) -> list[Figure]:
    page = await opened(browser, server, 40)
    server.script = Script(tokens("Here it is, and that is all."), 0.02)
    server.first_bytes.clear()
    for done in range(rounds):
        await page.get_by_role("textbox", name="Message").fill("And now?")
        await page.evaluate("window.awaitText()")
        await page.keyboard.press("Enter")
        while await page.evaluate("window.painted.length") <= done:
            await page.wait_for_timeout(20)
        await page.get_by_role("button", name="Send").wait_for()
    painted = await page.evaluate("window.painted")
    await page.context.close()
    delays = [drawn - sent * 1000 for drawn, sent in zip(painted, server.first_bytes, strict=True)]
    p95 = statistics.quantiles(delays, n=20)[-1]
    return [Figure("first text on screen after its bytes, p95", p95, FIRST_TEXT_MS, "ms")]


SAMPLE = (
    "The **harbour** was built in `1604`; [the records](https://example.org/r) name 412 ships of it.\n\n"
    "- salt\n- cork\n- wine, which was the dearest\n\n```python\nprint(sum(range(12)))\n```\n\n"
    "| port | depth |\n|---|---:|\n| Lisboa | 12 m |\n\nThe energy is $E = mc^2$, and a ticket costs $5.\n\n"
)


async def main(rounds: int, seconds: float) -> int:
    program, variables = browser_program()
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        async with ChatServer(Path(folder)) as server, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, env={**os.environ, **variables})
            figures = []
            for measured in (
                scrolling_and_typing(browser, server),
                streaming(browser, server, seconds),
                first_text(browser, server, rounds),
            ):
                found = await measured
                print(*found, sep="\n", flush=True)
                figures += found
            await browser.close()
    return sum(figure.value > figure.limit for figure in figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="replies whose first text is timed")
    parser.add_argument("--seconds", type=float, default=20, help="how long the long reply is")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.rounds, given.seconds)))
