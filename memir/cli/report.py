# SPDX-License-Identifier: Apache-2.0
"""`memir report CASE --format FORMAT -o FILE`: a case's findings for others to read or take in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import CacheOption, JsonOption, SeverityOption, print_json, progress
from memir.errors import UsageError
from memir.text import say, say_raw

if TYPE_CHECKING:
    import pyarrow as pa

    import memir


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report")(report)


def report(
    case: Annotated[str, typer.Argument(metavar="CASE", help="Case folder, as `memir analyze -o` writes it.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="Form of the report; `--format list` says which there are. By FILE's ending if not given, else md.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="File to write; standard output if not given.")
    ] = None,
    severity: SeverityOption = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="html: pseudonyms in the place of names and addresses.")
    ] = False,
    notes: Annotated[
        Path | None, typer.Option("--notes", metavar="FILE", help="html: notes that were saved from the page.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="IMAGE", help="html: the case's image, for the beginning of changed files."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--diff", metavar="OTHER", help="html: an older or a good case, to say what differs from it."),
    ] = None,
    cache: CacheOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    json: JsonOption = False,
) -> None:
    """Write the findings of a case for others: for people, for a SIEM, for ATT&CK Navigator.

    Exit 0: done. 2: no such form, or it needs -o. 3: no case, or one without findings.
    """
    import memir
    from memir.report.registry import Options, format_of, formats
    from memir.report.write import write_report

    if format_ == "list":
        names = {form.name: form.help for form in formats().values()}
        print_json({"formats": names}) if json else say(*(f"{name:<10} {help_}" for name, help_ in names.items()))
        return
    form = format_of(format_ or _by_ending(output))
    if output is None and not form.text:
        raise UsageError(f"--format {form.name} is no text for a terminal: give a file with -o")
    opened = memir.Case(case)
    if form.name != "html" and (redact or notes or image or compare):
        raise UsageError(f"--redact, --notes, --image and --diff are for --format html: {form.name} has no such part")
    more = _more(opened, redact, notes, image, compare, cache) if form.name == "html" else {}
    parts = form.parts(opened, Options(severity, more))
    if output is None:
        text = b"".join(parts).decode("utf-8", "backslashreplace")
        print_json({"format": form.name, "text": text}) if json else say_raw(text)
        return
    size = write_report(parts, output, force=force)
    if json:
        print_json({"format": form.name, "file": str(output), "bytes": size})
    else:
        say(f"{output}: {size:,} bytes, {form.help}")


def _more(
    case: memir.Case, redact: bool, notes: Path | None, image: str | None, compare: str | None, cache: Path | None
) -> dict[str, Any]:
    """Options of the form html."""
    import memir
    from memir.report.html.notes import read_notes

    return {
        "redact": redact,
        "notes": read_notes(notes) if notes is not None else None,
        "other": memir.Case(compare) if compare is not None else None,
        "previews": _previews(case, image, cache) if image is not None else None,
    }


def _previews(case: memir.Case, image: str, cache: Path | None) -> pa.Table:
    """The beginning of files of the case's image. CaseError if it is another one, or the case lacks what names them."""
    import memir
    from memir.errors import CaseError
    from memir.extract.previews import previews

    if "inodes" not in case.tables:
        raise CaseError(f"{case.folder} has no table inodes, which names the files: leave --image away")
    with progress() as line, memir.open(image, cache=cache, progress=line) as node:
        node.check(case)
        return previews(node, case["inodes"], _proved(case))


def _proved(case: memir.Case) -> list[int]:
    """Rows of inodes that findings rest on."""
    from memir.report.html.tables import proofs

    if "findings" not in case.tables:
        return []
    every = proofs(case["findings"].to_pylist(), {"inodes": case["inodes"]})
    return [row for each in every for proof in each if proof["table"] == "inodes" for row in proof["rows"] or ()]


def _by_ending(output: Path | None) -> str:
    """The form that a file's ending names, else md."""
    from memir.report.registry import formats

    ending = output.suffix.lower().lstrip(".") if output is not None else ""
    return ending if ending in formats() else "md"
