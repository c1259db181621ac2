# SPDX-License-Identifier: Apache-2.0
"""A pod that is collected, by whatever way, and what is printed of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from memir.cli.common import print_json
from memir.errors import EXIT_REMOTE, MemirError
from memir.text import say

if TYPE_CHECKING:
    from memir.collect.run import PodCollection


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
