"""The end of a search: the best arm is trained until time is up, and it or the head is put into the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.errors import ConfigError
from benchmark.search import products
from benchmark.search.arithmetic import Arm
from benchmark.search.baseline import Baseline
from benchmark.search.job import Job, write
from benchmark.search.result import FILES, MODEL, PICTURE, RELIABILITY, TABLE, Result, show
from benchmark.search.session import TO_DO, Session
from benchmark.wording import duration


class Ending:
    """The final training of a session and its result."""

    def __init__(self, session: Session, head: Baseline | None):
        self.session, self.given, self.head = session, session.given, head

    def final(self, standing: Sequence[Arm]) -> Result:
        """Train the best arm on everything until time is up; where that fails, the next one with what is left.

        Where time is up and a killed training left its weights, they are tested and kept as they are. The head comes
        out where no training came to an end, and where it is better than what did.
        """
        failed = []
        for k, arm in enumerate(standing):
            facts, job = self.trained(k, arm)
            if facts["status"] == "done":
                return self.result(*self.better(arm, facts, job))
            if facts["status"] == "late":
                continue
            if facts["status"] == "cut" and self.head:
                break  # nor would the next one have time
            said = f"the final training of {arm} failed: {facts.get('reason', 'no time')}"
            self.session.note(said)
            failed += [said] if facts["status"] == "failed" else []
        if self.head:
            self.session.note("no training came to an end within the time: the head on frozen features is kept")
            return self.result(self.head.arm, self.head.facts, self.head.job)
        raise ConfigError(self.nothing(failed))

    def trained(self, k: int, arm: Arm) -> tuple[Mapping[str, Any], Job]:
        """An arm's final training: what came of it; `late` where it could not begin."""
        session = self.session
        until, begin = session.deadline - session.writing, self.begin(arm)
        job = session.job("finish", arm, f"final-{k:02d}", until, begin=begin)
        if session.found(job)["status"] == "done" and not job.checkpoint.exists():
            job.result.unlink()  # its model was deleted
        if session.found(job)["status"] in TO_DO:
            if not job.due(session.clock()):
                return {"status": "late"}, job
            on = " goes on" if begin else ""
            said = f"final training of {arm}{on}: {max(0.0, until - session.clock()):.0f} s with its test"
            session.log("final", said, **asdict(arm))
        (facts,) = session.do([job])
        return facts, job

    def begin(self, arm: Arm) -> Path | None:
        """The weights that its training goes on from: as its trial left them, else with the head that was fitted."""
        if (left := self.session.trained.get(arm)) or not self.head or self.head.arm.model != arm.model:
            return left
        return self.head.job.checkpoint

    def better(self, arm: Arm, facts: Mapping[str, Any], job: Job) -> tuple[Arm, Mapping[str, Any], Job]:
        """The trained model or the head, whichever is better on the images kept aside; of equals the trained one.

        Where none were kept aside the trained one has to have had the recipe's steps.
        """
        own = {"what": str(arm), **asdict(arm), "round": "final", "status": "done"}
        self.session.tried.append(own | {"accuracy": facts["judged"], "images": facts["aside"]})
        if not (head := self.head):
            return arm, facts, job
        ours, theirs = facts["judged"], head.facts["judged"]
        if ours is None or theirs is None:
            if facts["steps"] >= self.given.recipe.steps:
                return arm, facts, job
            why = f"{arm} had {facts['steps']} steps, fewer than a fine-tuning of {self.given.recipe.steps}"
        elif ours >= theirs:
            return arm, facts, job
        else:
            why = f"on {facts['aside']} images kept aside it reached {theirs:.1f} %, {arm} {ours:.1f} %"
        self.session.note(f"the head on frozen features is kept: {why}")
        return head.arm, head.facts, head.job

    def nothing(self, failed: Sequence[str]) -> str:
        """Why there is no model."""
        if failed:
            return f"one of the ranked models must be trainable. Got none: {'; '.join(failed)}."
        folder = self.session.folder
        return (
            f"budget must be enough for a training. Got {duration(self.session.budget)}, used up before anything was "
            f"trained. Give more time, or delete {folder.name} in {folder.parent} to begin anew."
        )

    def result(self, arm: Arm, facts: Mapping[str, Any], job: Job) -> Result:
        """Draw and show what is kept, and write it down."""
        session, only = self.session, job.kind == "head"
        if not only:
            products.draw(self.given.subject, job, facts)
        if facts.get("balance"):
            reached = facts["test"]["mean_per_class"]
            session.note(f"{facts['balance']}; of the trained model on the test images: {reached:.1f} %")
        if facts.get("late"):
            share = f"{100 * facts['resumed_at']:.0f} %"
            session.note(
                f"time was over when the search went on: {arm.model} is kept as it was after {share} of its time"
            )
        show(job.checkpoint.parent, session.folder, (*FILES, job.outputs.name))
        if (over := session.used - session.budget) > 0.05 * session.budget and not facts.get("late"):
            session.note(f"it took {over:.0f} s longer than its budget: the machine became slower towards the end")
        result = self.described(arm, facts, only)
        plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(result).items()}
        how = "head only" if only else f"after {facts['epochs']:.1f} epochs"
        shown = f"{arm.model}: {result.test_accuracy:.1f} % on the test split, {how}"
        session.log("result", f"{shown}; {result.seconds:.1f} s of {session.budget:g} s", **plain)
        show(session.folder, self.given.out)
        write(session.folder / "result.json", plain)
        session.tick()
        return result

    def described(self, arm: Arm, facts: Mapping[str, Any], only: bool) -> Result:
        session, out = self.session, self.given.out
        return Result(
            model=arm.model,
            rate=None if only else arm.rate,
            optimiser=arm.optimiser,
            head_only=only,
            test_accuracy=facts["test"]["oracle"],
            measure=products.measure(self.given.subject),
            validation_accuracy=facts["judged"] if only else session.validation.get(arm, facts["judged"]),
            epochs=facts["epochs"],
            steps=facts["steps"],
            seconds=session.used,
            budget_seconds=session.budget,
            checkpoint=out / MODEL,
            confusion_matrix=out / TABLE,
            confusion_picture=out / PICTURE,
            log=out / session.log.text.name,
            notes=tuple(session.notes),
            calibration=facts.get("calibration"),
            reliability_picture=out / RELIABILITY,
            tried=tuple(session.tried),
        )
