"""What a project's files would say if some of them were others: read and checked before anything is put in place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from drivers.files.transaction import Files, read
from drivers.graph.network import Finding
from drivers.graph.rules.findings import check_project
from drivers.graph.wiring import Wiring
from drivers.graph.wiring import load as load_wiring
from drivers.project.configs import Configs, load_configs
from drivers.project.locate import WIRING, Project


class WiringBreaksError(ValueError):
    """A change is refused because the wiring would not hold, or does not hold as it is."""

    def __init__(self, sentence: str, findings: Sequence[Finding]) -> None:
        super().__init__(sentence)
        self.findings = tuple(findings)


class State(NamedTuple):
    """What the files of a project say."""

    wiring: Wiring
    configs: Configs


def state_of(project: Project) -> State:
    """Raises ProjectError or ConfigError naming the file at fault."""
    return State(load_wiring(project.wiring), load_configs(project))


def checked(project: Project, files: Files, what: str) -> State:
    """What the project says with `files` in place, once its wiring is seen to hold. Nothing in the project is touched.

    files: paths below the project's folder to contents. what: whose change it is, for the message.
    Raises WiringBreaksError, or ConfigError and ProjectError as reading does.
    """
    with tempfile.TemporaryDirectory() as folder:
        candidate = _copied(project, Path(folder), files)
        try:
            findings = check_project(candidate)[1]
            if findings:
                at_home = [f._replace(file=f.file.replace(folder, str(project.root))) for f in findings]
                raise _refusal(project, at_home, what)
            return state_of(candidate)
        except ValueError as error:
            if isinstance(error, WiringBreaksError):
                raise
            raise type(error)(str(error).replace(folder, str(project.root))) from None


def _copied(project: Project, folder: Path, files: Files) -> Project:
    all_files: Files = {WIRING: read(project.wiring)}
    for path in sorted(project.config.glob("*.y*ml")) if project.config.is_dir() else ():
        all_files[f"config/{path.name}"] = read(path)
    for name, content in {**all_files, **files}.items():
        if content is not None:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    return Project(folder, folder / WIRING, folder / "config", project.specs, project.layers, project.named)


def _refusal(project: Project, findings: Sequence[Finding], what: str) -> WiringBreaksError:
    """The door comes first: what opens a way past the gate is worse than what merely does not fit."""
    first, *more = sorted(findings, key=lambda finding: finding.rule != "door")
    if first.message in (finding.message for finding in check_project(project)[1]):
        return WiringBreaksError(
            f"The wiring does not hold as it is, before {what}: {first.message} `stratoquant wiring check` shows all there is.",
            findings,
        )
    others = f" ({len(more)} more {'finding' if len(more) == 1 else 'findings'})" if more else ""
    return WiringBreaksError(f"{what} would break the wiring, so nothing is changed: {first.message}{others}", findings)
