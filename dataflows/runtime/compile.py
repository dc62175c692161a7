"""`@kernel`: numba, with a cache keyed by content.

numba's own cache looks at one file. A changed callee, constant or NamedTuple field order in another file goes unnoticed there
and gives stale machine code. Here the name of the cache folder is a hash of everything that the machine code froze: bytecode,
constants, globals, record fields and module names, transitively, with the versions of numba, llvmlite, NumPy and Python.

Where the cache is and what keeps others out of it: `code_folder.py`. A folder that cannot be written or is not trusted costs
the cache, not the run.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import llvmlite
import numba as nb
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _CacheLocator
from numba.core.compiler import Compiler
from numba.core.dispatcher import Dispatcher
from numba.core.registry import CPUDispatcher
from numba.core.serialize import dumps

from dataflows.runtime import lent, loop_form, shipped
from dataflows.runtime.claims import Claim, claim_or_wait
from dataflows.runtime.code_folder import UntrustedFolderError, code_folder, make_entry_folder, sign, verify
from dataflows.runtime.loaded import made_ready
from dataflows.runtime.scratch import compiling, for_loop_alone, takes_rows

F = TypeVar("F", bound=Callable[..., Any])

# no fastmath: it reorders sums. Bounds are checked: without it an index past the end wrote into a neighbour's state.
# nogil: layers that do not wait for each other run side by side (drivers/engine/parallel.py).
# no_cfunc_wrapper: nobody calls a kernel from C, and the entry for it costs compile time.
OPTIONS: Final[dict[str, Any]] = {
    "nopython": True,
    "fastmath": False,
    "error_model": "numpy",
    "boundscheck": True,
    "nogil": True,
    "no_cfunc_wrapper": True,
}
_NO_PYTHON: Final = {"no_cpython_wrapper": True}
# To hand over records costs more than a helper's work: a word for every length, stride and pointer of every array in them. Put
# into its caller's code it takes what it needs, and compiling takes no longer.
_INTO_CALLER: Final = {"forceinline": True}
_FOREIGN: Final = frozenset({"numpy", "numba", "math", "builtins", "typing", "operator"})
_KERNELS: Final[list[Dispatcher]] = []


class NotCompiledError(LookupError):
    """A kernel has no machine code in the cache for these types and this machine, and may not be compiled now."""


def fingerprint(fn: Any, *, modules: bool = True) -> str:
    """Hash of a function's bytecode and, transitively, of every global that numba freezes into its machine code.

    fn: a Python function or a compiled kernel. Comments, white space and line numbers do not count. modules: whether the names
    of modules count. They do for machine code, which looks functions and records up by them; not for what a layer computes.
    """
    digest = hashlib.sha256()
    versions = (
        nb.__version__,
        llvmlite.__version__,
        np.__version__,
        sys.implementation.cache_tag,  # as numba's own cache: machine code knows Python's interface, not its build
        sorted(OPTIONS.items()),
        nb.config.OPT,
        lent.CONTENT,
    )
    digest.update(repr(versions).encode())
    seen: set[int] = set()

    def put(*xs: Any) -> None:
        for x in xs:
            digest.update(repr(x).encode() + b"\0")

    def code(c: types.CodeType, namespace: dict[str, Any]) -> None:
        put(c.co_code, c.co_names, c.co_varnames, c.co_freevars)
        constants = c.co_consts[1:] if c.co_consts and isinstance(c.co_consts[0], str) else c.co_consts  # not the docstring
        for constant in constants:
            code(constant, namespace) if isinstance(constant, types.CodeType) else put(repr(constant))
        for name in c.co_names:
            if name in namespace:
                put(name)
                value(namespace[name], c.co_names)

    def value(x: Any, attributes: tuple[str, ...] = ()) -> None:
        x = x.py_func if isinstance(x, Dispatcher) else x
        x = getattr(x, "__memo_of__", x)  # see made.py
        if hasattr(x, "__content__"):
            put(x.__content__)
        elif isinstance(x, np.ndarray):
            put(x.dtype.str, x.shape, x.tobytes())
        elif isinstance(x, (int, float, complex, str, bytes, bool, type(None), np.generic)):
            put(type(x).__name__, x)
        elif isinstance(x, tuple):
            put("tuple", len(x))
            for y in x:
                value(y)
        elif isinstance(x, types.FunctionType) and x.__module__.partition(".")[0] not in _FOREIGN:
            if id(x) not in seen:
                seen.add(id(x))
                put(*([x.__module__] if modules else []), x.__code__.co_name)
                for cell in x.__closure__ or ():
                    value(cell.cell_contents)
                code(x.__code__, x.__globals__)
        elif isinstance(x, type) and hasattr(x, "_fields"):
            put(*([x.__module__] if modules else []), x.__qualname__, x._fields)
        elif isinstance(x, types.ModuleType) and x.__name__.partition(".")[0] not in _FOREIGN:
            for a in attributes:
                if hasattr(x, a):
                    put(a)
                    value(getattr(x, a), attributes)
        else:
            put(getattr(x, "__module__", ""), getattr(x, "__qualname__", getattr(x, "__name__", type(x).__name__)))

    value(fn)
    return digest.hexdigest()[:24]


def _record_fields(kind: Any) -> Any:
    """numba knows a NamedTuple type by its class and the types of its fields, not by their names and order."""
    if isinstance(kind, nb.types.BaseNamedTuple):
        return (
            kind.instance_class.__module__,
            kind.instance_class.__qualname__,
            kind.fields,
            tuple(map(_record_fields, kind.types)),
        )
    if hasattr(kind, "record"):  # a record that is handed over by its place (drivers/engine/loop/records.py)
        return kind.content, _record_fields(kind.record)
    return tuple(map(_record_fields, kind.types)) if isinstance(kind, nb.types.BaseTuple) else None


class _Locator(_CacheLocator):  # type: ignore[misc]  # numba ships no types
    key = ""

    def __init__(self, fn: Any) -> None:
        self._py_file = fn.__code__.co_filename

    def get_cache_path(self) -> str:
        return str(code_folder() / self.key)

    def ensure_cache_path(self) -> None:
        make_entry_folder(self.key)

    def get_source_stamp(self) -> str:
        return self.key

    def get_disambiguator(self) -> str:
        return self.key[:8]

    @classmethod
    def from_function(cls, fn: Any, file: str) -> _Locator:
        return cls(fn)


class _SignedFiles(IndexDataCacheFile):  # type: ignore[misc]  # numba ships no types
    """numba's index and data files, signed. Nothing is unpickled before its signature is verified."""

    def _load_index(self) -> dict[Any, str]:
        path = Path(self._index_path)
        try:
            signed = path.read_bytes()
        except FileNotFoundError:
            return {}
        stamp, overloads = pickle.loads(verify(path, signed))
        return dict(overloads) if stamp == self._source_stamp else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(Path(self._index_path), (self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        path = Path(self._data_path(name))
        return pickle.loads(verify(path, path.read_bytes()))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(Path(self._data_path(name)), data)

    def _write(self, path: Path, content: Any) -> None:
        with self._open_for_write(str(path)) as file:
            file.write(sign(path, self._dump(content)))


class _SignedCache(FunctionCache):  # type: ignore[misc]  # numba ships no types
    key = ""

    def __init__(self, fn: Any) -> None:
        super().__init__(fn)
        self._cache_file = _SignedFiles(self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())
        self.index: Path = Path(self._cache_file._index_path)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        made_ready(target_context)
        return self._load_overload(sig, target_context)


def _types(signature: Any) -> tuple[Any, ...]:
    """The types of the arguments, of what numba calls a signature: sometimes one, sometimes they alone."""
    return tuple(getattr(signature, "args", signature))


class _ContentCache:
    """Stands where numba keeps a dispatcher's cache. Made at the first call, when every callee is defined."""

    loading_only: ClassVar[bool] = False
    shipping_to: ClassVar[Path | None] = None

    def __init__(self, fn: Any, options: str) -> None:
        self.fn = fn
        self.options = options
        self.cache_path = ""
        self._made: dict[Any, _SignedCache] = {}
        self._claims: dict[Any, Claim | None] = {}

    def _cache(self, signature: Any) -> _SignedCache:
        args = _types(signature)
        if args not in self._made:
            key = hashlib.sha256(
                f"{fingerprint(self.fn)} {self.options} {tuple(map(_record_fields, args))}".encode()
            ).hexdigest()[:24]
            locator = type("_KeyedLocator", (_Locator,), {"key": key})
            impl = type("_KeyedImpl", (CompileResultCacheImpl,), {"_locator_classes": [locator]})
            self._made[args] = type("_KeyedCache", (_SignedCache,), {"_impl_class": impl, "key": key})(self.fn)
            self.cache_path = self._made[args].cache_path
        return self._made[args]

    def load_overload(self, signature: Any, context: Any) -> Any:
        found = self._load(signature, context) or self._shipped(signature, context)
        if found is None and self.loading_only:
            raise NotCompiledError(f"{self.fn.__qualname__} has no machine code in {self.cache_path}")
        if found is None:
            # numba asks before it compiles, and stores after: meanwhile others wait for it
            self._claims[_types(signature)] = claim_or_wait(f"{self._cache(signature).cache_path} {_types(signature)}")
            found = self._load(signature, context)
        return found

    def _shipped(self, signature: Any, context: Any) -> Any:
        try:
            made_ready(context)
            content = shipped.read(self._cache(signature).key, _types(signature))
            return None if content is None else self._cache(signature)._impl.rebuild(context, pickle.loads(content))
        except Exception as error:  # damaged, in whatever way: compile, and say so
            warnings.warn(f"{self.fn.__qualname__}: {error}; compiling", RuntimeWarning, stacklevel=2)
            return None

    def let_go(self, signature: Any) -> None:
        """Nobody has to wait for this process any more: it has the machine code, or has failed."""
        claimed = self._claims.pop(_types(signature), None)
        if claimed is not None:
            claimed.let_go()

    def _load(self, signature: Any, context: Any) -> Any:
        try:
            return self._cache(signature).load_overload(signature, context)
        except UntrustedFolderError as error:
            _not_used(str(error))
            return None
        except Exception as error:  # unreadable or truncated, in whatever way: compile anew, and say so
            warnings.warn(
                f"{self.fn.__qualname__}: cached machine code in {self.cache_path} is unusable ({error!r}); compiling anew",
                RuntimeWarning,
                stacklevel=2,
            )
            with suppress(Exception):  # an index that cannot be read cannot be added to either: begin a new one
                self._cache(signature).flush()
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        cache = self._cache(signature)
        if self.shipping_to is not None and cache._impl.check_cachable(result):
            shipped.write(self.shipping_to, cache.key, _types(signature), dumps(cache._impl.reduce(result)))
        try:
            cache.save_overload(signature, result)
        except UntrustedFolderError as error:
            _not_used(str(error))
        except OSError as error:
            warnings.warn(f"{self.fn.__qualname__}: machine code is not kept: {error}", RuntimeWarning, stacklevel=2)


@functools.cache
def _not_used(error: str) -> None:
    """Warns once of a folder, not once of each of the kernels."""
    warnings.warn(f"the machine-code cache is not used: {error}", RuntimeWarning, stacklevel=4)


class _Uncompiled:
    """A kernel where numba's compiler is off. No function: Hamilton would take that for a node of the graph."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.py_func = fn

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.py_func(*arguments, **named)


class _Compiled(CPUDispatcher):  # type: ignore[misc]  # numba ships no types
    """numba's compiler of one function, with the cache of machine code, and one process compiling where several would."""

    def __init__(self, fn: Callable[..., Any], compiler: Any = Compiler, *, for_loop: bool = False, **more: Any) -> None:
        super().__init__(fn, targetoptions={**OPTIONS, **more}, pipeline_class=compiler)
        self._for_loop = for_loop
        self._cache = _ContentCache(fn, repr(sorted(more.items())) + (loop_form.CONTENT if for_loop else ""))

    def compile(self, sig: Any) -> Any:
        """The machine code for arguments of these types: made before, loaded, or compiled now."""
        try:
            with compiling(for_loop=self._for_loop):
                return super().compile(sig)
        finally:
            self._cache.let_go(sig)


class _Kernel(_Compiled):
    """A compiled function in two forms: one for callers in Python, and one for compiled ones, which becomes part of them. One
    that takes rows of the account loop has a third form, for what only the loop runs."""

    @functools.cached_property
    def _inner(self) -> _Compiled:
        return _Compiled(self.py_func, lent.HelperCompiler, **_NO_PYTHON, **_INTO_CALLER)

    @functools.cached_property
    def _looped(self) -> _Compiled | None:
        if not takes_rows(self.py_func):
            return None
        return _Compiled(self.py_func, lent.HelperCompiler, for_loop=True, **_NO_PYTHON, **_INTO_CALLER)

    @property
    def is_compiling(self) -> Any:
        """What numba knows a function that calls itself by."""
        inner = self._looped if for_loop_alone() else None
        return super().is_compiling or (inner or self._inner).is_compiling

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What numba asks of a kernel that compiled code calls: one compilation for int64, not one for each literal number.

        Always a form for compiled code, whatever else is in the cache: what a layer costs must not depend on who called its
        helpers from Python before.
        """
        args, kws = tuple(map(_plain, args)), {name: _plain(kind) for name, kind in kws.items()}
        if for_loop_alone() and self._looped is not None:
            return self._looped.get_call_template(args, kws)
        return self._inner.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """What `get_call_template` has chosen."""
        if for_loop_alone() and self._looped is not None:
            return self._looped.get_overload(sig)
        return self._inner.get_overload(sig)


def _plain(kind: Any) -> Any:
    """What a kernel takes in place of a literal number, or of a record's place (drivers/engine/loop/records.py)."""
    return getattr(kind, "by_value", None) or nb.types.unliteral(kind)


def kernel(fn: F) -> F:
    """Compiles `fn` at its first call, in nopython mode, and keeps the machine code under its content.

    The plain function is at `plain(kernel)`. With NUMBA_DISABLE_JIT=1 nothing is compiled.
    """
    return _wrapped(fn, _Kernel(fn))


def inner_kernel(fn: F) -> F:
    """For the generated loop alone: compiled code that is only ever called by its address.

    It has no entry from Python (which takes as long to compile), so that calling it from there ends the process. A helper of a
    layer is a `kernel`: the plain form of the loop calls it from Python.
    """
    return _wrapped(fn, _Compiled(fn, **_NO_PYTHON))


def loop_layer(fn: F) -> F:
    """The same for a step layer, in the form in which nothing has an owner (`loop_form.py`)."""
    return _wrapped(fn, _Compiled(fn, loop_form.LoopLayerCompiler, for_loop=True, **_NO_PYTHON))


def fixed_kernel(fn: F, takes: tuple[Any, ...], **more: bool) -> F:
    """Compiled for arguments of these numba types and never again: others are converted, or refused. more: numba's options that
    differ from `OPTIONS`."""
    if nb.config.DISABLE_JIT:
        return fn
    compiled = _Compiled(fn, **more)
    compiled.compile(takes)
    compiled.disable_compile()
    return compiled


def _wrapped(fn: F, compiled: _Compiled) -> F:
    made = _Uncompiled(fn) if nb.config.DISABLE_JIT else compiled
    if made is compiled:
        _KERNELS.append(compiled)
    functools.update_wrapper(made, fn)
    return made  # type: ignore[return-value]


def python_of(compiled: F) -> F:
    """The Python function behind a kernel."""
    return getattr(compiled, "py_func", compiled)


@contextmanager
def compilation_frozen() -> Iterator[None]:
    """While this holds, a kernel that would compile for a new argument type fails instead, naming itself and the types.

    A strided array, or a 1 for a 1.0, would otherwise cost seconds in the middle of a stream.
    """
    frozen = [k for k in _KERNELS if k.overloads]
    for k in frozen:
        k.disable_compile()
    try:
        yield
    finally:
        for k in frozen:
            k.disable_compile(False)


@contextmanager
def loading_only() -> Iterator[None]:
    """While this holds, a kernel is loaded from the cache or raises NotCompiledError: nothing is compiled."""
    before = _ContentCache.loading_only
    _ContentCache.loading_only = True
    try:
        yield
    finally:
        _ContentCache.loading_only = before


@contextmanager
def shipping_to(folder: Path) -> Iterator[None]:
    """While this holds, what is compiled is also written to `folder`, for a package to bring along (shipped.py)."""
    _ContentCache.shipping_to = folder
    try:
        yield
    finally:
        _ContentCache.shipping_to = None
