"""Several files change together: all of them or none, wherever the process ends."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.files import transaction
from drivers.files.transaction import HOME, ChangeError, Files, change, history, repair

BEFORE: Files = {"a.yml": b"old a\n", "sub/b.yml": b"old b\n", "new.yml": None, "gone.yml": b"old gone\n"}
AFTER: Files = {"a.yml": b"new a\n", "sub/b.yml": b"new b\n", "new.yml": b"new\n", "gone.yml": None}

KILLED_AT_EVERY_STEP = """
import json, os, sys
from pathlib import Path
from drivers.files.transaction import change

TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod")
root = Path(sys.argv[1])
before, after = ({k: v and v.encode() for k, v in side.items()} for side in json.loads(sys.argv[2]))
steps = -1  # not counting yet

def count(event, arguments):
    global steps
    if steps >= 0 and event in TOUCHES and str(root) in str(arguments[0]):
        steps += 1
        if steps == last:
            os._exit(9)

sys.addaudithook(count)
for last in range(1, 1000):
    child = os.fork()
    if child == 0:
        steps = 0
        change(root / str(last), before, after, {"kind": "test"})
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        print(last)
        break
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder, below the folder whose steps the killed process counts."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / ".state"))
    return tmp_path / ".state" / "stratoquant" / "changes"


