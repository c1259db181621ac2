# SPDX-License-Identifier: Apache-2.0
"""BTF types in the words of volatility3's symbol files (ISF 6.2.0), one at a time.

Schema: volatility3/schemas/schema-6.2.0.json.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from memir.symbols import btf_format as f
from memir.symbols.btf import ENUMS, STRUCTS, BtfTypes
from memir.symbols.btf_format import RawType

Json = dict[str, Any]
VOID: Json = {"kind": "base", "name": "void"}

# GCC's names of integers, which volatility3 asks for, and Clang's.
_ALIASES = {
    "long unsigned int": "unsigned long",
    "long int": "long",
    "long long unsigned int": "unsigned long long",
    "long long int": "long long",
    "short unsigned int": "unsigned short",
    "short int": "short",
}
_ALWAYS = {  # name: size, signed, kind
    "void": (0, False, "void"),
    "pointer": (8, False, "int"),
    "long unsigned int": (8, False, "int"),
    "long int": (8, True, "int"),
    "long long unsigned int": (8, False, "int"),
    "long long int": (8, True, "int"),
    "unsigned int": (4, False, "int"),
    "int": (4, True, "int"),
    "short unsigned int": (2, False, "int"),
    "short int": (2, True, "int"),
    "char": (1, True, "char"),
    "signed char": (1, True, "char"),
    "unsigned char": (1, False, "char"),
    "_Bool": (1, False, "bool"),
}
_ENUM_BASES = {
    (1, False): "unsigned char",
    (1, True): "signed char",
    (2, False): "short unsigned int",
    (2, True): "short int",
    (4, False): "unsigned int",
    (4, True): "int",
    (8, False): "long unsigned int",
    (8, True): "long int",
}
_MAX_DEPTH = 64

# Members that volatility3 2.28 asks for by a name that newer kernels have given up: struct, old name, where it is now.
# taint_flag.module (gone by 7.2, as every flag is shown for modules) is read as "not 0", which c_true is.
_RENAMED = (("page", "index", "__folio_index"), ("taint_flag", "module", "c_true"))


class Describer:
    """The types of a kernel as an ISF has them. Nothing changes but caches; safe to share between threads.

    An anonymous struct or enum goes by the name of a typedef that leads straight to it, if there is one,
    else by `unnamed_` and its BTF id; a further one of a name that is taken by the name, `_` and its id.
    """

    def __init__(self, types: BtfTypes) -> None:
        self._types = types
        self._blob = types.blob
        self._descriptors: dict[int, Json] = {}

    def user_type(self, name: str) -> Json | None:
        """A struct or union by its name in the ISF; None if there is none; BtfError if it is malformed."""
        number = self.structs.get(name)
        return None if number is None else self._user_type(self._blob.raw(number))

    def enum(self, name: str) -> Json | None:
        """An enum by its name in the ISF; None if there is none; BtfError if it is malformed."""
        number = self.enums.get(name)
        return None if number is None else self._enum(self._blob.raw(number))

    @functools.cached_property
    def structs(self) -> dict[str, int]:
        """BTF id of every struct and union by its name in the ISF."""
        return {name: number for number, name in self._struct_names.items()}

    @functools.cached_property
    def enums(self) -> dict[str, int]:
        """BTF id of every enum by its name in the ISF."""
        return {name: number for number, name in self._enum_names.items()}

    @functools.cached_property
    def base_types(self) -> dict[str, Json]:
        """Base types by name: the kernel's, by GCC's and Clang's names, and those volatility3 demands."""
        types: dict[str, Json] = {}
        for number in self._blob.names((f.INT, f.FLOAT)).values():
            raw = self._blob.raw(number)
            encoding = raw.words[0] >> 24 if raw.kind == f.INT else 1
            kind = "float" if raw.kind == f.FLOAT else "bool" if encoding & 4 else "int"
            kind = "char" if raw.name in ("char", "signed char", "unsigned char") else kind
            types[raw.name] = _base_type(raw.size_or_type, bool(encoding & 1), kind)
        for gcc, clang in _ALIASES.items():
            if here := types.get(gcc) or types.get(clang):
                types[gcc] = types[clang] = here
        for text, (size, signed, kind) in _ALWAYS.items():
            types.setdefault(text, _base_type(size, signed, kind))
        return types

    def base(self, name: str) -> Json:
        """The descriptor of a base type, of void if there is none of that name."""
        return {"kind": "base", "name": name if name in self.base_types else "void"}

    def descriptor(self, number: int, depth: int = 0) -> Json:
        """The descriptor of the type with this BTF id, for a member's or symbol's `type`."""
        descriptor = self._descriptors.get(number)
        if descriptor is None:
            descriptor = self._descriptors[number] = self._describe(number, depth)
        return descriptor

    def _describe(self, number: int, depth: int) -> Json:
        if depth > _MAX_DEPTH:
            raise self._blob.error(number, "refers to itself or is nested too deep")
        if number == 0:
            return VOID
        raw = self._blob.raw(number)
        match raw.kind:
            case kind if kind in f.MODIFIERS:
                return self.descriptor(raw.size_or_type, depth + 1)
            case f.INT | f.FLOAT:
                return self.base(raw.name)
            case f.PTR:
                return {"kind": "pointer", "subtype": self.descriptor(raw.size_or_type, depth + 1)}
            case f.STRUCT | f.UNION:
                return {"kind": _kind(raw), "name": self._struct_names[number]}
            case f.ARRAY:
                subtype = self.descriptor(raw.words[0], depth + 1)
                return {"kind": "array", "count": raw.words[2], "subtype": subtype}
            case f.ENUM | f.ENUM64:
                return {"kind": "enum", "name": self._enum_names[number]}
            case f.FWD:  # defined in a module or nowhere
                whole = self._blob.named(STRUCTS, raw.name)
                return VOID if whole is None else self.descriptor(whole, depth + 1)
            case f.FUNC | f.FUNC_PROTO:
                return {"kind": "function"}
            case kind:
                raise self._blob.error(number, f"of kind {kind} is not the type of a value")

    def _user_type(self, raw: RawType) -> Json:
        fields: Json = {}
        for row, (name_at, target, where) in enumerate(zip(*[iter(raw.words)] * 3, strict=True)):
            bits, place = (where >> 24, where & 0xFFFFFF) if raw.kind_flag else (0, where)
            name = self._blob.string(name_at)
            if not name:
                if (inner := self.descriptor(target))["kind"] in ("struct", "union"):
                    fields[f"unnamed_field_{row}"] = {"type": inner, "offset": place // 8, "anonymous": True}
            elif bits or place % 8 or (self._has_narrow_ints and not raw.kind_flag):
                fields[name] = self._bit_field(raw, name, target)
            else:
                fields[name] = {"type": self.descriptor(target), "offset": place // 8}
        self._add_old_names(raw, fields)
        return {"kind": _kind(raw), "size": raw.size_or_type, "fields": fields}

    def _add_old_names(self, raw: RawType, fields: Json) -> None:
        for struct, old, new in _RENAMED:
            if raw.name == struct and old not in (members := self._types.layout(raw.number)[1]) and new in members:
                fields[old] = {"type": self._member_type(raw, new), "offset": members[new].offset}
        if raw.name == "page" and fields.get("flags", VOID).get("type", VOID)["kind"] == "struct":
            # From Linux 6.18 (memdesc_flags_t) the word of flags lies in a struct of its own.
            fields["flags"] = fields["flags"] | {"type": self.base("long unsigned int")}

    def _member_type(self, raw: RawType, name: str) -> Json:
        """The descriptor of a member, of an anonymous struct's inside too."""
        for name_at, target, _ in zip(*[iter(raw.words)] * 3, strict=True):
            type_name = self._blob.string(name_at)
            if type_name == name:
                return self.descriptor(target)
            inner = None if type_name else self._types.blob.raw(target)
            if inner and inner.kind in STRUCTS and name in self._types.layout(inner.number)[1]:
                return self._member_type(inner, name)
        return VOID

    def _bit_field(self, raw: RawType, name: str, target: int) -> Json:
        member = self._types.layout(raw.number)[1][name]
        word = self.descriptor(target)
        if not member.bit_size:
            return {"type": word, "offset": member.offset}
        if member.type.size != self._types.resolve(target).size:
            word = self.base("long unsigned int")
        bits = {"bit_position": member.bit_offset, "bit_length": member.bit_size}
        return {"type": {"kind": "bitfield", **bits, "type": word}, "offset": member.offset}

    def _enum(self, raw: RawType) -> Json:
        constants = self._types.constants(raw.number)
        signed = raw.kind_flag or any(value < 0 for value in constants.values())
        base = _ENUM_BASES.get((raw.size_or_type, signed))
        if base is None:
            raise self._blob.error(raw.number, f"is an enum of {raw.size_or_type} bytes")
        return {"size": raw.size_or_type, "base": base, "constants": constants}

    @functools.cached_property
    def _struct_names(self) -> dict[int, str]:
        return self._name_all(STRUCTS)

    @functools.cached_property
    def _enum_names(self) -> dict[int, str]:
        return self._name_all(ENUMS)

    def _name_all(self, kinds: tuple[int, ...]) -> dict[int, str]:
        blob = self._blob
        names = {number: _text(name) for name, number in blob.names(kinds).items()}
        taken = set(names.values())
        for name, typedef in blob.names((f.TYPEDEF,)).items():
            target = blob.raw(typedef).size_or_type
            if target and target not in names and _text(name) not in taken:
                raw = blob.raw(target)
                if raw.kind in kinds and not raw.name:
                    names[target] = _text(name)
        for index in np.flatnonzero(np.isin(blob.kinds() & 0x7F, kinds)).tolist():
            number = index + blob.first
            if number not in names:
                names[number] = f"{blob.raw(number).name or 'unnamed'}_{number}"
        return names

    @functools.cached_property
    def _has_narrow_ints(self) -> bool:
        """Whether some int has fewer bits than its bytes: bit-fields of the old form, before kind flags."""
        ints = np.flatnonzero(self._blob.kinds() & 0x7F == f.INT).tolist()
        raws = (self._blob.raw(index + self._blob.first) for index in ints)
        return any(raw.words[0] & 0xFFFFFF != 8 * raw.size_or_type for raw in raws)


def _kind(raw: RawType) -> str:
    return "struct" if raw.kind == f.STRUCT else "union"


def _base_type(size: int, signed: bool, kind: str) -> Json:
    return {"size": size, "signed": signed, "kind": kind, "endian": "little"}


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")
