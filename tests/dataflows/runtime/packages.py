"""A package of two files with kernels, and a server that imports it in a process of its own for each run.

The processes are forks of one that has numba loaded, so that a case costs a compilation and no more.
"""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

CALLEE = '''
"""The callee, its constants and the record that both files use."""
from typing import NamedTuple
from dataflows.runtime.compile import kernel
LIMIT = 1.0
TABLE = (1.0, 2.0)
class Config(NamedTuple):
    first: float
    second: float
@kernel
def below(x):
    return x + 10.0
@kernel
def callee(x):
    """Documented."""
    return below(x)
'''
CALLER = """
from pk import callee as other
from pk.callee import LIMIT, TABLE, Config, callee
from dataflows.runtime.compile import kernel
@kernel
def scan(x, config):
    return callee(x) + LIMIT * 100.0 + config.first * 1000.0 + TABLE[1] * 10000.0 + other.LIMIT * 100000.0 + 0.5
"""
# forked children: import the package as it is now, call the kernel, say what it gave and whether it was loaded
SERVER = """
import os, sys, typing, warnings
import numba
from dataflows.runtime.compile import kernel
class Warm(typing.NamedTuple):
    a: float
numba.njit(lambda x, w: x + w.a)(1.0, Warm(1.0))  # the compiler's own start, once for all children
def child(out):
    sys.path.insert(0, os.environ["PK"])
    sys.dont_write_bytecode = True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from pk.caller import scan
        from pk.callee import Config
        got = scan(1.0, Config(**{"first": 1.0, "second": 2.0, **{k: 0.0 for k in Config._fields[2:]}}))
    hits = sum(scan.stats.cache_hits.values())
    out.write(repr((float(got), hits, [str(w.message) for w in caught])) + "\\n")
    out.flush()
for line in sys.stdin:
    os.environ["STRATOQUANT_CACHE"] = line.strip()
    pid = os.fork()
    if pid == 0:
        try:
            child(sys.stdout)
        except BaseException as error:
            print(repr((repr(error), 0, [])), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


class Outcome(NamedTuple):
    """What a process saw."""

    value: Any
    loaded: bool
    warnings: list[str]


class Package:
    """The package on disk, its cache folder, and the server that runs it."""

    def __init__(self, folder: Path, server: subprocess.Popen[str]) -> None:
        self.folder, self.server, self.cache = folder, server, folder / "cache"
        (folder / "pk").mkdir(parents=True, exist_ok=True)
        (folder / "pk" / "__init__.py").write_text("")
        self.write()

    def write(self, callee: tuple[str, str] = ("", ""), caller: tuple[str, str] = ("", "")) -> None:
        """The two files, with one replacement each; all with the same time stamp."""
        for name, text, (old, new) in (("callee", CALLEE, callee), ("caller", CALLER, caller)):
            assert old in text
            path = self.folder / "pk" / f"{name}.py"
            path.write_text(text.replace(old, new) if old else text)
            os.utime(path, (1e9, 1e9))

    def run(self, cache: Path | None = None) -> Outcome:
        """One process."""
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(f"{cache or self.cache}\n")
        self.server.stdin.flush()
        value, hits, warnings = ast.literal_eval(self.server.stdout.readline())
        return Outcome(value, hits > 0, warnings)


BEFORE = 1.0 + 10.0 + 100.0 + 1000.0 + 20000.0 + 100000.0 + 0.5
"""What `scan` gives with the package as it is."""
