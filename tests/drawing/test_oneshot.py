"""oneshot from Python: what each call returns, and what it depends on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import images, tiny_model
from torch import Tensor

import oneshot_cli as oneshot
from oneshot_cli import checkpoint
from oneshot_cli.checkpoint import Header
from oneshot_cli.drawing.batches import PARTICLES, Batches
from oneshot_cli.drawing.oneshot import CLOSENESS, Oneshot
from oneshot_cli.drawing.results import Pictures
from oneshot_cli.drawing.variations import (
    VariationInputs,
    contexts_of,
    noise_for,
    select_contexts,
    select_distinct,
)
from oneshot_cli.errors import OneshotError, UsageError
from oneshot_cli.imaging.distances import ink_distance
from oneshot_cli.imaging.exemplar import PEN, Picture, drawing
from oneshot_cli.imaging.rendering import penned
from oneshot_cli.model import Context, VAEConfig, build
from oneshot_cli.workflows.pictures import rendered


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Oneshot:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    tiny = tiny_model(size=28, steps=4)
    header = Header(config=tiny.config, sampling={"spread": 0.7})
    checkpoint.save(path, tiny, header)
    return oneshot.load(path, device="cpu")


def test_likelihoods_of_a_model_whose_noise_has_no_steps() -> None:
    torch.manual_seed(0)
    config = VAEConfig(size=28, latent=(3, 2), hidden=(8, 6))
    vae = Oneshot(build(config), Header(config=config))
    found = vae.log_likelihood(torch.ones(3, 1, 28, 28), Context.empty(3, 28))
    assert found.shape == (3,)
    torch.testing.assert_close(found, found[:1].expand(3))


def glyph(seed: int = 0) -> np.ndarray:
    """A grey picture (60, 80) of a few strokes."""
    picture = np.ones((60, 80))
    for y, x in np.random.default_rng(seed).integers(8, 40, (4, 2)):
        picture[y : y + 12, x : x + 3] = 0
        picture[y : y + 3, x : x + 14] = 0
    return picture


def test_bytes_open_files_and_colours_are_exemplars_too(model: Oneshot, tmp_path: Path) -> None:
    picture = Image.fromarray(np.uint8(255 * glyph())).convert("RGB")
    picture.save(tmp_path / "glyph.png")
    expected = model.vary(tmp_path / "glyph.png", n=2)
    content = (tmp_path / "glyph.png").read_bytes()
    given: list[Picture] = [content, BytesIO(content), picture, np.asarray(picture)]
    given.append(drawing(content, model.size))
    for each in given:
        assert torch.equal(model.vary(each, n=2), expected), type(each).__name__


def test_variations_have_the_shape_and_range_promised(model: Oneshot) -> None:
    pictures = model.vary(glyph(), n=3)
    assert pictures.shape == (3, 1, 28, 28)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert model.vary(glyph(), n=2, size=61).shape == (2, 1, 61, 61)
    assert model.vary(glyph(), n=0).shape == (0, 1, 28, 28)


def test_a_variation_depends_on_seed_exemplar_and_number_only(model: Oneshot) -> None:
    five = model.vary(glyph(), n=5, seed=1)
    torch.testing.assert_close(model.vary(glyph(), n=2, seed=1), five[:2])
    inks = [model.read(glyph(seed)) for seed in (3, 0, 4)]
    torch.testing.assert_close(model.vary_batch(inks, 5, seed=1)[1], five)
    assert (model.vary(glyph(), n=5, seed=2) - five).abs().max() > 1e-3
    assert (model.vary(glyph(1), n=5, seed=1) - five).abs().max() > 1e-3
    between = torch.pdist(five.flatten(1))
    assert (between > 1e-3).all(), "and they differ from each other"


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """The number of torch's threads during the test."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(("size", "threads"), [(52, 1), (52, 6), (301, 2)], indirect=["threads"])
def test_a_variation_has_the_same_bits_however_many_are_drawn_with_it(
    size: int, threads: int
) -> None:
    """Of the flagship: in batches of other sizes, or divided among threads otherwise, it differs.

    At 301 x 301 a picture's pixels are no multiple of a vector's floats.
    """
    flagship = oneshot.load()
    wide, tall = torch.zeros(2, 1, 1, 52, 52)
    wide[..., 24:27, 8:44], tall[..., 8:44, 20:23] = 1, 1
    many = flagship.vary_batch([wide], 20, size=size)[0]
    for n in (1, 3, 7):
        assert torch.equal(flagship.vary_batch([wide], n, size=size)[0], many[:n])
    assert torch.equal(flagship.vary_batch([wide], 3, first=9, size=size)[0], many[9:12])
    assert torch.equal(flagship.vary_batch([tall, wide], 3, size=size)[1], many[:3])
    assert torch.get_num_threads() == threads, "the caller's"


