"""`python -P -m drivers.health_check`: the check of CI, with the options of `stratoquant health`, --project DIR and --debug.

It imports no other command, so that it can still say which module of the others is broken.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.exceptions import TyperException

from drivers.cli.common import Failed, Globals
from drivers.cli.health import health
from drivers.text.inert import shown

_NAME = "python -P -m drivers.health_check"


def main(arguments: Sequence[str]) -> int:
    """Prints what is so; 0 when nothing failed, 1 when something did, 2 when the command was not understood."""
    before = argparse.ArgumentParser(prog=_NAME, add_help=False, allow_abbrev=False)
    before.add_argument("--project", type=Path)
    before.add_argument("--debug", action="store_true")
    given, rest = before.parse_known_args(arguments)
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        epilog="Beside these: --project DIR and --debug, as before the commands of `stratoquant`.",
    )
    app.command(epilog=app.info.epilog)(health)
    try:
        code: Any = app(rest, obj=Globals(given.project, given.debug), prog_name=_NAME, standalone_mode=False)
        return int(code or 0)
    except TyperException as error:
        return _exit(f"{_NAME}: {error.format_message().strip()}", 2)
    except Failed as error:
        return _exit(str(error), 1)
    except ValueError as error:  # ProjectError: a --project that is none
        return _exit(str(error), 2)
    except KeyboardInterrupt:
        return _exit("Stopped.", 130)


def _exit(message: str, code: int) -> int:
    sys.stderr.write(shown(f"{message}\n"))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
