# SPDX-License-Identifier: Apache-2.0
"""Typed members of an untrusted JSON object: what has the wrong type is None, and said."""

from __future__ import annotations

from typing import Any


class Fields:
    """Reads members by type and collects in `doubts` what had another type."""

    def __init__(self, doubts: list[str] | None = None) -> None:
        self.doubts = doubts if doubts is not None else []

    def _wrong(self, key: str, wanted: str) -> None:
        self.doubts.append(f"{key} is not {wanted}")

    def object(self, parent: dict[str, Any], key: str) -> dict[str, Any]:
        """The object at `key`; an empty one if it is absent, null or of another type."""
        value = parent.get(key)
        if isinstance(value, dict):
            return value
        if value is not None:
            self._wrong(key, "an object")
        return {}

    def list(self, parent: dict[str, Any], key: str) -> list[Any] | None:
        """The list at `key`; None if it is absent, null or of another type."""
        value = parent.get(key)
        if isinstance(value, list):
            return value
        if value is not None:
            self._wrong(key, "a list")
        return None

    def string(self, parent: dict[str, Any], key: str) -> str | None:
        """The text at `key`; None if it is absent, empty or of another type."""
        value = parent.get(key)
        if isinstance(value, str):
            return value or None
        if value is not None:
            self._wrong(key, "a string")
        return None

    def strings(self, parent: dict[str, Any], key: str) -> tuple[str, ...] | None:
        """The list of texts at `key`; None unless every element is one."""
        value = self.list(parent, key)
        if value is None:
            return None
        if not all(isinstance(item, str) for item in value):
            self._wrong(key, "a list of strings")
            return None
        return tuple(value)

    def strings_by_key(self, parent: dict[str, Any], key: str) -> dict[str, str]:
        """The object of texts at `key`, without the members that are not texts."""
        value = self.object(parent, key)
        out = {name: text for name, text in value.items() if isinstance(text, str)}
        if len(out) != len(value):
            self._wrong(key, "an object of strings")
        return out

    def number(self, parent: dict[str, Any], key: str, below: int) -> int | None:
        """The whole number at `key`, 0 or more and less than `below`."""
        value = parent.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below:
            return value
        if value is not None:
            self._wrong(key, f"a number from 0 to {below - 1}")
        return None

    def boolean(self, parent: dict[str, Any], key: str) -> bool | None:
        """The boolean at `key`; None if it is absent or of another type."""
        value = parent.get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self._wrong(key, "a boolean")
        return None
