# SPDX-License-Identifier: Apache-2.0
"""`memir report CASE --format FORMAT -o FILE`: a case's findings for others to read or take in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from memir.cli.common import JsonOption, SeverityOption, print_json
from memir.errors import UsageError
from memir.text import say, say_raw


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
    parts = form.parts(memir.Case(case), Options(severity, _more(form.name, redact, notes)))
    if output is None:
        text = b"".join(parts).decode("utf-8", "backslashreplace")
        print_json({"format": form.name, "text": text}) if json else say_raw(text)
        return
    size = write_report(parts, output, force=force)
    if json:
        print_json({"format": form.name, "file": str(output), "bytes": size})
    else:
        say(f"{output}: {size:,} bytes, {form.help}")


def _more(form: str, redact: bool, notes: Path | None) -> dict[str, Any]:
    """Options of the form html. UsageError if another form is given one."""
    if form != "html":
        if redact or notes is not None:
            raise UsageError(f"--redact and --notes are for --format html: {form} has no such part")
        return {}
    from memir.report.html.notes import read_notes

    return {"redact": redact, "notes": read_notes(notes) if notes is not None else None}


def _by_ending(output: Path | None) -> str:
    """The form that a file's ending names, else md."""
    from memir.report.registry import formats

    ending = output.suffix.lower().lstrip(".") if output is not None else ""
    return ending if ending in formats() else "md"
