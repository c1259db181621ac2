# SPDX-License-Identifier: Apache-2.0
"""Building tools on the controller: AVML with cargo, LiME against given kernel headers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from memir.acquire.tools.store import Pinned, Store
from memir.errors import UsageError

AVML_VERSION = "0.21.0"
FEATURES = "stream,upload,convert"
LIME_SOURCES = "/usr/src"
HELPER_LIMIT = 1 << 20
"""What a Kubernetes Secret holds (MaxSecretSize in pkg/apis/core/types.go)."""


def build_avml(store: Store, machine: str, version: str = AVML_VERSION) -> Pinned:
    """Build a static AVML and pin it. Raises UsageError when cargo is missing or the build fails.

    musl first: it needs no C library of the target. Its standard library is added with rustup, where that is there;
    where it cannot be had, glibc linked statically does as well, for the machine's own processor.
    """
    if not shutil.which("cargo"):
        raise UsageError("cargo is not on PATH: install Rust 1.89 or later, or `memir tools add FILE`")
    errors = []
    for target, flags in _targets(machine):
        if shutil.which("rustup"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(["rustup", "target", "add", target], capture_output=True, check=False, timeout=300)
        with tempfile.TemporaryDirectory(prefix="memir-avml-") as folder:
            command = [
                "cargo", "install", "avml", "--version", version, "--locked", "--no-default-features",
                "--features", FEATURES, "--target", target, "--root", folder,
            ]  # fmt: skip
            environment = {**os.environ, **flags}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            program = Path(folder) / "bin" / "avml"
            if done.returncode == 0 and program.is_file():
                return store.add(program, version=version, origin=f"cargo install avml {version} for {target}")
            errors.append(f"{target}: {_error_of(done.stderr)}")
    raise UsageError(f"AVML {version} could not be built: {'; '.join(errors)}")


def _error_of(text: str) -> str:
    """Cargo's first error, the one that the others follow from."""
    lines = text.strip().splitlines()
    first = next((line for line in lines if line.startswith("error")), (lines or ["failed"])[-1])
    return first.removeprefix("error: ")


def _targets(machine: str) -> list[tuple[str, dict[str, str]]]:
    if machine not in {"x86_64", "aarch64"}:
        raise UsageError(f"AVML is built for x86_64 and aarch64, not {machine!r}")
    musl, gnu = f"{machine}-unknown-linux-musl", f"{machine}-unknown-linux-gnu"
    variable = f"CARGO_TARGET_{musl.upper().replace('-', '_')}_LINKER"
    native = os.uname().machine == machine
    return [
        (musl, {} if native else {variable: "rust-lld"}),
        *([(gnu, {"RUSTFLAGS": "-C target-feature=+crt-static"})] if native else []),
    ]


def build_helper(store: Store, machine: str) -> Pinned:
    """Build node/helper.c as a static program and pin it. Raises UsageError when no compiler does, with what each said.

    musl first, as it gives 90 kB where glibc gives 900: the program has to fit into a Secret.
    """
    if machine not in {"x86_64", "aarch64"}:
        raise UsageError(f"the helper is built for x86_64 and aarch64, not {machine!r}")
    native = os.uname().machine == machine
    compilers = [
        *(["musl-gcc", "cc", "gcc"] if native else []),
        f"{machine}-linux-musl-gcc",
        f"{machine}-linux-gnu-gcc",
    ]
    errors = []
    for compiler in compilers:
        if not shutil.which(compiler):
            errors.append(f"{compiler} is not on PATH")
            continue
        with tempfile.TemporaryDirectory(prefix="memir-helper-") as folder:
            program = Path(folder) / "helper"
            with as_file(files("memir.acquire") / "node" / "helper.c") as source:
                command = [compiler, "-static", "-O2", "-s", "-o", str(program), str(source)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                errors.append(f"{compiler}: {_error_of(done.stderr)}")
            elif program.stat().st_size >= HELPER_LIMIT:
                errors.append(f"{compiler}: {program.stat().st_size:,} bytes do not fit into a Secret")
            else:
                return store.add(program, origin=f"helper.c built with {compiler}")
    raise UsageError(
        f"the helper for {machine} could not be built: {'; '.join(errors)}. Install musl-tools, or for another "
        f"gcc-{machine.replace('_', '-')}-linux-gnu"
    )


def build_lime(store: Store, headers: Path, source: Path | None = None) -> Pinned:
    """Build lime.ko against a kernel's headers and pin it. Raises UsageError with make's last words."""
    sources = source or next(iter(sorted(Path(LIME_SOURCES).glob("lime-forensics-*"))), None)
    if sources is None or not (sources / "Makefile").is_file():
        raise UsageError("no LiME source: install lime-forensics-dkms or give --source FOLDER")
    if not (headers / "Makefile").is_file():
        raise UsageError(f"{headers} holds no kernel headers (no Makefile): give /usr/src/linux-headers-RELEASE")
    with tempfile.TemporaryDirectory(prefix="memir-lime-") as folder:
        work = Path(folder) / "lime"
        shutil.copytree(sources, work)
        command = ["make", "-C", str(headers.resolve()), f"M={work}", "modules"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        modules = sorted(work.glob("lime*.ko"))
        if done.returncode or not modules:
            last = (done.stderr or done.stdout).strip()[-500:]
            raise UsageError(f"LiME does not build against {headers}: {last}")
        version = sources.name.removeprefix("lime-forensics-") if sources.name.startswith("lime-forensics-") else ""
        return store.add(modules[0], version=version, origin=f"built from {sources.name} against {headers.name}")
