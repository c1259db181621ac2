# SPDX-License-Identifier: Apache-2.0
"""A node with a rootkit's module in its kernel (small/hider.c): it hides a process, a port and itself, and hooks two
system calls. Compiled against the kernel's own headers, for the emulated machine alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent / "small"
PORT, SLEEP = 4444, 4242


def script() -> str:
    """scenario.sh: a listener, a process, then the module that hides both; what it says goes with the truth."""
    return f"""# made by tests/lab/hidden.py
busybox setsid busybox nc -l -p {PORT} -e busybox cat </dev/null >/dev/null 2>&1 &
busybox setsid busybox sleep {SLEEP} </dev/null >/dev/null 2>&1 &
busybox sleep 2
for p in $(busybox pidof busybox sleep); do busybox grep -q {SLEEP} /proc/$p/cmdline && PID=$p; done
busybox insmod /lib/hider.ko pid=$PID port={PORT} || echo insmod FAILED
told() {{
  busybox dmesg | busybox sed -n 's/.*hider: @TOLD/@TOLD/p'
  busybox ls /proc | busybox grep -qx $PID && echo still in proc FAILED
  busybox grep -q hider /proc/modules && echo still in modules FAILED
  busybox grep -q :{PORT:04X} /proc/net/tcp && echo still in tcp FAILED
}}
"""


def write(folder: Path, kernel: Path) -> None:
    """Everything below a folder that is laid over the guest's root. kernel: the unpacked package of the guest's."""
    release = next(kernel.rglob("config-*")).name.removeprefix("config-")
    headers = Path("/lib/modules") / release / "build"
    if not headers.exists():
        raise SystemExit(f"{headers} is not there: apt-get install linux-headers-{release}")
    source = folder / "module"
    source.mkdir()
    shutil.copy(HERE / "hider.c", source)
    (source / "Makefile").write_text("obj-m := hider.o\n")
    subprocess.run(["make", "-s", "-C", headers, f"M={source}", "modules"], check=True)
    (folder / "lib").mkdir()
    subprocess.run(["strip", "--strip-debug", "-o", folder / "lib" / "hider.ko", source / "hider.ko"], check=True)
    shutil.rmtree(source)
    (folder / "scenario.sh").write_text(script())
