# SPDX-License-Identifier: Apache-2.0
"""`memir verify`: hashes, custody chain, completeness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.common import BucketOwnerOption, progress
from memir.errors import EXIT_EVIDENCE, EXIT_UNSIGNED, Interrupted, UsageError
from memir.text import say, say_json

if TYPE_CHECKING:
    from memir.evidence.findings import Findings


def register(parent: typer.Typer) -> None:
    """Add `memir verify` to the command line."""
    parent.command("verify")(verify)


def verify(
    evidence: Annotated[
        str, typer.Argument(help="Evidence folder, s3://BUCKET/PREFIX/RUN, a case folder, or a ForensicSnapshotChain.")
    ],
    *,
    public_key: Annotated[Path | None, typer.Option("--public-key", help="The key that must have signed.")] = None,
    timestamp_ca: Annotated[
        Path | None, typer.Option("--timestamp-ca", help="Certificates (PEM) of trusted time stamp authorities.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option("--expect", help="case=NAME, node=NAME, run=, who=, boot_id=, transport=: must be so."),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Read an image that the folder says is in S3, with your credentials.")
    ] = False,
    shallow: Annotated[bool, typer.Option("--shallow", help="Do not open the image to look for its kernel.")] = False,
    s3_endpoint: Annotated[str | None, typer.Option("--s3-endpoint", help="Another S3 endpoint.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="AWS region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    bucket_owner: BucketOwnerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Check everything again, judge it again, and say exactly what does not match.

    Exit 0: it holds, is complete and signed. 3: something does not match. 4: it holds, but it is a partial image.
    5: it holds and is complete, but nobody signed it. A ForensicSnapshotChain of checkpoint-restore-operator is held
    against the archives in its folder: 3, 4 if one is not there, else 5. A case is checked against its seal: 5 if it
    holds and no key signed its last entry.
    """
    from memir.case.verify import is_case

    if not evidence.startswith("s3://") and is_case(Path(evidence)):
        _verify_case(Path(evidence), public_key, as_json=as_json)
        return
    if not evidence.startswith("s3://") and Path(evidence).is_file():
        from memir.evidence.snapshot_chain import is_chain

        if is_chain(Path(evidence)):
            _verify_chain(Path(evidence), as_json=as_json)
            return
        raise UsageError(
            f"{evidence} is a file: verify takes the folder that `memir acquire` wrote, with the image and its "
            "manifest.jsonl in it, or a case; `memir info` says what an image is"
        )
    from memir.aws.client import Connection
    from memir.aws.evidence import S3PartReader, fetched
    from memir.evidence.findings import summary
    from memir.evidence.progress import Progress
    from memir.evidence.verify import verify as check

    connection = Connection(region, s3_endpoint, profile, bucket_owner)
    last = Progress(0, 0, 0.0, "")

    def watch(step: Progress) -> None:
        nonlocal last
        last = step
        line("verifying", step.done, step.expected)

    try:
        with progress() as line, fetched(evidence, connection) as folder:
            reader = S3PartReader(connection=connection, within=None if fetch else evidence)
            findings = check(
                folder, public_key=public_key, timestamp_roots=timestamp_ca, deep=not shallow, report=watch,
                reader=reader if fetch or evidence.startswith("s3://") else None, expect=_pairs(expect or []),
            )  # fmt: skip
    except KeyboardInterrupt as stop:
        read = f"after {last.done:,} of {last.expected:,} bytes of the image" if last.expected else "before the image"
        raise Interrupted(f"interrupted {read}: nothing is judged, and {evidence} is as it was") from stop
    if as_json:
        say_json(dict(summary(findings), evidence=evidence), indent=2)
    else:
        _show(evidence, findings)
    if findings.exit_code:
        raise typer.Exit(findings.exit_code)


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"--expect {word}: write NAME=VALUE, as case=CASE-7 or node=ip-10-0-1-7")
        pairs[name] = value
    return pairs


def _show(evidence: str, findings: Findings) -> None:
    say("evidence of " + ", ".join(f"{name} {value}" for name, value in findings.whose.items()))
    for line in findings.checked:
        say(f"checked: {line}")
    if findings.signature == "none":
        say("signature: none: unsigned, anyone who holds the folder can make it again (--sign-key signs a run)")
    else:
        known = "" if findings.signature == "trusted" else " (whose key that is, --public-key tells)"
        say(f"signature: {findings.signature} by {findings.signer}{known}")
    for line in findings.dated:
        say(f"dated: {line}")
    for problem in findings.problems:
        say(f"WRONG {problem.where}: {problem.what}")
    for missing in findings.missing:
        say(f"missing: {missing}")
    for note in findings.notes:
        say(f"note: {note}")
    unsigned = ", unsigned" if findings.signature == "none" else ""
    say(f"{evidence}: {'holds' if findings.holds else 'DOES NOT HOLD'}, {findings.status}{unsigned}")


def _verify_chain(path: Path, *, as_json: bool) -> None:
    """A ForensicSnapshotChain against the checkpoint archives beside it."""
    from memir.evidence.snapshot_chain import verify_chain

    with progress() as line:
        result = verify_chain(path, line)
    if as_json:
        document = {
            "chain": result.name, "holds": result.holds, "signature": "none", "records": result.records,
            "archives": result.archives, "problems": result.problems, "missing": result.missing,
        }  # fmt: skip
        say_json(document, indent=2)
    else:
        say(f"chain {result.name}: {result.records} records, {result.archives} archives hashed")
        for problem in result.problems:
            say(f"WRONG {problem}")
        for missing in result.missing:
            say(f"missing: {missing}")
        part = "" if not result.missing else ", partly checked"
        verdict = "holds" if result.holds else "DOES NOT HOLD"
        say(f"{path}: {verdict}{part}, unsigned: who can write it can write it anew")
    raise typer.Exit(result.exit_code)


def _verify_case(folder: Path, public_key: Path | None, *, as_json: bool) -> None:
    """A case against its seal."""
    from memir.case.verify import verify as check
    from memir.documents import encode
    from memir.evidence.custody import load_public

    result = check(folder, load_public(public_key) if public_key is not None else None)
    entries = result.seal.entries
    if as_json:
        document = {
            "case": str(folder), "holds": result.holds, "signature": result.signed, "signer": result.signer,
            "problems": result.problems, "identity": result.identity, "chain": entries,
        }  # fmt: skip
        say_json(encode(document), indent=2)
    else:
        for number, entry in enumerate(entries, 1):
            inputs = ", ".join(f"{source.kind} {source.path}" for source in entry.inputs)
            line = f"{number}  {entry.utc}  {entry.event} (memir {entry.memir}) wrote {', '.join(entry.written)}"
            say(line + (f" from {inputs}" if inputs else "") + f"  {entry.hash[:16]}...")
            if entry.replaced:
                say(f"   replaced: {entry.replaced}")
        if result.identity is not None:
            say(f"image: {result.identity.words()}")
        for problem in result.problems:
            say(f"WRONG {problem}")
        how = "" if result.signer is not None else " (`memir analyze IMAGE -o CASE --sign-key KEY` signs)"
        say(f"{folder}: {'holds' if result.holds else 'DOES NOT HOLD'}, {result.signed}{how}")
    if not result.holds:
        raise typer.Exit(EXIT_EVIDENCE)
    if result.signer is None:
        raise typer.Exit(EXIT_UNSIGNED)
