"""The part of `score` that is one-shot classification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oneshot_cli import data
from oneshot_cli.data.fetch import RemoteFile, find
from oneshot_cli.drawing.oneshot import Oneshot
from oneshot_cli.evaluation import classification as runs_module
from oneshot_cli.evaluation.critics import critic_settings
from oneshot_cli.evaluation.generalization import RunsResult
from oneshot_cli.evaluation.oneshot_scores import Critics
from oneshot_cli.reporting import Reporter

if TYPE_CHECKING:
    from oneshot_cli.workflows.score import ScoreOptions


def classification(
    reporter: Reporter,
    model: Oneshot,
    critics: Critics,
    options: ScoreOptions,
    data_dir: Path | None,
) -> RunsResult:
    """One-shot classification by the model and by the critic, by those that may be tested.

    On Lake's runs if their file is on this machine, otherwise on runs drawn from the seed.
    """
    header = model.header
    reasons = {
        "model": runs_module.why_not_measured(header.data, header.seen),
        "prototypical network": runs_module.why_not_measured(critic_settings("protonet")),
    }
    if all(reasons.values()):
        return RunsResult("", options.particles, {}, None, reasons)
    size = model.model.config.input_size
    runs = _runs(options, data_dir, size)
    small = runs if size == 28 else _runs(options, data_dir, 28)
    rules, protonet = {}, None
    if not reasons["model"]:
        work = runs.label.numel() * (2 if options.both_directions else 1)
        with reporter.progress("classifying", work) as advance:
            scores = runs_module.model_scores(
                model.model,
                runs,
                particles=options.particles,
                both_directions=options.both_directions,
                seed=options.seed,
                advance=advance,
            )
        rules = {
            rule: runs_module.classify(found, runs.label, options.seed)
            for rule, found in scores.rules().items()
        }
    if not reasons["prototypical network"]:
        distances = runs_module.protonet_scores(critics.protonet, small)
        protonet = runs_module.classify(distances, small.label, options.seed)
    return RunsResult(
        source=runs.source,
        particles=options.particles,
        rules=rules,
        protonet=protonet,
        not_measured={name: reason for name, reason in reasons.items() if reason},
    )


def _runs(options: ScoreOptions, data_dir: Path | None, size: int) -> runs_module.Runs:
    found = find([RemoteFile("all_runs.zip")], ["omniglot"], data_dir)
    path = options.runs or (found[0] if found else None)
    if path is not None:
        return runs_module.official_runs(path, size)
    evaluation = data.load(
        "omniglot", data_dir=data_dir, split="strong-30-20", part="test", size=size
    )
    return runs_module.seeded_runs(evaluation, seed=options.seed)
