"""Values as JavaScript source: safe whatever the text, and laid out for people to read."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

_WIDTH = 80
_EXACT = 2**53  # up to here JavaScript's numbers hold every integer
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
# Controls, invisible formats, surrogates, private use and line separators: none of them may stand
# in source as itself. Some end a line, some cannot be encoded, some show other code than is there.
_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


class Code(str):
    """Source text that `literal` writes as it is. Never made from text that came from outside."""

    __slots__ = ()


def literal(value: Any, indent: int = 0) -> str:
    """Write a JSON value as a JavaScript expression; objects may also hold `Code`.

    What fits on a line of 80 stays on one. Raises TypeError for what JSON cannot say.
    """
    flat = _flat(value)
    if indent + len(flat) <= _WIDTH and "\n" not in flat:
        return flat
    if isinstance(value, Mapping):
        return _block("{", _members(value, indent + 2), "}", indent)
    if isinstance(value, list | tuple):
        return _block("[", (literal(item, indent + 2) for item in value), "]", indent)
    return flat


def member(base: str, name: str) -> Code:
    """Write the reading of an object's member: `bundle.inputData.outcome`."""
    return Code(f"{base}.{name}" if _IDENTIFIER.match(name) else f"{base}[{_text(name)}]")


def _flat(value: Any) -> str:
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(name)}: {_flat(item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flat, value))}]"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return json.dumps(value, allow_nan=False)


def _members(value: Mapping[str, Any], indent: int) -> Iterator[str]:
    return (f"{_key(name)}: {literal(item, indent)}" for name, item in value.items())


def _block(opening: str, lines: Iterator[str], closing: str, indent: int) -> str:
    inner = " " * (indent + 2)
    body = "".join(f"{inner}{line},\n" for line in lines)
    return f"{opening}\n{body}{' ' * indent}{closing}"


def _key(name: str) -> str:
    if name == "__proto__":
        return '["__proto__"]'  # written plainly it would set the prototype instead of a member
    return name if _IDENTIFIER.match(name) else _text(name)


def _text(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(_escaped(one) if unicodedata.category(one) in _UNSEEN else one for one in quoted)


def _escaped(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
