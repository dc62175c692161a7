"""How the commands' own help looks: `Usage: stratoquant logs [OPTIONS] RUN`, without the types of the program."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class _Plain:
    """Arguments as they are typed, and a number as N, where typer would show the types of the program."""

    def collect_usage_pieces(self: Any, ctx: Any) -> list[str]:
        arguments = [p for p in self.get_params(ctx) if p.param_type_name == "argument"]
        own = [p.display_name_raw if p.required else f"[{p.display_name_raw.strip('[]')}]" for p in arguments]
        more = [self.subcommand_metavar] if isinstance(self, TyperGroup) else []
        return [self.options_metavar, *own, *more]

    def format_options(self: Any, ctx: Any, formatter: Any) -> None:
        rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                rows[param.param_type_name].append((_named(record[0], param.param_type_name), record[1]))
        for kind, heading in (("argument", "Arguments"), ("option", "Options")):
            if rows[kind]:
                with formatter.section(heading):
                    formatter.write_dl(rows[kind])
        if isinstance(self, TyperGroup):
            self.format_commands(ctx, formatter)


def _named(name: str, kind: str) -> str:
    if kind == "argument":
        return re.sub(r" <[^<>]*>(\.\.\.)?$", "", name)
    return re.sub(r"<(int|float)( range)?>", "N", name)


class _Command(_Plain, TyperCommand):
    pass


class _Group(_Plain, TyperGroup):
    pass


class App(typer.Typer):
    """A group of commands in this look."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            cls=_Group,
            no_args_is_help=True,
            rich_markup_mode=None,
            pretty_exceptions_enable=False,
            **{"add_completion": False, **more},
        )

    def command(self, name: str | None = None, **more: Any) -> Callable[[Any], Any]:
        """As typer's own."""
        return super().command(name, cls=_Command, **more)
