"""The pad's server: what it draws, and whom and how much it answers."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from oneshot_cli.drawing.oneshot import Oneshot, load
from oneshot_cli.imaging.svg import svg_of
from oneshot_cli.pad import limits
from oneshot_cli.pad.limits import BusyError, Queue
from oneshot_cli.pad.requests import MOST_BYTES, MOST_LETTERS, Letter, Wanted
from oneshot_cli.pad.server import application

ADDRESS = "http://127.0.0.1:8000"
CROSS = {"width": 0.05, "strokes": [[[0.1, 0.5], [0.9, 0.5]], [[0.5, 0.1], [0.5, 0.9]]]}
HOOK = {"width": 0.05, "strokes": [[[0.2, 0.2], [0.2, 0.8], [0.7, 0.8]]]}
ONE: dict[str, Any] = {"mode": "variations", "letters": [CROSS]}
TWO: dict[str, Any] = {"mode": "alphabet", "letters": [CROSS, HOOK]}


@pytest.fixture(scope="module")
def model(weights: Path) -> Oneshot:
    return load(weights, "cpu")


@pytest.fixture(scope="module")
def page(model: Oneshot) -> Iterator[TestClient]:
    """A client that sends what the page would send."""
    app = application(model, seed=7)
    headers = {"Origin": ADDRESS}
    with TestClient(app, ADDRESS, headers=headers, raise_server_exceptions=False) as client:
        yield client


def ink(url: str) -> np.ndarray:
    """How inky each pixel of a picture for the page is, (H, W) from 0 to 255."""
    kind, _, data = url.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(BytesIO(b64decode(data))) as picture:
        assert picture.mode == "LA"
        return np.asarray(picture.getchannel("A"))


def test_the_page_and_all_that_it_names_are_served(page: TestClient) -> None:
    html = page.get("/").text
    names = re.findall(r'(?:href|src)="([^"]+)"', html)
    assert {"pad.js", "pad.css", "icon.svg"} <= set(names)
    for name in names:
        assert page.get(f"/{name}").status_code == 200, name
    script = page.get("/pad.js")
    assert script.headers["content-type"].startswith("text/javascript")
    for module in re.findall(r'from "\./([^"]+)"', script.text):
        assert page.get(f"/{module}").status_code == 200, module


def test_the_page_names_no_other_machine(page: TestClient) -> None:
    folder = Path(limits.__file__).parent / "page"
    for file in folder.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"^\s*//.*$| // .*$", "", text, flags=re.MULTILINE), file


def test_settings_are_those_of_the_checkpoint_and_the_command(
    page: TestClient, model: Oneshot
) -> None:
    settings = page.get("/api/settings").json()
    assert settings["seed"] == 7
    assert settings["closeness"] == model.closeness
    assert settings["spread"] == model.spread


def test_variations_are_those_that_vary_draws(page: TestClient, model: Oneshot) -> None:
    asked = {**ONE, "seed": 3, "closeness": 0.5, "spread": 0.4}
    answer = page.post("/api/pictures", json=asked).json()
    picture = Wanted.of(asked).pictures()[0]
    drawn = model.render(model.vary(picture, 10, seed=3, closeness=0.5, spread=0.4, size=208))
    assert len(answer["pictures"]) == 10
    for url, grey in zip(answer["pictures"], drawn, strict=True):
        assert (ink(url) == 255 - grey).all()


def test_seed_closeness_and_spread_change_what_is_drawn(page: TestClient) -> None:
    shown = {
        json.dumps(page.post("/api/pictures", json={**ONE, **change}).json()["pictures"])
        for change in ({}, {"seed": 1}, {"closeness": 0.1}, {"spread": 0.2})
    }
    assert len(shown) == 4


def test_a_letter_is_read_where_it_was_drawn() -> None:
    picture = Letter((np.array([[0.25, 0.25], [0.25, 0.75]]),), 0.05).picture()
    rows, columns = np.nonzero(picture < 0.5)
    assert picture.shape == (300, 300)
    assert columns.mean() == pytest.approx(30 + 0.25 * 240 - 0.5, abs=0.6)
    assert (rows.min(), rows.max()) == pytest.approx((30 + 60 - 6, 30 + 180 + 5), abs=1)
    dot = Letter((np.array([[0.5, 0.5]]),), 0.1).picture()
    assert (dot < 0.5).sum() == pytest.approx(np.pi * 12**2, rel=0.05)


def test_concerns_about_a_drawing_are_told(page: TestClient) -> None:
    scribble = [[[x / 40, 0.2 + 0.6 * (x % 2)] for x in range(41)]]
    asked = {"mode": "variations", "letters": [{"width": 0.2, "strokes": scribble}]}
    assert page.post("/api/pictures", json=asked).json()["concerns"]


@pytest.mark.parametrize("asked", [ONE, TWO], ids=["variations", "alphabet"])
def test_films_end_in_the_drawings(asked: dict[str, Any], page: TestClient, model: Oneshot) -> None:
    answer = page.post("/api/films", json=asked).json()
    side, steps = answer["side"], model.model.config.steps
    given = Wanted.of(asked).pictures()
    if asked is ONE:
        last = model.vary(given, 10, size=side)
    else:
        last = model.alphabet(given, 10, size=side)
    assert len(answer["films"]) == 10
    for made, grey in zip(answer["films"], model.render(last, pen=0), strict=True):
        frames = ink(made["frames"])
        assert frames.shape == (side, steps * side)
        assert np.abs(frames[:, -side:].astype(int) - (255 - grey)).max() <= 1
        assert np.array(made["windows"]).shape == (steps, 2, 3)


def test_an_alphabet_is_new_letters_in_the_style_of_several(
    page: TestClient, model: Oneshot
) -> None:
    answer = page.post("/api/pictures", json={**TWO, "seed": 2, "spread": 0.7}).json()
    drawn = model.alphabet(Wanted.of(TWO).pictures(), 10, seed=2, spread=0.7, size=208)
    for url, grey in zip(answer["pictures"], model.render(drawn), strict=True):
        assert (ink(url) == 255 - grey).all()
    assert answer["concerns"] == []


@pytest.mark.parametrize("asked", [ONE, TWO], ids=["variations", "alphabet"])
@pytest.mark.parametrize("number", [None, 4])
def test_files_are_what_their_names_say(
    asked: dict[str, Any], number: int | None, page: TestClient
) -> None:
    what = "variation" if asked is ONE else "letter"
    stem = f"{what}s" if number is None else f"{what}-5"
    for kind in ("png", "svg", "gif"):
        taken = page.post("/api/file", json={**asked, "format": kind, "number": number})
        assert taken.status_code == 200, taken.text
        name = taken.headers["content-disposition"]
        assert name == f'attachment; filename="{stem}-seed-0.{kind}"'
        if kind == "svg":
            root = ElementTree.fromstring(taken.text)
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) >= 1
            if number is None:
                places = {(each.attrib["x"], each.attrib["y"]) for each in root}
                assert len(root) == len(places) == 10
        else:
            with Image.open(BytesIO(taken.content)) as picture:
                assert picture.format == kind.upper()
                assert getattr(picture, "n_frames", 1) == (4 + 1 if kind == "gif" else 1)
                assert number is None or kind == "gif" or picture.size == (512, 512)


def test_a_file_of_one_drawing_is_the_drawing_that_the_page_shows(page: TestClient) -> None:
    for asked in (ONE, TWO):
        shown = ink(page.post("/api/pictures", json=asked).json()["pictures"][4])
        taken = page.post("/api/file", json={**asked, "format": "png", "number": 4}).content
        with Image.open(BytesIO(taken)) as picture:
            small = np.asarray(picture.resize((208, 208), Image.Resampling.BOX))
        assert np.abs(small + shown.astype(int) - 255).mean() < 3


def test_a_traced_drawing_has_its_ink_and_its_holes() -> None:
    grey = np.full((100, 100), 255, np.uint8)
    grey[20:80, 20:80] = 0
    grey[40:60, 40:60] = 255
    root = ElementTree.fromstring(svg_of(grey))
    numbers = [
        float(number)
        for path in root.iter("{http://www.w3.org/2000/svg}path")
        for number in re.findall(r"-?\d+\.?\d*", path.attrib["d"])
    ]
    assert min(numbers) >= 0
    assert max(numbers) == pytest.approx(80, abs=21)


def test_nothing_drawn_is_said_in_a_sentence(page: TestClient) -> None:
    for asked in (
        {"mode": "variations", "letters": []},
        {"mode": "alphabet", "letters": []},
        {"mode": "variations", "letters": [{"width": 0.05, "strokes": []}]},
    ):
        answer = page.post("/api/pictures", json=asked)
        assert answer.status_code == 422
        assert "nothing is drawn yet" in answer.json()["message"]


BAD_STROKES: list[Any] = [
    None,
    [[]],
    [[0.5, 0.5]],
    [[[0.5]]],
    [[[0.5, 1.5]]],
    [[[0.5, float("nan")]]],
    [[[0.5, "x"]]],
    [[[0.5, 0.5], [0.5]]],
    [[[0.5, 10**400]]],
    [{"x": 1}],
    [[[0.5, 0.5]]] * 61,
    [[[0.5, 0.5]] * 2001],
]
BAD: list[dict[str, Any]] = [
    {},
    {"mode": "else", "letters": [CROSS]},
    {"mode": "variations", "letters": [CROSS, HOOK]},
    {"mode": "variations", "letters": CROSS},
    {"mode": "variations", "letters": ["cross"]},
    {"mode": "alphabet", "letters": [CROSS] * (MOST_LETTERS + 1)},
    {**ONE, "seed": -1},
    {**ONE, "seed": 1.5},
    {**ONE, "seed": True},
    {**ONE, "seed": 10**12},
    {**ONE, "spread": 3},
    {**ONE, "spread": "much"},
    {**ONE, "spread": float("nan")},
    {**ONE, "closeness": -0.1},
    {**ONE, "closeness": [0.5]},
    {**ONE, "letters": [{**CROSS, "width": 0}]},
    {**ONE, "letters": [{**CROSS, "width": None}]},
    *({**ONE, "letters": [{"width": 0.05, "strokes": strokes}]} for strokes in BAD_STROKES),
]


@pytest.mark.parametrize("asked", BAD, ids=lambda asked: json.dumps(asked)[-40:])
def test_a_wrong_request_is_refused_in_a_sentence(asked: dict[str, Any], page: TestClient) -> None:
    json_type = {"Content-Type": "application/json"}
    answer = page.post("/api/pictures", content=json.dumps(asked), headers=json_type)
    assert answer.status_code == 400
    assert 10 < len(answer.json()["message"]) < 120


def test_wrong_files_are_refused(page: TestClient) -> None:
    for change in ({"format": "exe"}, {"format": "png", "number": 10}, {"number": 0}):
        assert page.post("/api/file", json={**ONE, **change}).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_what_is_no_json_object_is_refused(body: bytes, page: TestClient) -> None:
    json_type = {"Content-Type": "application/json"}
    assert page.post("/api/pictures", content=body, headers=json_type).status_code == 400


def test_a_form_is_refused(page: TestClient) -> None:
    """Pages elsewhere may send forms without being asked; JSON they may not."""
    assert page.post("/api/pictures", data={"mode": "variations"}).status_code == 415


def test_a_body_that_is_too_long_is_refused_while_it_arrives(page: TestClient) -> None:
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += MOST_BYTES // 4
            yield b" " * (MOST_BYTES // 4)

    json_type = {"Content-Type": "application/json"}
    answer = page.post("/api/pictures", content=parts(), headers=json_type)
    assert answer.status_code == 413


def test_other_hosts_are_refused(page: TestClient) -> None:
    """A name that someone else gave to the loopback address (DNS rebinding)."""
    for host in ("example.org", "example.org:8000", "127.0.0.1.example.org"):
        assert page.get("/", headers={"Host": host}).status_code == 400
        answer = page.post(
            "/api/pictures", json=ONE, headers={"Host": host, "Origin": f"http://{host}"}
        )
        assert answer.status_code == 400
    assert page.get("/", headers={"Host": "localhost:8000"}).status_code == 200


def test_other_pages_are_refused(page: TestClient) -> None:
    for origin in ("https://example.org", "null", "http://127.0.0.1:9000", ""):
        answer = page.post("/api/pictures", json=ONE, headers={"Origin": origin})
        assert answer.status_code == 403, origin
    del page.headers["Origin"]
    try:
        assert page.post("/api/pictures", json=ONE).status_code == 403
    finally:
        page.headers["Origin"] = ADDRESS


def test_every_answer_forbids_what_the_page_does_not_need(page: TestClient) -> None:
    answers = [
        page.get("/"),
        page.get("/pad.js"),
        page.get("/none"),
        page.post("/api/pictures", json={}),
        page.post("/api/pictures", json={}, headers={"Origin": "null"}),
        page.get("/", headers={"Host": "example.org"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 400, 403, 400]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_a_pad_that_is_busy_says_when_to_ask_again(
    page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WAITING", 0)
    answer = page.post("/api/pictures", json=ONE)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert "busy" in answer.json()["message"]


def test_one_drawing_is_made_at_a_time_and_few_wait() -> None:
    running, most, release = 0, 0, threading.Event()
    lock = threading.Lock()

    def work() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(10)
        with lock:
            running -= 1
        return "done"

    async def crowd() -> list[Any]:
        queue = Queue()
        asked = [asyncio.create_task(queue.run(work)) for _ in range(limits.WAITING + 2)]
        await asyncio.sleep(0.05)
        release.set()
        results = await asyncio.gather(*asked, return_exceptions=True)
        return [*results, await queue.run(work)]

    results = asyncio.run(crowd())
    assert most == 1
    assert [type(each) for each in results[:-1]].count(BusyError) == 2
    assert results.count("done") == limits.WAITING + 1


def test_so_many_drawings_are_made_in_a_period() -> None:
    now = 100.0

    async def many() -> None:
        nonlocal now
        queue = Queue(clock=lambda: now)
        for _ in range(limits.REQUESTS):
            await queue.run(lambda: None)
        now += 4
        with pytest.raises(BusyError) as refused:
            await queue.run(lambda: None)
        assert refused.value.seconds == 7
        now += limits.PERIOD - 4
        await queue.run(lambda: None)

    asyncio.run(many())


def test_a_mistake_in_the_server_ends_nothing(
    page: TestClient, model: Oneshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **options: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(Oneshot, "vary_batch", broken)
        assert page.post("/api/pictures", json=ONE).status_code == 500
    assert page.post("/api/pictures", json=ONE).status_code == 200


def test_the_largest_letter_is_drawn_soon() -> None:
    """Every point at the other end of the pad, with the broadest brush."""
    zigzag = [[[i % 2, (i % 97) / 97] for i in range(2000)]]
    letter = Wanted.of({**ONE, "letters": [{"width": 0.2, "strokes": zigzag}]}).letters[0]
    begun = time.process_time()
    assert letter.picture().shape == (300, 300)
    assert time.process_time() - begun < 2
