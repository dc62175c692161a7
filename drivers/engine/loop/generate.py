"""The step stage, generated from the graph as source: one loop over instants that calls every step layer in order.

1. Head: carries, delayed values and static facts are rebuilt from flat arguments, once a call.
2. Each instant: the row of every panel that a step layer reads, narrowed to the fields it reads; then the layers. The loop
   holds one row of each and moves it on.
3. What they return is copied into the recording blocks and the flat logs; `orders` becomes next instant's delayed value.
4. The loop returns early when a log might not hold one more instant; the caller empties the logs and calls again.

The same source runs compiled (layer by layer, then as one loop) and as plain Python, its reference.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

import numba
import numpy as np

from dataflows.carry import Axes
from dataflows.panel import Ints, Kind, fields_of, is_log, is_record, kind_of, unwrap_generic, walk
from dataflows.runtime.compile import kernel
from drivers.engine.loop.address import address_of, by_address, helpers, python_node, python_recorder, recorder
from drivers.engine.loop.layer_types import argument, compiled_helper, compiled_layer, declared_type, read_of, record_type
from drivers.engine.loop.records import handed, holder, mover, opener, slot
from drivers.engine.loop.rows import RowSpec, row_class, uncompiled
from drivers.graph.field_reads import Path, used_paths
from drivers.graph.layers import SUFFIX, Delayed, LayerNode, PlanError

nb: Any = numba  # its own annotations leave out what a compiler's user needs


Loop = Callable[..., int]
STEP_LOOP: Final = "the step loop"
"""What the loop itself goes by, beside the layers that it calls."""
FIRST: Final = 7  # arguments of the loop before those that depend on the graph
HELPERS: Final = tuple(f"{name}_{dtype}" for name in ("append", "keep") for dtype in ("f8", "i8"))
PANELS: Final = ("panel_f8", "panel_i8")
BLOCKS: Final = (*PANELS, "series_f8", "series_i8")


class Recorded(NamedTuple):
    """Where one recorded leaf of a step layer's output lies in the recording blocks."""

    node: str
    path: Path
    kind: Kind
    block: str  # one of BLOCKS
    row: int


def state_leaves(annotation: Any) -> Iterator[tuple[str, int]]:
    """(dtype, number of axes) of each leaf of a carry, a delayed record or a log, in order."""
    bare = unwrap_generic(annotation)
    if is_record(bare):
        for inner in fields_of(bare).values():
            yield from state_leaves(inner)
        return
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, Axes):
            yield ("i8" if "int64" in str(bare) else "f8"), len(meta.names)
            return
    kind = kind_of(annotation)
    yield kind.dtype, 1


def columns_of(log: Any) -> dict[str, list[str]]:
    """The columns of a log by dtype, in order."""
    split: dict[str, list[str]] = {"f8": [], "i8": []}
    for name, t in fields_of(log).items():
        if name != "n":
            split[kind_of(t).dtype].append(name)
    return split


