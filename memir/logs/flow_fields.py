# SPDX-License-Identifier: Apache-2.0
"""Fields of VPC flow logs, versions 2 to 8: their names, and the columns that they become.

https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
"""

from __future__ import annotations

from memir.logs.format import INT32, INT64, quoted

DEFAULT = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets",
    "bytes", "start", "end", "action", "log-status",
)  # fmt: skip
_NAMES = {
    "account": "account-id", "interface_id": "interface-id", "instance_id": "instance-id", "srcaddr": "srcaddr",
    "dstaddr": "dstaddr", "action": "action", "status": "log-status", "direction": "flow-direction",
}  # fmt: skip
_NUMBERS = {
    "src_port": ("srcport", INT32), "dst_port": ("dstport", INT32), "protocol": ("protocol", INT32),
    "packets": ("packets", INT64), "bytes": ("bytes", INT64), "tcp_flags": ("tcp-flags", INT32),
    "version": ("version", INT32),
}  # fmt: skip
_TIMES = {"time": "start", "end": "end"}
_ADDRESSES = {"src": ("pkt-srcaddr", "srcaddr"), "dst": ("pkt-dstaddr", "dstaddr")}
_TAKEN = {*_NAMES.values(), *(name for name, _ in _NUMBERS.values()), *_TIMES.values(), "pkt-srcaddr", "pkt-dstaddr"}
_MAX_FIELDS = 64
_LAST = 1 << 38  # seconds: what a timestamp of microseconds holds


def names_of(first: str) -> tuple[str, ...]:
    """The fields that a first line names; () where it is no header of flow logs."""
    words = first.split()
    if not 2 <= len(words) <= _MAX_FIELDS or len(set(words)) != len(words):
        return ()
    known = {*DEFAULT, "pkt-srcaddr", "pkt-dstaddr", "tcp-flags", "instance-id", "flow-direction", "vpc-id"}
    plain = all(word.replace("-", "").isalnum() and word.isascii() for word in words)
    return tuple(words) if plain and len(known.intersection(words)) * 2 >= len(words) else ()


def sql(first: str) -> str | None:
    """The select for a file whose first line is this. `-` is not known; the header itself gives no row."""
    header = names_of(first)
    names = header or DEFAULT
    first_like = "true" if header else (
        "regexp_matches(text, '^[2-8] [0-9]{12} eni-[0-9a-f]+ ') and len(v) = 14"
    )  # fmt: skip
    split = "string_split(rtrim(text, chr(10) || chr(13) || ' '), ' ')"
    fields = {name: f"nullif(v[{number}], '-')" for number, name in enumerate(names, 1)}
    return (
        f"select row, {selected(fields)} from (select row, text, {split} as v from lines "
        f"where not starts_with(text, '{{')) where len(v) = {len(names)} and {first_like} "
        f"and not (v[1] = '{names[0]}')" + _numbers_are(fields)
    )


def _numbers_are(fields: dict[str, str]) -> str:
    """A line of another log that happens to have as many words is none."""
    numbers = ("version", "start", "end", "srcport", "dstport", "packets", "bytes")
    checks = [
        f"({fields[name]} is null or {INT64.format(fields[name])} is not null)" for name in numbers if name in fields
    ]
    return "".join(f" and {check}" for check in checks)


def selected(fields: dict[str, str]) -> str:
    """The table's own columns. fields: SQL for the text of each field, by its name in text logs; null if it is `-`."""
    out = [f"{fields.get(theirs, 'null::varchar')} as {quoted(ours)}" for ours, theirs in _NAMES.items()]
    out += [f"{cast.format(fields.get(theirs, 'null'))} as {quoted(ours)}" for ours, (theirs, cast) in _NUMBERS.items()]
    for ours, theirs in _TIMES.items():
        seconds = INT64.format(fields.get(theirs, "null"))
        fine = f"case when {seconds} between 0 and {_LAST} then {seconds} * 1000000 end"
        out.append(f"make_timestamp({fine}) as {quoted(ours)}")
    for ours, choices in _ADDRESSES.items():
        have = [fields[name] for name in choices if name in fields]
        out.append(f"coalesce({', '.join([*have, 'null::varchar'])}) as {quoted(ours)}")
    rest = [f"'{name}=' || {text}" for name, text in fields.items() if name not in _TAKEN]
    out.append(f"list_filter([{', '.join(rest) or 'null::varchar'}], lambda part: part is not null) as fields")
    return ", ".join(out)
