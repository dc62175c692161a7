"""Applying a machine spec, and taking back the last one.

1. The spec is held against the project: its keys, values, layers and variants exist, are of its domain and in range.
2. The files are edited as text, in memory: what does not change stays to the byte.
3. The whole project is read and its wiring checked with those files in place. What would break it is refused here.
4. All files change together (drivers/files/transaction.py); the record of it is the history.

Taking back goes the same way. Lines that were edited since are kept where the spec did not change them; where it did, taking it
back is refused, for it would lose the edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataflows.config import file_keys, shares_of_account, spans_of
from drivers.files.transaction import Entry, Files, change, read
from drivers.files.yaml_edit import edited
from drivers.graph.modules import layer_modules
from drivers.graph.network import forms_of
from drivers.graph.variants import known_variants
from drivers.graph.wiring import synced, with_spec
from drivers.project.configs import config_text, explained, load_configs, title_of
from drivers.project.domains import config_records
from drivers.project.errors import ProjectError
from drivers.project.locate import SHIPPED, WIRING, Project, locate
from drivers.project.machine_specs import MachineSpec
from drivers.specs.candidate import checked, state_of
from drivers.specs.difference import Difference, difference
from drivers.specs.history import applied
from drivers.specs.merge import merged
from drivers.text.suggestions import did_you_mean


@dataclass(frozen=True)
class Proposal:
    """A change that was checked and not yet carried out."""

    spec: MachineSpec
    difference: Difference
    about: dict[str, Any]  # for the record


def owned(folder: Path | None = None) -> Project:
    """The project in `folder` or, without one, the current folder, if its files are the user's own to change.

    Raises ProjectError for the package's own files, which all projects share, and for the record of a finished run.
    """
    project = locate(folder)
    if (folder is None and project.root != Path.cwd()) or project.root.resolve() == SHIPPED:
        raise ProjectError(
            f"{folder or 'the current folder'} is no project of your own, and the package's files are shared by all projects; "
            "`stratoquant config init DIR` makes one, and --project DIR names it."
        )
    if (project.root / "run.json").is_file():
        raise ProjectError(f"{project.root} is the record of a finished run, and stays as it is; name a project's folder.")
    return project


def propose(project: Project, spec: MachineSpec) -> Proposal:
    """What the spec would change. An empty difference says that all is so already.

    Raises ProjectError or ConfigError naming what the spec has wrong, WiringBreaksError when the wiring would not hold.
    """
    old = state_of(project)
    new_wiring = with_spec(old.wiring, spec)
    _refuse_unknown_variants(spec, project)
    new_config = load_configs(project, spec=spec)[spec.domain]
    config = f"config/{spec.domain}.yml"
    before: Files = {}
    after: Files = {}
    values = {k: getattr(new_config, k) for k in spec.config if getattr(new_config, k) != getattr(old.configs[spec.domain], k)}
    if values:
        before[config] = _own(project, project.config, "config/", read(project.config / f"{spec.domain}.yml"))
        record = config_records()[spec.domain]
        as_said = {
            key: spec.config[key] if key in spans_of(record) or key in shares_of_account(record) else value
            for key, value in values.items()
        }
        after[config] = _config_file(spec.domain, before[config], record, as_said)
    wired: dict[tuple[str, ...], Any] = {
        ("layers", name, "enabled"): enabled
        for name, enabled in spec.enabled.items()
        if old.wiring.layers[name].enabled != enabled
    }
    taken: dict[tuple[str, ...], Any] = {
        ("variants", name): value for name, value in spec.variants.items() if old.wiring.variants.get(name) != value
    }
    if wired or taken:
        before[WIRING] = _own(project, project.wiring, WIRING, read(project.wiring))
        text = edited((before[WIRING] or b"").decode(), {**wired, **taken})
        if taken:  # another method may take other inputs
            text = synced(text, forms_of(layer_modules(project)), config_records())
        after[WIRING] = text.encode()
    new = checked(project, after, f"spec {spec.name}") if after else old._replace(wiring=new_wiring)
    return Proposal(spec, difference(old, new, before, after), {"kind": "apply", "spec": spec.model_dump()})


def take_back(project: Project, *, force: bool = False) -> Proposal:
    """What taking back the spec that was applied last would change.

    force: also lines that were edited since go back to what they were before the spec; the record keeps the edits.
    Raises ProjectError when nothing is applied or an edit would be lost, WiringBreaksError when the wiring would not hold.
    """
    entries = applied(project.root)
    if not entries:
        raise ProjectError(f"no machine spec is applied in {project.root}; there is nothing to take back.")
    entry = entries[-1]
    spec = MachineSpec(**entry.about["spec"])
    then, made = entry.files("before"), entry.files("after")
    now: Files = {name: read(project.root / name) for name in made}
    after: Files = {}
    for name, content in now.items():
        kept = then[name] if force or content == made[name] else _without(made[name], content, then[name])
        if kept is None and not (force or content == made[name]):
            raise ProjectError(
                f"{project.root / name} was edited since {spec.name} was applied, where {spec.name} had changed it; taking it "
                "back would lose that edit. Undo the edit first, or give --force: the record then keeps the file as it is now."
            )
        after[name] = kept
    new = checked(project, after, f"taking back {spec.name}")
    about = {"kind": "undo", "undoes": entry.number, "spec": spec.model_dump()}
    return Proposal(spec, difference(state_of(project), new, now, after), about)


def carry_out(project: Project, proposal: Proposal) -> Entry:
    """Puts the files in place, together. Raises ChangeError or OSError; the files are then as they were."""
    return change(project.root, proposal.difference.before, proposal.difference.after, proposal.about)


def _own(project: Project, path: Path, name: str, content: bytes | None) -> bytes | None:
    if path.parent != project.root:
        raise ProjectError(
            f"{project.root} has no {name} of its own to change; `stratoquant config init {project.root}` puts one there."
        )
    return content


def _config_file(domain: str, content: bytes | None, record: type[tuple[Any, ...]], values: dict[str, Any]) -> bytes:
    if content is None:
        return config_text(record, values, title=title_of(domain, record)).encode()
    notes = {key: ": ".join(explained(record, key)) for key in values}
    return edited(content.decode(), {(k,): v for k, v in values.items()}, order=file_keys(record), notes=notes).encode()


def _without(made: bytes | None, now: bytes | None, then: bytes | None) -> bytes | None:
    """The file as it is now without the change from `then` to `made`; None when the two cannot be told apart."""
    if made is None or now is None or then is None:
        return None
    text = merged(made.decode(), now.decode(), then.decode())
    return None if text is None else text.encode()


def _refuse_unknown_variants(spec: MachineSpec, project: Project) -> None:
    known = known_variants(project)
    for name, value in spec.variants.items():
        if name not in known:
            raise ProjectError(f"spec {spec.name}: there is no variant {name}; {did_you_mean(name, known)}")
        layers = known[name]
        if value not in layers:
            raise ProjectError(f"spec {spec.name}: variant {name} has no {value}; {did_you_mean(value, layers)}")
        for domain, layer in layers[value]:
            if domain != spec.domain:
                raise ProjectError(
                    f"spec {spec.name} is of {spec.domain}, but variant {name} chooses the method of {layer}, which is of "
                    f"{domain}; a spec changes one domain."
                )
