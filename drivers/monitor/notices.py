"""Notices of what a person should know, through Apprise: chosen in a YAML file, sent from the page's process."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.project.yaml_files import read_yaml
from drivers.runlog.lines import Event
from drivers.text.times import stamp

KINDS: Final = ("fill", "kill_switch", "reject", "data_anomaly", "entry", "exit", "regime_change", "feed")
DEFAULT: Final = ["fill", "kill_switch", "reject", "feed"]
MOST_WAITING: Final = 1_000


class NoticeError(ValueError):
    """The file of notices cannot be used. The message names it and the key."""


class NoticeRules(BaseModel):
    """A file of notices. Where to send is a secret: it stands in an environment variable, which the file names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    urls_from: str = Field(description="the environment variable that holds Apprise's URLs, apart by blanks")
    events: list[str] = Field(default=DEFAULT, min_length=1, description=f"which: {', '.join(KINDS)}")


def read_notices(path: Path) -> NoticeRules:
    """The file. Raises NoticeError naming what is wrong."""
    try:
        rules = NoticeRules(**{str(key): value for key, value in read_yaml(path).items()})
    except ValidationError as error:
        first = error.errors()[0]
        raise NoticeError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if wrong := [name for name in rules.events if name not in KINDS]:
        raise NoticeError(f"{path}: events has {wrong[0]!r}; choose of {', '.join(KINDS)}")
    return rules


def apprise_of(rules: NoticeRules) -> Callable[[str, str], bool]:
    """What sends a title and a text. Raises NoticeError where Apprise or the URLs are missing."""
    try:
        import apprise
    except ModuleNotFoundError:
        raise NoticeError("notices need Apprise: pip install 'stratoquant[notify]'") from None
    urls = os.environ.get(rules.urls_from, "").split()
    if not urls:
        raise NoticeError(f"the environment variable {rules.urls_from} is empty; it holds Apprise's URLs")
    sender = apprise.Apprise()
    for number, url in enumerate(urls, 1):
        if not sender.add(url):
            raise NoticeError(f"URL {number} of {rules.urls_from} is none that Apprise knows")
    return lambda title, body: bool(sender.notify(title=title, body=body))


class Notices:
    """Sends in a thread of its own, in order; what cannot be sent is counted, and nothing waits for it.

    run: the stream's name. send: sends a title and a text; False: it could not.
    """

    def __init__(self, run: str, rules: NoticeRules, send: Callable[[str, str], bool]) -> None:
        self.run, self.rules, self.send = run, rules, send
        self.sent, self.lost = 0, 0
        self._queue: queue.Queue[tuple[str, str] | None] = queue.Queue(MOST_WAITING)
        self._feed: dict[str, bool] = {}
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def of(self, events: Iterable[Event]) -> None:
        """Notices of what happened, of the kinds that the file names."""
        for event in events:
            if event.name in self.rules.events:
                what = " ".join(
                    f"{key} {_word(value)}" for key, value in event.fields.items() if key != "layer" and value != []
                )
                self._put(f"{self.run}: {event.name.replace('_', ' ')}", f"{stamp(event.time)} {what}")

    def feed(self, health: dict[str, Any]) -> None:
        """Notices of streams that have ended, and of those that are back."""
        if "feed" not in self.rules.events:
            return
        for name, stream in (health.get("streams") or {}).items():
            was = self._feed.get(name, True)
            self._feed[name] = bool(stream["up"])
            if was != self._feed[name]:
                self._put(f"{self.run}: feed", f"the {name} stream {'is back' if self._feed[name] else 'has ended'}")

    def _put(self, title: str, body: str) -> None:
        try:
            self._queue.put_nowait((title, body))
        except queue.Full:
            self.lost += 1

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                sent = self.send(*item)
            except Exception:  # a service of somebody else, reached by a library of somebody else
                sent = False
            self.sent += sent
            self.lost += not sent

    def close(self) -> None:
        """What waits is sent, for five seconds at most."""
        self._queue.put(None)
        self._thread.join(timeout=5.0)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
