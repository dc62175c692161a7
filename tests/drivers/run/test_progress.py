"""What is said of the progress where there is no terminal."""

from __future__ import annotations

import io
import time

from rich.console import Console

from drivers.run.progress import line_of, progress_bar


def test_a_log_is_told_where_the_work_is_and_nothing_of_what_is_short() -> None:
    out = io.StringIO()
    with progress_bar(Console(file=out), seconds=0.01) as progress:
        progress.remove_task(progress.add_task("Reading", total=1.0))
        task = progress.add_task("Compiling l12_regression_slope_short", total=99)
        progress.update(task, completed=11)
        while not out.getvalue():
            time.sleep(0.005)
        progress.update(task, completed=99)
    lines = out.getvalue().splitlines()
    assert set(lines[:-1]) <= {"Compiling l12_regression_slope_short: 11 of 99, 0:00:00"}
    assert "\x1b" not in out.getvalue()
    with progress_bar(Console(file=(short := io.StringIO()))) as progress:
        progress.add_task("Reading", total=None)
    assert short.getvalue() == ""


def test_a_log_that_cannot_be_written_stops_no_work() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with progress_bar(Console(file=Gone()), seconds=0.005) as progress:
        task = progress.add_task("Running", total=2)
        time.sleep(0.05)
        progress.update(task, advance=2)
    assert progress.finished


def test_a_line_says_how_many_steps_or_how_much_and_how_long() -> None:
    with progress_bar(Console(file=io.StringIO())) as progress:
        for total, completed, said in (
            (99, 11, "X: 11 of 99, "),
            (1.0, 0.345, "X: 34%, "),
            (None, 0, "X: "),
            (20_000, 5e3, "X: 5,000 of 20,000, "),
        ):
            task = progress.add_task("X", total=total, completed=completed)
            assert line_of(progress.tasks[-1]) == f"{said}0:00:00"
            progress.remove_task(task)
