"""What axe says of a page: the rules of WCAG 2.2 A and AA, and axe's best practices."""

from __future__ import annotations

from playwright.async_api import Page

from scripts.local_supabase.node import REPOSITORY

AXE = (REPOSITORY / "node_modules" / "axe-core" / "axe.min.js").read_text()
# what is half shown has another contrast
AT_REST = """async () => {
  const drawn = () => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))
  const moving = () =>
    document.getAnimations().filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime))
  do {
    await Promise.allSettled(moving().map((one) => one.finished))
    await drawn()
  } while (moving().some((one) => one.playState === 'running'))
}"""
RUN = """async () => {
  const { violations } = await window.axe.run(document, { resultTypes: ['violations'] })
  return violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`))
}"""


async def findings(page: Page) -> list[str]:
    """The findings of axe, each with its rule and its element; none is what is wanted."""
    await page.evaluate(AT_REST)
    # through the debugger: the page's own policy would not let it in
    await page.evaluate(AXE)
    found: list[str] = await page.evaluate(RUN)
    return found
