"""Gradients of what is read through a window, for attentions whose windows are affine maps.

A network gives parameters p, these the window w = [A | b], and the window the points A u + b at
which the image is sampled. With dg the gradient of the glimpse g, over its pixels i:

    dw = sum over i of dg_i (dg_i / dpoint_i) (dpoint_i / dw),   dp = (dw / dp) dw

Both Jacobians depend on no gradient. So they are computed for all steps in one call, before the
backward pass goes through the steps.

A class of attention has its gradient written out if its Jacobian dw / dp is entered here, with
`window_jacobian`. It holds for the class's own `forward`, `window_parameters`, `window` and `read`:
see `capability`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from oneshot_cli.model.attention.base import Attention
from oneshot_cli.model.attention.spatial_transformer import (
    ANGLE_RANGE,
    LOG_SCALE_RANGE,
    SHEAR_RANGE,
    WINDOW_GAIN,
    WINDOW_PARAMETERS,
    FreeTransformer,
    SpatialTransformer,
)
from oneshot_cli.model.engine.capability import written_out
from oneshot_cli.model.engine.sampling import gradient_of_maps

WindowJacobian = Callable[[Tensor, Tensor], Tensor]
"""dw / dp (..., 6, 2, 3), from parameters (..., 6) and windows (..., 2, 3)."""
_JACOBIANS: dict[type, WindowJacobian] = {}


def window_jacobian(kind: type[Attention]) -> Callable[[WindowJacobian], WindowJacobian]:
    """Enter the Jacobian of the windows of a class of attention, as a decorator.

    `window_parameters` must be the module's `linear`, and `read` bilinear samples at the window.
    """

    def entered(jacobian: WindowJacobian) -> WindowJacobian:
        written_out.declare(kind, "forward", "window_parameters", "window", "read")
        _JACOBIANS[kind] = jacobian
        return jacobian

    return entered


def jacobian_of(attention: Attention) -> WindowJacobian:
    """The Jacobian that was entered for `attention`. Raises KeyError if its gradient is unknown."""
    kind = written_out.declared_class(attention)
    if kind is None:
        raise KeyError(type(attention).__name__)
    return _JACOBIANS[kind]


@window_jacobian(SpatialTransformer)
def bounded_window_jacobian(parameters: Tensor, maps: Tensor) -> Tensor:
    """That of `SpatialTransformer.window`."""
    return WINDOW_GAIN * bounded_maps_jacobian(WINDOW_GAIN * parameters, maps)


@window_jacobian(FreeTransformer)
def free_window_jacobian(parameters: Tensor, maps: Tensor) -> Tensor:
    """That of `FreeTransformer.window`: each parameter is an entry of the map."""
    entries = torch.eye(WINDOW_PARAMETERS, device=parameters.device).view(-1, 2, 3)
    return entries.expand(*parameters.shape, 2, 3)


def bounded_maps_jacobian(raw: Tensor, maps: Tensor) -> Tensor:
    """The derivatives (..., 6, 2, 3) of `maps` (..., 2, 3) = windows(raw, scale) for each of `raw`.

    With the columns a and b of A: a log-scale stretches its column, the angle turns both by a
    right angle, and the shear moves b along a, by sy / sx = (a x b) / (a . a) of it.
    """
    columns, a, b = maps[..., :2], maps[..., 0], maps[..., 1]
    area = a[..., 0] * b[..., 1] - b[..., 0] * a[..., 1]
    jacobian = maps.new_zeros(*raw.shape, 2, 3)
    jacobian[..., 0, 0, 2] = jacobian[..., 1, 1, 2] = 1.0
    torch.mul(a, LOG_SCALE_RANGE, out=jacobian[..., 2, :, 0])
    torch.mul(b, LOG_SCALE_RANGE, out=jacobian[..., 3, :, 1])
    torch.mul(columns[..., 1, :], -ANGLE_RANGE, out=jacobian[..., 4, 0, :2])
    torch.mul(columns[..., 0, :], ANGLE_RANGE, out=jacobian[..., 4, 1, :2])
    along = SHEAR_RANGE * area / a.square().sum(-1)
    torch.mul(a, along[..., None], out=jacobian[..., 5, :, 1])
    return jacobian * (1 - torch.tanh(raw).square())[..., None, None]


def read_backward(jacobian: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of windows (B, 2, 3), from that of glimpses (B, C * side * side).

    `jacobian` (B, C, side, side, 2) is that of `sample_jacobian` for one step.
    """
    grad_points = gradient.view(jacobian.shape[:-1])[..., None] * jacobian
    return gradient_of_maps(grad_points.sum(1))
