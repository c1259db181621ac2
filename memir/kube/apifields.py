# SPDX-License-Identifier: Apache-2.0
"""Typed members of the API server's JSON, which know their place in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from memir.errors import ClusterError

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
}


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object and where it is: `pods.json: items[3].spec`.

    A member that is absent or null is None (or empty); one of another type than asked for raises
    ClusterError with file, JSON path and what was there.
    """

    value: dict[str, Any]
    where: str

    @classmethod
    def of(cls, value: Any, where: str) -> JsonObject:
        """Check that `value` is an object."""
        if not isinstance(value, dict):
            raise wrong_type(where, value, "an object")
        return cls(value, where)

    def place(self, key: str) -> str:
        """The place of a member."""
        return f"{self.where}.{key}" if not self.where.endswith(": ") else self.where + key

    def object(self, key: str) -> JsonObject:
        """The object at `key`; an empty one if there is none."""
        value = self.value.get(key)
        return JsonObject({} if value is None else _typed(value, dict, self.place(key)), self.place(key))

    def objects(self, key: str) -> list[JsonObject]:
        """The objects in the list at `key`."""
        value = self.value.get(key)
        items = [] if value is None else _typed(value, list, self.place(key))
        return [JsonObject.of(item, f"{self.place(key)}[{index}]") for index, item in enumerate(items)]

    def text(self, key: str) -> str | None:
        """The text at `key`; None also for an empty one, which the API writes for not known."""
        value = self.value.get(key)
        return None if value is None else _typed(value, str, self.place(key)) or None

    def needed(self, key: str) -> str:
        """The text at `key`, which must be there."""
        value = self.text(key)
        if value is None:
            raise ClusterError(f"{self.place(key)}: missing; is this `kubectl get ... -o json`, unedited?")
        return value

    def flag(self, key: str) -> bool:
        """The boolean at `key`, False if there is none."""
        value = self.value.get(key)
        return False if value is None else _typed(value, bool, self.place(key))

    def number(self, key: str) -> int | None:
        """The whole number at `key`, an int32 as the API has them (exit codes, restarts)."""
        value = self.value.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(self.place(key), value, "a whole number")
        if not -(1 << 31) <= value < 1 << 31:
            raise ClusterError(f"{self.place(key)}: a number of more than 32 bits")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """The object of texts at `key` (labels, annotations)."""
        inner = self.object(key)
        return {name: _typed(text, str, inner.place(name)) for name, text in inner.value.items()}

    def moment(self, key: str) -> datetime | None:
        """The time at `key`, UTC."""
        text = self.text(key)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ClusterError(f"{self.place(key)}: {text[:40]!r} is not a time") from error


def _typed(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise wrong_type(where, value, _KINDS[kind])
    return value


def wrong_type(where: str, value: Any, wanted: str) -> ClusterError:
    """The error that says where a value of another type than `wanted` is, and what is there."""
    return ClusterError(f"{where}: {_KINDS.get(type(value), 'null')}, not {wanted}")
