"""What an installed wheel brings along, and what must not be in any file that is committed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dataflows.runtime import shipped
from drivers.files.atomic import write_atomic
from drivers.pine.render import HERE as PINE
from drivers.project.locate import defaults
from drivers.web.page import HERE as WEB
from drivers.web.vendor import FILES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_brings_the_default_project(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    own = defaults()
    wanted = {"drivers/defaults/wiring_master.yaml", "drivers/py.typed", "dataflows/py.typed"}
    wanted |= {f"drivers/defaults/config/{p.name}" for p in own.config.glob("*.yml")}
    wanted |= {f"drivers/defaults/specs/{p.name}" for p in own.specs.glob("*.yaml")}
    wanted |= {f"drivers/web/vendor/{Path(built).name}" for built, _ in FILES.values()}
    wanted |= {f"drivers/web/vendor/{package}.LICENSE" for package in FILES}
    wanted |= {f"drivers/web/{p.relative_to(WEB)}" for folder in ("static", "templates") for p in (WEB / folder).iterdir()}
    wanted |= {f"drivers/pine/templates/{p.name}" for p in (PINE / "templates").iterdir()}
    assert wanted <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_out_of_the_wheel_the_default_project_is_found_anywhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); from drivers.project.configs import load_configs; "
        "from drivers.project.locate import locate; from drivers.project.machine_specs import load_spec; "
        "p = locate(); assert str(p.root).startswith(sys.path[0]), p; "
        "c = load_configs(p, spec=load_spec(p, 'prior_belief')); print(*c)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "risk" in done.stdout.split()


LAYER = "l12_regression_slope_short"
LOAD = f"""
import sys
sys.path.insert(0, sys.argv[1])
from dataflows.data.types import unknown_instruments
from dataflows.runtime.compile import loading_only
from drivers.engine.building import make_engine, make_plan
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import locate
files = locate()
plan = make_plan(load(files.wiring), load_configs(files), files, ["{LAYER}", "l0_market_feed"])
with loading_only():
    calls = make_engine(plan, ["A"], unknown_instruments(1)).parts()
    calls["{LAYER}"]()
    print(plan.nodes["{LAYER}"].fn.__code__.co_filename)
"""


@pytest.mark.skipif(not shipped.runs_here(), reason=f"needs {shipped.TARGET}")
def test_a_wheel_with_machine_code_compiles_nothing_where_it_is_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    wanted = {"STRATOQUANT_MACHINE_CODE": shipped.TARGET, "STRATOQUANT_MACHINE_CODE_LAYERS": f"{LAYER} l0_market_feed"}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **wanted}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = tmp_path.glob("*-linux_x86_64.whl")
    assert f"-cp{sys.version_info[0]}{sys.version_info[1]}-" in built.name
    zipfile.ZipFile(built).extractall(tmp_path / "site")
    environment = {**os.environ, "STRATOQUANT_CACHE": str(tmp_path / "cache")}
    words = [sys.executable, "-c", LOAD, str(tmp_path / "site")]
    ran = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(tmp_path / "site"))
    assert not list((tmp_path / "cache").rglob("*.nb[ic]"))  # what numba writes; facts about the code are kept there, too


def test_a_build_for_an_unknown_processor_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    wanted = {**os.environ, "STRATOQUANT_MACHINE_CODE": "x86-64-v9"}
    done = subprocess.run(command, cwd=ROOT, env=wanted, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "machine code can be shipped for x86-64-v3" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-node.lock"])
def test_a_lock_names_packages_and_hashes_and_no_place_to_get_them(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    for line in lines:
        assert re.match(r"(#|[a-z0-9][a-z0-9._-]*==|    --hash=sha256:[0-9a-f]{64})", line), line
        assert not re.search(r"://|--index|--find-links|--extra|file:", line.partition("#")[0])
    packages = [line for line in lines if "==" in line and not line.startswith("#")]
    assert packages
    assert all(line.endswith("\\") for line in packages)


def test_the_locks_agree_where_they_overlap() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / name).read_text(), flags=re.MULTILINE))

    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in run} == run


def test_a_whole_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        write_atomic(tmp_path / "nowhere" / "x", "new")
    assert raised.value.filename == str(tmp_path / "nowhere" / "x")


def test_a_whole_file_replaces_the_old_one_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomic(path, "old")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o600)
    write_atomic(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
