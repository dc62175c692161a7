"""`python -P -m drivers.domain_apply SPEC [--dry-run] [--json] [--project DIR]`: apply a machine spec in CI or a script."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from drivers.files.transaction import Entry
from drivers.project.machine_specs import load_spec
from drivers.specs.apply import Proposal, carry_out, owned, propose
from drivers.specs.candidate import WiringBreaksError
from drivers.text.inert import json_text, shown


class Applied(NamedTuple):
    """What came of a proposal."""

    proposal: Proposal
    entry: Entry | None  # its record; None when nothing changes, or nothing was to be written

    def sentence(self, dry_run: bool) -> str:
        """One sentence for a person."""
        name, undoes = self.proposal.spec.name, self.proposal.about["kind"] == "undo"
        if not self.proposal.difference:
            return f"{name} changes nothing: all of it is so already." if not undoes else f"{name} is taken back already."
        files = ", ".join(self.proposal.difference.as_json()["files"])
        if dry_run:
            return f"Dry run: {'taking back ' if undoes else ''}{name} would change {files}; nothing is written."
        if undoes:
            return f"{name} is taken back: {files} changed."
        return f"{name} is applied: {files} changed. `stratoquant domain undo` takes it back."

    def as_json(self, dry_run: bool) -> dict[str, Any]:
        """Plain values; `status` is one of applied, undone, unchanged, dry-run."""
        status = {"apply": "applied", "undo": "undone"}[self.proposal.about["kind"]]
        if self.entry is None:
            status = "dry-run" if dry_run and self.proposal.difference else "unchanged"
        spec = self.proposal.spec
        number = self.entry.number if self.entry else None
        head = {"status": status, "spec": spec.name, "domain": spec.domain, "about": spec.about, "number": number}
        return {**head, **self.proposal.difference.as_json()}


def apply_spec(folder: Path | None, name: str, *, dry_run: bool = False) -> Applied:
    """Applies a machine spec to the project in `folder` (None: the current one), unless it changes nothing.

    Raises ProjectError, ConfigError, WiringBreaksError, ChangeError or OSError, each in one sentence; nothing is changed then.
    """
    project = owned(folder)
    proposal = propose(project, load_spec(project, name))
    return Applied(proposal, carry_out(project, proposal) if proposal.difference and not dry_run else None)


def refusal(error: WiringBreaksError) -> dict[str, Any]:
    """A refused change as plain values."""
    return {"status": "refused", "reason": str(error), "findings": [finding._asdict() for finding in error.findings]}


def main(arguments: Sequence[str] | None = None) -> int:
    """0: applied, or nothing to change; 1: refused for the wiring's sake, or not written; 2: the spec or a file is wrong."""
    parser = argparse.ArgumentParser(prog="python -P -m drivers.domain_apply", description="Apply a machine spec to a project.")
    parser.add_argument("spec", metavar="SPEC", help="a name in specs/, or a file")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.add_argument("--project", type=Path, metavar="DIR", help="folder of the project; the current one without it")
    asked = parser.parse_args(arguments)
    try:
        done = apply_spec(asked.project, asked.spec, dry_run=asked.dry_run)
    except WiringBreaksError as error:
        if asked.json:
            sys.stdout.write(json_text(refusal(error), indent=2) + "\n")
        sys.stderr.write(shown(f"{error}\n"))
        return 1
    except ValueError as error:  # ProjectError, ConfigError, ChangeError
        sys.stderr.write(shown(f"{error}\n"))
        return 2
    except OSError as error:
        sys.stderr.write(shown(f"{error.filename}: {(error.strerror or str(error)).lower()}.\n"))
        return 1
    if asked.json:
        sys.stdout.write(json_text(done.as_json(asked.dry_run), indent=2) + "\n")
        return 0
    text = "\n".join(part for part in (str(done.proposal.difference), done.sentence(asked.dry_run)) if part)
    sys.stdout.write(shown(text + "\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