@pytest.mark.parametrize("closeness", [0.0, 0.5])
@given(n=st.integers(1, 40), more=st.integers(0, 20), first=st.integers(0, 30))
@settings(max_examples=15, deadline=None, database=None, derandomize=True)
def test_any_range_of_variations_has_the_same_bits(
    closeness: float, n: int, more: int, first: int
) -> None:
    multiples_of_four = {"image_encoder_units": 8, "posterior_units": 16}  # see drawing.batches
    model = tiny_model(**multiples_of_four).eval()
    small = Oneshot(model, Header(config=model.config))
    ink = images(1)
    whole = small.vary_batch([ink], first + n + more, closeness=closeness)[0]
    part = small.vary_batch([ink], n, first=first, closeness=closeness)[0]
    assert torch.equal(part, whole[first : first + n])


def test_a_sample_has_the_same_bits_however_many_are_drawn_with_it(model: Oneshot) -> None:
    many = model.sample(35)
    for n in (1, 16, 33):
        assert torch.equal(model.sample(n), many[:n])
    assert torch.equal(model.sample(4, first=20), many[20:24])


def test_the_callers_random_numbers_are_left_alone(model: Oneshot) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model.vary(glyph(), n=2)
    model.sample(2)
    assert model.path is not None
    oneshot.load(model.path)
    assert torch.equal(torch.get_rng_state(), before)


