"""As many colours as there are series: those that colour-blind readers tell apart first, on white as on black."""

from __future__ import annotations

import colorsys
from itertools import count

FIRST = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#17BECF", "#9467BD", "#8C564B")
GREY = "#7F7F7F"
_TURN = 0.381966  # of the circle, the golden angle: every further hue falls into the widest gap
_SHADES = ((0.42, 0.75), (0.62, 0.65), (0.52, 0.45))  # lightness and saturation, in turn


def palette(number: int) -> list[str]:
    """`number` colours as `#RRGGBB`, all different, the same ones in every picture."""
    made, turns = list(FIRST[:number]), count()
    while len(made) < number:
        i = next(turns)
        lightness, saturation = _SHADES[i % len(_SHADES)]
        colour = "#" + "".join(
            f"{round(255 * c):02X}" for c in colorsys.hls_to_rgb(i * _TURN % 1, lightness, saturation)
        )
        if colour not in made:
            made.append(colour)
    return made
