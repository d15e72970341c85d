"""Looks at a page as people do: saves what there is to see, and measures whether it can be read."""

from pathlib import Path

from playwright.sync_api import Page

SCREENSHOTS = Path(__file__).parents[2] / "test-results"
#: The least contrast of text that WCAG 2.2 (1.4.3) asks for.
CONTRAST = 4.5

PALE = """(least) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((element) => element.checkVisibility({ opacityProperty: true })
      && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => {
      const pair = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
      const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
      return [element.textContent.trim(), Math.round(ratio * 100) / 100];
    })
    .filter(([, ratio]) => ratio < least);
}"""
NAMELESS = """() => [...document.querySelectorAll("input:not([type=hidden]), button, a")]
  .filter((element) => element.checkVisibility())
  .filter((element) => !element.getAttribute("aria-label") && !element.labels?.length
    && !element.textContent.trim())
  .map((element) => element.outerHTML)"""


class Camera:
    """Looks at a page, and saves what it sees."""

    def __init__(self, page: Page, kind: str) -> None:
        self.page = page
        self.kind = kind
        SCREENSHOTS.mkdir(exist_ok=True)

    def take(self, name: str) -> None:
        self.page.screenshot(
            path=SCREENSHOTS / f"{name}-{self.kind}.png", full_page=True, animations="disabled"
        )
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.page.evaluate("innerWidth"), f"{name} has to be pushed sideways"
        assert self.page.evaluate(PALE, CONTRAST) == []
        assert self.page.evaluate(NAMELESS) == []
        assert self.page.locator("h1").count() == 1
