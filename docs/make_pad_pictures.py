"""Takes the pictures of docs/pad.md: `oneshot pad` in Chromium, drawn on with the mouse."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

IMAGES = Path(__file__).parent / "images"

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, wide: float, high: float, start: float, end: float) -> Stroke:
    """An arc of an ellipse around (x, y), in shares of the pad; angles in degrees, clockwise."""
    angles = [math.radians(start + (end - start) * i / 40) for i in range(41)]
    return [(x + wide * math.cos(a), y + high * math.sin(a)) for a in angles]


CHARACTER = [
    [(0.36, 0.16), (0.355, 0.4), (0.35, 0.62), *arc(0.5, 0.68, 0.15, 0.15, 170, 20)],
    arc(0.35, 0.43, 0.3, 0.17, -85, 85),
]
LETTERS = [
    CHARACTER,
    [arc(0.5, 0.36, 0.18, 0.17, 60, 330), [(0.34, 0.45), (0.5, 0.6), (0.74, 0.84)]],
    [[(0.25, 0.22), (0.72, 0.2)], [(0.6, 0.21), *arc(0.42, 0.6, 0.22, 0.22, -40, 170)]],
]


def draw(page: Page, strokes: list[Stroke]) -> None:
    """Draw with the mouse."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()
    page.mouse.move(1, 1)


def opened(browser: Browser, address: str, **options: Any) -> Page:
    """The pad's page."""
    page = browser.new_page(**options)
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return page


def take(page: Page, said: str, name: str) -> None:
    """Take a picture of the whole page when it says that, of 64 colours."""
    expect(page.get_by_text(re.compile(said))).to_be_visible(timeout=30_000)
    expect(page.locator('#tiles[aria-busy="false"]')).to_be_visible(timeout=30_000)
    with Image.open(BytesIO(page.screenshot(full_page=True))) as picture:
        picture.convert("RGB").quantize(64).save(IMAGES / name, optimize=True)


def main() -> None:
    """Serve the pad, draw, and take both pictures."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    words = [sys.executable, "-m", "oneshot_cli", "pad", "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        address = served.stdout.readline().strip()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=found)
            page = opened(browser, address, viewport={"width": 1200, "height": 740})
            draw(page, CHARACTER)
            take(page, "Ten variations", "pad.png")
            narrow = {"width": 360, "height": 740}
            page = opened(
                browser, address, viewport=narrow, color_scheme="dark", device_scale_factor=2
            )
            page.get_by_text("Alphabet", exact=True).click()
            for letter in LETTERS:
                draw(page, letter)
                page.get_by_role("button", name="Keep letter").click()
            take(page, "in the style of 3", "pad-alphabet.png")
            browser.close()
        served.terminate()


if __name__ == "__main__":
    main()
