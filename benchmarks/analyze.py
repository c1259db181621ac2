# SPDX-License-Identifier: Apache-2.0
"""Time and peak memory of `memir analyze`, beside the stock way to the same answers, in one run.

    python benchmarks/analyze.py IMAGE... [--stock STOCK_PYTHON] [--runs 3]

"tables": every table but secrets and hits, from Python's start to the sealed case, no cache, without what is judged
(findings) and without SHA-256 of files: wall and processor seconds, medians.

Stock way, as a user would run it: `pakunoda extract` for the ISF, then `vol` linux.pslist, linux.psaux, linux.envars.
STOCK_PYTHON is the python of an environment with volatility3 2.28 and pakunoda but without the jsonschema package,
which makes volatility3 ten times slower:

    python3 -m venv stock
    stock/bin/pip install "volatility3==2.28.*" pakunoda && stock/bin/pip uninstall -y jsonschema
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def run(command: Sequence[str], cwd: Path | None = None) -> tuple[float, int, float]:
    """(seconds, peak resident bytes, processor seconds) of a command.

    The image's mapped pages count as resident. Processor seconds hold on a busy machine, where wall time does not.
    """
    code = (
        "import resource,subprocess,sys,time;t=time.time();"
        "r=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL,stderr=subprocess.PIPE);"
        "sys.stderr.buffer.write(r.stderr[-2000:]) if r.returncode else None;"
        "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(time.time()-t,u.ru_maxrss*1024,r.returncode,u.ru_utime+u.ru_stime)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True, cwd=cwd)
    seconds, peak, status, processor = done.stdout.split()
    if int(status):
        raise SystemExit(f"{' '.join(command)} ended with {status}: {done.stderr}")
    return float(seconds), int(peak), float(processor)


def memir(image: Path, runs: int) -> dict[str, float]:
    """Cold: an empty cache folder each time (the image itself is in the page cache, as it is for the others)."""
    cold, warm, peaks, processor = [], [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            base = [sys.executable, "-m", "memir", "analyze", str(image), "--cache", f"{folder}/cache"]
            seconds, peak, used = run([*base, "-o", f"{folder}/one"])
            cold.append(seconds)
            peaks.append(peak)
            processor.append(used)
            warm.append(run([*base, "-o", f"{folder}/two"])[0])
    return {
        "cold": statistics.median(cold),
        "warm": statistics.median(warm),
        "cold_cpu": min(processor),
        "peak_mib": max(peaks) / 2**20,
    }


def tables(image: Path, runs: int) -> dict[str, float]:
    """All tables but secrets and hits, written to a case: no findings, no SHA-256 of files, an empty cache."""
    code = (
        "import gc,os,sys,memir\n"
        "from memir.cli.main import COLLECT,_NoPandas\n"
        "gc.set_threshold(*COLLECT); sys.meta_path.insert(0,_NoPandas())\n"  # as every verb has it
        "from memir.kube import process_facts\n"
        "from memir.tables import inodes,page_hashes\n"
        "for each in (process_facts,inodes,page_hashes): each.MAX_HASHED=0\n"
        "node=memir.open(sys.argv[1],cache=sys.argv[2],secrets=False)\n"
        "node.save(sys.argv[3],tables=[name for name in node.default_tables if name!='findings'])\n"
        "os._exit(0)\n"  # nor does a verb look for garbage at its end
    )
    seconds, processor = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            took, _, used = run([sys.executable, "-c", code, str(image), f"{folder}/cache", f"{folder}/case"])
        seconds.append(took)
        processor.append(used)
    return {"seconds": statistics.median(seconds), "processor": statistics.median(processor)}


def private_memory(image: Path, *options: str) -> tuple[float, float]:
    """(peak MiB of memir's own memory, the mapped image left out: anonymous pages alone; processor seconds)."""
    code = (
        "import sys,threading,time\n"
        "peak=[0]\n"
        "def watch():\n"
        "  while True:\n"
        "    s=open('/proc/self/status').read()\n"
        "    peak[0]=max(peak[0],int(s.split('RssAnon:')[1].split()[0])); time.sleep(0.002)\n"
        "threading.Thread(target=watch,daemon=True).start()\n"
        "sys.argv=['memir','analyze',sys.argv[1],'-o',sys.argv[2],'--cache',*sys.argv[3:]]\n"
        "from memir.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(peak[0],time.process_time(),file=sys.stderr)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, str(image), f"{folder}/case", f"{folder}/cache", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, seconds = done.stderr.split()[-2:]
    return int(peak) / 1024, float(seconds)


def stock(image: Path, python: Path) -> dict[str, float]:
    """The stock way, step by step."""
    tools = python.parent
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        isf = Path(folder, "isf", "linux", "kernel.json")
        isf.parent.mkdir(parents=True)
        Path(folder, "cache").mkdir()
        times["cpu"] = 0.0
        steps = {"pakunoda": [str(tools / "pakunoda"), "extract", str(image), "-o", str(isf)]}
        for plugin in ("pslist", "psaux", "envars"):
            command = [
                str(tools / "vol"),
                "-q",
                "--cache-path",
                f"{folder}/cache",
                "-s",
                f"{folder}/isf",
                "-f",
                str(image),
            ]
            steps[plugin] = [*command, f"linux.{plugin}"]
        for name, step in steps.items():
            times[name], _, processor = run(step)
            times["cpu"] += processor
    times["total"] = sum(times[name] for name in steps)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--stock", type=Path, help="python of an environment with volatility3 and pakunoda")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    for image in options.images:
        with image.open("rb") as file:  # everything into the page cache first: disks differ
            while file.read(16 << 20):
                pass
        begun = time.time()
        result: dict[str, object] = {"image": image.name, "size_mib": image.stat().st_size >> 20}
        result["memir"] = memir(image, options.runs)
        result["tables"] = tables(image, options.runs)
        result["private_mib"] = private_memory(image)[0]
        if options.stock:
            found = stock(image, options.stock)
            result["stock"] = found
            ours = result["memir"]
            result["ratio_cold"] = found["total"] / ours["cold"]  # type: ignore[index]  # a dict, just above
            result["ratio_cpu"] = found["cpu"] / ours["cold_cpu"]  # type: ignore[index]  # a dict, just above
        result["benchmark_seconds"] = time.time() - begun
        print(json.dumps(result, indent=2))
    print(
        "maximum resident set of this script's children:",
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10,
        "MiB",
    )


if __name__ == "__main__":
    main()
