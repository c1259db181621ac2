# SPDX-License-Identifier: Apache-2.0
"""`memir hunt IMAGE... --rules PATH`: YARA over RAM, every hit with its owner."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import (
    BaseOption,
    BtfOption,
    CacheOption,
    IsfOption,
    JsonOption,
    KallsymsOption,
    SignKeyOption,
    TruncatedOption,
    find_kernel,
    open_memory,
    partial,
    print_json,
    print_table,
    progress,
    signing_key,
)
from memir.errors import EXIT_EVIDENCE, UsageError
from memir.gaps import Gap, Gaps
from memir.text import say, say_all

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from memir.case.case import Case
    from memir.hunt.hunt import Options
    from memir.hunt.rules import RuleSet
    from memir.kube.snapshot import ClusterSnapshot

_RULES = (".yar", ".yara", ".yarc")
_SHOWN = 48


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("hunt")(hunt)


def hunt(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="RAM images, evidence folders, folders of either, s3:// objects or prefixes."
        ),
    ],
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", "-r", metavar="PATH", help="Rule file, folder or compiled rules."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="CASE", help="Case folder for tables/hits.parquet."),
    ] = None,
    pod: Annotated[list[str] | None, typer.Option("--pod", help="Only this pod (name or UID).")] = None,
    namespace: Annotated[list[str] | None, typer.Option("--namespace", "-n", help="Only this namespace.")] = None,
    container: Annotated[
        list[str] | None, typer.Option("--container", help="Only this container (name or id).")
    ] = None,
    pid: Annotated[list[int] | None, typer.Option("--pid", help="Only this process.")] = None,
    kinds: Annotated[
        str | None, typer.Option("--kinds", help="Of process,files,kernel,free,unknown; all if not given.")
    ] = None,
    scope: Annotated[
        str,
        typer.Option("--scope", help="region: a condition is judged in each region; process: over all of them."),
    ] = "region",
    rule_timeout: Annotated[int, typer.Option("--rule-timeout", min=1, help="Seconds for one unit, all rules.")] = 60,
    external: Annotated[
        list[str] | None, typer.Option("--external", metavar="NAME=VALUE", help="A variable that rules use.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad-rules", help="Leave rules out that do not compile; they are told and counted.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Threads, or processes for many images; all processors.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A running Dask scheduler, for many images.")
    ] = None,
    cluster: Annotated[Path | None, typer.Option("--cluster", help="The API's view, for names of pods.")] = None,
    show_secrets: Annotated[
        bool, typer.Option("--show-secrets", "--reveal", help="Show what rules tagged `secret` matched.")
    ] = False,
    sign_key: SignKeyOption = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a row on stdout.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV on stdout.")] = False,
    json: JsonOption = False,
    cache: CacheOption = None,
    allow_truncated: TruncatedOption = False,
    base: BaseOption = None,
    btf: BtfOption = None,
    kallsyms: KallsymsOption = None,
    isf: IsfOption = None,
) -> None:
    """Scan RAM with YARA rules and say for every hit which process, pod, file, or free memory it lies in."""
    from memir.case.facts import facts_of, hunt_facts, hunt_id, hunt_run, secrets_of_hits, with_share
    from memir.case.seal import Input
    from memir.hunt.hits import TABLE
    from memir.hunt.hunt import hunt as run
    from memir.hunt.rules import load_rules, parse_externals
    from memir.kube.ram import RamSource

    if sum((json, jsonl, csv)) > 1:
        raise UsageError("--json, --jsonl and --csv: one of them")
    begun = time.time()
    compiled, images = _rule_paths(images, rules or [])
    ruleset = load_rules(compiled, parse_externals(external or []), skip_bad=skip_bad)
    options = _options(kinds, scope, rule_timeout, workers, show_secrets, cluster, (pod, namespace, container, pid))
    key = signing_key(sign_key)
    case = _case(output)
    if scheduler is not None or _is_fleet(images):
        if any((btf, kallsyms, isf, base)):
            raise UsageError("--btf, --kallsyms, --isf and --base are for one image")
        writer = (case, key)
        _fleet(images, ruleset, options, writer, (scheduler, workers, cache, begun), json=json, jsonl=jsonl, csv=csv)
        return
    run_id, rule_inputs = hunt_id(ruleset, options)
    memory = open_memory(images[0], cache=cache, allow_truncated=True, base=base)
    gaps = Gaps()
    if memory.missing:
        gaps.add("image", str(memory.path), "bytes that the headers promise are missing", memory.missing)
    _, kernel = find_kernel(memory, cache=cache, btf=btf, kallsyms=kallsyms, isf=isf, gaps=gaps)
    memory, node = kernel.memory, RamSource(kernel)
    facts = facts_of(kernel)
    facts = replace(facts, evidence=with_share(facts.evidence, node.coverage))
    if case is not None:
        case.check(facts)
    secret_key = case.secret_key() if case is not None else None
    found = run(kernel, ruleset, options, progress=progress(), secret_key=secret_key)
    memory.check_unchanged()
    if options.wanted and not sum(found.units.values()):
        raise UsageError(_nothing(str(memory.path), options))
    record = _record(ruleset, options, time.time() - begun) | {
        "image": str(memory.path),
        **node.coverage.facts(),
        "hits": found.hits,
        "rows": len(found.rows),
        "units": found.units,
        "scanned": found.scanned,
        "laps": found.seconds,
    }
    rows = [{**row, "run": run_id} for row in found.rows]
    if case is not None:
        hunted = hunt_facts(
            ruleset, options, hits=found.hits, rows=len(rows), scanned=found.scanned, units=found.units,
            laps=found.seconds,
        )  # fmt: skip
        done = hunt_run(run_id, hunted, time.time() - begun, gaps)
        inputs = [Input("image", str(memory.path), facts.identity.sha256 if facts.identity else None), *rule_inputs]
        kept = [{**row, "run": run_id} for row in found.masked]
        values = {secret.fingerprint: secret.value for secret in found.secrets.values()}
        added = {"hits": TABLE.rows(kept), "secrets": secrets_of_hits(found, facts)}
        case.add_tables(added, done, facts, inputs=inputs, secrets=values, key=key)
    if not node.coverage.whole and not json:
        say(node.coverage.text(), err=jsonl or csv)
    _print(rows, record, list(gaps), json=json, jsonl=jsonl, csv=csv)
    raise typer.Exit(partial(node, allow_truncated=allow_truncated))


def _is_fleet(images: list[str]) -> bool:
    """Several images, a folder of them, or a prefix in S3; an evidence folder is one image."""
    from memir.image.listing import looks_like_image

    if len(images) != 1:
        return True
    if images[0].startswith("s3://"):
        return not looks_like_image(images[0])
    if not Path(images[0]).is_dir():
        return False
    from memir.evidence.folder import is_evidence

    return not is_evidence(Path(images[0]))


def _fleet(
    images: list[str],
    rules: RuleSet,
    options: Options,
    writer: tuple[Case | None, Ed25519PrivateKey | None],
    where: tuple[str | None, int | None, Path | None, float],
    *,
    json: bool,
    jsonl: bool,
    csv: bool,
) -> None:
    from memir.aws.image import expand
    from memir.case.facts import hunt_facts, hunt_id, hunt_run
    from memir.case.record import Facts, ImageAnswer
    from memir.cli.common import cache_folder
    from memir.hunt.fleet import hunt_fleet

    scheduler, workers, cache, begun = where
    every = expand(images)
    case, key = writer
    facts = Facts(images=tuple(every))
    if case is not None:
        case.check(facts)
    run, inputs = hunt_id(rules, options)
    rows: list[dict[str, Any]] = []
    gaps = Gaps()
    told: list[dict[str, Any]] = []
    show = progress()
    # a case never holds a secret in clear outside secret_values, which a hunt through many images does not write
    single = replace(options, workers=1, show_secrets=options.show_secrets and case is None)
    for answer in hunt_fleet(every, rules, single, scheduler=scheduler, workers=workers, cache=cache_folder(cache)):
        told.append({
            "image": answer.image, "node": answer.node, "hits": answer.hits, "rows": len(answer.rows),
            "scanned": answer.scanned, "seconds": answer.seconds, "error": answer.error,
        })  # fmt: skip
        for gap in answer.gaps:
            gaps.add(gap.kind, f"{answer.image}: {gap.where}", gap.why, gap.count)
        if answer.error:
            gaps.add("image", answer.image, answer.error)
        if jsonl:
            for row in answer.rows:
                print_json({**row, "run": run})
        rows += [{**row, "run": run} for row in answer.rows]
        if show is not None:
            show("images", len(told), len(every))
    if options.wanted and not any(one["scanned"] or one["error"] for one in told):
        raise UsageError(_nothing(f"{len(told)} images", options))
    record = _record(rules, options, time.time() - begun) | {
        "images": told,
        "hits": len({row["hit_id"] for row in rows}),
        "rows": len(rows),
        "scanned": {"all": sum(one["scanned"] for one in told)},
    }
    if case is not None:
        from memir.hunt.hits import TABLE

        hunted = hunt_facts(
            rules, options, hits=record["hits"], rows=len(rows), scanned=record["scanned"],
            images=[ImageAnswer(**answer) for answer in told],
        )  # fmt: skip
        done = hunt_run(run, hunted, time.time() - begun, gaps)
        case.add_tables({"hits": TABLE.rows(rows)}, done, facts, inputs=inputs, key=key)
    if not jsonl:
        _print(rows, record, list(gaps), json=json, jsonl=False, csv=csv)
    if any(one["error"] for one in told):
        raise typer.Exit(EXIT_EVIDENCE)


def _nothing(where: str, options: Options) -> str:
    # a name typed wrong must not look like an image without hits
    return f"{where}: no process and no file there is of {options.wanted.words()}: `memir analyze` lists what is"


def _rule_paths(images: list[str], rules: list[Path]) -> tuple[list[Path], list[str]]:
    """`--rules a.yar b.yar` as a shell's wildcard gives it: what is named like rules is none of the images."""
    more = [Path(one) for one in images if one.lower().endswith(_RULES)]
    images = [one for one in images if not one.lower().endswith(_RULES)]
    if not images:
        raise UsageError("no image to hunt through")
    if not rules and not more:
        from memir.hunt.rules import STARTER

        say("no --rules: memir's starter rules are used (miners, shells, credentials, tokens, modules)", err=True)
        return [STARTER], images
    return [*rules, *more], images


