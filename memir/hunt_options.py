# SPDX-License-Identifier: Apache-2.0
"""What a hunt is asked for: rules and options, checked before anything long is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.errors import UsageError

if TYPE_CHECKING:
    from memir.hunt.hunt import Options
    from memir.hunt.rules import RuleSet

External = bool | int | float | str


def compile_rules(
    rules: str | Path | Sequence[str | Path] | None,
    externals: Mapping[str, External] | None = None,
    *,
    skip_bad: bool = False,
) -> RuleSet:
    """Compile rule files and folders; RulesError names every fault. None: the rules that come with memir.

    skip_bad: leave out rules that do not compile; the set says which, and a hunt counts them as gaps.
    """
    from memir.hunt.rules import STARTER, load_rules

    paths = [STARTER] if rules is None else [rules] if isinstance(rules, str | Path) else list(rules)
    return load_rules([Path(path) for path in paths], externals, skip_bad=skip_bad)


def hunt_options(
    *,
    kinds: str | None = None,
    scope: str = "region",
    timeout: int = 60,
    workers: int | None = None,
    show_secrets: bool = False,
    pod: Iterable[str] | str = (),
    namespace: Iterable[str] | str = (),
    container: Iterable[str] | str = (),
    pid: Iterable[int] | int = (),
    cluster: Any = None,
) -> Options:
    """Options of a hunt; a pod may be written `namespace/name`, as memir prints it. UsageError if they contradict."""
    import os

    from memir.hunt.hunt import OWNED, Options, parse_kinds
    from memir.hunt.wanted import Wanted

    if scope not in ("region", "process"):
        raise UsageError(f"--scope {scope}: it is region or process")
    wanted = Wanted(
        _texts(pod), _texts(namespace), _texts(container), frozenset([pid] if isinstance(pid, int) else pid)
    )
    chosen = parse_kinds(kinds)
    if wanted and not chosen & OWNED:
        raise UsageError(f"{wanted.words()} has processes and files only: leave --kinds out, or name one of these")
    return Options(
        chosen, wanted, "process" if scope == "process" else "region", timeout,
        workers or os.cpu_count() or 1, show_secrets, cluster,
    )  # fmt: skip


def _texts(values: Iterable[str] | str) -> frozenset[str]:
    return frozenset([values] if isinstance(values, str) else values)


def nothing_wanted(where: str, options: Options) -> str:
    """Message for a pod, container or process that no image has: a name typed wrong must not look like no hits."""
    return f"{where}: no process and no file there is of {options.wanted.words()}: `memir analyze` lists what is"
