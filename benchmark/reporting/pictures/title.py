"""A title above a picture that is never cut off: one line, or as many as a narrow picture needs."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 10
LETTER = 0.62
"""Width of a letter in that of the type's size: of DejaVu Sans, on the safe side."""


def put_title(figure: Figure, title: str) -> None:
    """Write the title above everything else, broken where a line would be wider than the figure."""
    letters = int(figure.get_figwidth() * 72 / (POINTS * LETTER))
    figure.suptitle(textwrap.fill(title, max(letters, 8)), fontsize=POINTS)
