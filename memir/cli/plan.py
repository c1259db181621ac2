# SPDX-License-Identifier: Apache-2.0
"""`memir plan`: what would be done about a pod, a node or an alert, written down before anything is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import ClusterOption, JsonOption, print_json
from memir.errors import UsageError
from memir.text import say, say_all

if TYPE_CHECKING:
    from memir.respond.plan import Plan


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("plan")(plan)


def _words(help: str, flag: str, metavar: str) -> Any:
    return typer.Option(flag, help=help, metavar=metavar)


def plan(
    existing: Annotated[
        Path | None, typer.Argument(metavar="[PLAN]", help="With --check: a plan that was written before.")
    ] = None,
    pod: Annotated[list[str] | None, _words("A pod.", "--pod", metavar="NS/NAME")] = None,
    workload: Annotated[
        list[str] | None, _words("Every pod of a controller.", "--workload", metavar="NS/KIND/NAME")
    ] = None,
    service_account: Annotated[
        list[str] | None, _words("Every pod of an account.", "--service-account", metavar="NS/NAME")
    ] = None,
    image: Annotated[
        list[str] | None, _words("Every pod of an image; without a tag, of every tag.", "--image", metavar="IMAGE")
    ] = None,
    node: Annotated[list[str] | None, _words("A node, whatever runs on it.", "--node", metavar="NAME")] = None,
    guardduty: Annotated[
        list[str] | None,
        _words(
            "Findings as EventBridge, S3 export or boto3 write them; or one's id or ARN, asked of AWS.",
            "--guardduty", metavar="FILE|ID",
        ),
    ] = None,
    finding: Annotated[
        list[str] | None,
        _words("A finding of a case, by its id or a kind of which there is one.", "--finding", metavar="CASE:ID"),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="The plan; a new file.")] = None,
    cluster: ClusterOption = None,
    order: Annotated[str, typer.Option("--order", help="memory-first, or aws: isolate first.")] = "memory-first",
    evidence: Annotated[
        str, typer.Option("--evidence", metavar="DIR|s3://...", help="Where acquired RAM goes; over SSM an s3://.")
    ] = "evidence",
    by: Annotated[str, typer.Option("--by", help="How RAM is acquired: ssm, pod or ssh; by default what works.")] = "",
    accept_orphan: Annotated[
        bool, typer.Option("--accept-orphan", help="Detach a pod though its isolation may stop binding.")
    ] = False,
    accept_restart: Annotated[
        bool, typer.Option("--accept-restart", help="Pause a pod though its liveness probe kills it.")
    ] = False,
    auto_scaling: Annotated[
        str,
        typer.Option(
            "--auto-scaling", metavar="suspend|detach",
            help="Suspend what would end the instance, or take it out of its group.",
        ),
    ] = "suspend",
    lock: Annotated[
        str,
        typer.Option(
            "--lock", metavar="MODE", help="Of snapshots: governance, none, or compliance, which has no undo."
        ),
    ] = "governance",
    lock_days: Annotated[int, typer.Option("--lock-days", metavar="N", help="How long a lock lasts.")] = 30,
    check: Annotated[
        bool, typer.Option("--check", help="Ask AWS for what the plan lacks, and for every right; change nothing.")
    ] = False,
    eks_cluster: Annotated[
        str, typer.Option("--eks-cluster", metavar="NAME", help="The cluster's name, where no tag of a node tells it.")
    ] = "",
    region: Annotated[str | None, typer.Option("--region", help="AWS region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    kubeconfig: Annotated[str | None, typer.Option("--kubeconfig", help="Instead of ~/.kube/config.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")] = None,
    json: JsonOption = False,
) -> None:
    """Find every pod and node that matches, and write down what to do about them. Nothing is changed.

    With --cluster nothing is contacted; without, the Kubernetes API is read, and GuardDuty for an id. --check asks AWS
    and Kubernetes, by reads alone. Exit 0: written. 2: nothing matches. 3: a file that was given is not what it should
    be. 4: Kubernetes or AWS cannot be asked, or --check met a right that is denied or a fact that nobody tells.
    """
    from memir.aws.client import Connection
    from memir.kubeapi.client import KubeOptions
    from memir.respond.launch import Wanted, check_inputs, check_plan, write_plan

    if existing is not None and not check:
        raise UsageError(f"{existing}: a plan that is there is checked with --check, and run with `memir respond`")
    kube, aws = KubeOptions(kubeconfig, context), Connection(region, profile=profile)

    wanted = Wanted(
        tuple(pod or ()), tuple(workload or ()), tuple(service_account or ()), tuple(image or ()), tuple(node or ()),
        tuple(guardduty or ()), tuple(finding or ()),
    )  # fmt: skip
    if existing is not None:
        if wanted != Wanted():
            raise UsageError(f"{existing} says already whom it is for: give --check alone")
        _check(*check_plan(existing, output, kube, aws, eks_cluster), output or existing, json)
        return
    if output is None:
        check_inputs(wanted, cluster)
        raise UsageError("where does the plan go? -o plan.yaml")
    made, digest = write_plan(
        wanted, output, cluster=cluster, order=order, evidence=evidence, by=by, accept_orphan=accept_orphan,
        accept_restart=accept_restart, auto_scaling=auto_scaling, lock=lock, lock_days=lock_days,
        kubeconfig=kubeconfig, context=context, connection=aws,
    )  # fmt: skip
    if check:
        _check(*check_plan(output, None, kube, aws, eks_cluster), output, json)
        return
    _print(made, output, digest, json)


def _check(made: Plan, digest: str, rows: list[tuple[str, str, str]], output: Path, json: bool) -> None:
    from memir.errors import EXIT_REMOTE
    from memir.respond.describe import checked_lines

    if json:
        rights = [{"right": right, "answer": answer, "why": why} for right, answer, why in rows]
        print_json({"plan": str(output), "sha256": digest, "unresolved": made.unresolved(), "rights": rights})
    else:
        _print(made, output, digest, json)
        say("")
        say_all(checked_lines(rows))
    if made.unresolved() or any(answer == "denied" for _, answer, _ in rows):
        raise typer.Exit(EXIT_REMOTE)


def _print(made: Plan, output: Path, digest: str, json: bool) -> None:
    from memir.documents import encode
    from memir.respond.describe import lacking_lines, plan_lines

    if json:
        print_json({"plan": str(output), "sha256": digest, "unresolved": made.unresolved(), "document": encode(made)})
        return
    say_all(plan_lines(made, whole=False))
    say("", f"Written     {output}, SHA-256 {digest}")
    say_all(lacking_lines(made))
