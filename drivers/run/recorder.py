"""Takes the engine's outputs to where people find them: result files, the summary, the structured log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from drivers.engine.chunk import Outputs
from drivers.feeds.suitability import suitability_notes
from drivers.files.atomic import sync
from drivers.run.assembly import PreparedRun
from drivers.runlog.events import Events
from drivers.runlog.log import open_run_log
from drivers.statistics.sharpe import moments
from drivers.store.columns import EpochLayer
from drivers.store.errors import StoreError
from drivers.store.learned import Learned
from drivers.store.reader import open_run
from drivers.store.summary import Summary
from drivers.store.trials import Trial, ledger_of, note_trial, trial_id
from drivers.store.writer import ResultWriter
from drivers.text.times import stamp


class Recorder:
    """The sinks of one run. As a context manager it leaves nothing half written when an error ends the run.

    parts: the results grow in parts, which `cut` closes, and stay when an error ends the run. go_on: the `cut` of an earlier
    process, whose results are completed. notify: given, an error of the sinks does not end the run: it is shown, and `failed`
    holds it; nothing is written any more.
    """

    def __init__(
        self,
        session: PreparedRun,
        out: Path,
        *,
        parts: bool = False,
        go_on: Mapping[str, Any] | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self.session = session
        self.out = out
        plan = session.plan
        self.annotations = plan.annotations
        self.domains = {n.name: n.domain for n in plan.nodes.values() if n.schedule != "epoch"}
        self.notify, self.failed = notify, ""
        self.writer = ResultWriter(
            out,
            session.data.symbols,
            overwrite=session.request.overwrite,
            parts=parts,
            go_on=None if go_on is None else go_on["part"],
            epoch=[EpochLayer(n.name, n.domain, n.returns, session.engine.epoch_start(n)) for n in plan.stage["epoch"]],
            start=session.data.instruments.start_position.tolist(),
            features=session.request.keeps,
            durable=session.request.durable,
        )
        notes, facts = [*session.data.notes(), *suitability_notes(session.data, session.configs)], session.data.instruments
        self.summary = Summary(session.data.symbols, session.configs, notes, facts, self.writer.history)
        self.events = Events(session.data.symbols, session.engine.epoch_ns)
        self._log = self.writer.folder / "log.jsonl"
        with self.writer.writing():
            if go_on is not None:
                os.truncate(self._log, go_on["log"])
            self.log = open_run_log(self._log, run=out.name)
        self.learned = Learned(plan)
        self.bars = 0
        self._new, self._from = go_on is None, session.engine.last_time
        if go_on is not None:
            self.bars = go_on["summary"]["bars"]
            self.summary.go_on(go_on["summary"])
            self.events.recall(go_on["events"])
            self.learned.go_on(go_on["learned"])
        self.uncounted = ""  # why the ledger of trials does not have it
        self.report_failed = ""  # why there is no report of results that are whole

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            with suppress(OSError):  # where the disk is full, the last line does not go out
                self.log.close()
            if self._new and self.session.engine.last_time == self._from:  # no bar has run
                self.writer.discard()
            else:
                self.writer.abandon()

    @contextmanager
    def _sinks(self) -> Iterator[None]:
        """An error in here ends the sinks, and the run too where nobody is notified."""
        try:
            yield
        except StoreError as error:
            if self.notify is None:
                raise
            self.failed = str(error)
            self.notify(f"Results stop: {error}. The stream goes on.")

    def take(self, outputs: Outputs) -> None:
        """One chunk's outputs into every sink."""
        if not self.failed:
            with self._sinks():
                self._take(outputs)

    def _take(self, outputs: Outputs) -> None:
        values, time, offsets = outputs.values, outputs.time, outputs.offsets
        with self.writer.writing():
            noted = self.events.write(self.log, outputs)
        ended = self.writer.write(values, self.annotations, self.domains, time, offsets, outputs.epoch, noted)
        self.summary.add(values, time, offsets, ended)
        if outputs.epoch:
            self.learned.add(int(outputs.time[0]), outputs.epoch)
        self.bars += len(outputs.time)

    def take_between(self, outputs: Outputs, about: Mapping[str, Any] | None = None) -> None:
        """Records one instant between two bars: it has orders and fills but is not a bar. about: fields of the log line of an
        operator command; None where it is none."""
        if not self.failed:
            with self._sinks():
                self._take_between(outputs, about)

    def _take_between(self, outputs: Outputs, about: Mapping[str, Any] | None) -> None:
        ended = self.writer.write(outputs.values, self.annotations, self.domains, outputs.time, outputs.offsets)
        self.summary.add_between(outputs.values, outputs.offsets, ended)
        with self.writer.writing():
            at = int(outputs.time[0])
            if about is not None:
                self.log.event("operator", time=stamp(at), epoch=(at - 1) // self.session.engine.epoch_ns, **about)
            self.events.write(self.log, outputs)

    def cut(self) -> dict[str, Any] | None:
        """Ends a part of the results; returns what a later process needs to complete them from here, with arrays in `learned`.

        None after an error of the sinks.
        """
        if not self.failed:
            with self._sinks(), self.writer.writing():
                part = self.writer.cut()
                sync(self._log)
                return {
                    "part": part,
                    "log": self._log.stat().st_size,
                    "summary": self.summary.whole_memory(),
                    "events": self.events.memory(),
                    "learned": self.learned.arrays(),
                }
        return None

    def memory(self) -> dict[str, Any]:
        """What a later stretch of the same run needs beside the engine's state, for `recall`."""
        return {**self.summary.memory(), "events": self.events.memory()}

    def recall(self, memory: dict[str, Any]) -> None:
        """Goes on with the account and the orders that were under way; nothing where there is no memory."""
        if "orders" in memory:
            self.summary.recall(memory)
            self.events.recall(memory["events"])

    def finish(self, timings: dict[str, float], **more: Any) -> dict[str, Any]:
        """Puts the results under their final name, with their report; returns the summary."""
        session = self.session
        summary = self.summary.figures()
        self.writer.copy_project(session.project, session.configs)
        with self.writer.writing():
            self.log.close()
            self.learned.save(self.writer.folder)
        rate = self.bars / timings["run_seconds"] if timings.get("run_seconds") else None
        about = session.describe()
        whole = not (more.get("stopped_at") or more.get("resumed_after"))  # a part of a run is no trial
        counts = bool(session.request.trial and whole and about["data_hash"])
        ledger = ledger_of(session.project, self.out if session.request.url is None else None)
        about["trial"] = {"id": trial_id(about), "ledger": str(ledger), "counted": counts}

        def complete(folder: Path) -> None:
            if counts:
                self._count(folder, about, ledger)
            if session.request.report:
                self._report(folder)

        about |= {"timings": {**timings, "bars_per_second": rate}, "summary": summary, **more}
        self.writer.finish(about, complete, self._prepare_report if session.request.report else None)
        return summary

    def _prepare_report(self) -> None:
        """What a report needs that does not come from the run. What fails here fails again in `_report`, which tells it."""
        with suppress(Exception):
            from drivers.report.html import prepare_report

            prepare_report()

    def _count(self, folder: Path, about: Mapping[str, Any], ledger: Path) -> None:
        """Notes the run in the ledger of trials; one without an account is none. Where that fails, the results stand all the
        same."""
        from drivers.report.account import read_daily

        daily = read_daily(open_run(folder))
        if daily is None:
            return
        found = moments(daily.returns)
        trial = Trial(
            time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            run=self.out.name,
            data_hash=about["data_hash"],
            trial=about["trial"]["id"],
            sharpe=None if found is None else found.sharpe,
            days=len(daily.returns),
            settings=(*about["overrides"], *([f"spec {about['spec']['name']}"] if about["spec"] else [])),
        )
        try:
            note_trial(ledger, trial)
        except OSError as error:
            self.uncounted = f"{ledger} cannot be written ({(error.strerror or str(error)).lower()})"

    def _report(self, folder: Path) -> None:
        """The report of the results in a folder. Where it cannot be made they are worth having all the same: the reason is kept
        for whoever tells the user."""
        from drivers.report.html import write_report

        try:
            write_report(folder, self.out.name)
        except Exception as error:
            self.report_failed = " ".join(str(error).split()).rstrip(".") or type(error).__name__
