# SPDX-License-Identifier: Apache-2.0
"""Hunt through many images at once, beside hunting through them one after another and beside a raw YARA pass.

    python -m benchmarks.fleet IMAGE... [--count 20] [--workers N] [--rules PATH]

The images given stand under `--count` names in one folder (links: the page cache is shared, the work is not). All three
start with symbols cached. The fleet's time has everything in it: the start of the workers, the rows' way back.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rules", type=Path, default=ROOT / "memir" / "hunt" / "rules")
    chosen = parser.parse_args()

    import yara

    from memir.hunt.fleet import hunt_fleet, hunt_image
    from memir.hunt.hunt import Options
    from memir.hunt.rules import Packed, load_rules
    from memir.image.listing import expand

    rules = load_rules([chosen.rules])
    with tempfile.TemporaryDirectory(dir=chosen.images[0].resolve().parent) as name:
        folder, cache = Path(name) / "nodes", Path(name) / "cache"
        folder.mkdir()
        for number in range(chosen.count):
            image = chosen.images[number % len(chosen.images)].resolve()
            os.link(image, folder / f"{number:02}-{image.name}")
        every = expand([str(folder)])
        packed = Packed.of(rules)
        for image in {Path(path).stat().st_ino: path for path in every}.values():
            hunt_image(image, packed, Options(), cache)
        begun = time.perf_counter()
        alone = [hunt_image(image, packed, Options(workers=chosen.workers), cache) for image in every]
        single = time.perf_counter() - begun
        begun = time.perf_counter()
        answers = list(hunt_fleet(every, rules, Options(workers=1), workers=chosen.workers, cache=cache))
        fleet = time.perf_counter() - begun
        begun = time.perf_counter()
        compiled = yara.compile(filepaths={str(at): str(path) for at, path in enumerate(rules.files)})
        for image in every:
            compiled.match(image, timeout=9999)
        raw = time.perf_counter() - begun
    assert sorted((one.image, one.hits) for one in answers) == sorted((one.image, one.hits) for one in alone)
    document = {
        "images": len(every), "MiB scanned": sum(one.scanned for one in answers) >> 20, "workers": chosen.workers,
        "failed": [one.image for one in answers if one.error], "hits": sum(one.hits for one in answers),
        "fleet, s": round(fleet, 2), "one after another, s": round(single, 2), "raw pass, s": round(raw, 2),
        "controller peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }  # fmt: skip
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
