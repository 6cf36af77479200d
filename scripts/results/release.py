"""Add trained weights and ground truth that experiments need to the released layer, so that nobody has to make them.

    python scripts/results/release.py [-m experiment=diverse,small paths.data=<packs> …] [drop=true] [finished=true]

The overrides are those of a run. The first experiment's weights become folders; the rate choices and ground truth of
all become one zip each under paths.released (default results/released). Cells come from the cache, or are released
already: those keep their bytes, and stay though these experiments do not need them, unless `drop=true`, which says what
goes. What neither place holds is named, and nothing is written, unless `finished=true`: then what a computation has
done so far is released. The reference models of rsa and dds are weights as any other.
"""

from __future__ import annotations

import sys

from benchmark.cells.planner import plan
from benchmark.cells.released import export
from benchmark.cells.store import Damaged, Store, is_layer
from benchmark.config import cli
from benchmark.config.experiment import Experiment
from benchmark.errors import ConfigError

RELEASED_STAGES = ("weights", "tune", "truth")
RUN = "Run the experiments with `python -m benchmark.run` first."


def release(experiments: list[Experiment], drop: bool = False, finished: bool = False) -> int:
    """Export the cells of the experiments' plans; returns 1 where some are missing or damaged.

    drop      the layer loses the cells that these experiments do not need
    finished  cells that are not computed yet are counted instead of refused
    """
    cache, out = experiments[0].paths.cache, experiments[0].paths.released
    if out is None:
        raise ConfigError("paths.released must be a folder. Got null. Add paths.released=results/released.")
    store, plans = Store(cache, out if is_layer(out) else None), [plan(e) for e in experiments]
    if reasons := [why for made in plans for why in made.unavailable.values()]:
        return _refuse(f"{len(reasons)} models or targets are unavailable: {reasons[0]}")
    cells = {
        c.key: c
        for number, made in enumerate(plans)
        for c in made.cells.values()
        if c.stage in RELEASED_STAGES and (c.stage != "weights" or number == 0)
    }
    missing = {key: c.label for key, c in cells.items() if not store.has(c.stage, key)}
    if missing and not finished:
        return _refuse(
            f"{len(missing)} cells are not in {cache} or {out}: {', '.join([*missing.values()][:5])} …\n{RUN}"
        )
    if missing:
        cells = {key: c for key, c in cells.items() if key not in missing}
        print(f"{len(missing)} of {len(missing) + len(cells)} cells are not computed yet")
    keys = {stage: [c.key for c in cells.values() if c.stage == stage] for stage in RELEASED_STAGES}
    before = {stage: store.released_keys(stage) for stage in RELEASED_STAGES}
    others = {stage: sorted(before[stage].difference(keys[stage])) for stage in RELEASED_STAGES}
    for stage, going in others.items():
        if drop and going:
            some = ", ".join(key[:12] for key in going[:5])
            print(
                f"dropped: {len(going)} of {len(before[stage])} released {stage} cells: {some}{' …' * (len(going) > 5)}"
            )
    try:
        size = export(store, keys, out, drop)
    except Damaged as error:
        return _refuse(f"{error} {RUN}")
    counts = []
    for stage, wanted in keys.items():
        stay = 0 if drop else len(others[stage])
        counts.append(f"{len(wanted) + stay} {stage} ({len(set(wanted) - before[stage])} new, {stay} of others)")
    print(f"{', '.join(counts)}: {size / 1e6:.1f} MB in {out}")
    return 0


def _refuse(why: str) -> int:
    print(f"error: {why}\nNothing was written.", file=sys.stderr)
    return 1


def main(argv: list[str]) -> int:
    own = {"drop": "false", "finished": "false"}
    rest = []
    for argument in argv:
        name, equals, value = argument.partition("=")
        if equals and name in own:
            own[name] = value
        else:
            rest.append(argument)

    def run(experiments: list[Experiment]) -> int:
        for name, value in own.items():
            if value not in ("true", "false"):
                raise ConfigError(f"{name} must be true or false. Got '{value}'.")
        return release(experiments, **{name: value == "true" for name, value in own.items()})

    return cli.experiments(run, __doc__, rest or ["experiment=diverse"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
