"""Does a job of a search in this process and leaves its result, whatever happens.

The result is complete or not at all, so that a killed search goes on from there. Deep-learning packages are imported
inside the functions: the process that searches needs none.
"""

from __future__ import annotations

import sys

from benchmark.files import no_room
from benchmark.search.final import finish
from benchmark.search.head import head
from benchmark.search.job import Job, write
from benchmark.search.trial import compete


def work(job: Job, device: str) -> None:
    """Do a job and write its result: `status` is done, cut (by the clock) or failed (`reason`)."""
    import torch

    from benchmark.models import timm_alone  # noqa: F401 (lest the import be the first job's start)
    from benchmark.training.loop import twice_for_memory

    torch.set_num_threads(1)
    do = {"head": head, "compete": compete, "finish": finish}[job.kind]
    try:
        facts, _ = twice_for_memory(lambda parts: do(job, torch.device(device), parts))
    except Exception as error:  # a model that cannot be trained is out of the race, not its end
        known = type(error).__module__.startswith("benchmark.")
        facts = {"status": "failed", "reason": str(error) if known else f"{type(error).__name__}: {error}"}
    try:
        write(job.result, facts)
    except OSError as error:  # the search finds no result, and no room itself
        if not (said := no_room(error)):
            raise
        print(f"error: {said}", file=sys.stderr, flush=True)
