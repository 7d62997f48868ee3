"""`python -m tests.fuzz --records 1000000 --seed 1`: junk into a store, until enough or found.

Prints a line every few seconds and one of JSON at the end. What was found is printed with the seed,
the number of its batch (`--first N --records 1` does it again) and the file that it was saved to.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.bases import bases
from tests.fuzz.drive import FoundError, Fuzzer


def main() -> int:
    """Run one job here, or several in processes of their own; 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="how many, in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first batch")
    parser.add_argument("--jobs", type=int, default=1, help="processes; each has a seed of its own")
    parser.add_argument("--real", type=Path, help="folder of real payloads to break, too")
    parser.add_argument("--out", type=Path, help="where findings go (default: a new folder)")
    parser.add_argument("--keep-going", action="store_true", help="tell of findings and go on")
    wish = parser.parse_args()
    if wish.jobs > 1:
        return _several(wish)
    folder = wish.out or Path(tempfile.mkdtemp(prefix="earshot-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} holds another run, which would be counted too; take a new one")
    return _one(wish, folder)


def _one(wish: argparse.Namespace, folder: Path) -> int:
    fuzzer = Fuzzer(folder, bases(real=wish.real), seed=wish.seed)
    fuzzer.batch = wish.first
    found, said = 0, time.monotonic()
    while fuzzer.records < wish.records:
        try:
            fuzzer.step()
        except FoundError as e:
            found += 1
            print(f"FOUND {e}", flush=True)
            if not wish.keep_going:
                break
            fuzzer.skip()
        if time.monotonic() - said > 5:
            said = time.monotonic()
            print(json.dumps(_figures(fuzzer, found)), flush=True)
    if not found:
        fuzzer.close()
    print(json.dumps(_figures(fuzzer, found)), flush=True)
    return int(found > 0)


def _figures(fuzzer: Fuzzer, found: int) -> dict[str, object]:
    rate = fuzzer.records / fuzzer.seconds if fuzzer.seconds else 0.0
    return {
        "seed": fuzzer.seed,
        "records": fuzzer.records,
        "batches": fuzzer.batch,
        "records_per_second": round(rate),
        "found": found,
        "classes": dict(fuzzer.classes.most_common()),
    }


def _several(wish: argparse.Namespace) -> int:
    """As many processes as jobs, each with its share."""
    command = [sys.executable, "-m", "tests.fuzz", "--records", str(wish.records // wish.jobs)]
    command += ["--keep-going"] * wish.keep_going
    command += ["--real", str(wish.real)] * (wish.real is not None)
    children = []
    for job in range(wish.jobs):
        out = ["--out", str(wish.out / str(job))] if wish.out else []
        more = ["--seed", str(wish.seed + job), "--first", str(wish.first), *out]
        children.append(subprocess.Popen([*command, *more], env=os.environ))
    return max(child.wait() for child in children)


if __name__ == "__main__":
    sys.exit(main())
