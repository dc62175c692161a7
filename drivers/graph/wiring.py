"""`wiring_master.yaml`: what code alone cannot say of the graph, read, and its lists of inputs rewritten from the code.

The edges' truth is the functions' parameters. The file repeats them so that a reviewer sees an edge change as a diff;
`drivers.graph.rules.check` holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from dataflows.spans import BarClock
from drivers.files.atomic import write_atomic
from drivers.files.yaml_edit import line_end, value_of
from drivers.graph.layers import SUFFIX, Delayed, LayerNode
from drivers.project.errors import ProjectError
from drivers.project.machine_specs import MachineSpec
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import layer_hint
from drivers.text.times import duration, parse_duration

_WIDTH: Final = 120
EPOCH_BARS: Final = 60
"""Fewest bars of an epoch at a usual day's clock."""


Inputs: TypeAlias = tuple[str, ...] | dict[str, tuple[str, ...]]
"""A layer's list of inputs; of a layer with several forms a list for each."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Domain(_Model):
    """One domain: its boundary model, and whose layers its own may take."""

    boundary: str | None = Field(default=None, description="import path of the boundary model; none while it has no layers")
    may_take: tuple[str, ...] = ()


class LayerEntry(_Model):
    """One layer, as the file has it."""

    id: str
    domain: str
    schedule: Literal["columnar", "step", "post", "epoch"]
    inputs: Inputs = Field(
        default=(), description="a list; of a layer with several forms, a list for each: {sim: [...], live: [...]}"
    )
    cross_sectional: bool = False
    enabled: bool = True
    sink: bool = Field(default=False, description="it may feed no other layer")

    def inputs_of(self, form: str) -> tuple[str, ...]:
        """The inputs that are listed for a form; () where it is not listed. form: empty for a layer that has one."""
        if isinstance(self.inputs, dict):
            return self.inputs.get(form, ())
        return self.inputs


class DelayedEdge(_Model):
    """A declared feedback edge: the value of `source`, or of its `field`, comes round after `delay`."""

    source: str = Field(alias="from")
    field: str | None = None
    delay: Literal["bar", "epoch"]
    when: str | None = Field(default=None, description="a switch, as domain.key: while that is 0, the start value holds")
    awaits: bool = Field(default=False, description="its source is not in the graph: the start value holds")

    def plain(self) -> Delayed:
        """The edge as the plan takes it."""
        domain, _, key = (self.when or "").partition(".")
        return Delayed(self.source, self.field, self.delay, (domain, key) if key else None)


class Door(_Model):
    """No path leads from any of `source` to `to` within the bar but through `door`."""

    source: tuple[str, ...] = Field(alias="from")
    door: str
    to: str

    @field_validator("source", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


class Unread(_Model):
    """Fields that no layer reads, and why they are there all the same."""

    reason: str
    fields: tuple[str, ...] = Field(description="each as layer.field")


class Wiring(_Model):
    """The wiring file."""

    clock: str = Field(description="the base bar of pictures and pages, a number and s, m, h or d; a data set has its own")
    epoch: str = Field(description="how often the system adapts: a number and s, m, h or d, counted from 1970-01-01 UTC")
    variants: dict[str, str] = Field(
        default_factory=dict, description="which variant of a layer is taken, where it has several"
    )
    external: tuple[str, ...] = Field(
        default=(), description="values that the engine hands in beside the layers, under any variant"
    )
    driver_keys: tuple[str, ...] = Field(default=(), description="configuration keys that drivers read, as domain.key")
    unread: tuple[Unread, ...] = Field(default=(), description="fields that no layer reads, so that `check` does not warn")
    domains: dict[str, Domain]
    delayed: dict[str, DelayedEdge] = Field(default_factory=dict)
    doors: tuple[Door, ...] = ()
    layers: dict[str, LayerEntry]

    @field_validator("clock", "epoch")
    @classmethod
    def _a_duration(cls, value: str) -> str:
        parse_duration(value)
        return value

    @property
    def clock_ns(self) -> int:
        """Length of the base bar."""
        return parse_duration(self.clock)

    @property
    def epoch_ns(self) -> int:
        """Length of an epoch."""
        return parse_duration(self.epoch)

    def at_clock(self, clock: BarClock) -> Wiring:
        """With epochs of as many of its own as hold EPOCH_BARS bars: nothing is learned of one daily bar."""
        bars = max(1, round(clock.day * self.epoch_ns / parse_duration("1d")))
        own = -(-EPOCH_BARS // bars)
        return self if own == 1 else self.model_copy(update={"epoch": duration(own * self.epoch_ns)})

    @property
    def enabled(self) -> tuple[str, ...]:
        """The layers that run."""
        return tuple(name for name, entry in self.layers.items() if entry.enabled)

    def inputs_of(self, name: str) -> tuple[str, ...]:
        """The listed inputs of a layer in the form that the variants choose."""
        inputs = self.layers[name].inputs
        if not isinstance(inputs, dict):
            return inputs
        return next((inputs[form] for form in self.variants.values() if form in inputs), ())

    def delayed_edges(self) -> dict[str, Delayed]:
        """The feedback edges as the plan takes them, those whose source is still awaited included."""
        return {name: edge.plain() for name, edge in self.delayed.items()}


def load(path: Path) -> Wiring:
    """The wiring in a file. Raises ProjectError naming the file, the place in it, and what is wrong there."""
    values = read_yaml(path)
    try:
        return Wiring(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(p for p in map(str, first["loc"]) if "[" not in p)  # pydantic names the type it tried, too
        if first["type"] == "extra_forbidden":
            raise ProjectError(f"{path}: {place} is not a key of the wiring file.") from None
        if first["type"] == "missing":
            raise ProjectError(f"{path}: {place} is missing.") from None
        reason = first["msg"].removeprefix("Value error, ")
        raise ProjectError(f"{path}: {place} is {first['input']!r}; {reason[0].lower()}{reason[1:]}.") from None


def with_spec(wiring: Wiring, spec: MachineSpec) -> Wiring:
    """The wiring under a machine spec: its domain's layers switched on or off, its variants taken.

    Raises ProjectError when it names a layer that is not in the file or is of another domain.
    """
    layers = dict(wiring.layers)
    for name, enabled in spec.enabled.items():
        entry = layers.get(name)
        if entry is None:
            raise ProjectError(f"spec {spec.name}: there is no layer {name}; {layer_hint(name, list(layers))}")
        if entry.domain != spec.domain:
            raise ProjectError(
                f"spec {spec.name} is of {spec.domain}, but {name} is of {entry.domain}; a spec changes one domain."
            )
        layers[name] = entry.model_copy(update={"enabled": enabled})
    return wiring.model_copy(update={"layers": layers, "variants": {**wiring.variants, **spec.variants}})


def wired_inputs(node: LayerNode, configs: Mapping[str, Any]) -> tuple[str, ...]:
    """What the file lists of a layer's parameters: all but its carry and its configurations, in the function's order."""
    return tuple(p for p in node.params if not p.endswith(SUFFIX) and p not in configs)


def synced(text: str, nodes: Sequence[LayerNode], configs: Mapping[str, Any]) -> str:
    """The wiring file with every list of inputs as the functions have it, and an entry for every layer that has none.

    nodes: the layers; one with several forms once for each (`forms_of`).
    Only those lists change: comments and the order of everything else stay. Entries of layers that are no longer in the code
    are left for `wiring check` to name, since what they meant is for a person to say.
    """
    layers = value_of(yaml.compose(text), "layers")
    if not isinstance(layers, yaml.MappingNode):
        raise ProjectError("the wiring file has no mapping `layers`; begin it with `layers:` and one entry.")
    by_name: dict[str, list[LayerNode]] = {}
    for form in nodes:
        by_name.setdefault(form.name, []).append(form)
    edits: list[tuple[int, int, str]] = []
    last_of_domain: dict[str, int] = {}
    seen: set[str] = set()
    for key, entry in layers.value:
        seen.add(key.value)
        forms = by_name.get(key.value)
        if not isinstance(entry, yaml.MappingNode):
            continue
        domain = value_of(entry, "domain")
        last_of_domain[domain.value if domain is not None else ""] = line_end(text, entry)
        if forms is None:
            continue
        wanted = _wanted(forms, configs)
        listed = value_of(entry, "inputs")
        if listed is None:
            raise ProjectError(f"{key.value} has no list `inputs` in the wiring file; give it one: inputs: []")
        if _listed(listed) != wanted:
            if isinstance(listed, yaml.MappingNode) and not listed.flow_style:
                raise ProjectError(f"{key.value}: write its `inputs` in braces: inputs: {{sim: [], live: []}}")
            edits.append((listed.start_mark.index, listed.end_mark.index, _flow(wanted)))
    end = line_end(text, layers)
    for name, forms in reversed(by_name.items()):  # each goes before those already put in the same place
        if name not in seen:
            at = last_of_domain.get(forms[0].domain, end)
            edits.append((at, at, _entry(forms, configs)))
    for start, stop, new in sorted(edits, key=lambda e: (e[0], e[1]), reverse=True):
        text = text[:start] + new + text[stop:]
    return text


def sync(path: Path, nodes: Sequence[LayerNode], configs: Mapping[str, Any]) -> bool:
    """Rewrites the lists of inputs in the file; True when something changed. All or nothing."""
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"{path}: {(error.strerror or str(error)).lower()}.") from None
    after = synced(before, nodes, configs)
    if after != before:
        write_atomic(path, after)
    return after != before


def _wanted(forms: Sequence[LayerNode], configs: Mapping[str, Any]) -> Inputs:
    if not forms[0].form:
        return wired_inputs(forms[0], configs)
    return {form.form: wired_inputs(form, configs) for form in forms}


def _listed(listed: yaml.Node) -> Inputs:
    if isinstance(listed, yaml.MappingNode):
        return {key.value: tuple(item.value for item in inputs.value) for key, inputs in listed.value}
    return tuple(item.value for item in listed.value)


def _flow(inputs: Inputs) -> str:
    """A flow list, or a flow mapping of them, broken into lines below the key where it is long."""
    if isinstance(inputs, dict):
        lists = [f"{form}: [{', '.join(items)}]" for form, items in inputs.items()]
        flat = f"{{{', '.join(lists)}}}"
        return flat if len(flat) + len("    inputs: ") <= _WIDTH else "{\n      " + ",\n      ".join(lists) + "\n    }"
    flat = f"[{', '.join(inputs)}]"
    if len(flat) + len("    inputs: ") <= _WIDTH:
        return flat
    lines, line = [], " " * 6
    for item in inputs:
        piece = f"{item}, "
        if len(line) + len(piece) > _WIDTH:
            lines.append(line.rstrip())
            line = " " * 6
        line += piece
    lines.append(line.rstrip().removesuffix(","))
    return "[\n" + "\n".join(lines) + "\n    ]"


def _entry(forms: Sequence[LayerNode], configs: Mapping[str, Any]) -> str:
    node = forms[0]
    lines = [f"  {node.name}:", f"    id: {node.layer_id}", f"    domain: {node.domain}", f"    schedule: {node.schedule}"]
    if node.cross_sectional:
        lines.append("    cross_sectional: true")
    lines.append(f"    inputs: {_flow(_wanted(forms, configs))}")
    return "\n".join(lines) + "\n"
