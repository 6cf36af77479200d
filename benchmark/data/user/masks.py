"""Masks and annotations that lie beside the images of a class: they are images, but not of the class."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from benchmark.data.user.findings import DataError
from benchmark.data.user.shape import MASKS
from benchmark.wording import plural, some

ADDED = re.compile(
    r"^(?P<stem>.+?)[ _.-](mask|masks|seg|segmentation|gt|groundtruth|label|labels|annotation|annotated|overlay)"
    r"([ _-]?\d+)?$",
    re.IGNORECASE,
)
Row = tuple[str, int, Path]


def without_masks(rows: list[Row], root: Path, masks: str | None) -> tuple[list[Row], list[str]]:
    """The rows that are no masks, and what is to be said; `masks` as in Reading: DataError where it is not given.

    A mask is an image called as another one of its folder with _mask, _seg … after it, or one in a folder masks/,
    annotations/ … of a class that has other images.
    """
    if masks == "keep":
        return rows, []
    stems = {(file.parent, file.stem) for _, _, file in rows}
    whole = Counter(name for name, _, file in rows if not _in_folder(name, file, root))
    found = [r for r in rows if _beside(r[2], stems) or (whole[r[0]] and _in_folder(r[0], r[2], root))]
    if not found:
        return rows, []
    shown = some([file.relative_to(root).as_posix() for _, _, file in found[:3]])
    if masks is None:
        raise DataError(
            f"images of a class must show it. Got {plural(len(found), 'file')} of {len(rows)} that look like masks or "
            f"annotations of others: {shown}{' …' if len(found) > 3 else ''}. "
            "Give masks=leave_out, or masks=keep if they are images like the others."
        )
    kept = [row for row in rows if row not in set(found)]
    return kept, [f"{plural(len(found), 'mask')} beside the images {'is' if len(found) == 1 else 'are'} left out."]


def _beside(file: Path, stems: set[tuple[Path, str]]) -> bool:
    found = ADDED.match(file.stem)
    return found is not None and (file.parent, found["stem"]) in stems


def _in_folder(name: str, file: Path, root: Path) -> bool:
    """Whether a folder below the class's own is called as one of masks."""
    above = file.relative_to(root).parts[:-1]
    below = above[above.index(name) + 1 :] if name in above else ()
    return any(part.lower() in MASKS for part in below)
