"""A finished run as pandas tables, and what can be asked of it."""

from __future__ import annotations

import functools
import html
from dataclasses import asdict, fields
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from drivers.diagrams import dot
from drivers.diagrams.meaning import meanings
from drivers.diagrams.picture import source
from drivers.diagrams.values import members_of
from drivers.domain.run import DomainResult, run_domain
from drivers.explain.contributions import Contribution, contributions
from drivers.explain.mattered import mattered
from drivers.explain.show import headline, lines_of, short, tree
from drivers.explain.target import target_of
from drivers.explain.trace import Explanation
from drivers.explain.trace import explain as trace
from drivers.report.account import Account, read_account
from drivers.report.contents import RunReport, in_short, read_report
from drivers.report.scan import clock_of
from drivers.report.trips import Trip
from drivers.scale.results import read_features
from drivers.store.kept import instead
from drivers.store.published import results_folder
from drivers.store.reader import RecordedError, RecordedRun, open_run
from drivers.text.suggestions import layer_hint, layer_named
from stratoquant.arguments import Time, names_of, ns_of, overrides_of, path_of, place_of


class Run:
    """The results of a run. Tables are read when they are asked for; money is in quote currency, times are UTC."""

    def __init__(self, recorded: RecordedRun) -> None:
        self._recorded = recorded

    @property
    def folder(self) -> Path:
        """Where the results are."""
        return self._recorded.folder

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the symbols, sorted."""
        return self._recorded.symbols

    @property
    def summary(self) -> dict[str, Any]:
        """What the command line prints, as in run.json."""
        found: dict[str, Any] = self._recorded.about["summary"]
        return found

    @property
    def report(self) -> Path:
        """The page of the run. Raises RecordedError for a run without one."""
        path = self.folder / "report.html"
        if not path.is_file():
            raise RecordedError(f"{self.folder} has no report.html; make it with: stratoquant report {self.folder}")
        return path

    @functools.cached_property
    def _report(self) -> RunReport:
        return read_report(self.folder)

    @functools.cached_property
    def _account(self) -> Account:
        account = read_account(self._recorded, clock_of(self._recorded))
        if account is None:
            raise RecordedError(f"{self.folder.name} kept no account: the layers that trade are switched off in its wiring")
        return account

    @property
    def equity(self) -> pd.Series[float]:
        """Equity at the close of each bar."""
        return pd.Series(self._account.equity, self._times(), name="equity")

    @property
    def drawdown(self) -> pd.Series[float]:
        """1 - equity / its highest so far."""
        return pd.Series(self._account.drawdown, self._times(), name="drawdown")

    @property
    def figures(self) -> pd.DataFrame:
        """The report's figures with their 95 % intervals and definitions, by key."""
        return pd.DataFrame([f.as_dict() for f in self._report.figures]).set_index("key")

    @property
    def trades(self) -> pd.DataFrame:
        """Round trips, and positions that are still open (exit_time NaT): one row each, by entry."""
        book = self._report.book
        made = ("entry_price", "exit_price", "gross", "profit", "bps")
        names = [*(f.name for f in fields(Trip)), *made]
        rows = sorted([*book.trips, *book.open], key=lambda trip: trip.entry_time)
        frame = pd.DataFrame([{name: getattr(trip, name) for name in names} for trip in rows], columns=names)
        frame["symbol"] = [self.symbols[n] for n in frame["symbol"]]
        frame["side"] = frame["side"].map({1: "LONG", -1: "SHORT"})
        for name in ("entry_time", "decided", "exit_time"):
            frame[name] = pd.to_datetime(frame[name].astype("int64").where(frame[name] != 0), unit="ns", utc=True)
        return frame

    @property
    def orders(self) -> pd.DataFrame:
        """Every order with its last status."""
        return self._recorded.frame("orders")

    @property
    def fills(self) -> pd.DataFrame:
        """Every fill."""
        return self._recorded.frame("fills")

    @property
    def ledger(self) -> pd.DataFrame:
        """The account by bar and symbol."""
        return self._recorded.frame("ledger")

    @property
    def decisions(self) -> pd.DataFrame:
        """What L3 proposed and L4 decided, by bar and symbol."""
        return self._recorded.frame("decisions")

    @property
    def layers(self) -> list[str]:
        """Names of the layers whose outputs were recorded at every bar or epoch, all or some."""
        return sorted(self._by_layer, key=lambda name: int(name[1:].partition("_")[0]))

    @functools.cached_property
    def _by_layer(self) -> dict[str, tuple[str, list[str]]]:
        """{layer: (table, its columns)}."""
        run = self._recorded
        found: dict[str, tuple[str, list[str]]] = {}
        for table in (*(f"features/{name}" for name in run.domains()), *(f"epochs/{name}" for name in run.learned())):
            for column in run.columns(table):
                if column not in ("timestamp", "symbol"):
                    found.setdefault(column.partition(".")[0], (table, []))[1].append(column)
        return found

    def features(
        self, layer: str, *, symbols: str | list[str] | None = None, start: Time | None = None, end: Time | None = None
    ) -> pd.DataFrame:
        """What a layer gave: one row a bar and symbol, one column a field. layer: a name or an id (`L12`). Of a layer that
        speaks once an epoch: one row an epoch and symbol, of the first bar at which it holds.

        A field of several values a symbol has a column each, named by what they are where they have names (`values.trend` of
        L66's sources), else by number.

        Raises RecordedError for a run that was not made with features="all"."""
        name = layer_named(layer, list(self._by_layer))
        table, columns = self._by_layer.get(name or "", ("", []))
        if self._recorded.kept != "all" and not table.startswith("epochs/"):
            raise RecordedError(f"{self.folder.name} does not hold {layer} at every bar: {instead(self._recorded.kept)}")
        if name is None:
            raise RecordedError(f"{self.folder.name} holds no layer {layer!r}; {layer_hint(layer, list(self._by_layer))}")
        members = members_of(name, meanings(self._recorded.project).get(name), columns)
        frame = self._recorded.frame(
            table,
            columns,
            symbols=names_of("symbols", symbols),
            start=ns_of("start", start),
            end=ns_of("end", end),
        )
        shown = {column: members.get(column, column).removeprefix(f"{name}.") for column in columns}
        return frame.rename(columns=shown).set_index(["timestamp", "symbol"])

    def explain(self, order: str) -> Explained:
        """How an order came about; `SYMBOL TIME` says why there was none."""
        return Explained(trace(self._recorded, target_of(self._recorded, order)))

    def plot(self, ax: Any = None) -> Any:
        """Draws equity, and drawdown below it, with matplotlib. ax: two axes to draw into. Returns the two axes."""
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError("plot draws with matplotlib, which is not installed: pip install matplotlib") from None
        if ax is None:
            _, ax = pyplot.subplots(2, 1, sharex=True, height_ratios=(3, 1), figsize=(10, 5), layout="constrained")
        above, below = ax
        equity, drawdown = self.equity, self.drawdown
        above.plot(equity.index, equity.to_numpy(), linewidth=1.0)
        above.set_ylabel("equity (quote currency)")
        below.fill_between(drawdown.index, -100.0 * drawdown.to_numpy(), linewidth=0.0, alpha=0.6)
        below.set_ylabel("drawdown (%)")
        return ax

    def _times(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self._recorded.times(), tz="UTC", name="timestamp")

    def __repr__(self) -> str:
        return f"<Run {self.folder}: {', '.join(self.symbols)}, {self.summary.get('bars', 0)} bars>"

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in in_short(self._report))
        shown = [f for f in self._report.figures if f.value is not None]
        rows = "".join(
            f'<tr><td title="{html.escape(f.definition)}">{html.escape(f.label)}</td><td>{f.value:.4g}</td></tr>' for f in shown
        )
        page = self.folder / "report.html"
        here = Path.cwd()
        place = page.resolve().relative_to(here).as_posix() if page.resolve().is_relative_to(here) else page.resolve().as_uri()
        link = f'<p><a href="{html.escape(place)}">report</a></p>' if page.is_file() else ""
        return f"{lines}<table><tbody>{rows}</tbody></table>{link}"