def put(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            (folder / name).write_bytes(content)
    return folder


def held(folder: Path) -> Files:
    return {name: transaction.read(folder / name) for name in BEFORE}


def test_all_files_change_and_the_record_says_what_they_were(tmp_path: Path, state: Path) -> None:
    put(tmp_path, BEFORE)
    entry = change(tmp_path, BEFORE, AFTER, {"kind": "test", "why": "because"})
    assert held(tmp_path) == AFTER
    assert (entry.number, entry.about["kind"], entry.about["why"]) == (1, "test", "because")
    assert (entry.files("before"), entry.files("after")) == (BEFORE, AFTER)
    change(tmp_path, AFTER, BEFORE, {"kind": "test"})
    assert held(tmp_path) == BEFORE
    assert [e.number for e in history(tmp_path)] == [1, 2]
    assert not list(state.iterdir())
    assert sorted(p.name for p in (tmp_path / HOME).iterdir()) == [".gitignore", "history", "lock"]


def test_killed_at_any_step_the_files_are_all_old_or_all_new_once_repaired(tmp_path: Path) -> None:
    for at in range(1, 120):
        put(tmp_path / str(at), BEFORE)
    files = json.dumps([{k: v if v is None else v.decode() for k, v in side.items()} for side in (BEFORE, AFTER)])
    line = [sys.executable, "-W", "ignore", "-c", KILLED_AT_EVERY_STEP, str(tmp_path), files]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    steps = int(done.stdout)
    assert 20 < steps < 120
    seen = []
    for at in range(1, steps + 1):
        folder = tmp_path / str(at)
        mixed = held(folder) not in (BEFORE, AFTER)
        assert not mixed or (folder / HOME / "pending").is_dir()
        repair(folder)
        assert held(folder) in (BEFORE, AFTER)
        seen.append((mixed, held(folder) == AFTER))
        if at % 5 == 0:  # what was left is in nobody's way
            change(folder, held(folder), dict.fromkeys(BEFORE, b"next"), {"kind": "test"})
            assert [e.number for e in history(folder)] == list(range(1, len(history(folder)) + 1))
    assert {new for _, new in seen} == {False, True}
    assert any(mixed for mixed, _ in seen)
    assert [new for _, new in seen] == sorted(new for _, new in seen)  # from one step on it takes place


def test_an_error_on_any_file_puts_back_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, BEFORE)
    real = transaction.write_atomic_bytes

    def full(path: Path, content: bytes) -> None:
        if content == b"new b\n":
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(transaction, "write_atomic_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        change(tmp_path, BEFORE, AFTER, {"kind": "test"})
    assert held(tmp_path) == BEFORE
    assert history(tmp_path) == []
    assert sorted(p.name for p in (tmp_path / HOME).iterdir()) == [".gitignore", "lock"]


def test_a_folder_that_cannot_be_written_is_named_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, BEFORE)

    def forbidden(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(PermissionError, match=HOME):
        change(tmp_path, BEFORE, AFTER, {"kind": "test"})
    assert held(tmp_path) == BEFORE
    assert not (tmp_path / HOME).exists()


def test_two_commands_at_once_are_refused(tmp_path: Path) -> None:
    put(tmp_path, BEFORE)
    change(tmp_path, BEFORE, BEFORE, {"kind": "test"})
    with (tmp_path / HOME / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ChangeError, match=r"another command is changing .* at this moment; try again when it is done"):
            change(tmp_path, BEFORE, AFTER, {"kind": "test"})
    assert held(tmp_path) == BEFORE


def test_a_file_that_changed_since_it_was_read_is_not_overwritten(tmp_path: Path) -> None:
    put(tmp_path, BEFORE)
    (tmp_path / "a.yml").write_text("mine\n")
    with pytest.raises(ChangeError, match=r"a\.yml was changed just now by another"):
        change(tmp_path, BEFORE, AFTER, {"kind": "test"})
    assert (tmp_path / "a.yml").read_text() == "mine\n"
    assert (tmp_path / "sub/b.yml").read_bytes() == BEFORE["sub/b.yml"]


def crashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A change that ended when it had just begun to take place."""

    def killed(*_: object) -> None:
        raise SystemExit

    put(folder, BEFORE)
    with monkeypatch.context() as patched:
        patched.setattr(transaction, "_complete", killed)
        patched.setattr(transaction, "_put_all", killed)
        with pytest.raises(SystemExit):
            change(folder, BEFORE, AFTER, {"kind": "test"})
    return folder / HOME / "pending"


def test_a_file_edited_after_a_crash_is_not_overwritten_by_the_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed(tmp_path, monkeypatch)
    (tmp_path / "a.yml").write_text("mine\n")
    with pytest.raises(ChangeError, match=r"a\.yml was edited while a change of .* was half done; put the files right from"):
        repair(tmp_path)
    assert (tmp_path / "a.yml").read_text() == "mine\n"


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    put(tmp_path, BEFORE)
    entry = change(tmp_path, BEFORE, AFTER, {"kind": "test"})
    (entry.folder / "change.json").write_text("{")
    with pytest.raises(ChangeError, match="0001 is no whole record of a change; restore it"):
        history(tmp_path)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    put(tmp_path, BEFORE)
    (tmp_path / "sub/b.yml").rename(tmp_path / "elsewhere.yml")
    (tmp_path / "sub/b.yml").symlink_to(tmp_path / "elsewhere.yml")
    change(tmp_path, BEFORE, AFTER, {"kind": "test"})
    assert (tmp_path / "sub/b.yml").is_symlink()
    assert (tmp_path / "elsewhere.yml").read_bytes() == AFTER["sub/b.yml"]


def test_looking_for_something_to_repair_writes_nothing(tmp_path: Path) -> None:
    repair(tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_change_that_was_begun_here_is_completed(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed(tmp_path / "own", monkeypatch)
    assert len(list(state.iterdir())) == 1
    repair(tmp_path / "own")
    assert held(tmp_path / "own") == AFTER
    assert not list(state.iterdir())


def sent(folder: Path, name: str, content: bytes = b"planted\n") -> Path:
    """A folder with a change under way, as somebody would send it."""
    pending = folder / HOME / "pending"
    (pending / "after" / name).resolve().parent.mkdir(parents=True, exist_ok=True)
    (pending / "before").mkdir(parents=True)
    (pending / "after" / name).write_bytes(content)
    about = {"number": 1, "time": "2026-01-01T00:00:00+00:00", "kind": "test", "files": [name]}
    (pending / "change.json").write_text(json.dumps(about))
    return pending


@pytest.mark.parametrize(
    "name", ["../../../victim", "a.yml", ".git/hooks/pre-commit", "link/victim", "/tmp/victim-of-a-change"]
)
def test_a_change_that_comes_with_a_folder_is_not_carried_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "one" / "two" / "three" / "sent"
    sent(folder, "plain.yml")
    about = json.loads((folder / HOME / "pending" / "change.json").read_text())
    (folder / HOME / "pending" / "change.json").write_text(json.dumps({**about, "files": [name]}))
    (tmp_path / "outside").mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ChangeError, match="was not begun here"):
        repair(folder)
    assert sorted({*tmp_path.rglob("*")} - {*before}) == [folder / HOME / "lock"]


@pytest.mark.parametrize("harm", ["content", "name", "link", "moved", "open"])
def test_a_change_that_was_altered_is_not_carried_out(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    folder = tmp_path / "own"
    pending = crashed(folder, monkeypatch)
    match harm:
        case "content":
            (pending / "after" / "a.yml").write_bytes(b"other\n")
        case "name":
            text = (pending / "change.json").read_text()
            (pending / "change.json").write_text(text.replace('"a.yml"', '"../a.yml"'))
        case "link":
            (pending / "after" / "a.yml").rename(tmp_path / "same")
            (pending / "after" / "a.yml").symlink_to(tmp_path / "same")
        case "moved":
            folder = folder.rename(tmp_path / "elsewhere")
        case "open":
            state.chmod(0o777)
    before = held(folder)
    with pytest.raises(ChangeError, match="not begun here, or not as it is now"):
        repair(folder)
    assert held(folder) == before


@pytest.mark.parametrize("name", ["../victim", "sub/../../victim", "link/victim", ".git/hooks/x", ".stratoquant/lock", ""])
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (tmp_path / "outside").mkdir()
    (folder / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(ChangeError, match="writes nothing outside"):
        change(folder, {name: None}, {name: b"planted\n"}, {"kind": "test"})
    assert not list(tmp_path.rglob("victim"))
    assert not (folder / HOME / "pending").exists()


def test_a_record_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    """Taking back a change reads its record, which may come with the folder."""
    put(tmp_path, BEFORE)
    entry = change(tmp_path, BEFORE, AFTER, {"kind": "test"})
    text = (entry.folder / "change.json").read_text()
    (entry.folder / "change.json").write_text(text.replace('"a.yml"', '"../../../a.yml"'))
    with pytest.raises(ChangeError, match="writes nothing outside"):
        history(tmp_path)[0].files("before")
    (entry.folder / "change.json").write_text(text)
    (entry.folder / "before" / "a.yml").unlink()
    (entry.folder / "before" / "a.yml").symlink_to("/etc/hostname")
    with pytest.raises(ChangeError, match="also through a link"):
        history(tmp_path)[0].files("before")


@pytest.mark.parametrize("which", ["", "lock", "history"])
def test_links_among_the_records_are_refused(tmp_path: Path, which: str) -> None:
    put(tmp_path / "own", BEFORE)
    (tmp_path / "outside").mkdir()
    place = tmp_path / "own" / HOME / which
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(tmp_path / "outside" / which)
    with pytest.raises(ChangeError, match="is a link"):
        change(tmp_path / "own", BEFORE, AFTER, {"kind": "test"})
    assert not list((tmp_path / "outside").iterdir())
