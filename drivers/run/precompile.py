"""Compiles all layers with as many processes as there are cores, at the first run of a version of the layers' code.

There is no plan of who does what: each process takes the costliest layer that nobody has claimed (dataflows/runtime/claims.py),
this one too. A kernel that several layers share is compiled by who needs it first, and loaded by the others. So a process that
dies costs what it was at, two runs that begin at once share the work, and nobody compiles what another has.
"""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Protocol

import numba
from numba.core import event

from dataflows.data.types import unknown_instruments
from dataflows.runtime.claims import Claim, claim
from dataflows.runtime.code_folder import cache_root, make_cache_root
from dataflows.runtime.compile import shipping_to
from drivers.engine.interrupts import deferred
from drivers.engine.limits import compile_limits
from drivers.engine.one_bar.ahead import single_bar_parts
from drivers.engine.parallel import cores
from drivers.engine.plan import Plan
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import locate
from drivers.project.own_process import own_process
from drivers.run.compile_cost import GUARDS, Costs, name_of

if TYPE_CHECKING:
    from drivers.engine.engine import Engine

COLLECT_AFTER: Final = (50_000, 20, 20)
"""Thresholds of the garbage collector while compiling: numba makes millions of objects that live as long as the process, and
to look through them ever again costs a fifth of the time."""


LAYERS: Final = "layers"
SINGLE_BARS: Final = "single bars"
"""What a helper compiles: all that a run calls, or the form in which a stream calls it."""


class Watcher(Protocol):
    """Who is told how far compiling is, from several threads."""

    def compiling(self, name: str) -> None:
        """A layer's turn has come, in this process."""

    def kernel(self, name: str) -> None:
        """A kernel has been compiled, somewhere."""

    def layer(self, name: str) -> None:
        """All of a layer has."""

    def loading(self, name: str) -> None:
        """A layer is loaded."""


def marker(plan: Plan) -> Path:
    """The file that exists when all layers of this plan have been compiled for this processor."""
    code = " ".join(plan.code_of(node) for node in plan.nodes.values())
    return cache_root() / "compiled" / hashlib.sha256(f"{code} {_processor()}".encode()).hexdigest()[:24]


def _processor() -> str:
    from numba.core.registry import cpu_target

    return repr(cpu_target.target_context.codegen().magic_tuple())


def command(project: Path | None, layers: Iterable[str] = (), *, what: str = LAYERS) -> list[str]:
    """How another process is started, for these layers or all. what: LAYERS or SINGLE_BARS."""
    return own_process("drivers.run.precompile", what, "" if project is None else str(project), *layers)


def compile_all(engine: Engine, project: Path | None, watcher: Watcher) -> None:
    """Compiles or loads all that an engine calls, with helpers on the other cores where something is to be compiled.

    A helper that ends, or that somebody stops, costs time: the engine's own warming up takes what is left.
    """
    done = marker(engine.plan)
    if done.is_file() or not engine.compiled or numba.config.DISABLE_JIT:
        engine.warm_up(watcher.loading, loading=True)
        return
    with _helpers(command(project, engine.plan.nodes), watcher, cores() - 1 if _keeps() else 0), _collecting_less():
        _take_part(engine, watcher)
        engine.warm_up(watcher.loading)
    _note(done)


def compile_single_bars(engine: Engine, project: Path | None, watcher: Watcher) -> None:
    """Compiles or loads the native form of single bars, with helpers where something is to be compiled; after `compile_all`."""
    if not engine.compiled or numba.config.DISABLE_JIT:
        return
    done = marker(engine.plan)
    done = done.with_name(f"{done.name}-single-bars")
    if done.is_file():
        engine.warm_up_single_bars(watcher.loading)
        return
    started_by = command(project, engine.plan.nodes, what=SINGLE_BARS)
    with _helpers(started_by, watcher, cores() - 1 if _keeps() else 0), _collecting_less():
        _share(engine.plan, SINGLE_BARS, single_bar_parts(engine.plan), watcher)
        engine.warm_up_single_bars(watcher.loading)
    _note(done)


def _note(done: Path) -> None:
    with suppress(OSError):  # a folder that cannot be written costs the cache, not the run
        done.parent.mkdir(exist_ok=True)
        done.touch()


def _keeps() -> bool:
    """Whether the cache takes what others could load."""
    try:
        make_cache_root()
        taken = claim("whether there are claims")
    except OSError:
        return False
    if taken is not None:
        taken.let_go()
    return True


