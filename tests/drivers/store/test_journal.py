"""A journal gives back what was appended; a last record that is half written is named and left out; damage is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from drivers.store.journal import MAGIC, JournalError, JournalReader, JournalWriter, Record

ARRAYS = st.dictionaries(
    st.sampled_from(["a", "b", "c/0"]),
    hnp.arrays(
        st.sampled_from([np.float64, np.int64, np.uint8]), hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
    ),
)
RECORDS = st.lists(st.tuples(st.sampled_from(["bars", "instant"]), st.integers(), ARRAYS), max_size=8)


def written(path: Path, records: list[tuple[str, int, dict[str, Any]]]) -> list[int]:
    """Writes a journal; returns where each record ends."""
    ends = []
    writer = JournalWriter(path)
    for kind, number, arrays in records:
        writer.append({"kind": kind, "x": number}, arrays)
        ends.append(path.stat().st_size)
    writer.close()
    return ends


def equal(found: list[Record], records: list[tuple[str, int, dict[str, Any]]]) -> None:
    assert [r.number for r in found] == list(range(1, len(records) + 1))
    for record, (kind, number, arrays) in zip(found, records, strict=True):
        assert record.about == {"kind": kind, "x": number}
        assert record.arrays.keys() == arrays.keys()
        for name, array in arrays.items():
            assert record.arrays[name].dtype == array.dtype
            assert record.arrays[name].shape == array.shape
            assert record.arrays[name].tobytes() == array.tobytes()


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_what_was_appended_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, int, dict[str, Any]]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    written(path, records)
    reader = JournalReader(path)
    equal(list(reader), records)
    assert reader.torn == ""


BARS = [("bars", k, {"time": np.arange(k, k + 3), "close": np.array([1.5, np.nan])}) for k in range(4)]


def test_cut_at_any_byte_the_whole_records_are_there_and_the_half_one_is_named(tmp_path: Path) -> None:
    ends = written(tmp_path / "whole", BARS)
    content = (tmp_path / "whole").read_bytes()
    path = tmp_path / "cut"
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        reader = JournalReader(path)
        whole = sum(end <= size for end in ends)
        equal(list(reader), BARS[:whole])
        half = size not in (0, len(MAGIC), *ends) and size > len(MAGIC)
        assert bool(reader.torn) == half, size
        if half:
            assert f"cut: record {whole + 1}, the last, is half written" in reader.torn


def test_who_goes_on_with_a_journal_cuts_the_half_record_off_and_numbers_on(tmp_path: Path) -> None:
    path = tmp_path / "j"
    ends = written(path, BARS)
    path.write_bytes(path.read_bytes()[: ends[2] + 30])
    writer = JournalWriter(path)
    assert "record 4, the last, is half written" in writer.cut
    writer.append({"kind": "bars", "x": 3}, BARS[3][2])
    writer.close()
    equal(list(JournalReader(path)), BARS)


def test_one_flipped_bit_anywhere_before_the_last_record_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "j"
    ends = written(path, BARS)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for at in rng.integers(len(MAGIC), ends[2], 60):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        number = sum(end <= at for end in ends) + 1
        with pytest.raises(JournalError, match=f"record {number}, at byte .* is damaged; the {number - 1} before it are whole"):
            list(JournalReader(path))


def test_a_record_that_is_missing_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "j"
    ends = written(path, BARS)
    content = path.read_bytes()
    path.write_bytes(content[: ends[0]] + content[ends[1] :])
    with pytest.raises(JournalError, match="record 2, at byte"):
        list(JournalReader(path))


def test_another_file_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text("time,open,high\n" * 20)
    with pytest.raises(JournalError, match="is no journal of a stream"):
        JournalReader(path)
