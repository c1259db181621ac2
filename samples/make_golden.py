# SPDX-License-Identifier: Apache-2.0
"""Write the golden tables of the samples: `python samples/make_golden.py`. Read the difference before you commit it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from memir.tables.frame import Frame
from memir.tables.table import read_tables

HERE = Path(__file__).resolve().parent
COLUMNS = {
    "processes": [
        "pid", "ppid", "comm", "args", "exe", "exe_deleted", "start_time", "uid", "cap_effective", "seccomp", "pids",
        "in_container", "container_id", "pod_uid", "pod_name", "namespace", "container_name", "cgroup_path", "mnt_ns",
        "net_ns", "witnesses", "disagreements", "seen_by",
    ],
    "containers": [
        "container_id", "kind", "container_name", "pod_uid", "pod_name", "namespace", "runtime", "state", "init_pid",
        "cgroup_path", "privileged", "host_pid", "host_network", "rootfs", "overlay_upper", "overlay_lower", "args",
    ],
    "pods": ["pod_uid", "pod_name", "namespace", "qos", "host_network", "containers", "processes", "seen_in"],
    "namespaces": ["kind", "inum", "initial", "pids", "pods"],
}  # fmt: skip


def tables_of(image: Path, cache: Path | None) -> dict[str, list[list[Any]]]:
    """The golden columns of every table of an image, a list a row."""
    with open_image(image, cache=cache) as memory:
        frames = read_tables(RamSource(Kernel(memory, locate(memory))), COLUMNS)
    return golden(frames)


def golden(frames: Mapping[str, Frame]) -> dict[str, list[list[Any]]]:
    """Golden columns of frames as JSON has them: times as ISO 8601."""
    return {
        name: [[_plain(row[column]) for column in columns] for row in frames[name].rows()]
        for name, columns in COLUMNS.items()
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def main() -> None:
    """One file a sample."""
    for entry in json.loads((HERE / "manifest.json").read_text())["images"]:
        found = tables_of(HERE / entry["file"], None)
        lines = []
        for name, rows in found.items():
            body = ",\n".join("  " + json.dumps(row) for row in rows)
            lines.append(f'"{name}": [\n{body}\n]')
        path = HERE / f"{entry['name']}.golden.json"
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(path.name, {name: len(rows) for name, rows in found.items()})


if __name__ == "__main__":
    main()
