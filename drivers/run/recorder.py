"""Takes the engine's outputs to where people find them: result files, the summary, the structured log."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from drivers.engine.engine import Outputs
from drivers.run.assembly import Session
from drivers.runlog.events import Events
from drivers.runlog.log import open_run_log
from drivers.store.learned import Learned
from drivers.store.summary import Summary
from drivers.store.writer import ResultWriter
from drivers.text.times import stamp


class Recorder:
    """The sinks of one run. As a context manager it leaves nothing half written when an error ends the run."""

    def __init__(self, session: Session, out: Path) -> None:
        self.session = session
        self.out = out
        plan = session.plan
        self.annotations = plan.annotations
        self.domains = {n.name: n.domain for n in plan.nodes.values() if n.schedule != "epoch"}
        self.writer = ResultWriter(out, session.data.symbols, overwrite=session.request.overwrite)
        self.summary = Summary(session.data.symbols, session.configs)
        self.events = Events(session.data.symbols, session.engine.epoch_ns)
        with self.writer.whole():
            self.log = open_run_log(self.writer.folder / "log.jsonl", run=out.name)
        self.learned = Learned(plan)
        self.bars = 0
        self.report_failed = ""  # why there is no report of results that are whole

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            with suppress(OSError):  # where the disk is full, the last line does not go out
                self.log.close()
            self.writer.abandon()

    def take(self, outputs: Outputs) -> None:
        """One chunk's outputs into every sink."""
        self.writer.write(outputs.values, self.annotations, self.domains, outputs.time, outputs.offsets)
        self.summary.add(outputs.values, outputs.time, outputs.offsets)
        with self.writer.whole():
            self.events.write(self.log, outputs)
        if outputs.epoch:
            self.learned.add(int(outputs.time[0]), self.session.engine.arena.values)
        self.bars += len(outputs.time)

    def take_between(self, outputs: Outputs, about: dict[str, Any]) -> None:
        """Records one instant between two bars: it has orders and fills but is not a bar. about: fields of the log line."""
        self.writer.write(outputs.values, self.annotations, self.domains, outputs.time, outputs.offsets)
        self.summary.add_between(outputs.values, outputs.time, outputs.offsets)
        with self.writer.whole():
            at = int(outputs.time[0])
            self.log.event("operator", time=stamp(at), epoch=(at - 1) // self.session.engine.epoch_ns, **about)
            self.events.write(self.log, outputs)

    def memory(self) -> dict[str, Any]:
        """What a later stretch of the same run needs beside the engine's state, for `recall`."""
        return {**self.summary.memory(), "events": self.events.memory()}

    def recall(self, memory: dict[str, Any]) -> None:
        """Goes on with the account and the orders that were under way; nothing where there is no memory."""
        if "orders" in memory:
            self.summary.recall(memory)
            self.writer.history.recall(memory["orders"])
            self.events.recall(memory["events"])

    def finish(self, timings: dict[str, float], **more: Any) -> dict[str, Any]:
        """Puts the results under their final name, with their report; returns the summary."""
        session = self.session
        summary = self.summary.figures()
        self.writer.copy_project(session.project, session.configs)
        with self.writer.whole():
            self.log.close()
            self.learned.save(self.writer.folder)
        rate = self.bars / timings["run_seconds"] if timings.get("run_seconds") else None
        self.writer.finish(
            {
                **session.describe(),
                "timings": {**timings, "bars_per_second": rate},
                "summary": summary,
                **more,
            },
            self._report if session.request.report else None,
        )
        return summary

    def _report(self, folder: Path) -> None:
        """The report of the results in a folder. Where it cannot be made they are worth having all the same: the reason is kept
        for whoever tells the user."""
        from drivers.report.html import write_report

        try:
            write_report(folder, self.out.name)
        except Exception as error:
            self.report_failed = " ".join(str(error).split()).rstrip(".") or type(error).__name__
