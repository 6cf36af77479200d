"""A model card says what was measured, and nothing that was not."""

from __future__ import annotations

from dataclasses import replace

from benchmark.ranking import model_card
from benchmark.ranking.trained import Mistakes, Trained

TRAINED = Trained(
    model="lite0",
    measure="accuracy",
    test_accuracy=91.25,
    low=86.31,
    high=94.52,
    tested=160,
    seconds=181.0,
    checkpoint="out/model.safetensors",
    confusion_matrix="out/confusion.csv",
    confusion_picture="out/confusion.png",
    reliability_picture="out/reliability.png",
    log="out/log.txt",
    calibration={"temperature": 1.7, "threshold": 0.43, "images": 40, "error_before": 6.0, "error_after": 2.2},
    mistakes=[Mistakes("a|b", "cat", 7)],
    use="python -m benchmark.predict model=out/model.safetensors photo.jpg",
    code="",
    commercial_use="Commercial use: yes. MIT is permissive; keep its notice with what you pass on.",
    notes=(),
)
ABOUT = {"classes": {"a|b": 300, "cat": 200}, "train": 340, "test": 160, "multilabel": False, "constant": 60.0}


def test_a_card_says_what_was_measured() -> None:
    text = model_card.card(TRAINED, "pets", ABOUT, "MIT", ["2 images cannot be read."])
    headings = [line for line in text.splitlines() if line.startswith("#")]
    expected = ["Model", "Intended use", "Data", "Accuracy", "Probabilities", "How to use it"]
    assert headings == ["# lite0, fine-tuned on pets", *(f"## {name}" for name in expected)]
    for said in (
        "Accuracy 91.2 % (95 % interval 86.3 to 94.5) on 160 test images, which chose nothing.",
        "Always answering the largest class would reach 60.0 %.",
        "licence of the pretrained weights: MIT. Commercial use: yes.",
        "| a\\|b | cat | 7 |",
        "| cat | 200 |",
        "- 2 images cannot be read.",
        "error on the test images is 2.2 %, and was 6.0 %. Below a probability of 0.43 it says none of these.",
        "time from the ranking to the trained model: 3 min 01 s",
        TRAINED.use,
    ):
        assert said in text


def test_energy_is_said_where_it_was_measured() -> None:
    assert "energy" not in model_card.card(TRAINED, "pets", ABOUT, "MIT", [])
    assert "- energy: 3 Wh\n" in model_card.card(replace(TRAINED, energy="energy: 3 Wh"), "pets", ABOUT, "MIT", [])


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(TRAINED, low=None, high=None, calibration=None, mistakes=[], measure="mean average precision")
    about = ABOUT | {"multilabel": True, "constant": None, "classes": {f"c{k}": 3 for k in range(101)}}
    text = model_card.card(bare, "pets", about, "unknown", [])
    assert "Mean average precision 91.2 % on 160 test images, which chose nothing." in text
    assert "Its probabilities are not calibrated." in text
    assert "which of the labels an image has" in text
    assert "1 more classes." in text
    assert not any(
        word in text for word in ("interval", "mistakes", "Always answering", "Found wrong", "## Notes", "None")
    )
