# SPDX-License-Identifier: Apache-2.0
"""Commands in the blocks of README.md and docs/: which there are, what a page says that they print, and their run.

A page's own words decide:

- `$ COMMAND` in a fenced block, and what stands below it: run, and its output compared. A line `...` stands for any.
- any other line of a block of `sh`, and every line of a block that begins with a program's name: run for its exit code,
  which is 0 unless the line says `# exit code N`.
- `# not run: WHY` behind a command, or alone in a block's first line (for the whole block): not run.
- "`NAME` is `samples/FILE`" in the text: NAME stands for that file of this repository.

`python -m tests.docs.commands PAGE` prints what each command of a page prints today.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.images import ROOT

PROGRAMS = re.compile(
    r"(?:(?:memir|vol|aws|kubectl|openssl|pip3?|python3?|bash|gdb|zensical|debootstrap|ctr|sudo)(?: |$)"
    r"|(?:tests/|\.venv/bin/)\S+)"
)
STANDS_FOR = re.compile(r"`([^`\s]+)`\s+(?:is|stands for)\s+`((?:samples|docs/examples|memir/hunt)/[^`\s]*)`")
CODE = re.compile(r"#.*\bexit code (\d+)")
SHELL = re.compile(r"[|;<>&`]|\$\(|\$[A-Z]")
NOT_RUN = re.compile(r"#.*\bnot run: \S")


@dataclass(frozen=True)
class Command:
    """line: of the page, from 1. text: as typed. shown: what the page says that it prints; None: it does not say."""

    page: str
    line: int
    text: str
    shown: tuple[str, ...] | None
    run: bool
    code: int


def pages() -> list[Path]:
    """The pages that tell people what to type; decisions tell what was done."""
    docs = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "decisions" not in path.parts]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs]


def blocks(text: str) -> list[tuple[int, str, list[str]]]:
    """Blocks of code: the first line's number, the language ("indented" for those of four spaces), the lines."""
    found: list[tuple[int, str, list[str]]] = []
    fence: str | None = None
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        mark = line.strip()
        if fence is not None:
            if mark == "```":
                fence = None
            else:
                found[-1][2].append(line)
        elif mark.startswith("```"):
            fence = mark[3:]
            found.append((number + 1, fence, []))
        elif line.startswith("    "):
            if not before.strip() or not found or not (before.startswith("    ") and found[-1][1] == "indented"):
                found.append((number, "indented", []))
            found[-1][2].append(line.strip())
        before = line
    return found


def commands(path: Path) -> list[Command]:
    """Every command of a page, in its order."""
    text = path.read_text()
    page = str(path.relative_to(ROOT))
    answer: list[Command] = []
    for start, language, lines in blocks(text):
        if language not in ("", "sh", "console", "indented"):
            continue
        none = bool(lines) and lines[0].lstrip().startswith("#") and NOT_RUN.search(lines[0]) is not None
        typed = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        if typed:
            for this, after in zip(typed, [*typed[1:], len(lines)], strict=True):
                answer.append(_command(page, start + this, lines[this][2:], tuple(lines[this + 1 : after]), none))
            continue
        joined = ""
        for number, line in enumerate(lines):
            joined += line.strip()
            if joined.endswith("\\"):
                joined = joined[:-1]
                continue
            if joined and not joined.startswith("#") and (language == "sh" or PROGRAMS.match(joined)):
                answer.append(_command(page, start + number, joined, None, none))
            joined = ""
    return answer


def _command(page: str, line: int, text: str, shown: tuple[str, ...] | None, none: bool) -> Command:
    code = CODE.search(text)
    run = not none and not NOT_RUN.search(text)
    return Command(page, line, re.sub(r"\s+#\s.*$", "", text), shown, run, int(code[1]) if code else 0)


def place(path: Path, folder: Path) -> None:
    """What a page's commands find where they are run: samples/, and what the page says its names stand for."""
    for name in ("samples", "tests", "docs", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    for name, sample in STANDS_FOR.findall(path.read_text()):
        there = folder / name.rstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.symlink_to(ROOT / sample.rstrip("/"))


def words(command: Command) -> list[str] | None:
    """The words of a command that is memir's alone; None where it takes a shell or another program."""
    if SHELL.search(re.sub(r"'[^']*'|\"[^\"$]*\"", "", command.text)):
        return None
    split = shlex.split(command.text)
    return split[1:] if split[0].rpartition("/")[2] == "memir" else None


def by_shell(command: Command, folder: Path) -> tuple[int, str]:
    """Run by bash, with this Python's programs first; exit code and standard output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", command.text], cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return ran.returncode, ran.stdout if ran.returncode == command.code else ran.stdout + ran.stderr


_VOLATILE = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"\bmemir-[0-9a-f]{8}\b"), "memir-ID"),
    (re.compile(r"\b(made|Made) 20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00| UTC|Z)?"), "made TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? m?s\b(?=$|, )"), "SECONDS"),
    (re.compile(r"(\.html: )[\d,]+ bytes"), r"\1BYTES"),
)


def same(shown: tuple[str, ...], printed: str) -> str | None:
    """None if a page shows what was printed; else the first line of the page that was not printed where it stands."""
    have = [_plain(line) for line in printed.splitlines() if line.strip()]
    want = [_plain(line) for line in shown if line.strip()]
    if not any(line.strip() == "..." for line in want) and len(want) != len(have):
        longer = next((line for line in have if line not in want), f"{len(have)} lines")
        return f"{len(want)} lines are shown, {len(have)} were printed, as {longer!r}"
    position, free = 0, False
    for line in want:
        if line.strip() == "...":
            free = True
            continue
        there = next((at for at in range(position, len(have)) if have[at] == line), None) if free else (
            position if position < len(have) and have[position] == line else None
        )  # fmt: skip
        if there is None:
            return f"{line!r} is shown, {have[position] if position < len(have) else 'nothing more'!r} was printed"
        position, free = there + 1, False
    return None if free or position == len(have) else f"{have[position]!r} was printed too"


def _plain(line: str) -> str:
    for pattern, word in _VOLATILE:
        line = pattern.sub(word, line)
    return line.rstrip()


def _main(page: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place(page, folder)
        for command in commands(page):
            print(f"\n{command.page}:{command.line} $ {command.text}")
            if command.run:
                code, out = by_shell(command, folder)
                said = same(command.shown, out) if command.shown is not None else None
                print(out + (f"<exit code {code}>\n" if code != command.code else "") + (f"<{said}>\n" if said else ""))
            else:
                print("<not run>")
        shutil.rmtree(folder / "case", ignore_errors=True)


if __name__ == "__main__":
    _main((ROOT / sys.argv[1]).resolve())
