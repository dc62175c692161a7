"""The project: its configuration, its machine specs, its wiring."""

from __future__ import annotations

from collections.abc import Iterator

from drivers.health.context import Context
from drivers.health.registry import Found, check, fail, ok, warn
from drivers.text.counts import plural


@check("configuration")
def configuration(context: Context) -> Iterator[Found]:
    """config/*.yml: every key known and in its range."""
    try:
        configs = context.configs
    except ValueError as error:  # ConfigError, ProjectError: one sentence naming file, key and bound
        yield fail(str(error), "Correct that key in its file.")
        return
    keys = sum(len(record._fields) for record in configs.values())
    yield ok(f"{plural(keys, 'key')} of {plural(len(configs), 'domain')}, from {context.project.config}, are in their ranges.")


@check("specs")
def specs(context: Context) -> Iterator[Found]:
    """Every machine spec: it loads, its values resolve, and the wiring holds with it."""
    from drivers.graph.modules import layer_modules
    from drivers.graph.rules.check import check as rules
    from drivers.graph.wiring import with_spec
    from drivers.project.configs import load_configs
    from drivers.project.domains import config_records
    from drivers.project.machine_specs import known_specs, load_spec

    names = known_specs(context.project)
    modules, sound = layer_modules(context.project), []
    for name in names:
        try:
            spec = load_spec(context.project, name)
            load_configs(context.project, spec=spec)
            findings = rules(with_spec(context.wiring, spec), modules, config_records())
        except ValueError as error:
            yield fail(str(error), f"Correct the spec, or move it out of {context.project.specs}.")
            continue
        if findings:
            more = f" ({plural(len(findings), 'finding')} in all)" if len(findings) > 1 else ""
            yield fail(
                f"With the spec {name} the wiring does not hold: {findings[0].message}{more}",
                f"Correct `enabled` or `variants` in {name}.yaml; `stratoquant wiring check` is about the wiring without it.",
            )
        else:
            sound.append(name)
    if sound:
        yield ok(f"{plural(len(sound), 'machine spec')} can be run with: {', '.join(sound)}.")
    elif not names:
        yield ok("There are no machine specs.")
    folder = context.project.specs
    for path in sorted(folder.glob("*.yml")) if folder.is_dir() else ():
        yield warn(f"{path} is read by nothing: a machine spec's file ends in .yaml.", f"Call it {path.stem}.yaml.")


@check("wiring")
def wiring(context: Context) -> Iterator[Found]:
    """wiring_master.yaml, the layers, config/ and the boundary models against each other."""
    from drivers.graph.rules.findings import check_project, summary

    try:
        read, findings = check_project(context.project)
    except ValueError as error:
        yield fail(str(error), "Correct that file; `stratoquant wiring check` asks again.")
        return
    for finding in findings:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file or context.project.wiring
        yield fail(finding.message, f"See {place}; `stratoquant wiring check` asks again.")
    if not findings:
        yield ok(f"{summary(read)[0].upper()}{summary(read)[1:]}")
