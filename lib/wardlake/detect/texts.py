"""Texts as detectors read them: Unicode's other ways to write a digit, a dash or a space made plain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Dashes and spaces that compatibility normalisation leaves as they are; invisible characters that split a number
_FOLDED = (
    (r"[\x{2010}-\x{2015}\x{2212}\x{2043}]", "-"),
    (r"[\x{00a0}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{3000}\t]", " "),
    (r"[\x{00ad}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}\x{2066}-\x{2069}\x{feff}]", ""),
)
_OTHER_DIGIT = r"[^\P{Nd}0-9]"


def plain_texts(values: pa.StringArray) -> pa.StringArray:
    """The same texts, where ASCII unchanged; else normalised (NFKC), with dashes, spaces and digits as ASCII has them."""
    ascii_only = pc.string_is_ascii(values).to_numpy(zero_copy_only=False).astype(bool)
    if ascii_only.all():
        return values
    others = np.flatnonzero(~ascii_only)
    folded = pc.utf8_normalize(values.take(pa.array(others)), form="NFKC")
    for pattern, plain in _FOLDED:
        folded = pc.replace_substring_regex(folded, pattern, plain)
    if pc.any(pc.match_substring_regex(folded, _OTHER_DIGIT)).as_py():
        folded = pa.array([text.translate(_DIGITS) for text in folded.to_pylist()], pa.string())
    return pc.replace_with_mask(values, pa.array(~ascii_only), folded)


def _other_digits() -> dict[int, str]:
    """Every decimal digit of Unicode outside ASCII with the ASCII digit of its value."""
    return {code: str(int(chr(code))) for code in range(128, 0x1FBFA) if chr(code).isdecimal()}


_DIGITS = _other_digits()
