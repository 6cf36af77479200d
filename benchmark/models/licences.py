"""What a licence of weights allows, in words: for a first look, not for a court."""

from __future__ import annotations

import re
from typing import Literal

PERMISSIVE = ("mit", "apache-2.0", "bsd", "isc", "cc0", "cc-by-4.0", "cc-by-3.0", "unlicense", "zlib", "public domain")
"""Beginnings of licences that allow any use, commercial too, for a notice at most."""
COPYLEFT = ("gpl", "lgpl", "agpl", "mpl", "epl", "eupl", "cc-by-sa", "sspl", "osl")
NON_COMMERCIAL = re.compile(r"\bnc\b|non-?commercial|research|academic", re.IGNORECASE)
NOT_STATED = ("", "unknown", "none", "other")

Kind = Literal["permissive", "copyleft", "non-commercial", "unknown"]


def kind(licence: str) -> Kind:
    """Which of four kinds a licence's name speaks of; one that this list does not know is unknown."""
    name = licence.strip().lower()
    if NON_COMMERCIAL.search(name):  # first: CC-BY-NC-SA is copyleft, too, and forbids more
        return "non-commercial"
    if name.startswith(COPYLEFT):
        return "copyleft"
    return "permissive" if name.startswith(PERMISSIVE) else "unknown"


def in_words(licence: str) -> str:
    """Whether weights under this licence may be used commercially, as a sentence."""
    name = licence.strip()
    if kind(name) == "permissive":
        return f"Commercial use: yes. {name} is permissive; keep its notice with what you pass on."
    if kind(name) == "copyleft":
        return (
            f"Commercial use: yes, under a condition. {name} is a copyleft licence: what is made from these weights is "
            "passed on under the same licence."
        )
    if kind(name) == "non-commercial":
        return f"Commercial use: no. {name} is for non-commercial use; licence=permissive ranks without such models."
    if name.lower() in NOT_STATED:
        said = "No licence is stated for these weights"
    else:
        said = f"{name} has terms of its own, which are not known here"
    return f"Commercial use: unknown. {said}: ask who made them, or rank with licence=permissive."
