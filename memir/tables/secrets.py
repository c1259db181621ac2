# SPDX-License-Identifier: Apache-2.0
"""The table `secrets`: which secret lies where, without its value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from memir.kernel.timekeeping import wall_clock
from memir.kube.jwt import claims_of
from memir.kube.ram import RamSource
from memir.kube.secrets import Secret, merged
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    kind             string       password, token, api key, database url, private key, ...
    name             string       variable or option that holds it; null if its shape tells what it is
    fingerprint      string       sha256:HEX of tokens and keys; hmac:HEX of what people choose (key: secrets.key)
    holder           string       where it lies: environ, args, env or hit
    pid              int32        process that holds it; null for a container's spec
    claims           string       JSON of a token's claims; nothing in it is verified
    audience         list<string> whom a token is for
    expires          timestamp    end of a token, UTC
    valid            bool         whether the token was in its time by the image's clock; null if that is not known
    opens            string       what it gives access to, where that is known
    image            string       image that holds it, of a hunt through many; null in a case of one image
    run              string       which run found it: analyze, or that of a hunt
    source           string       where the row comes from
""")
_OWNER = ("container_id", "container_name", "pod_uid", "pod_name", "namespace")


def read(source: RamSource) -> Frame:
    """Every secret in environments and arguments of processes and specs of containers, once a holder and name."""
    clock = wall_clock(source.kernel)
    rows = [row for place in (_of_processes, _of_containers) for row in place(source, clock)]
    names = [column.name for column in TABLE.columns]
    return Frame({name: [row.get(name) for row in rows] for name in names})


def row_of(secret: Secret, clock: int | None) -> dict[str, Any]:
    """Columns of a secret itself. clock: the image's, nanoseconds since 1970 UTC."""
    row: dict[str, Any] = {"kind": secret.kind, "name": secret.name, "fingerprint": secret.fingerprint}
    claims = claims_of(secret.value)
    if claims is None:
        return row
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    begins, ends = (_seconds(claims.get(name)) for name in ("nbf", "exp"))
    begins = _seconds(claims.get("iat")) if begins is None else begins
    row |= {
        "claims": json.dumps(claims, sort_keys=True)[:16384],
        "audience": [entry for entry in listed if isinstance(entry, str)],
        "expires": None if ends is None else ends * 1_000_000,
    }
    if clock is not None and ends is not None:
        row["valid"] = (begins or 0) <= clock // 10**9 < ends
    return row


def rows_of_hits(
    hits: Iterable[Mapping[str, Any]], secrets: Mapping[str, Secret], clock: int | None
) -> list[dict[str, Any]]:
    """Rows for what rules tagged `secret` matched, once a rule and owner. hits: rows of that table; secrets: by hit_id.

    Their fingerprints are those of the same secrets in environments and arguments.
    """
    rows: dict[Any, dict[str, Any]] = {}
    for hit in hits:
        secret = secrets.get(hit["hit_id"])
        if secret is not None:
            place = {name: hit[name] for name in (*_OWNER, "pid")}
            row = row_of(secret, clock) | place | {"holder": "hit", "source": f"rule {hit['rule']}: {hit['owner']}"}
            rows.setdefault((secret.fingerprint, row["source"], *place.values()), row)
    return list(rows.values())


def _of_processes(source: RamSource, clock: int | None) -> Iterator[dict[str, Any]]:
    owned = source.owners.by("task", source.processes.task).columns()
    for index, process in enumerate(source.processes.rows):
        owner = {name: owned[name][index] for name in _OWNER}
        owner = {name: value.as_py() if hasattr(value, "as_py") else value for name, value in owner.items()}
        held = {
            "environ": source.secrets.environ(process.environ)[1],
            "args": source.secrets.args(process.args)[1],
        }
        for holder, secrets in held.items():
            for secret in merged(secrets):
                yield row_of(secret, clock) | owner | {"holder": holder, "pid": process.pid, "source": "process memory"}


def _of_containers(source: RamSource, clock: int | None) -> Iterator[dict[str, Any]]:
    for container in source.containers.values():
        owner = {name: getattr(container, name) for name in _OWNER}
        held = {
            "env": source.secrets.environ(container.env)[1],
            "args": source.secrets.args(container.args)[1],
        }
        for holder, secrets in held.items():
            for secret in merged(secrets):
                yield row_of(secret, clock) | owner | {"holder": holder, "source": "; ".join(container.sources)}


def _seconds(value: Any) -> int | None:
    """A token's time in seconds since 1970; None for what a timestamp cannot hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 38:
        return None
    return int(value)


TABLE = Table("secrets", "Secrets by fingerprint and holder, without their values.", COLUMNS, "row", {"ram": read})
