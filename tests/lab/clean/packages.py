# SPDX-License-Identifier: Apache-2.0
"""packages.py FOLDER: the index that apt reads of a folder of packages (Packages), to standard output."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

for path in sorted(Path(sys.argv[1]).glob("*.deb")):
    control = subprocess.run(["dpkg-deb", "-f", path], check=True, capture_output=True, text=True).stdout.strip()
    data = path.read_bytes()
    print(f"{control}\nFilename: ./{path.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n")
