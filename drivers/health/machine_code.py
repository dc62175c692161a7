"""The machine code of the layers: where it is kept, and how much of it is there for this code on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from drivers.health.context import Context
from drivers.health.disk import standing
from drivers.health.registry import Found, check, fail, ok, warn
from drivers.text.counts import plural


@check("cache")
def cache(context: Context) -> Iterator[Found]:
    """The cache folder: that it is its owner's alone, and that something can be written to it and read back."""
    from dataflows.runtime.code_folder import cache_root, refusal

    folder = cache_root()
    there = standing(folder)
    advice = "Give STRATOQUANT_CACHE a folder that can be written; until then every start compiles anew, for a minute or more."
    if not there.is_dir():
        yield fail(f"The cache folder {folder} cannot be made: {there} is a file.", advice)
        return
    refused = refusal()
    if refused is not None:
        yield fail(f"The cache is not used: {refused}", "Put that right; until then every start compiles anew.")
        return
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".health-") as file:
            file.write(b"health")
            file.flush()
            if Path(file.name).read_bytes() != b"health":
                yield fail(f"The cache folder {folder} does not give back what is written to it.", advice)
                return
    except OSError as error:
        yield fail(f"The cache folder {folder} cannot be written: {(error.strerror or str(error)).lower()}.", advice)
        return
    yield ok(f"The cache folder {folder} {'can be written' if there == folder else 'can be made'}.")


@check("kernels")
def kernels(context: Context) -> Iterator[Found]:
    """The layers' machine code: what is in the cache for exactly this code and this machine. Nothing is compiled."""
    import numba

    from dataflows.runtime.code_folder import cache_root
    from dataflows.runtime.compile import NotCompiledError, loading_only

    if numba.config.DISABLE_JIT:
        yield warn("NUMBA_DISABLE_JIT is set, so everything runs as plain Python, hundreds of times slower.", "Unset it.")
        return
    if os.environ.get("NUMBA_OPT", "3") == "0":
        yield warn("NUMBA_OPT is 0, so machine code is not optimised.", "Unset it, unless you are measuring compile times.")
    missing, total = [], 0
    engine = context.blank_engine()
    with loading_only():
        for node, load in engine.load_each():
            total += 1
            try:
                load()
            except NotCompiledError:
                missing.append(node.name)
        if not missing:
            try:
                context.blank_engine().warm_up()
            except NotCompiledError:
                missing.append("the step loop or a guard")
                total += 1
    if not missing:
        yield ok(f"Machine code of all {plural(total, 'layer')} is in {cache_root()}: a run starts without compiling.")
        return
    shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    yield warn(
        f"{len(missing)} of {plural(total, 'layer')} {_lacks(missing)} machine code in the cache: {shown}.",
        "Nothing is wrong: the next run, or this command without --quick, compiles them once, for about a minute on two cores.",
    )


def _lacks(missing: list[str]) -> str:
    return "lacks" if len(missing) == 1 else "lack"
