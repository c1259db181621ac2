# SPDX-License-Identifier: Apache-2.0
"""A pod that is collected, by whatever way: its verb, the run, and what is printed of it."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import typer

from memir.cli.common import BucketOwnerOption, JsonOption, made_verb, parameters_of, print_json
from memir.errors import EXIT_REMOTE, MemirError
from memir.text import say

if TYPE_CHECKING:
    from memir.collect.run import PodCollection
    from memir.evidence.progress import Report


Chosen = TypeVar("Chosen", bound="Options")


class Options(Protocol):
    """What each way's settings have, as memir.collect.settings declares it."""

    dry_run: bool


def verb(options: type[Chosen], run: Callable[..., None]) -> Callable[..., None]:
    """What typer makes a verb of: a parameter for each field. run: called with the settings, and with as_json."""

    def of_words(json: bool, **values: Any) -> None:
        run(options(**values), as_json=json)

    kinds = {"bucket_owner": BucketOwnerOption}
    json = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption)
    return made_verb(of_words, options.__doc__, [*parameters_of(options, kinds), json])


def go(
    settings: Chosen,
    prepare: Callable[[Chosen, Report, Sequence[str]], PodCollection],
    *,
    as_json: bool,
    look: Callable[[PodCollection], None] = lambda _: None,
) -> None:
    """Prepare a run, and do it, or show what it would do. look: before either, at what was prepared."""
    from memir.report.progress import ProgressLine

    with ProgressLine() as line:
        run = prepare(settings, lambda step: line(step.phase, step.done, step.expected), sys.argv[1:])
        look(run)
        if settings.dry_run:
            show_dry_run(run, as_json=as_json)
        else:
            finish(run, as_json=as_json)


def finish(run: PodCollection, *, as_json: bool) -> None:
    """Collect, and print what came of it; what is kept of a run that is not whole, too. Raises MemirError."""
    try:
        receipt = run.execute()
    except MemirError as error:
        if not as_json or not (run.evidence / "receipt.json").is_file():
            raise
        from memir.evidence.pod_receipt import pod_receipt_of

        kept = pod_receipt_of(run.evidence)
        if kept is None:
            raise
        print_json(dict(kept.document()))
        raise typer.Exit(error.exit_code) from error
    if as_json:
        print_json(dict(receipt))
    else:
        _show(run, receipt)


def show_dry_run(run: PodCollection, *, as_json: bool) -> None:
    """Print the checks and the plan. Ends with 4 where a check fails."""
    from dataclasses import asdict

    from memir.acquire.dry_run import key_checks
    from memir.cli.acquire_print import show_plan

    try:
        _, looked, plan = run.preflight(look=not run.side.permanent)
    finally:
        run.transport.close()
    checks = [*key_checks(run.options.sign_key), *looked]
    if as_json:
        print_json({"evidence": str(run.evidence), "checks": [asdict(each) for each in checks], "plan": asdict(plan)})
    else:
        show_plan(plan, checks)
    if any(each.level == "fail" for each in checks):
        raise typer.Exit(EXIT_REMOTE)


def _show(run: PodCollection, receipt: Mapping[str, Any]) -> None:
    """A whole collection, for people."""
    done = receipt["collection"]
    known = done["pod"]
    title = f"{known['namespace']}/{known['name']}" if known["name"] else known["uid"]
    say(f"complete: pod {title} in {run.where or run.evidence}: {done['received']:,} files from the node, "
        f"{done['bytes']:,} bytes in all, {done['processes']:,} processes, {done['seconds']:.1f} s")  # fmt: skip
    for gap in done["gaps"]:
        times = f" ({gap['count']:,} times)" if gap["count"] > 1 else ""
        say(f"gap: {gap['kind']} {gap['where']}: {gap['why']}{times}")
    for note in [*receipt["notes"], *receipt["left_on_node"]]:
        say(f"note: {note}")
    say("clear/ holds values that memir masks elsewhere. Check it:  memir verify "
        + shlex.quote(run.where or str(run.evidence)))  # fmt: skip
    if run.where:
        say(f"the record is in {run.evidence} too. To analyze it, bring it here:  "
            f"aws s3 cp --recursive {shlex.quote(run.where)} DIR")  # fmt: skip