def _options(
    kinds: str | None,
    scope: str,
    timeout: int,
    workers: int | None,
    show_secrets: bool,
    cluster: Path | None,
    asked: tuple[list[str] | None, list[str] | None, list[str] | None, list[int] | None],
) -> Options:
    import os

    from memir.hunt.hunt import OWNED, Options, parse_kinds
    from memir.hunt.wanted import Wanted

    if scope not in ("region", "process"):
        raise UsageError(f"--scope {scope}: it is region or process")
    pod, namespace, container, pid = asked
    wanted = Wanted(frozenset(pod or ()), frozenset(namespace or ()), frozenset(container or ()), frozenset(pid or ()))
    chosen = parse_kinds(kinds)
    if wanted and not chosen & OWNED:
        raise UsageError(f"{wanted.words()} has processes and files only: leave --kinds out, or name one of these")
    return Options(
        chosen, wanted, "process" if scope == "process" else "region", timeout,
        workers or os.cpu_count() or 1, show_secrets, _snapshot(cluster),
    )  # fmt: skip


def _snapshot(cluster: Path | None) -> ClusterSnapshot | None:
    if cluster is None:
        return None
    from memir.kube.snapshot import load_cluster

    return load_cluster(cluster)


def _case(output: Path | None) -> Case | None:
    if output is None:
        return None
    from memir.case.case import Case

    return Case.create(output, add=True)


