# SPDX-License-Identifier: Apache-2.0
"""The table `secrets`: which secret lies where, whose it is, and what it opens, without its value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from memir.hunt.key_roles import likely
from memir.kernel.timekeeping import wall_clock
from memir.kube.jwt import claims_of
from memir.kube.opens import Access, Opened, audiences_of, pod_of
from memir.kube.powers import GAINS
from memir.kube.ram import RamSource
from memir.kube.secret_names import secrets_in
from memir.kube.secrets import Secret, merged
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

if TYPE_CHECKING:
    from memir.hunt.secret_sweep import Sweep

COLUMNS = columns("""
    kind             string       password, token, api key, database url, private key, aws secret key, ...
    name             string       variable, option, key id or registry that it goes by; null if only its shape tells
    fingerprint      string       sha256:HEX of tokens and keys; hmac:HEX of what people choose (key: secrets.key)
    gain             string       how far it leads: cluster, cloud, node, namespace, data, write, read, none
    opens            list<string> what it gives access to, the worst first, by the API's view (--cluster)
    subject          string       user that the API takes its bearer for
    role             string       IAM role that it leads to
    issued_to        string       UID of the pod that a token was made for, by its claims
    holder           string       where it lies: environ, args, memory, file, volume, env (a spec's), free, kernel, hit
    pid              int32        process that holds it; null for a container's spec
    path             string       file whose cached page holds it
    copies           int32        places in RAM that have it there; null for what was not looked for by value
    claims           string       JSON of a token's claims or of what lies beside a key; nothing in it is verified
    audience         list<string> whom a token is for
    expires          timestamp    end of a token or a key's certificate, UTC
    valid            bool         whether it was in its time by the image's clock; null if that is not known
    image            string       image that holds it, of a hunt through many; null in a case of one image
    run              string       which run found it: analyze, or that of a hunt
    source           string       where the row comes from
""")
_OWNER = ("container_id", "container_name", "pod_uid", "pod_name", "namespace")
_begun: WeakKeyDictionary[RamSource, tuple[Sweep, list[dict[str, Any]]]] = WeakKeyDictionary()
_CLAIMS = 16_384  # characters of JSON that a row has


def read(source: RamSource) -> Frame:
    """Every secret of environments, arguments and specs, and every place of RAM that has one of them or looks like one.

    The worst first: what is in its time before what has ended, then by gain.
    """
    clock, access = wall_clock(source.kernel), Access(source.cluster)
    begun = _begun.pop(source, None)
    rows = _known(source, clock, access) if begun is None else begun[1]
    rows = _with_places(source, rows, clock, access, None if begun is None else begun[0])
    objects = source.cluster.objects if source.cluster is not None else {}
    for row in rows:
        pod = source.pods.get(row.get("pod_uid") or "")
        row.update(likely(row, pod.iam_role if pod is not None else None, objects, access))
    rows.sort(key=_rank)
    names = [column.name for column in TABLE.columns]
    return Frame({name: [row.get(name) for row in rows] for name in names})


@contextmanager
def looked_for_beside(source: RamSource) -> Iterator[None]:
    """Within it RAM is looked through in other threads; read() waits for their end. What is left then is not begun."""
    from memir.hunt.secret_sweep import Sweep

    rows = _known(source, wall_clock(source.kernel), Access(source.cluster))
    sweep = Sweep(source, _values(source, rows))
    _begun[source] = sweep, rows
    sweep.start()
    try:
        yield
    finally:
        sweep.stop()
        _begun.pop(source, None)


def _known(source: RamSource, clock: int | None, access: Access) -> list[dict[str, Any]]:
    """The secrets of environments, arguments, specs and volumes."""
    return [row for place in (_of_processes, _of_containers, _of_volumes) for row in place(source, clock, access)]


def _values(source: RamSource, rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Clear values by fingerprint."""
    return {mark: source.secrets.values[mark] for mark in (row["fingerprint"] for row in rows)}


def _rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    gain = GAINS.index(row["gain"]) if row.get("gain") in GAINS else GAINS.index("write")
    place = tuple(str(row.get(name) or "~") for name in ("namespace", "pod_name", "holder", "path"))
    return row.get("valid") is False, gain, row["kind"], row.get("fingerprint") or "~", *place, row.get("pid") or 0


def row_of(
    secret: Secret, clock: int | None, access: Access | None = None, facts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Columns of a secret itself. clock: the image's, nanoseconds since 1970 UTC. facts: what lies beside it."""
    row: dict[str, Any] = {"kind": secret.kind, "name": secret.name, "fingerprint": secret.fingerprint}
    access = access or Access(None)
    claims = claims_of(secret.value)
    if claims is None:
        row |= _opened(access.kind(secret.kind))
        if facts:
            row["claims"] = json.dumps(facts, sort_keys=True)[:_CLAIMS]
            _expires(row, _micros(facts.get("expiration")), clock)
        return row
    begins, ends = (_seconds(claims.get(name)) for name in ("nbf", "exp"))
    begins = _seconds(claims.get("iat")) if begins is None else begins
    row |= {
        "claims": json.dumps(claims, sort_keys=True)[:_CLAIMS],
        "audience": list(audiences_of(claims)),
        "expires": None if ends is None else ends * 1_000_000,
        "issued_to": pod_of(claims),
        **_opened(access.token(claims)),
    }
    if clock is not None and ends is not None:
        row["valid"] = (begins or 0) <= clock // 10**9 < ends
    return row


def _opened(opened: Opened) -> dict[str, Any]:
    return {
        "gain": opened.gain, "opens": list(opened.opens) or None, "subject": opened.subject, "role": opened.role,
    }  # fmt: skip


def _expires(row: dict[str, Any], ends: int | None, clock: int | None) -> None:
    if ends is not None:
        row["expires"] = ends
        row["valid"] = None if clock is None else clock // 1000 < ends


def rows_of_hits(
    hits: Iterable[Mapping[str, Any]], secrets: Mapping[str, Secret], clock: int | None, access: Access | None = None
) -> list[dict[str, Any]]:
    """Rows for what rules tagged `secret` matched, once a rule and owner. hits: rows of that table; secrets: by hit_id.

    Their fingerprints are those of the same secrets in environments and arguments.
    """
    rows: dict[Any, dict[str, Any]] = {}
    for hit in hits:
        secret = secrets.get(hit["hit_id"])
        if secret is not None:
            place = {name: hit[name] for name in (*_OWNER, "pid")}
            row = row_of(secret, clock, access) | place
            row |= {"holder": "hit", "path": hit.get("path"), "source": f"rule {hit['rule']}: {hit['owner']}"}
            rows.setdefault((secret.fingerprint, row["source"], row["path"], *place.values()), row)
    return list(rows.values())


def _of_processes(source: RamSource, clock: int | None, access: Access) -> Iterator[dict[str, Any]]:
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
                row = row_of(secret, clock, access)
                yield row | owner | {"holder": holder, "pid": process.pid, "source": "process memory"}


def _of_containers(source: RamSource, clock: int | None, access: Access) -> Iterator[dict[str, Any]]:
    for container in source.containers.values():
        owner = {name: getattr(container, name) for name in _OWNER}
        held = {
            "env": source.secrets.environ(container.env)[1],
            "args": source.secrets.args(container.args)[1],
        }
        for holder, secrets in held.items():
            for secret in merged(secrets):
                row = row_of(secret, clock, access)
                yield row | owner | {"holder": holder, "source": "; ".join(container.sources)}


def _of_volumes(source: RamSource, clock: int | None, access: Access) -> Iterator[dict[str, Any]]:
    """Values of Kubernetes secrets in the volumes of pods."""
    from memir.kube.mounted_secrets import mounted_secrets

    for mounted in mounted_secrets(source):
        name = f"{mounted.volume}/{mounted.key}"
        kind = next((match.kind for match in secrets_in(mounted.value, mounted.key)), "mounted secret")
        secret = source.secrets.add(kind, name, mounted.value.strip())
        owner = source.owners.pod(mounted.pod_uid).columns()
        row = row_of(secret, clock, access) | {column: owner[column] for column in _OWNER}
        yield row | {"holder": "volume", "path": mounted.path, "source": "page cache of a secret volume"}


def _with_places(
    source: RamSource, rows: list[dict[str, Any]], clock: int | None, access: Access, sweep: Sweep | None
) -> list[dict[str, Any]]:
    """The rows and those of memory: one a secret, holder, process and file; copies in a process count with its row."""
    from memir.hunt.key_pairs import KeyPair, key_pairs
    from memir.hunt.secret_shapes import CERTIFICATE
    from memir.hunt.secret_sweep import HOLDERS, Sweep

    named = {row["fingerprint"]: row for row in rows}
    places = (sweep or Sweep(source, _values(source, rows))).places()
    keys = [place.secret.value for place in places if place.secret and place.secret.kind == "private key"]
    certificates = [place.secret.value for place in places if place.secret and place.secret.kind == CERTIFICATE]
    pairs: dict[str, KeyPair] = key_pairs(keys, certificates)
    base: dict[tuple[str, str | None], dict[str, Any]] = {}
    seen: dict[tuple[Any, ...], set[int]] = {}
    made: dict[tuple[Any, ...], dict[str, Any]] = {}
    for place in places:
        if place.secret is None:
            row = {name: named[str(place.fingerprint)].get(name) for name in _ITSELF}
        elif place.secret.kind == CERTIFICATE:
            continue
        else:
            exposed = place.secret
            secret = source.secrets.add(exposed.kind, exposed.name, exposed.value)
            if secret.fingerprint in named:  # looked for by value too
                continue
            key = (secret.fingerprint, exposed.name)
            if key not in base:
                base[key] = row_of(secret, clock, access, exposed.facts)
                if exposed.value in pairs:
                    _name_pair(base[key], pairs[exposed.value], clock, access)
            row = base[key]
        where = {name: place.row.get(name) for name in (*_OWNER, "pid", "path")}
        holder = HOLDERS[place.row["owner"]]
        mark = (row["fingerprint"], holder, *where.values())
        seen.setdefault(mark, set()).add(place.paddr)
        made.setdefault(mark, {**row, **where, "holder": holder, "source": place.row["source"]})
    for mark, row in made.items():
        row["copies"] = len(seen[mark])
    own = {(row["fingerprint"], row["pid"]): row for row in rows if row.get("pid") is not None}
    for mark, row in list(made.items()):
        known = own.get((row["fingerprint"], row["pid"])) if row["holder"] == "memory" else None
        if known is not None:
            known["copies"] = row["copies"]
            del made[mark]
    volumes = {(row["fingerprint"], row["path"]): row for row in rows if row["holder"] == "volume"}
    for mark, row in list(made.items()):
        known = volumes.get((row["fingerprint"], row["path"])) if row["holder"] == "file" else None
        if known is not None:
            known["copies"] = row["copies"]
            del made[mark]
    return [*rows, *made.values(), *_shielded(source)]


def _shielded(source: RamSource) -> Iterator[dict[str, Any]]:
    """OpenSSH's programs that hold private keys: shielded in memory (sshkey_shield_private), so that they are named
    and not read."""
    owned = source.owners.by("task", source.processes.task).columns()
    for index, process in enumerate(source.processes.rows):
        if process.comm in _SSH:
            owner = {name: owned[name][index] for name in _OWNER}
            owner = {name: value.as_py() if hasattr(value, "as_py") else value for name, value in owner.items()}
            words = f"a process named {process.comm}; its keys are shielded and were not read"
            yield {
                "kind": "ssh keys", "name": process.comm, "holder": "memory", "pid": process.pid, "source": words,
            } | owner  # fmt: skip


_SSH = frozenset({"ssh-agent", "sshd"})
_ITSELF = (
    "kind", "name", "fingerprint", "gain", "opens", "subject", "role", "issued_to", "claims", "audience", "expires",
    "valid",
)  # fmt: skip
"""Columns that are a secret's own, wherever it lies."""


def _name_pair(row: dict[str, Any], pair: Any, clock: int | None, access: Access) -> None:
    """Whose a private key is, by the certificate that goes with it."""
    row["name"] = pair.name or row["name"]
    facts = {
        "common_name": pair.name, "organizations": list(pair.organizations), "issuer": pair.issuer,
        "client": pair.client, "begins": pair.begins.isoformat(), "expires": pair.expires.isoformat(),
    }  # fmt: skip
    row["claims"] = json.dumps(facts, sort_keys=True)[:_CLAIMS]
    _expires(row, _micros(facts["expires"]), clock)
    if pair.client:
        row |= _opened(access.certificate(pair.name, pair.organizations))


def _micros(text: Any) -> int | None:
    """Microseconds since 1970 of a time in ISO 8601 with its zone; None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None


def _seconds(value: Any) -> int | None:
    """A token's time in seconds since 1970; None for what a timestamp cannot hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 38:
        return None
    return int(value)


TABLE = Table("secrets", "Secrets by fingerprint and holder, and what they open.", COLUMNS, "row", {"ram": read})