@contextmanager
def _helpers(started_by: Sequence[str], watcher: Watcher, number: int) -> Iterator[None]:
    """While this holds, so many other processes compile too."""
    with deferred():  # a process or thread that Ctrl-C interrupts while it starts is never ended
        # what they say of errors is of no use: what they could not compile, the run compiles itself, and says so
        started = [
            subprocess.Popen(started_by, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for _ in range(number)
        ]
        listeners = [Thread(target=_listen, args=(helper.stdout, watcher), daemon=True) for helper in started]
        for listener in listeners:
            listener.start()
    try:
        yield
    finally:
        for helper in started:
            if helper.poll() is None:
                helper.terminate()
            helper.wait()
        for listener in listeners:
            listener.join()


def _listen(lines: Any, watcher: Watcher) -> None:
    with lines:
        for line in lines:
            what, _, name = line.decode(errors="replace").strip().partition(" ")
            if what in ("kernel", "layer"):
                getattr(watcher, what)(name)


@contextmanager
def _collecting_less() -> Iterator[None]:
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Telling(event.Listener):  # type: ignore[misc]  # numba ships no types
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_start(self, event: Any) -> None:
        """Nobody is told."""

    def on_end(self, event: Any) -> None:
        """A kernel has been compiled, or has failed."""
        self._watcher.kernel(name_of(event.data["dispatcher"].py_func))


def _take_part(engine: Engine, watcher: Watcher) -> None:
    """Compiles whatever nobody else does of what a run calls."""
    calls = {**engine.parts(watcher.compiling), GUARDS: compile_limits}
    order = Costs(engine.plan.nodes, engine.plan.stacked).costliest_first()
    _share(engine.plan, LAYERS, {name: calls[name] for name in order}, watcher)


def _share(plan: Plan, what: str, calls: Mapping[str, Callable[[], object]], watcher: Watcher) -> None:
    """Makes the calls that nobody else has claimed, in order."""
    run = marker(plan).name
    held: list[Claim | None] = []
    try:
        with event.install_listener("numba:compile", _Telling(watcher)):
            for name, call in calls.items():
                mine, free = _claimed(f"{run} {name}" if what == LAYERS else f"{run} {what} {name}")
                held.append(mine)
                if free:
                    watcher.compiling(name)
                    call()
                    watcher.layer(name)
    finally:
        for taken in held:
            if taken is not None:
                taken.let_go()


def _claimed(key: str) -> tuple[Claim | None, bool]:
    """The claim on a layer, and whether to compile it."""
    try:
        mine = claim(key)
    except OSError:
        return None, True
    return mine, mine is not None


def ship(folder: str, *layers: str) -> None:
    """Compiles layers, these or all, and writes their machine code to `folder`, for a package to bring along.

    NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say for which processor. The cache must be empty: what is loaded is not written.
    """
    from drivers.engine.building import boundaries, make_engine, make_plan

    files = locate(None)
    wiring = load(files.wiring)
    plan = make_plan(wiring, load_configs(files), files, layers or None)
    models = boundaries(wiring)
    engine = make_engine(plan, ["A"], unknown_instruments(1), models=models, epoch_ns=wiring.epoch_ns)
    with _collecting_less(), shipping_to(Path(folder)):
        _take_part(engine, _Reporting())
        engine.warm_up()
        engine.warm_up_single_bars()


class _Reporting:
    """A helper's watcher: lines on standard output, which end this process where nobody reads them any more."""

    def compiling(self, name: str) -> None:
        """Of no interest: this process does not wait for anybody."""

    def loading(self, name: str) -> None:
        """Of no interest either."""

    def kernel(self, name: str) -> None:
        self._write("kernel", name)

    def layer(self, name: str) -> None:
        self._write("layer", name)

    def _write(self, what: str, name: str) -> None:
        sys.stdout.write(f"{what} {name}\n")
        sys.stdout.flush()


def main() -> None:
    """A helper: compiles layers until none is left.

    Its arguments: LAYERS or SINGLE_BARS; the project's folder, empty for the package's own; then these layers, none for all.
    """
    from drivers.engine.building import make_engine, make_plan

    for said in ("machine code is not kept", "the machine-code cache is not used"):  # then there is nothing to help with
        warnings.filterwarnings("error", f".*{said}", RuntimeWarning)
    what, project, *layers = sys.argv[1:]
    files = locate(Path(project) if project else None)
    plan = make_plan(load(files.wiring), load_configs(files), files, layers or None)
    with _collecting_less():
        if what == SINGLE_BARS:
            _share(plan, what, single_bar_parts(plan), _Reporting())
        else:
            _take_part(make_engine(plan, ["A"], unknown_instruments(1)), _Reporting())
