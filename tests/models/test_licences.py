"""Licences in words: every licence of the banks is of the kind that its text says."""

from __future__ import annotations

import re

import pytest

from benchmark.models import licences
from tests.running import ROOT

KINDS = {
    "permissive": ["MIT", "Apache-2.0", "bsd-3-clause", "BSD", "CC-BY-4.0", "ISC", "Unlicense"],
    "copyleft": ["GPL-3.0", "AGPL-3.0", "lgpl-2.1", "MPL-2.0", "cc-by-sa-3.0", "EUPL-1.2"],
    "non-commercial": [
        "cc-by-nc-4.0",
        "CC-BY-NC-SA-4.0",
        "research only",
        "non-commercial",
        "fair-noncommercial-research",
    ],
    "unknown": ["unknown", "", "other", "dinov3-license", "cvnets-license"],
}


@pytest.mark.parametrize(("kind", "licence"), [(k, name) for k, names in KINDS.items() for name in names])
def test_kinds(kind: str, licence: str) -> None:
    assert licences.kind(licence) == kind
    answer = {"permissive": "yes.", "copyleft": "yes, under", "non-commercial": "no.", "unknown": "unknown."}[kind]
    said = licences.in_words(licence)
    assert said.startswith(f"Commercial use: {answer}")
    assert ("ask who made them" in said) == (kind == "unknown")
    assert licence.lower() in licences.NOT_STATED or licence in said


def test_every_licence_of_the_banks_is_known_or_said_to_have_terms_of_its_own() -> None:
    found = set()
    for file in (ROOT / "conf/bank").glob("*.yaml"):
        found |= set(re.findall(r"licence: ([^\s#,}]+)", file.read_text()))
    assert len(found) > 5
    strange = {name for name in found if licences.kind(name) == "unknown"}
    assert strange <= {"unknown", "dinov3-license", "cvnets-license"}
