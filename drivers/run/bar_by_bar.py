"""One stream under way: its bars, what acts between them, the segments of its journal, and what fails beside it."""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from dataflows.data.types import OPERATOR_CANCEL, OPERATOR_FLATTEN, OPERATOR_HALT, OPERATOR_NONE, OPERATOR_RELEASE
from dataflows.execution.types import CANCEL, Executions
from drivers.engine.chunk import Chunk, Instant, Outputs
from drivers.engine.interrupts import Requests, deferred
from drivers.feeds.base import Delivered, Quiet, step_of
from drivers.run.assembly import PreparedRun
from drivers.run.between_bars import Between
from drivers.run.block import Block, room_for
from drivers.run.journaled import Journaled, agrees
from drivers.run.operator_commands import OperatorCommand, fields_of
from drivers.run.recorder import Recorder
from drivers.run.replay import ReplayError
from drivers.run.sinks import Sinks
from drivers.run.venue_link import VenueLink
from drivers.store.instants import chunk_of, instant_of
from drivers.store.journal import JournalError, Record
from drivers.text.times import stamp

VENUE = "venue"
"""Whose word an instant is at which the venue reports something."""
PATIENCE = 20.0
"""Seconds for which the end of a stream waits for a venue."""


class Stream:
    """The bars of one stream, and what comes between them. venue: where orders go and reports come from; None where the venue
    is simulated.

    Sinks may fail, trading may not: results stop at an error and the bars go on. A journal that cannot be written stops entries
    (HALT), for an order must not leave without a record; exits go on.
    """

    def __init__(
        self,
        session: PreparedRun,
        recorder: Recorder,
        engine: Journaled,
        between: Between,
        stop: Requests,
        venue: VenueLink | None = None,
    ) -> None:
        self.session, self.recorder, self.engine, self.between, self.stop = session, recorder, engine, between, stop
        self.sinks = Sinks(recorder)
        self.venue: VenueLink | None = None
        self.connect(venue)
        self.waiting = Block(session.plan.annotations, room_for(len(session.data.symbols)))
        engine.on_failure = self._journal_failed

    def connect(self, venue: VenueLink | None) -> None:
        """From here on orders go there. What it is to remember goes to the journal."""
        self.venue = venue
        if venue is not None and venue.kept is not None:
            venue.kept.note = self.engine.note
            self.engine.sends = True

    # -- forward -------------------------------------------------------------------------------------------------------------

    def run(self, items: Iterable[Delivered], show: Callable[[int], None]) -> bool:
        """Runs what a feed delivers, and shows the time of each bar, UTC ns; True when Ctrl-C, SIGTERM or SIGHUP ended it, with
        every bar that was begun finished."""
        engine, stopped = self.session.engine, False
        for item in items:
            if self.stop.asked:
                stopped = True
                break
            if isinstance(item, Quiet):
                self.act(item.until)
                continue
            with deferred():
                if isinstance(item, Instant):
                    self.act(item.ts)
                    self._handed(item)
                    continue
                self.act(int(item.time[0]))
                self._advance(item)
                self.between.saw(item.inputs["observations"])
                if engine.last_time % engine.epoch_ns == 0:
                    self._next_segment()
                elif self.waiting.full:
                    self.flush()
            show(engine.last_time)
        self._leave()
        self.flush()
        self.sinks.wait()
        self.engine.ends()
        return stopped

    def close(self) -> None:
        """Ends the thread of the sinks and the journal."""
        self.sinks.stop()
        reason = self.engine.close()
        if reason:
            self.between.notify(
                f"The end of the journal may not be on the disk ({reason}). Check the disk before you resume the stream."
            )

    def _leave(self) -> None:
        """What has been reported acts; a live venue takes entries off before the stream ends."""
        engine = self.session.engine
        self.act(engine.last_time + 1)
        kept = None if self.venue is None else self.venue.kept
        if kept is None or not engine.held:
            return
        if kept.stop():
            instant = Instant(engine.last_time, OPERATOR_FLATTEN)
            self._acted(instant, self._react(instant, "end"), "", "end")
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self._hear(engine.last_time + step_of(self.session.data))
            if kept.at_rest:
                return
            time.sleep(0.05)
        self.between.notify("The stream ends although the venue has not answered everything; the next start asks for it.")

    def _handed(self, instant: Instant) -> None:
        """An instant that the feed delivers, as a journal does."""
        at = instant._replace(ts=max(instant.ts, self.session.engine.last_time))
        if at.operator == OPERATOR_NONE:
            self.sinks.take_between(self._react(at, VENUE))
        else:
            self._acted(at, self._react(at, "operator"), "", "operator")

    def _advance(self, chunk: Chunk) -> None:
        """One bar, with what the venue reports of it."""
        if self.venue is not None:
            closes = int(chunk.time[0])
            events = self.venue.at(closes)
            chunk = chunk._replace(inputs={**chunk.inputs, **self.venue.inputs(closes)}, events=events)
        outputs = self.engine.advance(chunk)
        if self.venue is not None:
            self.venue.send(outputs)
        self._wait(outputs)

    def _react(self, instant: Instant, by: str, command: str = "") -> Outputs:
        """One instant between two bars, with the venue's latest statement of the account."""
        self.flush()
        if self.venue is not None:
            instant = instant._replace(inputs={**instant.inputs, **self.venue.inputs(instant.ts)})
        outputs = self.engine.react(instant, by=by, command=command)
        if self.venue is not None:
            self.venue.send(outputs)
        return outputs

    def act(self, now: int) -> None:
        """Applies all that is due before `now`: operator commands, and what the venue reports, by time."""
        if not self.session.engine.held:
            return  # no bar yet: there is nothing to act on
        for at, command, by in self.between.due(now, self.session.engine.last_time):
            self._hear(at)
            of_all = command.code == OPERATOR_RELEASE and command.symbol < 0
            if of_all and self.engine.failed and not self._journal_again(command):
                continue
            text = command.text if command.where else ""
            instant = command.instant(at)
            refused = self._acted(instant, self._react(instant, by, text), text, by)
            self.between.notify(f"{stamp(at)} {command.said} ({by}){f': {refused}' if refused else ''}")
        self._hear(now)

    def _hear(self, now: int) -> None:
        """What the venue reports before `now` acts at once: a fill does not wait for the close of its bar."""
        for reported, events in () if self.venue is None else self.venue.before(now):
            at = max(reported, self.session.engine.last_time)
            self.sinks.take_between(self._react(Instant(at, events=events), VENUE))

    def _acted(self, instant: Instant, outputs: Outputs, text: str, by: str) -> str:
        """Records what a command did; returns why it did nothing, where that is so."""
        about = {**fields_of(instant, self.session.data.symbols), "by": by}
        refused = _not_canceled(outputs, instant, about["order"]) if instant.operator == OPERATOR_CANCEL else ""
        if refused:
            about["refused"] = refused
        self.sinks.take_between(outputs, about)
        self.between.has_acted(instant.ts, text, about)
        return refused

    def _wait(self, outputs: Outputs) -> None:
        if outputs.epoch:  # what waits is of the epoch before
            self.flush()
        self.waiting.add(outputs)

    def flush(self) -> None:
        """What waits goes to the sinks."""
        if self.waiting.bars:
            self.sinks.take(self.waiting.handed())
            if not gc.isenabled():  # see `collected_at_flushes`
                gc.collect(1)  # the young alone: a report just before a close flushes too, and its bar would wait

    # -- the journal ---------------------------------------------------------------------------------------------------------

    def begin_segment(self) -> None:
        """Begins a segment of the journal with all that a restart needs, on the disk when this returns. Raises OSError when it
        cannot be written."""
        if not self.recorder.writer.parts:
            return
        self.flush()
        self.sinks.wait()
        self.waiting.leave()
        self.engine.begin(self.between.memory(), self.recorder.cut(), self._venue_memory())
        self.sinks.do(self._ready)

    def _venue_memory(self) -> Mapping[str, Any] | None:
        kept = None if self.venue is None else self.venue.kept
        return None if kept is None else copy.deepcopy(kept.memory())

    def _next_segment(self) -> None:
        """An epoch has ended: begins a segment, and lets the rest of it be done beside the next bars."""
        self.flush()
        if not gc.isenabled():
            gc.collect()
        if not self.recorder.writer.parts or self.engine.failed:  # until RELEASE tries again
            return
        at = stamp(self.session.engine.last_time)
        try:
            keep = self.engine.turn(self.between.memory(), self._venue_memory())
        except OSError as error:
            self.between.notify(f"The next segment of the journal cannot be begun ({error.strerror}); the last one goes on.")
            return

        def kept(results: dict[str, Any] | None) -> None:
            try:
                keep(results)
            except OSError as error:
                self.between.notify(
                    f"The state at {at} cannot be written ({error.strerror}): a restart begins at the state before it."
                )

        self.sinks.cut(kept)
        self.waiting.leave()
        self.sinks.do(self._ready)

    def _ready(self) -> None:
        """Makes the journal's folder ready for the next segment."""
        with suppress(OSError):  # `_next_segment` tries it again, and says why it fails
            self.engine.prepare()
        try:
            self.engine.tidy()
        except OSError as error:
            self.between.notify(f"Old segments of the journal cannot be compressed ({error.strerror}); they stay as they are.")

    def _journal_failed(self, reason: str) -> None:
        engine = self.session.engine
        if not engine.held:
            raise JournalError(f"the journal cannot be written ({reason}); free some space, or give --no-journal")
        self.flush()
        at = engine.last_time
        instant = Instant(at, OPERATOR_HALT)
        self._acted(instant, engine.react(instant), "", "journal")
        self.between.notify(
            f"The journal cannot be written ({reason}): HALT. Exits and stops go on without it. RELEASE tries it again."
        )

    def _journal_again(self, command: OperatorCommand) -> bool:
        """Whether the journal can be written again, so that RELEASE may act."""
        try:
            self.begin_segment()
        except OSError as error:
            self.between.acted[command.text] += 1
            self.between.notify(f"RELEASE is refused: the journal still cannot be written ({error.strerror}).")
            return False
        return True

    # -- a restart -----------------------------------------------------------------------------------------------------------

    def run_again(self, records: Iterable[Record]) -> None:
        """Runs what the journal holds, as it was run before. Raises ReplayError where the state is another."""
        engine = self.session.engine
        for record in records:
            about = record.about
            if about["kind"] == "bars":
                chunk = chunk_of(record)
                outputs = engine.advance(chunk)
                self._wait(outputs)
                self._ran_again(outputs, chunk.events)
                self.between.saw(chunk.inputs["observations"])
                if self.waiting.full or engine.last_time % engine.epoch_ns == 0:
                    self.flush()
            elif about["kind"] == "instant":
                self.flush()
                at = instant_of(record)
                outputs = engine.react(at)
                self._ran_again(outputs, at.events)
                if about["by"] == VENUE:
                    self.sinks.take_between(outputs)
                else:
                    self._acted(at, outputs, about.get("command", ""), about["by"])
            elif about["kind"] == "venue":
                if self.venue is not None and self.venue.kept is not None:
                    self.venue.kept.recover(about)
            elif not agrees(engine, about):
                raise ReplayError(f"after {stamp(engine.last_time)} the state is not what the journal says it was")
        self.flush()

    def _ran_again(self, outputs: Outputs, events: Executions | None) -> None:
        if self.venue is not None:
            self.venue.ran_again(outputs, events)


def _not_canceled(outputs: Outputs, instant: Instant, order: str) -> str:
    """Why no cancel of an order was sent; empty where one was."""
    s, number = instant.symbol, instant.subject
    intents, table = outputs.values["l5_execution_bridge"], outputs.values["l96_order_lifecycle"]
    mine = (intents.symbol[: intents.n] == s) & (intents.id[: intents.n] & 0xFFFFFFFF == number)
    if (mine & (intents.kind[: intents.n] == CANCEL)).any():
        return ""
    if table.stop_id[0, s] & 0xFFFFFFFF == number:
        symbol = order.rpartition("-")[0]
        return f"{order} is the stop of an open position and stays; FLATTEN {symbol} closes the position"
    return f"{order} is not an open order, or its cancel is under way; nothing was done"
