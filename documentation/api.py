# SPDX-License-Identifier: Apache-2.0
"""docs/reference/api.md, from docstrings and signatures: `python -m documentation.api > docs/reference/api.md`.

mkdocstrings is not used: zensical's strict mode does not know the references that it makes.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from typing import Any

import memir

_HEAD = """# Python API

Made by `python -m documentation.api` from the code's docstrings; edit those.

`import memir` gives these names, and nothing else is public. What a signature names of memir's other modules
is what you get from, or hand on to, another of these names.

"""


def reference() -> str:
    """The whole page as Markdown, with a final newline."""
    names = sorted(memir.__all__, key=str.lower)
    contents = "".join(f"- [`memir.{name}`](#memir{name.lower()})\n" for name in names)
    return _HEAD + contents + "".join(map(_part, names))


def _part(name: str) -> str:
    value = getattr(memir, name)
    text = f"\n## memir.{name}\n\n"
    if not inspect.isclass(value):
        return text + _signature(f"memir.{name}", value) + _doc(value)
    if not issubclass(value, BaseException):
        text += _signature(name, value)
    text += _doc(value)
    for member, inner in sorted(vars(value).items()):
        plain = inner.__func__ if isinstance(inner, classmethod | staticmethod) else inner
        if member.startswith("_") and member not in ("__getitem__",):
            continue
        if isinstance(plain, property):
            text += f"\n### {name}.{member}\n\nA property. {_doc(plain.fget)}"
        elif isinstance(plain, types.FunctionType):
            text += f"\n### {name}.{member}\n\n{_signature(member, plain)}{_doc(plain)}"
    return text


def _signature(name: str, value: Any) -> str:
    try:
        signature = inspect.signature(value)
    except ValueError:
        return ""
    given = [
        re.sub(r"\bmemir(\.\w+)+\.(\w+)", r"\2", _shown(parameter)).replace("'", "")
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    kinds = [parameter.kind for parameter in signature.parameters.values() if parameter.name != "self"]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        given.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    back = signature.return_annotation
    said = back if isinstance(back, str) else inspect.formatannotation(back)
    end = "" if back is inspect.Signature.empty else f" -> {said}"
    line = f"{name}({', '.join(given)}){end}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {each},\n" for each in given) + f"){end}"
    return f"```python\n{line}\n```\n\n"


def _shown(parameter: inspect.Parameter) -> str:
    """A parameter as text; a default that is a function as ...."""
    return re.sub(r"<function (\S+) at 0x[0-9a-f]+>", "...", str(parameter))


def _doc(value: Any) -> str:
    """The docstring, with its indented examples as code and `<` shown as it is."""
    out: list[str] = []
    code = False
    for line in (inspect.getdoc(value) or "").splitlines():
        if line.startswith("    ") and not code and (not out or not out[-1].strip()):
            out.append("```")
            code = True
        elif code and line.strip() and not line.startswith("    "):
            out.append("```")
            code = False
        out.append(line[4:] if code else _escaped(line))
    return "\n".join([*out, *(["```"] if code else [])]).rstrip() + "\n"


def _escaped(line: str) -> str:
    """What Markdown would read as its own, outside of backquotes."""
    parts = line.split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
