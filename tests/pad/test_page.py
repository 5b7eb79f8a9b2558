"""The pad's page in a real browser: drawing, films, files, keys, and who is asked for what."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from served import pad
from tiny import tiny_model

from oneshot_cli import checkpoint

expect.set_options(timeout=30_000)  # milliseconds, for machines with much else to do

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOOK = [(0.3, 0.2), (0.3, 0.75), (0.5, 0.85), (0.7, 0.75)]
BAR = [(0.2, 0.4), (0.8, 0.45)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed; on Debian, apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found)
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pad whose films are as long as those of the model that ships: two seconds."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    model = tiny_model(size=28, steps=20)
    checkpoint.save(path, model, checkpoint.Header(config=model.config))
    with pad(path) as served:
        yield served.address
    assert served.code == 0
    assert served.errors == "Ctrl-C ends it\n"


@pytest.fixture
def requests() -> list[str]:
    """The addresses that the page has asked for."""
    return []


@pytest.fixture
def page(browser: Browser, address: str, requests: list[str]) -> Iterator[Page]:
    """The pad's page. Errors in it fail the test, and so does a request to any other address."""
    yield from opened(browser, address, requests, viewport={"width": 1200, "height": 900})


def opened(browser: Browser, address: str, requests: list[str], **options: Any) -> Iterator[Page]:
    context = browser.new_context(**options)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    context.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    yield page
    context.close()
    assert not problems
    assert {urlsplit(each).netloc for each in requests if not each.startswith("data:")} == {
        urlsplit(address).netloc
    }


def place(page: Page, point: tuple[float, float]) -> tuple[float, float]:
    box = page.locator("#pad").bounding_box()
    assert box is not None
    return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]


def draw(page: Page, *strokes: list[tuple[float, float]]) -> None:
    """Draw with the mouse."""
    for first, *rest in strokes:
        page.mouse.move(*place(page, first))
        page.mouse.down()
        for point in rest:
            page.mouse.move(*place(page, point), steps=5)
        page.mouse.up()


def drawn(page: Page) -> list[str]:
    """The pictures of the ten drawings, when all that was asked for has been shown."""
    expect(page.locator('#tiles[aria-busy="false"] .tile:enabled')).to_have_count(10)
    shown: list[str] = page.locator(".tile img").evaluate_all("all => all.map(one => one.src)")
    assert len(set(shown)) > 1
    return shown


def taken(page: Page, kind: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=kind).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def inked(page: Page) -> bool:
    """Whether the pad's canvas has ink."""
    found: bool = page.locator("#pad").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
    )
    return found


def test_a_gesture_gives_ten_variations_their_films_and_files(page: Page, tmp_path: Path) -> None:
    expect(page.get_by_role("status").filter(has_text="Draw a character")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    expect(page.get_by_role("button", name="PNG")).to_be_disabled()
    draw(page, HOOK, BAR)
    first = drawn(page)
    expect(page.get_by_text("Ten variations of your drawing, seed 0.")).to_be_visible()

    page.get_by_role("button", name="Variation 3").hover()
    page.wait_for_selector('.tile:nth-child(3)[data-playing="true"]')
    page.wait_for_selector(".tile:nth-child(3):not([data-playing])")
    page.get_by_role("button", name="Play all").click()
    page.wait_for_selector('.tile:nth-child(10)[data-playing="true"]')

    page.get_by_label("Closeness").fill("0.2")
    freer = drawn(page)
    assert freer != first
    page.get_by_label("Spread").fill("0.3")
    assert drawn(page) != freer
    page.get_by_role("button", name="Another seed").click()
    expect(page.get_by_text("Ten variations of your drawing, seed 1.")).to_be_visible()
    page.get_by_role("button", name="Defaults").click()
    expect(page.get_by_text("Ten variations of your drawing, seed 0.")).to_be_visible()
    assert drawn(page) == first

    for kind in ("PNG", "GIF"):
        with Image.open(taken(page, kind, tmp_path)) as picture:
            assert picture.format == kind
    assert "<path" in taken(page, "SVG", tmp_path).read_text()
    page.get_by_role("button", name="Variation 3").click()
    expect(page.get_by_role("group", name="Save variation 3")).to_be_visible()
    assert taken(page, "PNG", tmp_path).name == "variation-3-seed-0.png"
    page.get_by_role("button", name="Variation 3").click()
    expect(page.get_by_role("group", name="Save all ten")).to_be_visible()


def test_undo_and_clear_take_strokes_and_variations_away(page: Page) -> None:
    draw(page, HOOK)
    one = drawn(page)
    draw(page, BAR)
    assert drawn(page) != one
    page.get_by_role("button", name="Undo").click()
    assert drawn(page) == one
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".tile:enabled")).to_have_count(0)
    assert not inked(page)
    expect(page.get_by_role("button", name="PNG")).to_be_disabled()


