# SPDX-License-Identifier: Apache-2.0
"""What the verbs share: options and printing. No verb imports another one, and nothing is computed here."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from memir.gaps import Gap
    from memir.report.progress import ProgressLine

ImageArgument = Annotated[
    str, typer.Argument(metavar="IMAGE", help="RAM image (any format), evidence folder or s3:// address.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
JsonlOption = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a row.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=0, help="Print so many rows at most, and how many more.")
]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Folder for unpacked images and decoded symbols.")]
TruncatedOption = Annotated[
    bool, typer.Option("--allow-truncated", help="Take an image that lacks a part of the node's RAM: exit code 0.")
]
BaseOption = Annotated[
    str | None,
    typer.Option("--base", metavar="ADDRESS", help="Physical address of a raw image's first byte (0x40000000)."),
]
BtfOption = Annotated[
    Path | None, typer.Option("--btf", help="The kernel's BTF (/sys/kernel/btf/vmlinux) if not in the image.")
]
KallsymsOption = Annotated[Path | None, typer.Option("--kallsyms", help="A copy of /proc/kallsyms taken as root.")]
IsfOption = Annotated[
    Path | None, typer.Option("--isf", help="A volatility3 symbol file for the kernel, of any origin.")
]
ReferenceOption = Annotated[
    Path | None,
    typer.Option("--reference", metavar="FILE",
                 help="The build's vmlinuz or vmlinux, or an image of it: the kernel's text is compared."),
]
ClusterOption = Annotated[
    Path | None,
    typer.Option("--cluster", help="The API's view: pods.json, or a folder with it (kubectl get pods -A -o json)."),
]
def _log_paths(ctx: typer.Context, logs: list[str] | None) -> Any:
    """Paths of memir.logs: files and folders as they are, objects of S3 copied here until the command ends."""
    from memir.open_node import logs_here

    return logs_here(logs, ctx.with_resource(ExitStack())) if logs else None


LogsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--logs", metavar="PATH|s3://", callback=_log_paths,
        help="Files, folders or S3 prefixes of logs: Kubernetes audit, EKS authenticator, CloudTrail, VPC flow logs, "
        "GuardDuty, containers; recognised by content; may be repeated.",
    ),
]  # fmt: skip
IocOption = Annotated[
    Path | None,
    typer.Option("--ioc", metavar="FILE", help="Known indicators (hashes, addresses, domains): a list, CSV, STIX 2.1."),
]
SignKeyOption = Annotated[
    Path | None, typer.Option("--sign-key", help="Ed25519 private key to sign the case's seal with.")
]


def _severity(word: str | None) -> str | None:
    """One of the severities. UsageError names them."""
    from memir.errors import UsageError
    from memir.findings.finding import SEVERITIES

    if word is not None and word not in SEVERITIES:
        raise UsageError(f"severity {word!r}: there are {', '.join(SEVERITIES)}")
    return word


SeverityOption = Annotated[
    str | None,
    typer.Option(
        "--severity", metavar="SEVERITY", help="Only findings of this severity and above.", callback=_severity
    ),
]
FailOnOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on", metavar="SEVERITY", help="Exit code 1 for findings of this severity or above.", callback=_severity
    ),
]


def exit_code_of_findings(severities: Iterable[str], fail_on: str | None) -> int:
    """EXIT_FINDINGS if one of the severities is `fail_on` or above, else EXIT_DONE."""
    from memir.errors import EXIT_DONE, EXIT_FINDINGS
    from memir.findings.finding import at_least

    reached = fail_on is not None and any(at_least(severity, fail_on) for severity in severities)
    return EXIT_FINDINGS if reached else EXIT_DONE


def _expect_owner(account: str | None) -> str | None:
    """Every S3 client of this command, and of the processes that it starts, names the account."""
    if account is not None:
        import os

        from memir.aws.client import OWNER, bucket_owner

        os.environ[OWNER] = str(bucket_owner(account))
    return account


BucketOwnerOption = Annotated[
    str | None,
    typer.Option(
        "--bucket-owner", help="Account (12 digits) that must own buckets read from.", callback=_expect_owner,
        is_eager=True,
    ),
]  # fmt: skip


def parameters_of(options: type, known: Mapping[str, Any] | None = None) -> list[inspect.Parameter]:
    """A parameter for typer of each field of a dataclass of options (memir.acquire.settings).

    known: annotations of some by name, which are taken in place of what the fields say.
    """
    kinds = typing.get_type_hints(options)
    known = known or {}
    return [_parameter(field, kinds[field.name], known.get(field.name)) for field in dataclasses.fields(options)]


def _parameter(field: dataclasses.Field[Any], kind: Any, known: Any) -> inspect.Parameter:
    about, default = field.metadata, field.default
    if about.get("argument"):
        info: Any = typer.Argument(metavar=about["metavar"], help=about["help"])
    else:
        flags = about["flags"] or (f"--{field.name.replace('_', '-')}",)
        info = typer.Option(*flags, help=about["help"], min=about["min"], max=about["max"], metavar=about["metavar"])
    if field.default_factory is not dataclasses.MISSING:
        default = []
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, annotation=known or Annotated[kind, info],
        default=inspect.Parameter.empty if default is dataclasses.MISSING else default,
    )  # fmt: skip


def made_verb(
    run: Callable[..., None], about: str | None, parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """A function of keywords as typer makes a verb of it: its parameters, and what its help says."""
    run.__doc__ = about
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": None}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    return run


def signing_key(path: Path | None) -> Ed25519PrivateKey | None:
    """The key of --sign-key; read before long work."""
    if path is None:
        return None
    from memir.evidence.custody import load_private

    return load_private(path)


def progress() -> ProgressLine:
    """A progress line on stderr, only if that is a terminal."""
    from memir.report.progress import ProgressLine

    return ProgressLine()


def gap_rows(gaps: Iterable[Gap]) -> list[dict[str, Any]]:
    """Gaps as a document holds them."""
    return [{"kind": gap.kind, "where": gap.where, "why": gap.why, "count": gap.count} for gap in gaps]


def print_json(document: Any) -> None:
    """One JSON document on stdout. Text from the image goes out with everything that is not ASCII escaped."""
    from memir.text import say_json

    say_json(document)


def print_rows(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    csv: bool = False,
    jsonl: bool = False,
    limit: int | None = None,
) -> None:
    """Rows as CSV, as JSON lines, or as a table for people. limit: so many rows at most."""
    if csv or jsonl:
        from memir.case.export import csv_lines, json_rows
        from memir.text import say_all

        shown = rows if limit is None else rows[:limit]
        if csv:
            say_all(csv_lines(columns, shown))
        else:
            for row in json_rows(columns, shown):
                print_json(row)
        return
    from memir.report.grid import print_grid

    print_grid(columns, rows, limit=limit)
