"""The end of a search: the best arm is trained until time is up, and what comes of it is put into the output."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import ConfigError
from benchmark.reporting.pictures import confusion, reliability
from benchmark.search import calibration
from benchmark.search.arithmetic import Arm
from benchmark.search.job import Job, write
from benchmark.search.prediction import probabilities
from benchmark.search.result import RELIABILITY, Result, show
from benchmark.search.rungs import SPARE
from benchmark.search.session import TO_DO, Session
from benchmark.search.speeds import Speeds
from benchmark.wording import duration

if TYPE_CHECKING:
    import numpy as np


class Ending:
    """The final training of a session and its result."""

    def __init__(self, session: Session, speeds: Speeds):
        self.session, self.given, self.speeds = session, session.given, speeds

    def final(self, standing: Sequence[Arm]) -> Result:
        """Train the best arm on everything until time is up; where that fails, the next one with what is left.

        Where time is up and a killed training left its weights, they are tested and kept as they are.
        """
        session = self.session
        threading.Thread(target=confusion.ready, daemon=True).start()
        failed = []
        for k, arm in enumerate(standing):
            seconds = max(0.0, session.deadline - self.speeds.reserve(arm.model) - session.clock())
            steps = SPARE * max(1, int(seconds / self.speeds.of[arm.model].step))
            job = session.job("finish", arm, steps, f"final-{k:02d}", session.deadline - session.writing)
            if session.found(job)["status"] == "done" and not job.checkpoint.exists():
                job.result.unlink()  # its model was deleted
            if session.found(job)["status"] in TO_DO:
                if not job.due(session.clock()):
                    continue
                session.log("final", f"final training of {arm.model} at {arm.rate:g}: {seconds:.0f} s", **asdict(arm))
            (facts,) = session.do([job])
            if facts["status"] == "done":
                return self.result(arm, facts, job)
            said = f"the final training of {arm.model} at {arm.rate:g} failed: {facts.get('reason', 'no time')}"
            session.note(said)
            failed += [said] if facts["status"] == "failed" else []
        if failed:
            raise ConfigError(f"one of the ranked models must be trainable. Got none: {'; '.join(failed)}.")
        raise ConfigError(
            f"budget must be enough for a training. Got {duration(session.budget)}, used up before anything was "
            f"trained. Give more time, or delete {session.folder.name} in {session.folder.parent} to begin anew."
        )

    def result(self, arm: Arm, facts: Mapping[str, Any], job: Job) -> Result:
        from safetensors.numpy import load_file

        session, given = self.session, self.given
        measure = "map" if given.subject.multilabel else "accuracy"
        arrays = load_file(job.outputs)
        table, picture = session.folder / "confusion.csv", session.folder / "confusion.png"
        title = f"{given.subject.name}: {arm.model}, {facts['test']['oracle']:.1f} % ({measure})"
        counts = confusion.count(arrays["outputs"], arrays["labels"])
        confusion.write(counts, given.subject.class_names, given.subject.multilabel, table, picture, title)
        calibrated = facts.get("calibration")
        self.draw_reliability(arm, arrays, calibrated)
        seconds = session.used
        if facts.get("balance"):
            reached = facts["test"]["mean_per_class"]
            session.note(f"{facts['balance']}; of the trained model on the test images: {reached:.1f} %")
        if facts.get("late"):
            share = f"{100 * facts['resumed_at']:.0f} %"
            session.note(
                f"time was over when the search went on: {arm.model} is kept as it was after {share} of its time"
            )
        result = Result(
            model=arm.model,
            rate=arm.rate,
            test_accuracy=facts["test"]["oracle"],
            measure=measure,
            validation_accuracy=session.validation.get(arm),
            epochs=facts["epochs"],
            steps=facts["steps"],
            seconds=seconds,
            budget_seconds=session.budget,
            checkpoint=given.out / job.checkpoint.name,
            confusion_matrix=given.out / table.name,
            confusion_picture=given.out / picture.name,
            log=given.out / session.log.text.name,
            notes=tuple(session.notes),
            calibration=calibrated,
            reliability_picture=given.out / RELIABILITY,
        )
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(result).items()}
        shown = f"{arm.model}: {result.test_accuracy:.1f} % on the test split after {facts['epochs']:.1f} epochs"
        session.log("result", f"{shown}; {seconds:.1f} s of {session.budget:g} s", **plain)
        show(session.folder, given.out)
        write(session.folder / "result.json", plain)
        session.tick()
        return result

    def draw_reliability(
        self, arm: Arm, arrays: Mapping[str, np.ndarray], calibrated: Mapping[str, Any] | None
    ) -> None:
        """The reliability diagram of the test images, without the temperature and with it."""
        outputs, labels = arrays["outputs"], arrays["labels"]
        curves = {}
        for name, by in {"as trained": 1.0, "calibrated": (calibrated or {}).get("temperature", 1.0)}.items():
            shares = probabilities(outputs / by, self.given.subject.multilabel)
            error = 100 * calibration.expected_error(shares, labels)
            curves[f"{name}: expected error {error:.1f} %"] = calibration.reliability(shares, labels)
        title = f"{self.given.subject.name}: {arm.model}, {len(labels)} test images"
        reliability.write(curves, self.session.folder / RELIABILITY, title)