class StepStage:
    """The step layers of a plan: their source, its compiled and plain forms, and what they take and record."""

    def __init__(self, nodes: Sequence[LayerNode], configs: Mapping[str, Any], delayed: Mapping[str, Delayed]) -> None:
        self.nodes = list(nodes)
        self.configs = configs
        self.delayed = delayed
        self.own = {n.name for n in nodes}
        self.hints: dict[str, Any] = {p: t for n in nodes for p, t in n.hints.items()}
        self.inputs = sorted({p for n in nodes for p in n.params} - self.own)
        self.states = [p for p in self.inputs if p.endswith(SUFFIX) or p in delayed]
        self.logs = [n for n in nodes if is_log(n.returns)]
        self.recorded = list(self._record())
        self.rows = {p: self._row(p) for p in self.inputs if self._form(p) in ("panel", "static") and is_record(self.hints[p])}
        self.block_rows = {b: sum(r.block == b for r in self.recorded) for b in BLOCKS}
        self.log_columns = {n.name: columns_of(n.returns) for n in self.logs}
        self.held = {p for p, t in self.hints.items() if p not in configs and is_record(unwrap_generic(t))}
        self.held |= {n.name for n in nodes if is_record(n.returns)}
        self.own_configs = [(n, p) for n in nodes for p in n.params if p in configs]
        self.arguments: list[str] = []
        self.panel_positions: list[int] = []  # which arguments of the loop, after the first, have a row for every instant
        self.moved: dict[str, tuple[str, str]] = {}  # source of the row at an instant, by the input that it is of
        self._made: dict[Any, tuple[Loop, Ints]] = {}
        self.namespace: dict[str, Any] = {"row_class": row_class}
        self.source = self._generate()

    # ---- what travels

    def _form(self, p: str) -> str:
        t = self.hints[p]
        if p in self.configs:
            return "config"
        if p in self.states:
            return "state"
        if is_log(t):
            return "log"
        kinds = [kind for _, kind in walk(t)]
        return "static" if kinds and all("static" in k.axes for k in kinds) else "panel"

    def _row(self, p: str) -> RowSpec:
        used: set[Path] = set()
        for node in self.nodes:
            for own, name in zip(node.fn.__code__.co_varnames, node.params, strict=False):
                if name == p:
                    used |= used_paths(node.fn, own, self.hints[p])
        if not used:
            takers = ", ".join(n.name for n in self.nodes if p in n.params)
            raise PlanError(f"{takers}: takes {p} and reads none of its fields; drop the parameter")
        return RowSpec(p, self.hints[p], used)

    def _record(self) -> Iterator[Recorded]:
        rows = dict.fromkeys(BLOCKS, 0)
        for node in self.nodes:
            if is_log(node.returns):
                continue
            for path, kind in walk(node.returns):
                if not kind.recorded:
                    continue
                if kind.axes not in ((), ("N",)):
                    raise PlanError(
                        f"{node.layer_id} {node.name}: field {'.'.join(path)} has axes {kind.axes}; a step layer records "
                        "values per instant or per symbol only; mark it recorded=False"
                    )
                block = f"{'panel' if kind.axes else 'series'}_{kind.dtype}"
                yield Recorded(node.name, path, kind, block, rows[block])
                rows[block] += 1

    # ---- source

    def _generate(self) -> str:
        head: list[str] = []
        row: list[str] = ["turn(t)"]
        args = ["t", "end", "room", "address", "arena_f8", "arena_i8", "where"]
        value: dict[str, str] = {name: f"v_{name}" for name in self.own}
        leaf_number = 0
        tails: list[str] = []
        for p in self.inputs:
            form, t = self._form(p), self.hints[p]
            if form == "config":
                args.append(p)
                head += [f"c_{n.name}__{p} = hold_{n.name}__{p}({p})" for n in self.nodes if p in n.params]
            elif form == "state":
                source, leaf_number, names = self._state(p, leaf_number)
                head.append(f"s_{p} = hold_{p}({source})" if p in self.held else f"s_{p} = {source}")
                value[p] = f"s_{p}"
                if is_log(t):
                    tails += self._write_back(p, names)
            elif form == "log":
                columns = [f for f in fields_of(t) if f != "n"]
                args += [f"{p}__at", *(f"{p}__{f}" for f in columns)]
                self.namespace[t.__name__] = t
                cut = ", ".join(f"{p}__{f}[{p}__at[t]:{p}__at[t + 1]]" for f in columns)
                row.append(f"r_{p} = hold_{p}({t.__name__}({p}__at[t + 1] - {p}__at[t], {cut}))")
                value[p] = f"r_{p}"
            elif p in self.rows:
                spec = self.rows[p]
                if form == "panel":
                    self.panel_positions += range(len(args) - FIRST, len(args) - FIRST + len(spec.leaves))
                args += [argument(p, path) for path, _ in spec.leaves]
                cut = "row({}, t)" if form == "panel" else "{}"
                expression = spec.expression(lambda path, p=p, cut=cut: cut.format(argument(p, path)))  # type: ignore[misc]
                head.append(f"r_{p} = hold_{p}({expression})")
                if form == "panel":
                    given = ", ".join(argument(p, path) for path, _ in spec.leaves)
                    row.append(f"r_{p} = move_{p}(r_{p}, t, {given})")
                    self.moved[p] = f"def move_{p}(held, t, {given}):", f"    return {expression}"
                value[p] = f"r_{p}"
            else:
                if form == "panel":
                    self.panel_positions.append(len(args) - FIRST)
                args.append(p)
                value[p] = f"row({p}, t)" if form == "panel" else p
        args += ["panel_f8", "panel_i8", "series_f8", "series_i8"]
        slots = [n.name for n in self.nodes if n.name in self.held]
        head += [f"v_{name} = open_{name}()" for name in slots]
        body = []
        for i, n in enumerate(self.nodes):
            into = [f"v_{n.name}"] if n.name in self.held else []
            given = ", ".join([f"address[{i}]", *into, *(value.get(p, f"c_{n.name}__{p}") for p in n.params)])
            body.append(f"v_{n.name} = _{n.name}({given})  # {n.layer_id}")
        body += self._recording()
        for n in self.logs:
            args += [f"{n.name}__at", f"{n.name}__f8", f"{n.name}__i8"]
            body += self._logging(n)
        for p, edge in self.delayed.items():
            if p in self.inputs and edge.delay == "bar" and edge.source in self.own:
                kept = f"take_over(s_{p}, v_{edge.source})" if p in self.held else f"v_{edge.source}"
                body.append(f"s_{p} = {kept}")
        body.append("t += 1")
        for n in self.logs:
            body += [f"if t < end and {n.name}__at[t] + room > {n.name}__f8.shape[1]:", "    break"]
        self.arguments = args
        lines = [
            "# GENERATED from the graph: the step stage",
            f"# {' > '.join(n.layer_id for n in self.nodes)}",
            *(line for spec in self.rows.values() for line in spec.declarations()),
            *(line for p, source in self.moved.items() for line in ("", f"@moved({p!r})", *source)),
            "",
            "@kernel",
            f"def steps({', '.join(args)}):",
            *(f"    {x}" for x in head),
            "    while t < end:",
            *(f"        {x}" for x in [*row, *body]),
            *(f"    {x}" for x in tails),
            "    return t",
            "",
        ]
        return "\n".join(lines)

    def flattener(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        """Straight-line code that takes the loop's flat arguments out of the values by node, in the loop's order."""
        flat = []
        for p in self.inputs:
            if p in self.rows:
                flat += [f"v[{p!r}].{'.'.join(path)}" for path, _ in self.rows[p].leaves]
            elif self._form(p) == "log":
                flat += [f"v['{p}__at']", *(f"v[{p!r}].{f}" for f in fields_of(self.hints[p]) if f != "n")]
            elif p not in self.states:
                flat.append(f"v[{p!r}]")
        namespace: dict[str, Any] = {}
        exec(f"def flatten(v): return ({''.join(f'{x}, ' for x in flat)})", namespace)
        flatten: Callable[[Mapping[str, Any]], tuple[Any, ...]] = namespace["flatten"]
        return flatten

    def boxer(self) -> Callable[[Any, Any, Any, Any], dict[str, Any]]:
        """Straight-line code that makes the layers' records out of the recording blocks."""
        where = {(r.node, r.path): f"{r.block}[{r.row}]" for r in self.recorded}
        namespace: dict[str, Any] = {}

        def build(node: str, annotation: Any, path: Path) -> str:
            if not is_record(annotation):
                return where.get((node, path), "None")
            namespace[annotation.__name__] = annotation
            parts = [build(node, inner, (*path, name)) for name, inner in fields_of(annotation).items()]
            return f"{annotation.__name__}({', '.join(parts)})"

        made = [f"{n.name!r}: {build(n.name, n.returns, ())}" for n in self.nodes if not is_log(n.returns)]
        exec(f"def box({', '.join(BLOCKS)}): return {{{', '.join(made)}}}", namespace)
        box: Callable[[Any, Any, Any, Any], dict[str, Any]] = namespace["box"]
        return box

    def _state(self, p: str, number: int) -> tuple[str, int, list[str]]:
        """Source that rebuilds a state record from the arena; the number of its first leaf; the leaf expressions."""
        names: list[str] = []

        def rebuild(annotation: Any) -> str:
            nonlocal number
            bare = unwrap_generic(annotation)
            if is_record(bare):
                self.namespace[bare.__name__] = bare
                return f"{bare.__name__}({', '.join(rebuild(inner) for inner in fields_of(bare).values())})"
            ((dtype, axes),) = state_leaves(annotation)
            view = f"view_{axes}(arena_{dtype}, where, {number})"
            names.append(f"arena_{dtype}, where, {number}")
            number += 1
            return view

        source = rebuild(self.hints[p])
        if is_log(self.hints[p]):  # `n` is a scalar in the record and an array of one in the arena
            source = source.replace(f"view_1({names[0]})", f"view_1({names[0]})[0]", 1)
        return source, number, names

    def _write_back(self, p: str, names: Sequence[str]) -> list[str]:
        fields = list(fields_of(self.hints[p]))
        lines = [f"view_1({names[0]})[0] = s_{p}.n"]
        for field, name in zip(fields[1:], names[1:], strict=True):
            dtype = name[6:8]
            lines.append(f"{self._helper(f'keep_{dtype}')}{name}, s_{p}.n, s_{p}.{field})")
        return lines

    def _helper(self, name: str) -> str:
        """The beginning of a call of a helper by its address."""
        return f"{name}(address[{len(self.nodes) + HELPERS.index(name)}], "

    def _recording(self) -> list[str]:
        series = [r for r in self.recorded if r.block.startswith("series")]
        lines = [f"{r.block}[{r.row}, t] = v_{'.'.join((r.node, *r.path))}" for r in series]
        for block in PANELS:
            nodes, leaves = self._recorded_in(block)
            if leaves:
                lines.append(f"record_{block}({', '.join([block, 't', *(f'v_{n}' for n in nodes)])})")
        return lines

    def _recorded_in(self, block: str) -> tuple[list[str], list[tuple[int, Path]]]:
        """The layers that a block of panels records, and which of them, and which of its fields, each row takes."""
        own = [r for r in self.recorded if r.block == block]
        nodes = list(dict.fromkeys(r.node for r in own))
        return nodes, [(nodes.index(r.node), r.path) for r in own]

    def _logging(self, node: LayerNode) -> list[str]:
        name, columns = node.name, self.log_columns[node.name]
        lines = [
            f"k = {name}__at[t]",
            f"if k + v_{name}.n > {name}__f8.shape[1]:",
            f"    raise RuntimeError('{node.layer_id} {name}: more entries in one instant than a log has room for')",
        ]
        lines.append(f"if v_{name}.n > 0:")
        for dtype, names in columns.items():
            call = self._helper(f"append_{dtype}")
            lines += [f"    {call}{name}__{dtype}, {c}, k, v_{name}.n, v_{name}.{f})" for c, f in enumerate(names)]
        lines.append(f"{name}__at[t + 1] = k + v_{name}.n")
        return lines

    # ---- forms

    def interpreted(self) -> tuple[Loop, Ints]:
        """The loop as plain Python, the reference of the compiled one; and the addresses it is called with (none)."""
        own = helpers(compiled=False)
        calls = {f"_{n.name}": python_node(n.fn, into=n.name in self.held) for n in self.nodes}
        calls |= {name: python_node(own[name[:-3]], into=False) for name in HELPERS}
        calls |= {f"hold_{p}": uncompiled for p in (*self.held, *(f"{n.name}__{p}" for n, p in self.own_configs))}
        calls |= {f"open_{n.name}": lambda: None for n in self.nodes if n.name in self.held}
        calls |= {f"record_{block}": python_recorder(self._recorded_in(block)[1]) for block in PANELS}
        addresses = np.zeros(len(self.nodes) + len(HELPERS), np.int64)
        return self._execute("plain", {**own, **calls, "kernel": uncompiled, "moved": lambda p: uncompiled}), addresses

    def compiled(self, arguments: Sequence[Any], on_layer: Callable[[str], None]) -> tuple[Loop, Ints]:
        """The compiled loop for arguments of these types, and the addresses of its layers.

        Layers are compiled one by one, in graph order. Raises LayerCompileError for the first that fails or returns
        something else than it declares.
        """
        if nb.config.DISABLE_JIT:
            return self.interpreted()
        types = self._input_types(dict(zip(self.arguments[FIRST:], arguments, strict=True)))
        key = tuple(types.items())
        if key in self._made:
            for name in (*(n.name for n in self.nodes), STEP_LOOP):
                on_layer(name)
        else:
            layers: dict[str, Any] = {f"hold_{p}": holder(f"hold_{p}", types[p]) for p in self.inputs if p in self.held}
            for node, p in self.own_configs:
                layers[f"hold_{node.name}__{p}"] = holder(f"hold_{node.name}__{p}", read_of(node, p, types[p]))
            addresses = np.zeros(len(self.nodes) + len(HELPERS), np.int64)
            for i, node in enumerate(self.nodes):
                on_layer(node.name)
                given = self._given(node, types)
                takes = tuple(map(handed, given))
                layer = compiled_layer(node, takes)
                returns = layer.overloads[takes].signature.return_type
                types[node.name] = returns
                addresses[i] = address_of(layer, takes)
                layers[f"_{node.name}"] = by_address(node.name, returns, given)
                if node.name in self.held:
                    layers[f"open_{node.name}"] = opener(f"open_{node.name}", returns)
            on_layer(STEP_LOOP)
            for i, name in enumerate(HELPERS):
                helper, takes = compiled_helper(name)
                addresses[len(self.nodes) + i] = address_of(helper, takes)
                layers[name] = by_address(name, nb.none, takes)
            for block, element in zip(PANELS, (nb.float64, nb.int64), strict=True):
                nodes, leaves = self._recorded_in(block)
                given = tuple(slot(types[name]) for name in nodes)
                layers[f"record_{block}"] = recorder(f"record_{block}", nb.types.Array(element, 3, "C"), given, leaves)
            movers = {p: mover(f"move_{p}", types[p], [path for path, _ in self.rows[p].leaves]) for p in self.moved}
            more = {**helpers(compiled=True), **layers, "kernel": kernel, "moved": lambda p: lambda plain: movers[p]}
            self._made[key] = self._execute(str(len(self._made)), more), addresses
        return self._made[key]

    def load(self, node: LayerNode, values: Mapping[str, Any]) -> None:
        """Loads or compiles one layer, without those before it: they return what they declare.

        values: what the stage takes, by name, in panels. Raises LayerCompileError, and what `loading_only` does.
        """
        types = self._input_types(dict(zip(self.arguments[FIRST:], self.flattener()(values), strict=False)))
        types |= {n.name: declared_type(n.returns) for n in self.nodes}
        compiled_layer(node, tuple(map(handed, self._given(node, types))))

    def _given(self, node: LayerNode, types: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the loop hands a layer: values, and records in slots. types: of every input and of the layers before."""
        return tuple(slot(read_of(node, p, types[p]) if p in self.configs else types[p]) for p in node.params)

    def _execute(self, which: str, more: Mapping[str, Any]) -> Loop:
        name = f"stratoquant_steps_{which}_{hashlib.sha256(self.source.encode()).hexdigest()[:16]}"
        module = sys.modules[name] = ModuleType(name)  # numba looks a cached function's module up by name
        module.__dict__.update(self.namespace, **more)
        file = f"<{name}>"
        linecache.cache[file] = (len(self.source), None, self.source.splitlines(keepends=True), file)  # for tracebacks
        exec(compile(self.source, file, "exec"), module.__dict__)
        loop: Loop = module.__dict__["steps"]
        return loop

    def _input_types(self, given: Mapping[str, Any]) -> dict[str, Any]:
        types: dict[str, Any] = {}
        for p in self.inputs:
            form, t = self._form(p), self.hints[p]
            if form == "config":
                types[p] = nb.typeof(given[p])
            elif form == "state":
                leaves: list[Any] = []
                for dtype, axes in state_leaves(t):
                    leaves.append(nb.types.Array(nb.float64 if dtype == "f8" else nb.int64, axes, "C"))
                if is_log(t):
                    leaves[0] = nb.int64
                types[p] = record_type(t, iter(leaves))
            elif form == "log":
                types[p] = record_type(t, iter([nb.int64, *(nb.typeof(given[f"{p}__{f}"]) for f in fields_of(t) if f != "n")]))
            else:
                types[p] = declared_type(t) if p in self.rows else nb.typeof(given[p][0 if form == "panel" else slice(None)])
        return types
