# SPDX-License-Identifier: Apache-2.0
"""Time a hunt beside a raw YARA pass over the same file and, if asked, volatility3's vmayarascan.

    python -m benchmarks.hunt IMAGE [--rules PATH] [--generated 5000] [--repeat 5] [--vmayarascan]

The raw pass is one yara scan of the whole file with one thread, as the `yara` command does it, rules compiled before.
The hunt starts with the image unopened and its symbols cached, and ends with every hit's owners. Each is the median of
`--repeat` runs by their seconds, each in a process of its own. "peak MiB" is that process's peak resident set, page
cache of the mapped image included; "own MiB" is what it holds beside files (RssAnon, looked at every 10 ms). If a
`yara` program is on PATH it is timed as well, start and compilation of the rules included.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.node import own_memory

FOUR = """
rule Pool { strings: $a = /stratum\\+(tcp|ssl):\\/\\/[0-9a-z.-]{4,80}:[0-9]{2,5}/ condition: $a }
rule Shell { strings: $a = "/dev/tcp/" $b = "bash -i" condition: all of them }
rule Key { strings: $a = /AKIA[0-9A-Z]{16}/ $b = "aws_secret_access_key" condition: any of them }
rule Loader { strings: $a = "finit_module" $b = "insmod" $c = { 7f 45 4c 46 02 01 01 } condition: all of them }
"""


def generated(count: int) -> str:
    """Rules of text, hex and case-insensitive strings, none of which is likely in an image."""
    chance = random.Random(count)

    def word(length: int) -> str:
        return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789_/.-", k=length))

    rules = []
    for at in range(count):
        data = chance.randbytes(10).hex(" ")
        strings = f'$a = "{word(14)}" $b = {{ {data} }} $c = "{word(12)}" nocase'
        rules.append(f"rule G{at} {{ strings: {strings} condition: any of them }}")
    return "\n".join(rules)


def raw(image: str, rules: Path, cache: Path) -> dict[str, Any]:
    import yara

    del cache
    compiled = yara.compile(filepath=str(rules))
    begun = time.perf_counter()
    matches = compiled.match(image, timeout=100000)
    return {"seconds": time.perf_counter() - begun, "rules matched": len(matches)}


def memir(image: str, rules: Path, cache: Path) -> dict[str, Any]:
    from memir.hunt.hunt import hunt
    from memir.hunt.rules import load_rules
    from memir.image.open import open_image
    from memir.kernel.find import find_kernel
    from memir.symbols.store import Store

    compiled = load_rules([rules])
    begun = time.perf_counter()
    memory = open_image(image, cache=cache)
    kernel = find_kernel(memory, None, Store(cache))
    located = time.perf_counter()
    found = hunt(kernel, compiled)
    ended = time.perf_counter()
    return {
        "seconds": ended - begun,
        "symbols": located - begun,
        **found.seconds,
        "hits": found.hits,
        "rows": len(found.rows),
        "MiB scanned": sum(found.scanned.values()) >> 20,
        "units": sum(found.units.values()),
    }


def yara_program(image: str, rules: Path, cache: Path) -> dict[str, Any]:
    del cache
    begun = time.perf_counter()
    done = subprocess.run(["yara", "-p", "1", str(rules), image], capture_output=True, text=True, check=True)
    return {"seconds": time.perf_counter() - begun, "rules matched": len(done.stdout.splitlines())}


def vmayarascan(image: str, rules: Path, cache: Path) -> dict[str, Any]:
    from memir.image.open import open_image
    from memir.kernel.find import find_kernel
    from memir.symbols.store import Store
    from memir.volatility.run import run_plugin

    kernel = find_kernel(open_image(image, cache=cache), None, Store(cache))
    begun = time.perf_counter()
    result = run_plugin(kernel.memory, kernel.anchors, "linux.vmayarascan.VmaYaraScan", ["--yara-file", str(rules)])
    return {"seconds": time.perf_counter() - begun, "rows": len(result.rows)}


def alone(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Run in a process of its own and add its peak memory and processor time."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measured, (work, arguments))


def _measured(work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> dict[str, Any]:
    before = time.process_time()
    own, stop = [0], threading.Event()

    def sample() -> None:
        while not stop.wait(0.01):
            own[0] = max(own[0], own_memory() >> 10)

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    found = work(*arguments)
    stop.set()
    sampler.join()
    found["own MiB"] = own[0]
    found["processor seconds"] = time.process_time() - before
    found["peak MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image")
    parser.add_argument("--rules", type=Path, help="rules to use; four of our own if not given")
    parser.add_argument("--generated", type=int, default=5000, help="how many rules to make for the second round")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--vmayarascan", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        few, many = Path(folder) / "four.yar", Path(folder) / "generated.yar"
        few.write_text(options.rules.read_text() if options.rules else FOUR)
        many.write_text(generated(options.generated))
        alone(memir, options.image, few, cache)  # fills the cache of symbols and the page cache
        program = [yara_program] if shutil.which("yara") else []
        rounds: list[tuple[str, Path, list[Callable[..., dict[str, Any]]]]] = [
            ("four rules", few, [raw, *program, memir, *([vmayarascan] if options.vmayarascan else [])]),
            (f"{options.generated} rules", many, [raw, *program, memir]),
        ]
        for title, rules, works in rounds:
            if rules is many and not options.generated:
                continue
            runs: dict[str, list[dict[str, Any]]] = {}
            for _ in range(options.repeat):
                for work in works:
                    done = runs.setdefault(work.__name__, [])
                    if not done or work is not vmayarascan:
                        done.append(alone(work, options.image, rules, cache))
            middle = {name: sorted(done, key=lambda run: run["seconds"])[len(done) // 2] for name, done in runs.items()}
            ratio = middle["memir"]["seconds"] / middle["raw"]["seconds"]
            print(json.dumps({"rules": title, **middle, "hunt over raw pass": round(ratio, 2)}, indent=2))


if __name__ == "__main__":
    main()
