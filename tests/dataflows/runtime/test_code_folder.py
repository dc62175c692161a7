"""The machine-code cache under attack: what is damaged, unsigned or in a folder that others may write is never executed."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflows.runtime import code_folder
from dataflows.runtime.code_folder import (
    SIGNATURE_BYTES,
    UnsignedFileError,
    UntrustedFolderError,
    cache_root,
    make_entry_folder,
    refusal,
    sign,
    verify,
)
from dataflows.runtime.compile import fingerprint, kernel, python_of
from tests.dataflows.runtime.packages import BEFORE, Outcome, Package


class Hostile:
    """A pickle that leaves a file behind when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def own(package: Package, tmp_path: Path) -> Path:
    """A cache folder of one test: the package's entries and key."""
    shutil.copytree(package.cache, tmp_path / "cache")
    assert package.run(tmp_path / "cache") == Outcome(BEFORE, True, [])
    return tmp_path / "cache"


def entries(cache: Path) -> list[Path]:
    found = sorted(cache.glob("machine-code/*/*.nb[ic]"))
    assert len(found) == 6  # an index and a data file of each of the three kernels
    return found


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("STRATOQUANT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "stratoquant"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "stratoquant"


def test_folders_and_key_are_made_for_their_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "new" / "cache"))
    before = os.umask(0)  # a umask that would let everybody in
    try:
        folder = make_entry_folder("entry")
        sign(folder / "a.nbc", b"content")
    finally:
        os.umask(before)
    made = [cache_root(), cache_root() / "machine-code", folder]
    assert [mode(path) for path in made] == [0o700, 0o700, 0o700]
    assert mode(cache_root() / "machine-code" / "key") == 0o600
    assert sorted(path.name for path in (cache_root() / "machine-code").iterdir()) == ["entry", "key"]  # no draft is left


def test_a_signature_is_of_the_content_the_place_and_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "one"))
    here, there = make_entry_folder("aa") / "f.nbc", make_entry_folder("bb") / "f.nbc"
    signed = sign(here, b"code")
    assert verify(here, signed) == b"code"
    for place, data in ((there, signed), (here, b""), (here, b"code"), (here, signed + b"\0"), (here, signed[:-1])):
        with pytest.raises(UnsignedFileError):
            verify(place, data)
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "two"))
    with pytest.raises(UnsignedFileError):
        verify(make_entry_folder("aa") / "f.nbc", signed)


@pytest.mark.parametrize("harm", ["readable", "short", "gone", "link"])
def test_a_key_that_is_not_the_owners_alone_signs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, harm: str) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    place = make_entry_folder("aa") / "f.nbc"
    signed = sign(place, b"code")
    key = tmp_path / "cache" / "machine-code" / "key"
    content = key.read_bytes()
    if harm == "readable":
        key.chmod(0o640)
    elif harm == "short":
        key.write_bytes(content[:-1])
    else:
        key.unlink()
        if harm == "link":
            (tmp_path / "sent").write_bytes(content)
            (tmp_path / "sent").chmod(0o600)
            key.symlink_to(tmp_path / "sent")
    with pytest.raises(UnsignedFileError):
        verify(place, signed)
    assert verify(place, sign(place, b"code")) == b"code"  # with a new key
    assert key.read_bytes() != content and mode(key) == 0o600 and not key.is_symlink()


@pytest.mark.parametrize("which", ["", "machine-code"])
@pytest.mark.parametrize("bits", [0o720, 0o702, 0o777])
def test_a_folder_that_others_may_write_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, which: str, bits: int
) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    place = make_entry_folder("aa") / "f.nbc"
    signed = sign(place, b"code")
    assert refusal() is None
    (cache_root() / which).chmod(bits)
    for use in (lambda: verify(place, signed), lambda: make_entry_folder("aa")):
        with pytest.raises(UntrustedFolderError, match="others may write"):
            use()
    assert f"chmod go-w {cache_root() / which}" in str(refusal())


def test_a_folder_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(code_folder.os, "geteuid", lambda: owner + 1)
    with pytest.raises(UntrustedFolderError, match=f"belongs to user {owner}"):
        make_entry_folder("aa")
    assert not list(tmp_path.iterdir())


