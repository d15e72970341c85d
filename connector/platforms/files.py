"""Putting an emitted project on disk without ever harming a person's own files."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

_RECORD = ".keyhook-emitted.json"


class OutputRefused(Exception):
    """The files were not written, none of them; `detail` says why and what to do."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def write(files: Mapping[str, str], out: Path) -> None:
    """Write {relative path: text} under `out`, which is made when it is not there.

    A folder that holds anything must be an earlier emission, known by the record in it of what was
    written. Files that were changed since then are never overwritten; files that the new emission
    lacks are removed; all others (`node_modules`, `.zapierapprc`, ...) are left alone. Raises
    `OutputRefused` before anything is touched.
    """
    out = out.resolve()
    written = _record(out)
    for path in sorted({*files, *written}):
        _check(out, path, written)
    for path in sorted(set(written) - set(files)):
        (out / path).unlink(missing_ok=True)
    for path, text in files.items():
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    record = {path: _digest(text.encode()) for path, text in sorted(files.items())}
    (out / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _record(out: Path) -> dict[str, str]:
    if out.exists() and not out.is_dir():
        raise OutputRefused(f"{out} is not a folder; name a new or an empty one.")
    if not out.exists() or not any(out.iterdir()):
        return {}
    try:
        record = json.loads((out / _RECORD).read_text(encoding="utf-8"))
        return {str(path): str(digest) for path, digest in record.items()}
    except (OSError, ValueError, AttributeError):
        raise OutputRefused(
            f"{out} holds files that were not emitted by keyhook; name a new or an empty folder."
        ) from None


def _check(out: Path, path: str, written: Mapping[str, str]) -> None:
    target = out / path
    if out not in target.parents or target.resolve() != target:
        raise OutputRefused(f"{path} would be written outside of {out}.")
    in_the_way = [one for one in target.parents if one.exists() and not one.is_dir()]
    if in_the_way:
        raise OutputRefused(f"{in_the_way[0]} is in the way: there must be a folder of that name.")
    if not target.exists():
        return
    if not target.is_file() or _digest(target.read_bytes()) != written.get(path):
        raise OutputRefused(
            f"{target} was changed since it was emitted. Move it away, or emit into another folder."
        )


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