def test_letters_that_are_kept_give_more_of_their_alphabet(page: Page, tmp_path: Path) -> None:
    page.get_by_text("Alphabet").click()
    expect(page.get_by_label("Closeness")).to_be_hidden()
    expect(page.get_by_role("button", name="Keep letter")).to_be_disabled()
    draw(page, HOOK)
    page.get_by_role("button", name="Keep letter").click()
    expect(page.get_by_text("Ten new letters in the style of one, seed 0.")).to_be_visible()
    assert not inked(page), "the pad is free for the next letter"
    one = drawn(page)
    draw(page, BAR)
    page.get_by_role("button", name="Keep letter").click()
    expect(page.get_by_text("Ten new letters in the style of 2, seed 0.")).to_be_visible()
    assert drawn(page) != one
    page.get_by_role("button", name="Letter 4").hover()
    page.wait_for_selector('.tile:nth-child(4)[data-playing="true"]')
    for kind in ("PNG", "SVG", "GIF"):
        assert taken(page, kind, tmp_path).name == f"letters-seed-0.{kind.lower()}"
    page.get_by_role("button", name="Remove letter 2").click()
    expect(page.get_by_text("Ten new letters in the style of one, seed 0.")).to_be_visible()
    assert drawn(page) == one


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    pad = page.locator("#pad")
    for _ in range(10):
        page.keyboard.press("Tab")
        if pad.evaluate("c => c === document.activeElement"):
            break
    expect(pad).to_be_focused()
    assert inked(page), "the pen is shown where it stands"
    page.keyboard.press("Space")
    expect(page.get_by_text("Pen down")).to_be_attached()
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowUp", "ArrowRight"):
        for _ in range(4):
            page.keyboard.press(key)
    page.keyboard.press("Space")
    expect(page.get_by_text("Pen up")).to_be_attached()
    drawn(page)
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "[document.activeElement.id || document.activeElement.textContent"
                " || document.activeElement.ariaLabel || document.activeElement.name || 'page',"
                " getComputedStyle(document.activeElement).outlineStyle,"
                " document.activeElement.matches('input[type=radio]')]"
            )
        )
        if seen[-1][0] == "GIF":
            break
    names = [name for name, _, _ in seen]
    for name in ("undo", "clear", "play", "closeness", "spread", "seed", "another", "defaults"):
        assert name in names
    assert [f"Variation {i}" for i in range(1, 11)] == [n for n in names if n.startswith("Var")]
    assert names[-3:] == ["PNG", "SVG", "GIF"]
    assert all(outline != "none" for _, outline, radio in seen if not radio), "focus is seen"
    pad.focus()
    page.keyboard.press("Control+z")
    expect(page.locator(".tile:enabled")).to_have_count(0)


def test_a_film_plays_where_the_keyboard_stops(page: Page) -> None:
    draw(page, HOOK)
    drawn(page)
    page.get_by_role("button", name="Play all").focus()
    page.keyboard.press("Tab")
    page.wait_for_selector('.tile:nth-child(1)[data-playing="true"]')
    page.keyboard.press("Enter")
    first = page.get_by_role("button", name="Variation 1", exact=True)
    expect(first).to_have_attribute("aria-pressed", "true")


def test_every_control_has_a_name(page: Page) -> None:
    draw(page, HOOK)
    drawn(page)
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    roles = {"button", "radio", "slider", "spinbutton", "application"}
    named = [
        (node["role"]["value"], node["name"]["value"])
        for node in tree["nodes"]
        if not node.get("ignored") and node["role"]["value"] in roles
    ]
    assert len(named) >= 25
    assert all(name for _, name in named), named


@pytest.mark.parametrize("kind", ["finger", "pen"])
def test_a_finger_and_a_pen_draw(
    kind: str, browser: Browser, address: str, requests: list[str]
) -> None:
    for page in opened(browser, address, requests, has_touch=True):
        session = page.context.new_cdp_session(page)
        points = [dict(zip("xy", place(page, point), strict=True)) for point in HOOK]
        for i, at in enumerate([*points, points[-1]]):
            last = i == len(points)
            if kind == "finger":
                name = "touchEnd" if last else "touchMove" if i else "touchStart"
                event = {"type": name, "touchPoints": [] if last else [at]}
                session.send("Input.dispatchTouchEvent", event)
            else:
                name = "mouseReleased" if last else "mouseMoved" if i else "mousePressed"
                pen = {"type": name, "button": "left", "buttons": 1, "pointerType": "pen", **at}
                session.send("Input.dispatchMouseEvent", {**pen, "clickCount": 1})
        drawn(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_is_whole_and_legible(
    scheme: Any, browser: Browser, address: str, requests: list[str]
) -> None:
    narrow = {"width": 360, "height": 740}
    for page in opened(browser, address, requests, viewport=narrow, color_scheme=scheme):
        draw(page, HOOK)
        drawn(page)
        for mode in ("Variations", "Alphabet"):
            page.get_by_text(mode, exact=True).first.click()
            wide = page.evaluate(
                "[...document.querySelectorAll('body *:not(.unseen):not(input)')]"
                ".filter(e => e.getBoundingClientRect().right > 360).map(e => e.outerHTML)"
            )
            assert not wide
        lowest = page.locator("#tiles").evaluate("e => e.getBoundingClientRect().bottom")
        assert lowest < 740 or mode == "Alphabet", "pad and drawings are seen together"
        colour = page.evaluate(
            "name => getComputedStyle(document.documentElement).getPropertyValue(name)", "--ink"
        )
        assert re.fullmatch(r"#[0-9a-f]{6}", colour)
        for text in ("--ink", "--muted", "--accent"):
            for ground in ("--ground", "--paper"):
                assert contrast(page, text, ground) >= 4.5, (text, ground)
        assert contrast(page, "--on-accent", "--accent") >= 4.5


def contrast(page: Page, *names: str) -> float:
    """The contrast of two of the page's colours, as the WCAG define it."""
    light = []
    for name in names:
        value: str = page.evaluate(
            "name => getComputedStyle(document.documentElement).getPropertyValue(name)", name
        )
        digits = value.lstrip("#")
        digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_a_server_that_does_not_answer_is_told_of(browser: Browser, address: str) -> None:
    with browser.new_page() as page:
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        page.route("**/api/pictures", lambda route: route.abort("connectionrefused"))
        draw(page, HOOK)
        expect(page.get_by_text("The pad's server does not answer.")).to_be_visible()
        page.unroute("**/api/pictures")
        draw(page, BAR)
        drawn(page)
