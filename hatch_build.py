"""What a build does beside packing: the pages' JavaScript is fetched, so that an installed package needs no network.

With STRATOQUANT_MACHINE_CODE=x86-64-v3, a wheel also brings the layers' machine code for that kind of processor, this version
of Python and Linux, so that its users compile nothing:

    STRATOQUANT_MACHINE_CODE=x86-64-v3 python -m hatchling build -t wheel

The build then needs what a run needs (requirements.lock) and takes minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FetchJavaScript(BuildHookInterface):  # type: ignore[type-arg]
    """Fills drivers/web/vendor before files are collected."""

    PLUGIN_NAME = "custom"
    _made: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling for wheels and editable installs alike."""
        target = os.environ.get("STRATOQUANT_MACHINE_CODE", "")
        if target and self.target_name == "wheel" and version == "standard":
            self._compile(target, build_data)
        sys.path.insert(0, str(Path(self.root)))
        try:
            from drivers.web.vendor import fetch
        finally:
            sys.path.pop(0)
        fetch()

    def _compile(self, target: str, build_data: dict[str, Any]) -> None:
        """Adds machine code for a processor. STRATOQUANT_MACHINE_CODE_LAYERS: of these layers alone, for tests."""
        sys.path.insert(0, str(Path(self.root)))
        try:
            from dataflows.runtime import shipped
        finally:
            sys.path.pop(0)
        if target != shipped.TARGET:
            raise ValueError(f"STRATOQUANT_MACHINE_CODE is {target!r}; machine code can be shipped for {shipped.TARGET}")
        if not shipped.runs_here():
            raise ValueError(f"this processor is no {target}: the build runs the code that it makes")
        self._made = tempfile.TemporaryDirectory(prefix="stratoquant-machine-code-")
        folder = Path(self._made.name) / "machine_code"
        folder.mkdir()
        layers = os.environ.get("STRATOQUANT_MACHINE_CODE_LAYERS", "").split()
        code = "import sys; sys.path.insert(0, sys.argv[1]); from drivers.run.precompile import ship; ship(*sys.argv[2:])"
        environment = {
            **os.environ,
            "NUMBA_CPU_NAME": target,
            "NUMBA_CPU_FEATURES": "",
            "STRATOQUANT_CACHE": str(Path(self._made.name) / "cache"),
        }
        subprocess.run([sys.executable, "-P", "-c", code, self.root, str(folder), *layers], env=environment, check=True)
        build_data["force_include"][str(folder)] = "dataflows/machine_code"
        build_data["pure_python"] = False
        python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        build_data["tag"] = f"{python}-{python}-linux_x86_64"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called when the wheel is written."""
        if self._made is not None:
            self._made.cleanup()
