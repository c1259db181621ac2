"""`memir analyze IMAGE -o CASE`: everything memir finds in an image, as a case."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    CacheOption,
    ImageArgument,
    IsfOption,
    JsonOption,
    KallsymsOption,
    TruncatedOption,
    console,
    find_kernel,
    open_memory,
    print_json,
)
from memir.cli.info import image_facts, kernel_facts
from memir.model import Gaps

if TYPE_CHECKING:
    from memir.kube.snapshot import ClusterSnapshot


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("analyze")(analyze)


def analyze(
    image: ImageArgument,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="CASE", help="Folder for the case.")] = None,
    cluster: Annotated[
        Path | None,
        typer.Option("--cluster", help="The API's view: pods.json, or a folder with it (kubectl get pods -A -o json)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the tables of an earlier analysis in CASE.")] = False,
    sha256: Annotated[bool, typer.Option("--sha256", help="Record the hash of the whole image file.")] = False,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Find every process, container and pod in an image, say how they belong together, and keep it as a case."""
    from memir.kube.node import read_node
    from memir.report.case import Case
    from memir.report.oddities import oddities

    begun = time.time()
    case = Case(output, force=force) if output is not None else None
    snapshot = _cluster(cluster, image)
    memory = open_memory(image, cache=cache, allow_truncated=allow_truncated, base=base)
    gaps = Gaps()
    if memory.missing:
        gaps.add("image", str(memory.path), "bytes that the headers promise are missing", memory.missing)
    anchors, kernel = find_kernel(memory, cache=cache, btf=btf, kallsyms=kallsyms, isf=isf, gaps=gaps)
    node = read_node(kernel, snapshot)
    tables = node.tables()
    odd = oddities(tables)
    evidence = image_facts(memory)
    if sha256:
        evidence["sha256"] = memory.sha256(None)
    memory.check_unchanged()
    record: dict[str, Any] = {
        "command": "analyze",
        "evidence": evidence,
        "cluster": str(cluster) if cluster else None,
        "kernel": kernel_facts(anchors, kernel),
        "node": node.name,
        "oddities": [
            {
                "kind": one.kind,
                "text": one.text,
                "pid": one.pid,
                "container_id": one.container_id,
                "pod_uid": one.pod_uid,
            }
            for one in odd
        ],
    }
    counts = {name: len(rows) for name, rows in tables.items()}
    if case is not None:
        case.write_tables(tables)
    record["seconds"] = round(time.time() - begun, 3)
    if case is not None:
        record = case.finish(record, gaps, counts)
    else:
        record |= {
            "tables": counts,
            "gaps": [{"kind": gap.kind, "where": gap.where, "why": gap.why, "count": gap.count} for gap in gaps],
        }
    if json:
        print_json({**record, "case": str(output) if output else None, "rows": tables})
        return
    from memir.report.summary import print_summary

    print_summary(console(), record, tables, odd)
    if output is not None:
        console().print(
            f"\nCase written to {output}. Ask it:  "
            f"memir query {output} 'select pid, comm, pod_name from processes where in_container'"
        )


def _cluster(cluster: Path | None, image: str) -> ClusterSnapshot | None:
    """The API snapshot given, or the one that was taken with an evidence folder."""
    if cluster is None and not image.startswith("s3://") and Path(image).is_dir():
        from memir.acquire.evidence import cluster_of, is_evidence

        cluster = cluster_of(Path(image)) if is_evidence(Path(image)) else None
    if cluster is None:
        return None
    from memir.kube.snapshot import load_cluster

    return load_cluster(cluster)