def _record(rules: RuleSet, options: Options, seconds: float) -> dict[str, Any]:
    return {
        "rules": {"files": [str(path) for path in rules.files], "count": rules.count, "notes": list(rules.notes)},
        "scope": options.scope,
        "kinds": sorted(options.kinds),
        "seconds": round(seconds, 3),
    }


def _print(
    rows: list[dict[str, Any]], record: dict[str, Any], gaps: list[Gap], *, json: bool, jsonl: bool, csv: bool
) -> None:
    if json:
        told = [{"kind": gap.kind, "where": gap.where, "why": gap.why, "count": gap.count} for gap in gaps]
        print_json({**record, "hits": rows, "hit_count": record["hits"], "gaps": told})
        return
    if jsonl:
        for row in rows:
            print_json(row)
        return
    if csv:
        from memir.case.export import csv_lines
        from memir.hunt.hits import TABLE

        names = [column.name for column in TABLE.columns]
        say_all(csv_lines(names, ([row.get(name) for name in names] for row in rows)))
        return
    many = "images" in record
    columns = ("rule", "string", "owner", "pid", "pod", "container", "address", "path", "data")
    named = ("node", *columns) if many else columns
    print_table(named, [((row["node"] or row["image"],) if many else ()) + _cells(row) for row in rows])
    size = sum(record["scanned"].values()) >> 20
    failed = sum(bool(one["error"]) for one in record["images"]) if many else 0
    images = f" in {len(record['images'])} images" if many else ""
    images += f" ({failed} of them failed)" if failed else ""
    say(f"{record['hits']} hits{images}, {len(rows)} owners; {size} MiB in {record['seconds']} s")
    for note in record["rules"]["notes"]:
        say(f"note: {note}", err=True)
    for gap in gaps:
        say(f"not covered: {gap.kind}: {gap.why} ({gap.count} times, {gap.where})", err=True)


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    pod = "/".join(part for part in (row["namespace"], row["pod_name"] or row["pod_uid"]) if part)
    address = row.get("vaddr")
    path = row.get("path")
    return (
        row["rule"], row["string"], row["owner"], row.get("pid"), pod or None,
        row["container_name"] or (row["container_id"] or "")[:12] or None,
        f"{address:#x}" if address is not None else f"phys {row['paddr']:#x}",
        f"{path} (deleted)" if path and row.get("deleted") else path,
        row["data"] if len(row["data"]) <= _SHOWN else row["data"][:_SHOWN] + "...",
    )  # fmt: skip