def test_large_pictures_are_drawn_in_parts_alike(
    model: Oneshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.vary(glyph(), n=7, size=40)
    monkeypatch.setattr("oneshot_cli.drawing.batches.PIXELS_AT_ONCE", 2 * 4 * 40 * 40)
    torch.testing.assert_close(model.vary(glyph(), n=7, size=40), whole)


def test_several_exemplars_are_a_set(model: Oneshot) -> None:
    one, two = glyph(0), glyph(1)
    both = model.vary([one, two], n=3)
    torch.testing.assert_close(model.vary([two, one], n=3), both)
    assert (model.vary([one], n=3) - both).abs().max() > 1e-3
    mixed = model.vary_batch([model.read([one, two]), model.read(two)], 3)
    torch.testing.assert_close(mixed[0], both)
    torch.testing.assert_close(mixed[1], model.vary(two, n=3))


def test_spread_is_the_temperature_of_the_latents(model: Oneshot) -> None:
    assert model.spread == 0.7
    torch.testing.assert_close(model.vary(glyph(), n=3, spread=0.7), model.vary(glyph(), n=3))
    still = model.vary(glyph(), n=3, spread=0.0)
    torch.testing.assert_close(still[0], still[1])

    def spread(pictures: Tensor) -> float:
        return float(torch.pdist(pictures.flatten(1)).mean())

    assert spread(model.vary(glyph(), n=6, spread=0.3)) < spread(model.vary(glyph(), 6, spread=1.5))


def test_those_are_kept_that_the_exemplar_makes_likelier_best_first(model: Oneshot) -> None:
    every = model.vary(glyph(), n=8)
    kept = model.vary(glyph(), n=8, keep_best=3)
    ink = model.read(glyph())
    context = Context.of(ink[None].expand(8, -1, -1, -1, -1))
    drawn = (every > 0.5).float()
    nothing = model.log_likelihood(drawn, Context.empty(8, 28))
    score = model.log_likelihood(drawn, context) - nothing
    expected = every[score.argsort(descending=True)[:3]]
    torch.testing.assert_close(kept, expected)
    larger = model.vary(glyph(), n=8, keep_best=3, size=56)
    drawn = model.vary(glyph(), n=8, size=56)
    torch.testing.assert_close(larger, drawn[score.argsort(descending=True)[:3]])


def test_likelihood_is_the_importance_weighted_bound(model: Oneshot) -> None:
    ink = model.read(glyph())
    context = Context.of(ink[None])
    noise = torch.randn(
        1, PARTICLES, *model.model.noise_shape, generator=torch.Generator().manual_seed(0)
    )
    weights = model.model.bound(ink, context, noise).log_weight[0].double().exp()
    expected = math.log(weights.mean())
    assert model.log_likelihood(ink, context).item() == pytest.approx(expected, abs=1e-3)


def test_samples_and_new_characters(model: Oneshot) -> None:
    torch.testing.assert_close(model.sample(6, seed=3)[:4], model.sample(4, seed=3))
    given: list[Any] = [glyph(seed) for seed in range(3)]
    made = model.new_characters(given, 5, size=40)
    assert made.pictures.shape == (5, 1, 40, 40)
    assert made.distance.shape == (5, 3)
    torch.testing.assert_close(model.alphabet(given, 5, size=40), made.pictures)
    own = model.alphabet(given, 5)[:, 0] > 0.5
    expected = ink_distance(own, model.read(given)[:, 0] > 0.5)
    torch.testing.assert_close(made.distance, expected)


def test_copies_are_passed_over() -> None:
    generator = torch.Generator().manual_seed(0)
    different = torch.rand(6, 28, 28, generator=generator) < 0.02
    given, new = different[:2], different[2:]
    candidates = torch.stack([given[0], new[0], new[0], given[1], new[1], new[2], new[3]])
    chosen = select_distinct(candidates, given, 4, nearest=0.3)
    assert chosen == [1, 4, 5, 6]
    assert len(select_distinct(candidates, given, 6, nearest=0.3)) == 6, (
        "filled up if there are too few"
    )


def test_films_end_in_the_drawings_of_vary_and_sample(model: Oneshot) -> None:
    film = model.draw(glyph(), n=3, seed=4, size=40)
    assert film.frames.shape == (3, 4, 1, 40, 40)
    assert film.write_windows.shape == film.read_windows.shape == (3, 4, 2, 3)
    torch.testing.assert_close(film.frames[:, -1], model.vary(glyph(), n=3, seed=4, size=40))
    assert film.target_windows is not None
    assert film.target_windows.shape == (3, 4, 2, 3)
    free = model.draw(glyph(), n=3, seed=4, closeness=0)
    assert free.target_windows is None
    torch.testing.assert_close(free.frames[:, -1], model.vary(glyph(), n=3, seed=4, closeness=0))
    free = model.draw(n=2)
    assert len(free.exemplars) == 0
    torch.testing.assert_close(free.frames[:, -1], model.sample(2))


def test_reconstructions_come_from_the_posterior(model: Oneshot) -> None:
    film = model.draw(glyph(), n=2, reconstruct=True)
    assert film.target_windows is not None
    assert film.target_windows.shape == (2, 4, 2, 3)
    assert (film.frames - model.draw(glyph(), n=2).frames).abs().max() > 1e-4
    with pytest.raises(OneshotError, match="reconstruct needs a picture"):
        model.draw(reconstruct=True)


def test_without_spread_exemplars_stay_where_they_are() -> None:
    """Also where ink touches the frame; with spread it is kept away from it."""
    ink = torch.zeros(1, 1, 28, 28)
    ink[..., :20, :2] = 1
    inputs = VariationInputs.of([ink], 3, 0, (4, 2))
    context, target = inputs.deformed(torch.arange(3), 0.0)
    assert torch.equal(context.images, ink.expand(3, 1, 1, 28, 28))
    assert torch.equal(target, ink.expand(3, 1, 28, 28))
    context, _ = inputs.deformed(torch.arange(3), 0.1)
    assert not context.images[..., 0].any()


def test_what_cannot_be_read_is_refused(model: Oneshot, tmp_path: Path) -> None:
    with pytest.raises(OneshotError, match="no such file"):
        model.vary(tmp_path / "none.png")
    with pytest.raises(OneshotError, match="no exemplar"):
        model.vary([])
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(OneshotError, match="no pictures in this folder"):
        model.vary(tmp_path)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    from oneshot_cli.devices import resolve_device

    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device() == torch.device("cpu")
    with pytest.raises(OneshotError, match="no cuda device"):
        resolve_device("cuda")
    with pytest.raises(OneshotError, match="not a device"):
        resolve_device("abacus")


def test_the_flagship_is_found_or_missed_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from oneshot_cli import paths

    monkeypatch.setattr(paths, "FLAGSHIP", "nowhere.safetensors")
    with pytest.raises(OneshotError, match=r"nowhere\.safetensors, is not in this installation"):
        oneshot.load()


def test_from_the_prior_an_exemplar_is_encoded_once_for_all_its_variations(
    model: Oneshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the drawings do not depend on how many are drawn in a call."""
    exemplars = [model.read(glyph(seed)) for seed in range(3)]
    together = model.vary_batch(exemplars, 4, closeness=0)
    encoded: list[int] = []
    reader: Any = model.model.context
    encode = reader.encode

    def counted(context: Any) -> Any:
        encoded.append(len(context))
        return encode(context)

    monkeypatch.setattr(reader, "encode", counted)
    for at_once in (2, 4, 9, 100):
        monkeypatch.setattr(Batches, "_at_once", lambda self, size, most=at_once: most)
        drawn = model.vary_batch(exemplars, 4, closeness=0)
        torch.testing.assert_close(drawn, together, atol=1e-5, rtol=1e-4)
    assert encoded == [1, 1] * 3 + [1] * 3 * 3


def test_a_likelihood_has_the_same_bits_whatever_is_measured_with_it(model: Oneshot) -> None:
    drawn = images(9, size=28)
    context = contexts_of([model.read(glyph())], 9, model.device)
    together = model.log_likelihood(drawn, context)
    for count in (1, 2, 5):
        given = select_contexts(context, torch.arange(count))
        assert torch.equal(model.log_likelihood(drawn[:count], given), together[:count])
    assert model.log_likelihood(drawn[:0], select_contexts(context, torch.arange(0))).shape == (0,)


def test_closeness_redraws_the_exemplar_and_zero_is_the_prior(model: Oneshot) -> None:
    ink = model.read(glyph())
    still = model.vary(glyph(), n=2, closeness=1.0, spread=0.0)
    redrawn = model.draw(glyph(), n=1, reconstruct=True).frames[:, -1]
    torch.testing.assert_close(still, redrawn.expand(2, -1, -1, -1))
    noise = noise_for(model.model.noise_shape, "vary", 0, ink, range(2))
    alone = model.model.sample(contexts_of([ink], 2, model.device), noise, temperature=0.7)
    torch.testing.assert_close(model.vary(glyph(), n=2, closeness=0), alone)
    assert model.closeness == CLOSENESS, "of a header that does not say"
    torch.testing.assert_close(model.vary(glyph(), 2), model.vary(glyph(), 2, closeness=CLOSENESS))
    moved = model.vary(glyph(), n=3, closeness=1.0)
    assert (moved[0] - moved[1]).abs().max() > 1e-3, "deformed for each variation anew"


def test_each_of_several_exemplars_is_redrawn_in_turn(model: Oneshot) -> None:
    one, two = glyph(0), glyph(1)
    made = VariationInputs.of([model.read([one, two])], 4, 0, model.model.noise_shape)
    context, target = made.deformed(torch.arange(4), 0.0)
    inks = sorted(model.read([one, two]), key=lambda ink: ink.to(torch.uint8).numpy().tobytes())
    for i in range(4):
        assert torch.equal(target[i], inks[i % 2])
        assert torch.equal(context.images[i], torch.stack(inks))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("n", -1),
        ("n", 2.5),
        ("n", "3"),
        ("n", None),
        ("seed", -1),
        ("spread", -0.1),
        ("spread", float("nan")),
        ("spread", 1e30),
        ("spread", "wide"),
        ("closeness", 1.1),
        ("closeness", float("inf")),
        ("size", 0),
        ("size", 2000),
        ("size", 10**400),
        ("keep_best", 0),
    ],
)
def test_numbers_out_of_range_are_refused_in_words_at_once(
    model: Oneshot, argument: str, value: Any
) -> None:
    """Before any picture is read: there is none."""
    with pytest.raises(UsageError, match=f"{argument} is .* has to be"):
        model.vary("no.png", **{"n": 2, argument: value})
    if argument != "keep_best":
        for image in ("no.png", None):
            with pytest.raises(UsageError, match=f"{argument} is"):
                model.draw(image, **{"n": 2, argument: value})
    if argument not in ("keep_best", "closeness"):
        with pytest.raises(UsageError, match=f"{argument} is"):
            model.alphabet("no.png", **{"n": 2, argument: value})
        with pytest.raises(UsageError, match=f"{argument} is"):
            model.sample(**{"n": 2, argument: value})


def test_exemplars_come_in_any_form(model: Oneshot, tmp_path: Path) -> None:
    """One picture or several, in any iterable or in a folder, give the same drawings."""
    levels = [(255 * glyph(seed)).astype(np.uint8) for seed in range(2)]
    for name, level in zip("ab", levels, strict=True):
        Image.fromarray(level).save(tmp_path / f"{name}.png")
    expected = model.vary(levels, 2)
    forms: dict[str, Any] = {
        "tuple": tuple(levels),
        "generator": (level for level in levels),
        "stacked": np.stack(levels)[:, None],
        "tensor": torch.from_numpy(np.stack(levels))[:, None],
        "Pillow": [Image.fromarray(level) for level in levels],
        "folder": tmp_path,
        "name of a folder": str(tmp_path),
        "folder in a list": [tmp_path],
        "mixed": [tmp_path / "a.png", levels[1]],
    }
    for form, exemplars in forms.items():
        torch.testing.assert_close(model.vary(exemplars, 2), expected, msg=form)
    assert model.concerns(tmp_path) == model.concerns(levels)


def test_the_pen_fills_areas_only_where_an_exemplar_has_one(model: Oneshot) -> None:
    line, disc = torch.zeros(2, 1, 28, 28)
    line[0, 4:24, 13:15] = disc[0, 4:24, 13:15] = 1
    disc[0, 4:14, 9:19] = 1
    blot = 0.02 + 0.96 * torch.nn.functional.interpolate(disc[None], (112, 112))
    filled, drawn_over = penned(blot, PEN), penned(blot, PEN, filled=False)
    assert (filled < 128).sum() > 1.5 * (drawn_over < 128).sum()
    for exemplars, expected in (
        (None, filled),
        (disc[None], filled),
        (torch.stack([line, disc]), filled),
        (line[None], drawn_over),
    ):
        assert (model.render(blot, exemplars=exemplars) == expected).all()
    pictures = Pictures.of(blot, model.rendering, line[None])
    assert (model.render(pictures) == drawn_over).all()
    assert (np.asarray(pictures.pictures()[0]) == drawn_over[0]).all()
    assert (model.render(Pictures.of(blot, model.rendering, line[None][:0])) == filled).all()
    for exemplar, areas in ((line, 0), (disc, 1)):
        (paths,) = rendered(model, blot, None, "svg", exemplar[None]).paths
        assert paths.count("evenodd") == areas


@pytest.mark.parametrize("wrong", [None, 3, [[glyph()]], [None], object()])
def test_what_is_no_picture_is_refused(model: Oneshot, wrong: Any) -> None:
    for use in (model.vary, model.alphabet, model.concerns):
        with pytest.raises(UsageError, match="has to be a picture"):
            use(wrong)


def test_what_cannot_be_drawn_is_refused_in_words(model: Oneshot) -> None:
    ink = np.eye(28, dtype=np.float32)
    with pytest.raises(OneshotError, match="only 2 are drawn"):
        model.vary(ink, 2, keep_best=3)
    with pytest.raises(OneshotError, match="at least one drawing"):
        model.draw(ink, 0)
    for empty in (lambda: model.vary([]), lambda: model.concerns([])):
        with pytest.raises(OneshotError, match="no exemplar was given"):
            empty()
    assert model.concerns_batch([]) == []
    for pen in (-1.0, float("nan"), 5.0):
        with pytest.raises(OneshotError, match="pen is"):
            model.render(torch.rand(1, 1, 100, 100), pen)
    speck = np.ones((105, 105), dtype=np.float32)
    speck[50, 50] = 0
    with pytest.raises(OneshotError, match="smaller than what the model reads"):
        model.vary(speck, 2)
