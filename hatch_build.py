"""What a build does beside packing: the pages' JavaScript is fetched, so that an installed package needs no network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FetchJavaScript(BuildHookInterface):  # type: ignore[type-arg]
    """Fills drivers/web/vendor before files are collected."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling for wheels and editable installs alike."""
        sys.path.insert(0, str(Path(self.root)))
        try:
            from drivers.web.vendor import fetch
        finally:
            sys.path.pop(0)
        fetch()
