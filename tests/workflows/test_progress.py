"""What commands show while they work, and what an interruption leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from commands import draw, levels, names, oneshot
from rich.progress import Progress
from tiny import SMALL, write_crosses

from oneshot_cli.cli.training_display import TimeLeft
from oneshot_cli.drawing.oneshot import load
from oneshot_cli.imaging.rendering import inked
from oneshot_cli.reporting import Reporter
from oneshot_cli.workflows.sample import sample
from oneshot_cli.workflows.vary import vary


@dataclass
class Watcher(Reporter):
    """Notes how many pictures lie in `folder` whenever work advances; stops it after so many."""

    folder: Path
    stop_after: int = 10**9
    totals: list[int | None] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        self.totals.append(total)

        def advance(steps: int) -> None:
            done = steps + (self.seen[-1][0] if self.seen else 0)
            self.seen.append((done, len(list(self.folder.rglob("*-[0-9]*.png")))))
            if done >= self.stop_after:
                raise KeyboardInterrupt

        yield advance


@pytest.fixture
def exemplars(tmp_path: Path) -> Path:
    for i in range(5):
        draw(tmp_path / "in" / f"{i}.png", i)
    return tmp_path / "in"


def test_progress_is_counted_in_pictures_which_are_written_as_they_are_made(
    exemplars: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    watcher = Watcher(out)
    vary([exemplars], out, n=30, size=28, checkpoint=weights, reporter=watcher)
    assert watcher.totals == [150]
    assert watcher.seen == [(30 * i, 30 * i) for i in range(1, 6)]
    watcher = Watcher(tmp_path / "many")
    one = exemplars / "0.png"
    vary([one], tmp_path / "many", n=150, size=28, checkpoint=weights, reporter=watcher)
    assert watcher.seen == [(64, 64), (128, 128), (150, 150)], "one exemplar, in parts"
    expected = inked(load(weights).vary(one, 150, size=28), 28)
    for number in (1, 65, 150):
        made = levels(tmp_path / "many" / f"0-{number:03}.png").astype(int)
        assert abs(made - expected[number - 1]).max() <= 1, "the same in parts as at once"


def test_samples_are_counted_and_written_as_they_are_made(weights: Path, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    sample(tmp_path, n=70, size=28, checkpoint=weights, reporter=watcher)
    assert watcher.totals == [70]
    assert watcher.seen == [(64, 64), (70, 70)]
    expected = inked(load(weights).sample(70), 28)
    assert abs(levels(tmp_path / "sample-70.png").astype(int) - expected[69]).max() <= 1


def test_together_the_exemplars_take_turns_in_every_part(exemplars: Path, weights: Path) -> None:
    """The 65th variation of two exemplars redraws the same one, drawn alone or with the others."""
    model = load(weights)
    ink = model.read([exemplars / "0.png", exemplars / "1.png"])
    every = model.vary_batch([ink], 6, closeness=1.0)[0]
    for first in (1, 3):
        part = model.vary_batch([ink], 2, closeness=1.0, first=first)[0]
        assert (part - every[first : first + 2]).abs().max() < 1e-5


def test_an_interruption_keeps_what_is_done(exemplars: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    watcher = Watcher(out, stop_after=60)
    with pytest.raises(KeyboardInterrupt):
        vary([exemplars], out, n=30, size=28, checkpoint=weights, reporter=watcher)
    kept = names(out)
    assert len(kept) == 61
    assert "grid.png" in kept
    assert "60 of 150 variations are drawn and kept" in watcher.notes
    words = ("-n", "30", "--size", "28", "-c", weights, "-o", out, "--skip-existing")
    assert "2 skipped" in oneshot("vary", exemplars, *words).stderr
    assert len(names(out)) == 151


def test_the_time_left_honours_the_longest_time_of_a_run() -> None:
    now = [100.0]
    with Progress(get_time=lambda: now[0], disable=True) as bar:
        bar.add_task("", total=1000)
        (task,) = bar.tasks
        assert TimeLeft(None).render(task).plain == "-:--"
        assert TimeLeft(90).render(task).plain == "01:30"
        for step in range(1, 11):
            now[0] += 1
            bar.update(task.id, completed=step)
        assert TimeLeft(None).render(task).plain == "16:30"
        assert TimeLeft(7200).render(task).plain == "16:30"
        assert TimeLeft(70).render(task).plain == "01:00"


def test_training_draws_a_sheet_at_its_end_however_short_it_was(tmp_path: Path) -> None:
    write_crosses(tmp_path / "data")
    shape = [word for item in SMALL["sequential"].items() for word in ("--set", "=".join(item))]
    words = ("--dataset", "folder", "--data-dir", tmp_path / "data", "--eval-drawings", "2")
    short = ("--size", "28", "--batch", "2", "--iterations", "2", "-o", tmp_path / "run")
    oneshot("train", *words, *shape, *short)
    assert names(tmp_path / "run" / "samples") == ["0000002.png"]
