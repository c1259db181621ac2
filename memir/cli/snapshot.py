# SPDX-License-Identifier: Apache-2.0
"""`memir snapshot -o DIR`: the Kubernetes API's view, for `memir analyze --cluster DIR`."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from memir.cli.common import JsonOption, print_json
from memir.errors import EXIT_REMOTE, UsageError
from memir.text import counted, say, say_raw


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("snapshot")(snapshot)


def snapshot(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Folder to write, empty.")
    ] = None,
    kubeconfig: Annotated[str | None, typer.Option("--kubeconfig", metavar="FILE", help="Another kubeconfig.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="Another context of it.")] = None,
    secret_names: Annotated[
        bool, typer.Option("--secret-names", help="Names of secrets too; needs a role that could read their values.")
    ] = False,
    cluster_name: Annotated[
        str | None,
        typer.Option(
            "--cluster-name", metavar="NAME", help="EKS cluster: its access entries and pod identity associations too."
        ),
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="The cluster's region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    permissions: Annotated[
        bool, typer.Option("--permissions", help="Print the least IAM policy of --cluster-name, and ask nothing.")
    ] = False,
    print_role: Annotated[
        bool, typer.Option("--print-role", help="Print the least ClusterRole that it needs, and ask nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Save pods, nodes, workloads, events, network policies and RBAC as the API has them; nothing is changed.

    With --cluster-name also who may do what by AWS's lists: EKS access entries with their policies, and which role
    pods get by pod identity associations.

    One file a kind, as kubectl writes it, cluster.json with all but the pods, and snapshot.json: who asked when, how
    many of each, and what was denied. Exit 0: done. 4: something was denied or cut, or the server does not answer.
    """
    from memir.aws.client import Connection
    from memir.aws.eks_access import ACTIONS, RESOURCES
    from memir.kubeapi.client import KubeOptions
    from memir.kubeapi.kinds import least_role, resources, snapshot_kinds

    if print_role:
        role = least_role(resources(secret_names=secret_names))
        print_json({"role": role}) if json else say_raw(role)
        return
    if permissions:
        statement = {"Effect": "Allow", "Action": list(ACTIONS), "Resource": RESOURCES}
        print_json({"Version": "2012-10-17", "Statement": [statement]})
        return
    if output is None:
        raise UsageError("where to? `memir snapshot -o DIR`; --print-role shows what it needs")
    notes = snapshot_kinds(
        output, KubeOptions(kubeconfig, context), secret_names=secret_names, cluster_name=cluster_name or "",
        aws=Connection(region, None, profile),
    )  # fmt: skip
    if json:
        print_json({"folder": str(output), **asdict(notes)})
    else:
        total = sum(notes.counts.values())
        who = f" as {notes.user}" if notes.user else ""
        say(f"{output}: {counted(total, 'object')} of {counted(len(notes.counts), 'kind')} from {notes.server}{who}")
        for unread in notes.unread:
            say(f"not read: {unread.resource}: {unread.why}" + (f" ({unread.read} came before)" if unread.read else ""))
        if any(unread.denied for unread in notes.unread):
            say("what it may read is in a role: --print-role shows the least one")
        say(f"memir analyze IMAGE -o CASE --cluster {shlex.quote(str(output))}")
    if notes.unread:
        raise typer.Exit(EXIT_REMOTE)
