"""Speed and memory of the estimators, as ratios and limits that hold on any machine.

    python scripts/bench/bench.py                              # ratios against textbook forms (what `make bench` runs)
    python scripts/bench/bench.py ratios releases growth memory --out results/bench --jobs 8

ratios  500 × 2048 float32 features, 200 classes, 1000 source classes: eleven methods on one `Features` against the
        textbook forms of the same (scripts/bench/textbook.py), and everything in units of one float64 Gram product
releases  lfc, ncti, hscore, knn, logistic and pactran_gauss against the algorithms of their releases, carried on to the
        same convergence, in processor time
growth  time over n at d = 512 and over d at n = 500, each call on fresh features, with the exponents expected
memory  peak resident memory of a process that scores 10,000 × 2048 features, a process a method

Times are the least of several repetitions, single-threaded. Exit code 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy is loaded

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "bench")]

from bench_against import ratios, releases  # noqa: E402
from bench_growth import growth, growth_of, memory, memory_of  # noqa: E402

from benchmark.provenance import commit, hardware, versions  # noqa: E402


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", default=["ratios", "releases"], help="ratios, releases, growth, memory")
    parser.add_argument("--out", type=Path, help="folder for estimators.md, growth.csv and growth.png")
    parser.add_argument("--jobs", type=int, default=1, help="processes beside each other, for growth and memory")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if strange := set(given.sections) - {"ratios", "releases", "growth", "memory"}:
        parser.error(f"sections must be of ratios, releases, growth, memory. Got {', '.join(sorted(strange))}.")
    if given.only:
        print(json.dumps({"growth": growth_of, "memory": memory_of}[given.sections[0]](given.only)))
        return 0
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
    good = True
    for section in given.sections:
        made = {
            "ratios": ratios,
            "releases": releases,
            "growth": lambda: growth(given.out, given.jobs),
            "memory": lambda: memory(given.jobs),
        }
        page, met = made[section]()
        print(page + "\n", flush=True)
        if given.out:
            merge(given.out / "estimators.md", page, argv)
        good &= met
    print("all limits are met" if good else "error: a limit is missed", file=sys.stdout if good else sys.stderr)
    return 0 if good else 1


def merge(path: Path, section: str, argv: list[str]) -> None:
    """Put a section, with how it was made, into the page in place of the one with its title."""

    packages = ", ".join(f"{k} {v}" for k, v in versions().items() if k in ("python", "numpy", "scipy", "scikit-learn"))
    made = (
        f"`python scripts/bench/bench.py {' '.join(argv)}`, one thread a process, {hardware()['processor']}, "
        f"{hardware()['cores']} cores, {packages}, commit {os.environ.get('BENCHMARK_COMMIT') or commit()}."
    )
    old = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.exists() else []
    title, _, body = section.removeprefix("## ").partition("\n")
    new = f"{title}\n\n{made}\n{body}\n"
    kept = {part.partition("\n")[0]: part for part in old} | {title: new}
    order = ["Against textbook forms", "Against released algorithms", "Growth", "Memory"]
    parts = ["## " + kept[t].strip() + "\n" for t in sorted(kept, key=order.index)]
    path.write_text("\n".join(["# Speed and memory of the estimators\n", *parts]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