def test_a_link_in_place_of_the_code_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "other"))
    make_entry_folder("aa")
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / "machine-code").symlink_to(tmp_path / "other" / "machine-code")
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UntrustedFolderError, match="is no folder"):
        make_entry_folder("aa")


def test_a_planted_pickle_is_not_loaded(package: Package, own: Path, tmp_path: Path) -> None:
    """Neither as it is, nor signed with another's key, nor behind the signature of the file that was there."""
    bomb = pickle.dumps(Hostile(tmp_path / "executed"))
    for front in (lambda old: b"", lambda old: bytes(SIGNATURE_BYTES), lambda old: old[:SIGNATURE_BYTES]):
        for file in entries(own):
            file.write_bytes(front(file.read_bytes()) + bomb)
        got = package.run(own)
        assert got.value == BEFORE and not got.loaded
        assert any("compiling anew" in w and "signature" in w for w in got.warnings)
        assert not (tmp_path / "executed").exists()
        assert package.run(own) == Outcome(BEFORE, True, [])  # whole again
    pickle.loads(bomb)
    assert (tmp_path / "executed").is_dir()  # the bomb is one


def test_a_folder_that_others_may_write_costs_the_cache_and_warns_once(package: Package, own: Path, tmp_path: Path) -> None:
    bomb = pickle.dumps(Hostile(tmp_path / "executed"))
    for file in entries(own):
        file.write_bytes(bomb)
    own.chmod(0o777)
    got = package.run(own)
    assert (got.value, got.loaded) == (BEFORE, False)
    assert [w for w in got.warnings if "chmod go-w" in w] == got.warnings and len(got.warnings) == 1
    assert not (tmp_path / "executed").exists()


def test_pickles_of_the_former_layout_are_not_read(package: Package, own: Path, tmp_path: Path) -> None:
    """Entries used to lie in the root itself, unsigned."""
    bomb = pickle.dumps(Hostile(tmp_path / "executed"))
    for file in entries(own):
        former = own / file.parent.name / file.name
        former.parent.mkdir(exist_ok=True)
        former.write_bytes(bomb)
    assert package.run(own) == Outcome(BEFORE, True, [])
    assert not (tmp_path / "executed").exists()


def test_flipped_bits_are_found_before_anything_is_loaded(package: Package, own: Path) -> None:
    """36 files: each bit of a file counts, in its signature as in its content."""
    chance = random.Random(32)
    for _ in range(6):
        for file in entries(own):
            file.write_bytes(flip(file.read_bytes(), chance))
        got = package.run(own)
        assert got.value == BEFORE and not got.loaded
        assert any("compiling anew" in w for w in got.warnings)
        assert package.run(own) == Outcome(BEFORE, True, [])


@pytest.mark.long
def test_two_hundred_runs_end_well_with_a_flipped_bit(package: Package, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(own))
    chance = random.Random(200)
    for _ in range(200):
        file = chance.choice(entries(own))
        whole = file.read_bytes()
        file.write_bytes(flip(whole, chance))
        with pytest.raises(UnsignedFileError):
            verify(file, file.read_bytes())
        assert package.run(own).value == BEFORE
        file.write_bytes(whole)
        package.run(own)


def test_a_function_that_moved_is_compiled_for_its_new_module(package: Package, own: Path) -> None:
    """A pickle names its functions' and records' modules: one that is gone made the entry unusable at every start."""
    folder = package.folder / "pk"
    try:
        (folder / "moved.py").write_text((folder / "callee.py").read_text())
        (folder / "callee.py").write_text("from pk.moved import LIMIT, TABLE, Config, below, callee\n")
        assert package.run(own) == Outcome(BEFORE, False, [])
        assert package.run(own) == Outcome(BEFORE, True, [])
    finally:
        (folder / "moved.py").unlink()
        package.write()
    assert package.run(own) == Outcome(BEFORE, True, [])


@kernel
def _half(x: Any) -> Any:
    return x * 0.5


def test_the_content_of_a_kernel_holds_the_name_of_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _half(np.float64(3.0)) == 1.5
    before = fingerprint(_half)
    monkeypatch.setattr(python_of(_half), "__module__", "tests.elsewhere")
    assert fingerprint(_half) != before
