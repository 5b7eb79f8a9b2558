"""Bounds over a data set: the same figure whatever the batch, in bounded memory."""

import math

import pytest
import torch
from tiny import tiny_drawings, tiny_model

from oneshot_cli.evaluation.bounds import contexts_for, evaluate

DRAWINGS = tiny_drawings(characters=4, each=5)


@pytest.mark.parametrize("particles", [1, 7])
def test_the_batch_size_does_not_matter(particles: int) -> None:
    model = tiny_model()
    reports = [evaluate(model, DRAWINGS, particles=particles, batch=b) for b in (1, 3, 6, 500)]
    for other in reports[1:]:
        for name in ("elbo", "iwae", "log_likelihood", "kl_per_step"):
            torch.testing.assert_close(
                getattr(reports[0], name), getattr(other, name), atol=1e-4, rtol=1e-5
            )


def test_the_seed_and_the_drawing_decide() -> None:
    model = tiny_model()
    whole = evaluate(model, DRAWINGS)
    some = evaluate(model, DRAWINGS, index=torch.tensor([3, 17]))
    torch.testing.assert_close(some.elbo, whole.elbo[[3, 17]], atol=1e-4, rtol=1e-5)
    assert not torch.allclose(evaluate(model, DRAWINGS, seed=1).elbo, whole.elbo)


def test_streaming_equals_all_particles_at_once() -> None:
    model = tiny_model()
    index = torch.tensor([2])
    report = evaluate(model, DRAWINGS, index=index, particles=50, batch=3)
    context = contexts_for(DRAWINGS, index, 1, seed=0)
    generator = torch.Generator().manual_seed(9_000_011 + 2)
    noise = torch.stack([torch.randn(model.noise_shape, generator=generator) for _ in range(50)])
    x = DRAWINGS.images[index][:, None].float()
    with torch.inference_mode():
        bound = model.bound(x, context, noise[None])
    expected = torch.logsumexp(bound.log_weight.double(), 1) - math.log(50)
    torch.testing.assert_close(report.iwae.double(), expected, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(report.elbo, bound.elbo.mean(1), atol=1e-4, rtol=1e-5)


def test_means_come_with_standard_errors() -> None:
    report = evaluate(tiny_model(), DRAWINGS)
    mean, error = report.mean("elbo")
    assert mean == pytest.approx(report.elbo.double().mean().item(), abs=1e-4)
    assert error == pytest.approx(report.elbo.double().std().item() / math.sqrt(20), abs=1e-4)
    likelihood, kl = report.mean("log_likelihood")[0], report.mean("kl")[0]
    assert likelihood - kl == pytest.approx(mean, abs=1e-3)


def test_contexts_are_other_drawings_of_the_character() -> None:
    index = torch.arange(len(DRAWINGS))
    context = contexts_for(DRAWINGS, index, 2, seed=0)
    for i in index.tolist():
        mates = DRAWINGS.images[DRAWINGS.character == DRAWINGS.character[i]].float()
        for image in context.images[i, :, 0]:
            assert any(torch.equal(image, mate) for mate in mates)
            assert not torch.equal(image, DRAWINGS.images[i].float())
    assert contexts_for(DRAWINGS, index, 0, seed=0).images.shape[1] == 0
