# SPDX-License-Identifier: Apache-2.0
"""`memir ask CASE NAME`: the questions of a responder by name."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.common import CsvOption, JsonlOption, JsonOption, LimitOption, print_json, print_rows
from memir.errors import UsageError
from memir.text import say, say_all

if TYPE_CHECKING:
    from memir.case.questions import Question
    from memir.case.record import CaseRecord


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("ask")(ask)


def ask(
    case: Annotated[
        str | None, typer.Argument(metavar="CASE", help="A case folder, as `memir analyze -o` writes it.")
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A question, or its number.")] = None,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="VALUE=...", help="What some questions ask for, as pid=1176.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the questions; needs no case.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the question's SQL, to change it.")] = False,
    csv: CsvOption = False,
    jsonl: JsonlOption = False,
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a case one of the questions that responders ask, without SQL: who exec'd, what was dropped, what now.

    Where a command answers it, or goes on from the answer, it is printed and not run. Exit 0: done.
    """
    import memir
    from memir.case.export import json_rows
    from memir.case.partial import partial
    from memir.case.questions import answer, question_of, questions

    if listing:
        rows = [(each.number, each.name, each.text) for each in questions().values()]
        columns = ("number", "name", "question")
        if json:
            print_json({"columns": columns, "rows": list(json_rows(columns, rows))})
        elif csv or jsonl:
            print_rows(columns, rows, csv=csv, jsonl=jsonl, limit=limit)
        else:
            say_all(f"{number:>2}  {word:<24} {text}" for number, word, text in rows)
        return
    if case is None or name is None:
        raise UsageError("which case, and what? `memir ask CASE NAME`; `memir ask --list` has the questions")
    if sum((json, csv, jsonl)) > 1:
        raise UsageError("--json, --csv and --jsonl: one of them")
    question = question_of(name)
    if sql:
        say_all(question.sql.splitlines() or ["-- no SQL: commands answer it"])
        return
    given = dict(_value(word, question) for word in values or ())
    commands = [command.replace("CASE", shlex.quote(case), 1) if " CASE" in command else command
                for command in question.commands]  # fmt: skip
    result = answer(case, question, given) if question.sql else None
    record = memir.Case(case).record if result is not None else None
    lacks, limits = partial(record), _limits(question, record)
    if lacks is not None and (json or csv or jsonl):
        say(lacks, err=True)
    if json:
        rows_ = list(json_rows(result.columns, result.rows[:limit])) if result else []
        print_json({"question": question.text, "columns": result.columns if result else [], "rows": rows_,
                    "commands": commands, "partial": lacks, "not_checked": limits})  # fmt: skip
        return
    if csv or jsonl:
        if result is None:
            raise UsageError(f"{question.name} has no rows: {'; '.join(commands)} answers it")
        print_rows(result.columns, result.rows, csv=csv, jsonl=jsonl, limit=limit)
        return
    say(question.text)
    if lacks is not None:
        say(lacks)
    if result is not None:
        say("")
        if result.rows:
            print_rows(result.columns, result.rows, csv=False, jsonl=False, limit=limit)
        else:
            _say_none(record, limits)
    if limits:
        say("", f"Nothing looked at: {', '.join(limits)}.")
    if commands:
        say("", "Go on with:" if result is not None else "Answered by:")
        say_all(f"  {command}" for command in commands)


def _say_none(record: CaseRecord | None, limits: list[str]) -> None:
    from memir.case.partial import gap_words

    unread = gap_words(record.gaps) if record is not None else ""
    known = f"What could not be read is not in them: {unread}." if unread else (
        "Of the rest everything that was looked for could be read." if limits
        else "Everything that was looked for could be read."
    )  # fmt: skip
    say(f"Nothing of it is in the case's tables. {known}")


def _limits(question: Question, record: CaseRecord | None) -> list[str]:
    """What of the thing that is asked about nothing looked at."""
    from memir.report.kernel import not_checked

    if "kernel" not in question.limits or record is None:
        return []
    return not_checked(record.tables, {gap.kind for gap in record.gaps})


def _value(word: str, question: Question) -> tuple[str, str]:
    """NAME=VALUE; the value alone where the question takes one only."""
    name, equals, value = word.partition("=")
    if equals:
        return name, value
    takes = (*question.values, *question.optional)
    if len(takes) == 1:
        return takes[0], word
    known = f"{question.name} takes {', '.join(takes)}" if takes else f"{question.name} takes none"
    raise UsageError(f"{word!r}: write a value as NAME=VALUE, as pid=1176; {known}")