class Explained:
    """How an order came about: print it for the reasons; a notebook also draws the ten layers that mattered."""

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation

    @property
    def headline(self) -> list[str]:
        """Why it was sent, why this size, and what came of it: a paragraph, and notes."""
        return headline(self.explanation)

    @property
    def contributions(self) -> pd.DataFrame:
        """What spoke for it and against it: a row a source, the largest part of the expected move first."""
        rows = [asdict(row) for row in contributions(self.explanation)]
        return pd.DataFrame(rows, columns=[f.name for f in fields(Contribution)])

    def trace(self) -> str:
        """Every layer on the way back to the market data, with its values."""
        return _printed(tree(self.explanation))

    def __repr__(self) -> str:
        return _printed(short(self.explanation))

    def _repr_html_(self) -> str:
        drawn = source(self.explanation.model, mattered(self.explanation), notes=lines_of(self.explanation))
        svg = dot.render(drawn, "svg").decode()
        rows = self.contributions.to_html(index=False, na_rep="", float_format="{:+.3g}".format, border=0)
        return f"{''.join(f'<p>{html.escape(line)}</p>' for line in self.headline)}{rows}{svg[svg.index('<svg') :]}"


def _printed(what: Any) -> str:
    from drivers.text.terminal import Terminal

    console = Terminal(highlight=False, width=140, force_jupyter=False, color_system=None)
    with console.capture() as shown:
        console.print(what)
    return shown.get()


