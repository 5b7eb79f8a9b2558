"""The sequential generative model of Rezende et al. 2016, section 3.

    z_t ~ p(z_t | h_{t-1}), t = 1..T latents: N(0, I) as in the paper, or a learned Gaussian
    v_t = f_v(h_{t-1}, x')           what is read of the context
    h_t = f_h(h_{t-1}, z_t, v_t)     hidden state, an LSTM
    c_t = f_c(c_{t-1}, f_w(h_t))     hidden canvas, written through a window
    x   ~ p(x | f_o(c_T))            observation; f_o is linear, or a residual network after that

The hidden state does not depend on the canvas. So the states of all steps are computed first, then
all patches and windows in one call, and the writes of an additive canvas are one sum. `canvases` is
the step-by-step form, which shows each canvas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from oneshot_cli.errors import OneshotError
from oneshot_cli.model.attention import JointReader, Writer, whole_image
from oneshot_cli.model.config import SequentialConfig
from oneshot_cli.model.context import Context, ContextReader, EncodedContext
from oneshot_cli.model.engine.capability import sums_writes, written_out
from oneshot_cli.model.engine.gradients import limit_gradient
from oneshot_cli.model.engine.recurrence import recurrence, without_gradient
from oneshot_cli.model.gaussian import (
    gaussian_analytical_kl,
    gaussian_log_density,
    standard_normal_log_density,
    standardized,
)
from oneshot_cli.model.interface import Bound, Engine, GenerativeModel, Trace
from oneshot_cli.model.lstm import LSTM
from oneshot_cli.model.posterior import EncodedTarget, Posterior
from oneshot_cli.model.registry import CANVASES, OBSERVATIONS, OUTPUTS, PRIORS

T = TypeVar("T")


@dataclass(frozen=True)
class States:
    """The T hidden states (B, T, hidden), and the reading windows (B, T, 2, 3).

    With a target, `latent` is z, and the mean and log standard deviation of its posterior, each
    (B, T, latent). Windows are set by `unroll`; `infer` leaves them out.
    """

    h: Tensor
    latent: tuple[Tensor, Tensor, Tensor] | None = None
    context_windows: Tensor | None = None
    target_windows: Tensor | None = None


@written_out("unroll", "_step", "_start")
class SequentialGenerator(GenerativeModel):
    """All states first, then all writes."""

    config: SequentialConfig
    config_type = SequentialConfig
    compiled_methods = ("_step", "_write")

    def __init__(self, config: SequentialConfig) -> None:
        super().__init__(config)
        self.observation = OBSERVATIONS[config.observation](config.channels)
        hidden, channels = config.hidden, config.canvas_channels
        self.context = ContextReader(config) if config.conditional else None
        self.posterior = Posterior(config)
        self.prior = PRIORS[config.prior](config)
        self.transition = LSTM(config.latent + config.context_width, hidden)
        self.start = nn.Parameter(torch.zeros(2, hidden))
        self.writer = Writer(
            hidden,
            config.patch,
            channels,
            config.write_scale,
            size=config.size,
            attention=config.attention,
        )
        self.canvas = CANVASES[config.canvas](
            channels, self.observation.initial_parameters(config.ink)
        )
        self.output = OUTPUTS[config.output](config, self.observation.parameters)
        self.recomputed = 0
        self.engine: Engine = "auto"

    def recompute(self, steps: int) -> None:
        self.recomputed = steps

    def use_engine(self, engine: Engine) -> None:
        self.engine = engine
        self._engine_trains()

    def _engine_trains(self) -> bool:
        """Whether the engine computes gradients. Raises OneshotError if it must and cannot."""
        if self.engine == "plain":
            return False
        missing = without_gradient(self.context, self.posterior, self.transition)
        if not written_out.holds(self):
            missing.append(f"the steps of this {type(self).__name__}")
        if missing and self.engine == "written":
            raise OneshotError(f"the engine has no written-out gradient of {', '.join(missing)}")
        return not missing

    @property
    def noise_shape(self) -> tuple[int, int]:
        """(T, latent): the noise that one drawing takes."""
        return (self.config.steps, self.config.latent)

    def unroll(
        self,
        noise: Tensor,
        context: Context,
        target: Tensor | None = None,
        gradient_limit: float | None = None,
        closeness: float | None = None,
    ) -> States:
        """The hidden states for noise (B * K, T, latent), K particles for each of B examples.

        z_t is mean + std * noise of the prior, or with targets (B, C, S, S) of the posterior; with
        `closeness` it lies between the two, see `interpolate_latent`. `gradient_limit` bounds the
        gradient of each state, see `limit_gradient`.
        """
        x_context, x, reader = self._encode(len(noise), context, target)
        h, cell = self._start(len(noise))
        states, context_windows, latents = [], [], []
        for z in noise.unbind(1):
            h, cell, window, latent = self._step(h, cell, z, reader, x_context, x, closeness)
            if gradient_limit is not None and h.requires_grad:
                h = limit_gradient(h, gradient_limit)
            states.append(h)
            context_windows.append(window)
            latents.append(latent)
        h, windows = torch.stack(states, 1), torch.stack(context_windows, 1)
        if target is None:
            return States(h, None, windows)
        z, mean, log_std, target_windows = (
            torch.stack(each, 1) for each in zip(*latents, strict=True)
        )
        return States(h, (z, mean, log_std), windows, target_windows)

    def infer(
        self,
        noise: Tensor,
        context: Context,
        target: Tensor,
        gradient_limit: float | None = None,
    ) -> States:
        """The states of `unroll` for targets, without the windows.

        Where gradients are needed the engine computes them, see `use_engine`. It can where all
        parts have theirs written out (`engine.capability`); a compiled step has not, nor has the
        noise.
        """
        if not torch.is_grad_enabled() or noise.requires_grad or not self._engine_trains():
            return self.unroll(noise, context, target, gradient_limit)
        x_context, x, reader = self._encode(len(noise), context, target)
        if x is None or not reader.joint:
            return self.unroll(noise, context, target, gradient_limit)
        h, z, mean, log_std = recurrence(
            noise,
            self._start(len(noise)),
            reader,
            None if self.context is None or x_context is None else (self.context, x_context),
            (self.posterior, x),
            self.transition,
            every=self.recomputed,
            limit=gradient_limit,
        )
        return States(h, (z, mean, log_std))

    def _start(self, batch: int) -> Tensor:
        """The first state and cell, (2, B, hidden)."""
        return self.start[:, None].expand(2, batch, self.config.hidden)

    def _step(
        self,
        h: Tensor,
        cell: Tensor,
        z: Tensor,
        reader: JointReader,
        x_context: EncodedContext | None,
        x: EncodedTarget | None,
        closeness: float | Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
        """h_t and its cell, the window on the context, and `States.latent` with a target's window.

        From h_{t-1}, its cell, and the noise of z_t (B, latent).
        """
        glimpses, windows = reader(h)
        v, context_window = h.new_zeros(h.shape[0], 0), whole_image(h, h.shape[0])
        if self.context is not None and x_context is not None:
            v = self.context(h, glimpses[0], x_context)
            context_window = self.context.reader.attention.frame(windows[0])
        latent: tuple[Tensor, ...] = ()
        if x is not None:
            mean, log_std = self.posterior(h, v, glimpses[-1], x)
            if closeness is None:
                z = mean + log_std.exp() * z
            else:
                z = interpolate_latent(self.prior(h), mean, z, closeness)
            latent = (z, mean, log_std, self.posterior.reader.attention.frame(windows[-1]))
        else:
            mean, log_std = self.prior(h)
            z = mean + log_std.exp() * z
        return *self.transition.step(h, cell, z, v), context_window, latent

    def _call(self, function: Callable[..., T], *arguments: object) -> T:
        """function(*arguments). Under `recompute` its activations are computed again if needed."""
        if not (self.recomputed and torch.is_grad_enabled()):
            return function(*arguments)
        result = checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)
        return cast(T, result)

    def _encode(
        self, batch: int, context: Context, target: Tensor | None
    ) -> tuple[EncodedContext | None, EncodedTarget | None, JointReader]:
        """What is the same at every step: context and target encoded, and their joint reader."""
        x_context = x = None
        views = []
        if self.context is not None:
            x_context = self._call(self.context.encode, context).repeat(batch // len(context))
            views.append((self.context.reader, x_context.images))
        if target is not None:
            x = self._call(self.posterior.encode, target).repeat(batch // len(target))
            views.append((self.posterior.reader, x.images))
        return x_context, x, JointReader(batch, views)

    def decode(self, h: Tensor, size: int) -> Tensor:
        """The observation's parameters (B, P, size, size) for all states (B, T, hidden).

        Equal to the last of `canvases`, but all patches are computed in one call.
        """
        return self.output(self._last_canvas(h, self.output.canvas_size(size)), size)

    def _last_canvas(self, h: Tensor, size: int) -> Tensor:
        """The linear read-out of c_T, (B, P, size, size).

        With an additive canvas it is folded into the patches, so that only P channels are written.
        """
        window, flat = self.writer.attention(h), h.flatten(0, 1)
        if sums_writes.holds(self.canvas):
            output = cast(nn.Conv2d, self.canvas.output)
            mix, bias = output.weight.flatten(1), output.bias
            assert bias is not None
            patches = self.writer.patches(flat, mix).unflatten(0, h.shape[:2])
            return self.writer.write_all(patches, window, size) + bias[:, None, None]
        patches = self.writer.patches(flat).unflatten(0, h.shape[:2])
        canvas = h.new_zeros(len(h), self.canvas.channels, size, size)
        steps = self.recomputed or self.config.steps
        for part in zip(patches.split(steps, 1), window.split(steps, 1), strict=True):
            canvas = self._call(self._writes, canvas, *part)
        return self.canvas.read_out(canvas)

    def _writes(self, canvas: Tensor, patches: Tensor, windows: Tensor) -> Tensor:
        """The canvas (B, C, S, S) after the writes (B, steps, ...)."""
        for patch, window in zip(patches.unbind(1), windows.unbind(1), strict=True):
            canvas = self._write(canvas, patch, window)
        return canvas

    def _write(self, canvas: Tensor, patch: Tensor, window: Tensor) -> Tensor:
        return self.canvas(canvas, self.writer(patch, window, canvas.shape[-1]))

    def canvases(self, h: Tensor, size: int) -> Tensor:
        """The observation's parameters (B, T, P, size, size) after every step, write by write."""
        side = self.output.canvas_size(size)
        canvas = h.new_zeros(len(h), self.canvas.channels, side, side)
        outputs = []
        for state in h.unbind(1):
            write = self.writer(self.writer.patches(state), self.writer.attention(state), side)
            canvas = self.canvas(canvas, write)
            outputs.append(self.output(self.canvas.read_out(canvas), size))
        return torch.stack(outputs, 1)

    def bound(
        self, x: Tensor, context: Context, noise: Tensor, gradient_limit: float | None = None
    ) -> Bound:
        batch, particles = noise.shape[:2]
        states = self.infer(noise.flatten(0, 1), context, x, gradient_limit)
        assert states.latent is not None
        previous = torch.cat([self._start(len(states.h))[0][:, None], states.h[:, :-1]], 1)
        z, mean, log_std = standardized(*states.latent, self.prior(previous))
        kl = gaussian_analytical_kl(mean, log_std)
        log_ratio = gaussian_log_density(z, mean, log_std) - standard_normal_log_density(z)
        parameters = self.decode(states.h, x.shape[-1]).float().unflatten(0, (batch, particles))
        return Bound(
            log_likelihood=self.observation.log_likelihood(parameters, x[:, None]),
            kl=kl.unflatten(0, (batch, particles)),
            log_ratio=log_ratio.unflatten(0, (batch, particles)),
            posterior_mean=mean.detach().view(batch, particles, -1),
        )

    def sample(
        self,
        context: Context,
        noise: Tensor,
        *,
        temperature: float = 1.0,
        size: int | None = None,
        target: Tensor | None = None,
        closeness: float = 1.0,
    ) -> Tensor:
        """Drawings from noise (B, T, latent): the mean of x, (B, C, size, size) in [0, 1].

        With targets (B, C, S, S) the drawings resemble these. `closeness` 0 uses the prior alone, 1
        the posterior's mean: see `interpolate_latent`.
        """
        states = self.unroll(temperature * noise, context, target, closeness=closeness)
        return self.observation.pictures(self.decode(states.h, size or self.config.size).float())

    def trace(
        self,
        context: Context,
        noise: Tensor,
        *,
        temperature: float = 1.0,
        size: int | None = None,
        target: Tensor | None = None,
        closeness: float = 1.0,
    ) -> Trace:
        """`sample` with its intermediate steps."""
        states = self.unroll(temperature * noise, context, target, closeness=closeness)
        assert states.context_windows is not None
        canvases = self.canvases(states.h, size or self.config.size)
        return Trace(
            pictures=self.observation.pictures(canvases.float()),
            write_windows=self.writer.attention.frame(self.writer.attention(states.h)),
            read_windows=states.context_windows,
            target_windows=states.target_windows,
        )


def interpolate_latent(
    prior: tuple[Tensor, Tensor], mean: Tensor, noise: Tensor, closeness: float | Tensor
) -> Tensor:
    """z_t (B, latent) between a sample of the prior and the posterior's mean.

        z = mu + c (mean - mu) + sqrt(1 - c^2) sigma noise

    with the prior N(mu, sigma^2), given as mean and log standard deviation, and the closeness c,
    one number or (B, 1). At c = 0 it is the sample, at c = 1 the mean. If the posterior equals the
    prior, only the noise remains. If the posterior's means are distributed like the prior, z has
    the prior's variance at every c.
    """
    prior_mean, log_std = prior
    spread = (1 - closeness**2) ** 0.5
    return prior_mean + closeness * (mean - prior_mean) + spread * log_std.exp() * noise
