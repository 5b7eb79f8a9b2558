"""`export`: a model as one ONNX file, which draws without oneshot and without torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from oneshot_cli.drawing.oneshot import Oneshot, check, load
from oneshot_cli.errors import OneshotError
from oneshot_cli.files import atomic_write_bytes, refuse_to_overwrite
from oneshot_cli.model import SequentialGenerator
from oneshot_cli.model.sampler import Decode, Encode, Sampler, Step

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

Shape: TypeAlias = "list[str | int]"

EXPORTED = ("sequential", "vae")
"""The kinds of models that can be exported."""

BATCH, EXEMPLARS = "batch", "exemplars"
"""Axes of any length: the drawings, and the exemplars of each."""
AXES = {
    "exemplars": (BATCH, EXEMPLARS),
    "mask": (BATCH, EXEMPLARS),
    "images": (BATCH, EXEMPLARS),
    "features": (BATCH, EXEMPLARS),
}
"""Axes of any length of each input of a part of the model; others have one, BATCH."""
ENCODED = ("images", "features", "null", "target_images", "target_features")
"""What `Encode` returns and `Step` takes."""
CARRIED = ("h", "cell", "noise")
"""The inputs of `Step` that change from step to step."""

OPSET = 18
"""The version of the operators: the first that resizes with antialiasing."""
TORCH = "2.13"
"""The oldest version of torch whose exporter is known to work."""
IR_VERSION = 10
"""The version of the file format: onnxruntime reads it since 1.18."""


@dataclass(frozen=True)
class ExportResult:
    """The result of `export`: the file, and the shapes of its inputs and its output by name.

    An axis of any length has a name instead of a number.
    """

    checkpoint: Path | None
    file: Path
    size: int
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.checkpoint,
            "file": self.file,
            "bytes": self.file.stat().st_size,
            "size": self.size,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }


def export(
    checkpoint: str | Path | None = None,
    output: Path | None = None,
    *,
    size: int | None = None,
    force: bool = False,
) -> ExportResult:
    """Write the model in `checkpoint` as an ONNX file, as `oneshot export --onnx` does.

    The file is `output`, by default NAME.onnx in the working folder for a checkpoint
    NAME.safetensors. `size` is the height and width of the drawings in pixels, by default the
    model's own. docs/export.md explains the inputs and the output. Raises OneshotError.
    """
    check(size=size)
    oneshot = load(checkpoint, "cpu")
    assert oneshot.path is not None
    file = Path(f"{oneshot.path.stem}.onnx") if output is None else output
    if file.is_dir():
        raise OneshotError(f"{file} is a folder, but --output has to be a file, such as model.onnx")
    refuse_to_overwrite([file], force, [oneshot.path])
    made = onnx_model(oneshot, size)
    atomic_write_bytes(file, made.SerializeToString())
    return ExportResult(
        checkpoint=oneshot.path,
        file=file,
        size=size or oneshot.size,
        inputs={each.name: _shape(each) for each in made.graph.input},
        outputs={each.name: _shape(each) for each in made.graph.output},
    )


def onnx_model(oneshot: Oneshot, size: int | None = None) -> ModelProto:
    """The sampler of a model in ONNX, for drawings of `size` pixels, by default the model's own.

    Raises OneshotError for a model that cannot be exported, and without the extra `onnx`.
    """
    model, side = oneshot.model, size or oneshot.size
    if model.config.kind not in EXPORTED:
        raise OneshotError(
            f"{oneshot.path or 'this model'}: {model.config.kind} models cannot be exported\n"
            f"only {' and '.join(EXPORTED)} models can"
        )
    if torch.__version__ < TORCH:
        raise OneshotError(
            f"exporting needs torch {TORCH} or newer, not {torch.__version__}; pip install -U torch"
        )
    try:
        import onnxscript  # noqa: F401  torch.onnx needs it
        from onnx import checker, helper
    except ImportError as error:
        raise OneshotError(
            f"{error.name} is not installed\n"
            "install what exporting needs: pip install 'oneshot-cli[onnx]'"
        ) from None
    if isinstance(model, SequentialGenerator):
        graph = _sequential(model, side)
    else:
        noise = torch.zeros(2, *model.noise_shape)
        graph = _translated("model", Sampler(model, side), {"noise": noise}, ["ink"])
        graph = helper.make_graph(
            graph.node,
            "oneshot",
            [_value("noise", [BATCH, *model.noise_shape])],
            [_picture(model.config.channels, side)],
            graph.initializer,
        )
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="oneshot",
    )
    checker.check_model(made, full_check=True)
    return made


def _sequential(model: SequentialGenerator, size: int) -> GraphProto:
    """`Encode`, a Scan whose body is `Step`, and `Decode`."""
    from onnx import helper

    config = model.config
    state = torch.zeros(2, config.hidden)
    step = dict(zip(CARRIED, (state, state.clone(), torch.zeros(2, config.latent)), strict=True))
    inputs = [_value("noise", [BATCH, *model.noise_shape])]
    parts = []
    if config.conditional:
        picture = [config.channels, config.size, config.size]
        exemplars = torch.zeros(2, 3, *picture)
        mask, alphabet = torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, dtype=torch.bool)
        given = {
            "exemplars": exemplars,
            "mask": mask,
            "alphabet": alphabet,
            "target": exemplars[:, 0],
        }
        encode = Encode(model)
        parts.append(_translated("encode", encode, given, ENCODED))
        step |= {"mask": mask, "closeness": torch.zeros(2)}
        with torch.no_grad():
            step |= zip(ENCODED, encode(**given), strict=True)
        inputs = [
            _value("exemplars", [BATCH, EXEMPLARS, *picture]),
            _value("mask", [BATCH, EXEMPLARS], bool),
            _value("alphabet", [BATCH], bool),
            _value("target", [BATCH, *picture]),
            *inputs,
            _value("closeness", [BATCH]),
        ]
    body = _translated("step", Step(model), step, ["next_h", "next_cell", "state"])
    states = {"states": torch.zeros(2, config.steps, config.hidden)}
    decode = _translated("decode", Decode(model, size), states, ["ink"])
    loop, constants = _loop(model, body)
    return helper.make_graph(
        [*(node for part in parts for node in part.node), *loop, *decode.node],
        "oneshot",
        inputs,
        [_picture(config.channels, size)],
        [tensor for part in (*parts, body, decode) for tensor in part.initializer] + constants,
    )


def _loop(
    model: SequentialGenerator, body: GraphProto
) -> tuple[list[NodeProto], list[TensorProto]]:
    """The nodes that compute "states" from "noise" by `Step`, and their constants.

    The body takes as inputs what changes from step to step. It finds the rest by its name.
    """
    from onnx import helper, numpy_helper

    start = {"start_h": model.start[:1], "start_cell": model.start[1:]}
    width = torch.tensor([model.config.hidden])
    constants = [
        numpy_helper.from_array(value.detach().numpy(), name)
        for name, value in {**start, "hidden": width}.items()
    ]
    step = helper.make_graph(
        body.node,
        "step",
        [each for each in body.input if each.name in CARRIED],
        body.output,
    )
    nodes = [
        helper.make_node("Shape", ["noise"], ["batch"], start=0, end=1),
        helper.make_node("Concat", ["batch", "hidden"], ["state_shape"], axis=0),
        helper.make_node("Expand", ["start_h", "state_shape"], ["first_h"]),
        helper.make_node("Expand", ["start_cell", "state_shape"], ["first_cell"]),
        helper.make_node(
            "Scan",
            ["first_h", "first_cell", "noise"],
            ["last_h", "last_cell", "states"],
            body=step,
            num_scan_inputs=1,
            scan_input_axes=[1],
            scan_output_axes=[1],
        ),
    ]
    return nodes, constants


def _translated(
    name: str, part: nn.Module, given: Mapping[str, Tensor], outputs: Sequence[str]
) -> GraphProto:
    """The graph of part(**given), with these names of inputs and outputs.

    Names inside the graph begin with `name`.
    """
    from onnx import compose
    from torch.export import Dim
    from torch.onnx import export as to_onnx

    axes = {axis: Dim(axis, min=1) for axis in (BATCH, EXEMPLARS)}
    shapes = {
        key: {i: axes[axis] for i, axis in enumerate(AXES.get(key, (BATCH,)))} for key in given
    }
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of itself
        part(**given)  # fills caches of constants, which an export must not do
        traced = torch.export.export(part, (), dict(given), dynamic_shapes=shapes, strict=False)
        program = to_onnx(
            traced,
            dynamo=True,
            input_names=list(given),
            output_names=list(outputs),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    graph: GraphProto = compose.add_prefix_graph(
        program.model_proto.graph, f"{name}/", rename_inputs=False, rename_outputs=False
    )
    return graph


def _value(name: str, shape: Sequence[str | int], kind: type = float) -> ValueInfoProto:
    """An input or output of numbers, or of bool if that is the `kind`."""
    from onnx import TensorProto, helper

    element = TensorProto.BOOL if kind is bool else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, element, shape)


def _picture(channels: int, size: int) -> ValueInfoProto:
    return _value("ink", [BATCH, channels, size, size])


def _shape(value: ValueInfoProto) -> Shape:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