def load_run(place: str | PathLike[str]) -> Run:
    """The run in a folder of results, or behind the URL that it was given as `out`: this is copied into the cache folder, once.

    Raises RecordedError where there is none, or one that is not complete; DataError where a URL cannot be read.
    """
    return Run(open_run(results_folder(place_of(place))))


def load_features(
    place: str | PathLike[str],
    layer: str,
    *,
    symbols: str | list[str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> pd.DataFrame:
    """What a layer says of a wide universe, out of the results of `stratoquant features`: one row a bar and symbol.

    place: a folder or a URL. layer: a name or an id (`L12`). Raises ScaleError where it is not there.
    """
    return read_features(
        place_of(place),
        layer,
        symbols=names_of("symbols", symbols),
        start=ns_of("start", start),
        end=ns_of("end", end),
    )


def explain(run: Run | str | PathLike[str], order: str) -> Explained:
    """How an order of a run came about, from a Run or a folder of results."""
    return (run if isinstance(run, Run) else load_run(run)).explain(order)


def domain(
    name: str,
    source: Run | str | PathLike[str],
    *,
    data: str | PathLike[str] | None = None,
    symbols: str | list[str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
    set: dict[str, Any] | None = None,
    spec: str | None = None,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    project: str | PathLike[str] | None = None,
) -> DomainResult:
    """Runs one domain alone on a run or on market data, as `stratoquant domain run` does.

    source: a Run, a folder of results, or a folder of market data. data: the market data of a run, where they have moved. The
    other arguments are those of `run`. Returns the result: `.frame()` has its outputs, `.summary()` a line a field.
    """
    return run_domain(
        name,
        source.folder if isinstance(source, Run) else place_of(source),
        out=path_of(out),
        data=None if data is None else place_of(data),
        symbols=names_of("symbols", symbols),
        start=ns_of("start", start),
        end=ns_of("end", end),
        overrides=overrides_of(set),
        spec=spec,
        project=path_of(project),
        overwrite=overwrite,
    )
