"""Compiles the market side in a process beside the run, which compiles the account side.

Both put their machine code into the same cache, under its content, so that whoever comes second loads what the other made. Done
once for each version of the layers' code; a marker in the cache says so.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataflows.data.types import unknown_instruments
from dataflows.runtime.code_folder import cache_root, make_cache_root
from drivers.engine.plan import Plan
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import locate


def marker(plan: Plan) -> Path:
    """The file that exists when all layers of this plan have been compiled on this machine."""
    code = " ".join(plan.code_of(node) for node in plan.nodes.values())
    return cache_root() / "compiled" / hashlib.sha256(code.encode()).hexdigest()[:24]


def command(project: Path | None) -> list[str]:
    """How the process is started. It imports this package and nothing that lies in the current folder (-P)."""
    code = "import sys; sys.path.append(sys.argv.pop(1)); from drivers.run.precompile import main; main(*sys.argv[1:])"
    package = Path(__file__).parents[2]
    return [sys.executable, "-P", "-c", code, str(package), *([str(project)] if project is not None else [])]


@contextmanager
def compiling_beside(plan: Plan, project: Path | None) -> Iterator[None]:
    """While this holds, another process compiles the columnar layers, where they are not compiled yet."""
    done = marker(plan)
    if done.is_file():
        yield
        return
    # what it prints is of no use: what it could not compile, the run compiles itself, and says so
    beside = subprocess.Popen(command(project), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        if beside.poll() is None:
            beside.terminate()
        beside.wait()
    try:
        make_cache_root()
        done.parent.mkdir(exist_ok=True)
        done.touch()
    except OSError:
        return  # a folder that cannot be written costs the cache, not the run


def main(project: str | None = None) -> None:
    """Runs the columnar layers over two unknown bars of one symbol."""
    from drivers.engine.building import make_engine, make_plan

    files = locate(Path(project) if project else None)
    plan = make_plan(load(files.wiring), load_configs(files), files)
    make_engine(plan, ["A"], unknown_instruments(1)).warm_up_columnar(lambda name: None)
