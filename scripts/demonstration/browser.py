"""The dashboard as a person sees it: headless Chromium, login included."""

from pathlib import Path
import shutil

from playwright.async_api import async_playwright

from .stack import USER, Stack

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """Return the machine's Chromium, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


async def picture(stack: Stack, target: Path, view: str = "ups", sign: str = "Battery charge") -> str:
    """Log in, open a view of the dashboard, wait until it shows `sign`, save a picture; return the page's text."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        try:
            page = await browser.new_page(viewport={"width": 1840, "height": 800}, device_scale_factor=1.1)
            await page.goto(f"{stack.url}/ridethrough-demo/{view}")
            await page.get_by_label("Username").fill(USER)
            await page.get_by_label("Password", exact=True).fill(stack.password)
            await page.get_by_label("Password", exact=True).press("Enter")
            await page.wait_for_url(f"**/ridethrough-demo/{view}*")
            await page.get_by_text(sign).first.wait_for(timeout=60_000)
            # The gauges and the graph are drawn a moment after their cards exist.
            await page.wait_for_timeout(2500)
            target.parent.mkdir(parents=True, exist_ok=True)
            await page.screenshot(path=target)
            text: str = await page.evaluate(_ALL_TEXT)
            return text
        finally:
            await browser.close()


# The page is made of nested shadow roots, whose text `innerText` of the body does not contain.
_ALL_TEXT = """() => {
  const walk = (node) => [...node.childNodes].map((child) =>
    child.nodeType === Node.TEXT_NODE ? child.textContent :
    ["STYLE", "SCRIPT"].includes(child.nodeName) ? "" :
    (child.shadowRoot ? walk(child.shadowRoot) + " " : "") + walk(child)).join(" ");
  return walk(document.body).replace(/\\s+/g, " ");
}"""
