# SPDX-License-Identifier: Apache-2.0
"""`memir analyze IMAGE -o CASE`: everything memir finds in an image, as a case."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    CacheOption,
    ImageArgument,
    IsfOption,
    JsonOption,
    KallsymsOption,
    SignKeyOption,
    TruncatedOption,
    find_kernel,
    open_memory,
    partial,
    print_json,
    progress,
    signing_key,
)
from memir.gaps import Gaps
from memir.text import say

if TYPE_CHECKING:
    from memir.case.record import CaseRecord
    from memir.hunt.rules import RuleSet
    from memir.image.memory import PhysicalMemory
    from memir.kube.ram import RamSource
    from memir.kube.snapshot import ClusterSnapshot
    from memir.symbols.anchors import Anchors
    from memir.volatility.run import PluginResult


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
    rules: Annotated[
        list[Path] | None, typer.Option("--rules", "-r", metavar="PATH", help="Hunt with these YARA rules too.")
    ] = None,
    plugins: Annotated[
        str | None,
        typer.Option("--plugins", metavar="A,B", help="Run these volatility3 plugins too; tables/PLUGIN.parquet."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the tables of an earlier analysis in CASE.")] = False,
    sha256: Annotated[bool, typer.Option("--sha256", help="Record the hash of the whole image file.")] = False,
    sign_key: SignKeyOption = None,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Find every process, container and pod in an image, say how they belong together, and keep it as a case."""
    from memir.case.case import Case
    from memir.case.facts import (
        analysis_run,
        facts_of,
        gaps_since,
        hunt_facts,
        hunt_id,
        hunt_run,
        secrets_of_hits,
        with_share,
    )
    from memir.case.record import OddityRecord, updated
    from memir.case.seal import Input
    from memir.kube.ram import RamSource
    from memir.report.oddities import oddities
    from memir.tables.frame import plain
    from memir.tables.table import read_tables

    begun = time.time()
    key = signing_key(sign_key)
    case = Case.create(output, force=force) if output is not None else None
    ruleset = _ruleset(rules)
    snapshot = _cluster(cluster, image)
    memory = open_memory(image, cache=cache, allow_truncated=True, base=base)
    gaps = Gaps()
    if memory.missing:
        gaps.add("image", str(memory.path), "bytes that the headers promise are missing", memory.missing)
    anchors, kernel = find_kernel(memory, cache=cache, btf=btf, kallsyms=kallsyms, isf=isf, gaps=gaps)
    memory = kernel.memory
    facts = facts_of(kernel, sha256=memory.sha256(progress()) if sha256 else None)
    if case is not None:
        case.check(facts)
    node = RamSource(kernel, snapshot)
    node.secret_key = case.secret_key() if case is not None else None
    frames = read_tables(node)
    _ = node.swapped  # a gap for each pod that has memory there
    tables = {name: frame.rows() for name, frame in frames.items()}
    odd = oddities(tables, gaps, node.smear.text())
    extra = _run_plugins(plugins, memory, anchors, isf, node)
    noted = tuple(OddityRecord(one.kind, one.text, one.pid, one.container_id, one.pod_uid) for one in odd)
    facts = replace(
        facts,
        node=node.name,
        evidence=with_share(facts.evidence, node.coverage),
        cluster=str(cluster) if cluster else None,
        oddities=noted,
    )
    frames |= {name: plain(result.dicts()) for name, result in extra.items()}
    writes = [(frames, analysis_run(time.time() - begun, gaps))]
    inputs = [Input("image", str(memory.path), facts.identity.sha256 if facts.identity else None)]
    if ruleset is not None:
        from memir.hunt.hits import TABLE
        from memir.hunt.hunt import Options, hunt

        before, started, options = list(gaps), time.time(), Options()
        run, rule_inputs = hunt_id(ruleset, options)
        found = hunt(kernel, ruleset, options, node=node, progress=progress())
        tables["hits"] = [{**row, "run": run} for row in found.masked]
        hunted = hunt_facts(
            ruleset, options, hits=found.hits, rows=len(found.rows), scanned=found.scanned, units=found.units,
            laps=found.seconds,
        )  # fmt: skip
        more = gaps_since(before, gaps)
        hidden = secrets_of_hits(found, facts)
        tables["secrets"] += [{**row, "run": run} for row in hidden.rows()]
        writes.append(
            (
                {"hits": TABLE.rows(tables["hits"]), "secrets": hidden},
                hunt_run(run, hunted, time.time() - started, more),
            )
        )
        inputs += rule_inputs
    memory.check_unchanged()
    document: CaseRecord | None = None
    for written, what in writes:
        if case is not None:
            secrets = node.secrets.values
            document = case.add_tables(written, what, facts, inputs=inputs, secrets=secrets, key=key)
        else:
            counts = {name: len(table) for name, table in written.items()}
            document = updated(document, replace(what, tables=counts), facts, counts)
    assert document is not None  # an analysis is always written
    record = document.to_json()
    if json:
        rows = {**tables, **{name: result.dicts() for name, result in extra.items()}}
        print_json({**record, "case": str(output) if output else None, "rows": rows})
        raise typer.Exit(partial(node, allow_truncated=allow_truncated))
    from memir.report.summary import print_summary

    clock = facts.identity.clock if facts.identity is not None else None
    taken = None if clock is None else datetime.fromtimestamp(clock / 10**9, UTC).isoformat(timespec="milliseconds")
    print_summary({**record, "clock": taken}, tables, odd)
    if output is not None:
        say()
        say(
            f"Case written to {output}. Ask it:  "
            f"memir query {output} 'select pid, comm, pod_name from processes where in_container'"
        )
    raise typer.Exit(partial(node, allow_truncated=allow_truncated))


def _ruleset(rules: list[Path] | None) -> RuleSet | None:
    """Rules compile before anything long is done."""
    if not rules:
        return None
    from memir.hunt.rules import load_rules

    return load_rules(rules)


def _run_plugins(
    names: str | None,
    memory: PhysicalMemory,
    anchors: Anchors,
    isf: Path | None,
    node: RamSource,
) -> dict[str, PluginResult]:
    """Results of volatility3 plugins by table name; a plugin that stopped before its end is a counted gap."""
    if not names:
        return {}
    from memir.symbols.isf import read as read_isf
    from memir.volatility.engine import plugins_path
    from memir.volatility.run import Host

    host = Host(memory, anchors, node.kernel.space, read_isf(isf) if isf is not None else None)
    found = {}
    for name in (one.strip() for one in names.split(",") if one.strip()):
        result = host.run(name, plugin_dirs=[plugins_path()], owners=node.owners)
        if result.failure is not None:
            node.gaps.add(f"plugin {name}", result.plugin, result.failure)
        found["plugin_" + name.removeprefix("linux.").replace(".", "_").lower()] = result
    return found


def _cluster(cluster: Path | None, image: str) -> ClusterSnapshot | None:
    """The API snapshot given, or the one that was taken with an evidence folder."""
    if cluster is None and not image.startswith("s3://") and Path(image).is_dir():
        from memir.evidence.folder import cluster_of, is_evidence

        cluster = cluster_of(Path(image)) if is_evidence(Path(image)) else None
    if cluster is None:
        return None
    from memir.kube.snapshot import load_cluster

    return load_cluster(cluster)
