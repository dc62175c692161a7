"""Any column of numbers as float64: decimal and thousands marks, amounts with K, M or B, whole numbers of a fixed scale."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflows.panel import Floats
from drivers.feeds.errors import DataError

_NONE: Final = pa.array(["", "-", "nan", "-nan", "na", "n/a", "#n/a", "null", "none", "<na>"])
_AMOUNTS: Final = {"k": 1e3, "m": 1e6, "b": 1e9}
_UNDEFINED: Final = float(2**63 - 1)  # how Databento writes a price that there is not


@dataclass
class Numbers:
    """Reads the numbers of one file, batch by batch. row: index to `file, row n`.

    scale: our field -> factor. decimal: the decimal mark of texts; None is a point, or a comma where the first text with a
    comma leaves no doubt: a point stands before it, or other than three digits after it.
    """

    row: Callable[[int], str]
    scale: Mapping[str, float] = field(default_factory=dict)
    decimal: str | None = None

    def read(self, values: Any, ours: str, theirs: str, start: int) -> Floats:
        """A column as float64 (M,), NaN where it has none. Raises DataError naming the first that is no number."""
        if isinstance(values, pa.DictionaryArray):
            values = values.dictionary_decode()
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            values = self._dotted(values.cast(pa.string()), theirs, start)
        try:
            found = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return self._with_amounts(values, theirs, start)
        factor = self.scale.get(ours)
        if factor is None:
            return found
        found = np.where(found >= _UNDEFINED, np.nan, found)
        inverse = round(1.0 / factor)
        # a division by a whole number is the nearest float to the decimal number that was meant; a product is not
        return found / inverse if inverse > 1 and abs(inverse * factor - 1.0) < 1e-12 else found * factor

    def _dotted(self, text: Any, theirs: str, start: int) -> Any:
        """Texts with a point as their decimal mark and no other, null where they say that there is none."""
        text = pc.utf8_trim_whitespace(text)
        text = pc.if_else(pc.is_in(pc.utf8_lower(text), _NONE), pa.scalar(None, pa.string()), text)
        commas = pc.find_substring(text, ",")
        if not pc.any(pc.greater_equal(commas, 0)).as_py():
            return pc.replace_substring(text, ".", "") if self._thousands_of_points(text) else text
        if self.decimal is None:
            self.decimal = self._mark(text, theirs, start)
        if self.decimal == ",":
            return pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
        return pc.replace_substring(text, ",", "")

    def _thousands_of_points(self, text: Any) -> bool:
        """Whether points part thousands: only where commas are the decimal mark, as in a volume of 1.234.567."""
        return self.decimal == "," and bool(pc.all(pc.match_substring_regex(text, r"^-?\d{1,3}(\.\d{3})*$")).as_py())

    def _mark(self, text: Any, theirs: str, start: int) -> str:
        for index, found in enumerate(text.to_pylist()):
            plain = (found or "").lower().rstrip("kmb% ")
            if re.fullmatch(r"-?(\d{1,3}(\.\d{3})+|\d+),\d+", plain) and (
                "." in plain or len(plain.partition(",")[2]) != 3 or plain.lstrip("-").startswith("0,")
            ):
                return ","
            if re.fullmatch(r"-?\d{1,3}(,\d{3})+\.\d*", plain) or plain.count(",") > 1:
                return "."
            if "," in plain and not re.fullmatch(r"-?\d{1,3},\d{3}", plain):
                raise DataError(f"{self.row(start + index)}: {theirs} is {found!r}; it must be a number")
        first = next(i for i, found in enumerate(text.to_pylist()) if found and "," in found)
        raise DataError(
            f"{self.row(start + first)}: {theirs} is {text[first].as_py()!r}, whose comma may be a decimal or a thousands "
            "mark; say which with --decimal , or --decimal ."
        )

    def _with_amounts(self, values: Any, theirs: str, start: int) -> Floats:
        made = np.full(len(values), np.nan)
        for index, found in enumerate(values.to_pylist()):
            if found is None:
                continue
            match = re.fullmatch(r"([+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?|[+-]?inf(?:inity)?)([kmb]?)", str(found).strip().lower())
            if match is None:
                raise DataError(f"{self.row(start + index)}: {theirs} is {found!r}; it must be a number")
            made[index] = float(match[1]) * _AMOUNTS.get(match[2], 1.0)
        return made
