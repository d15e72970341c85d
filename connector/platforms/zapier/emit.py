"""From a spec to a Zapier Platform CLI project: {path: text}.

Everything that a template prints passes through `literal`, so that no text of a spec can become
code and no template can forget it; the README asks for `markdown` instead.
"""

import json
import re
import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from connector.operations import (
    Action,
    Call,
    Given,
    Held,
    Input,
    Search,
    Spec,
    Target,
    Trigger,
    Value,
)
from connector.platforms.javascript import Code, literal, member
from connector.platforms.zapier import definition as zapier

_TARGET_TYPE = {"target_type": 1}  # says that it is Zapier who asks (meetings API, section 2.11)

_FILES = ("authentication.js", "index.js", "README.md", "test/connector.test.js")
_LIBRARY = ("address", "authorization", "dates", "inputs", "items", "problems", "webhook")


def emit(spec: Spec) -> dict[str, str]:
    """Return a whole project that can be installed, tested, registered and pushed."""
    templates = _environment()
    whole = _whole(spec)
    files = {path: templates.get_template(f"{path}.j2").render(whole) for path in _FILES}
    files["package.json"] = _package(spec)
    files[".gitignore"] = templates.get_template("gitignore").render()
    for name in _LIBRARY:
        path = f"lib/{name}.js"
        files[path] = templates.get_template(f"{path}.j2").render(whole)
    for trigger in spec.triggers:
        made = _trigger(trigger)
        files[f"triggers/{trigger.key}.js"] = templates.get_template("trigger.js.j2").render(made)
    for search in spec.searches:
        made = _search(search)
        files[f"searches/{search.key}.js"] = templates.get_template("search.js.j2").render(made)
    for action in spec.actions:
        made = _create(action)
        files[f"creates/{action.key}.js"] = templates.get_template("create.js.j2").render(made)
    return files


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("connector.platforms.zapier"),
        autoescape=False,  # noqa: S701 - not HTML; `finalize` guards every printed value instead
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=literal,
    )
    made.filters["at"] = lambda value, indent: Code(literal(value, indent))
    made.filters["markdown"] = lambda text: Code(_markdown(text))
    return made


def _whole(spec: Spec) -> dict[str, Any]:
    """Return what the files are made from that a project has once."""
    definition = zapier.define(spec)
    return {
        "spec": spec,
        "auth": spec.auth,
        "definition": definition,
        "test": _request(spec.auth.test),
        "credentials": [
            {"key": one.name, "label": one.label, "pattern": one.pattern or "."}
            for one in spec.auth.fields
        ],
        "triggers": {one.key: _required("triggers", one.key) for one in spec.triggers},
        "searches": {one.key: _required("searches", one.key) for one in spec.searches},
        "creates": {one.key: _required("creates", one.key) for one in spec.actions},
        "fields": Code(" and ".join(f"**{_markdown(one.label)}**" for one in spec.auth.fields)),
        "shell_name": Code(shlex.quote(_one_line(spec.name))),
        "base_url": Code(spec.base_url),
        "core_version": Code(zapier.CORE_VERSION),
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    subscribe = _request(trigger.subscribe)
    subscribe["body"] = subscribe.get("body", {}) | _TARGET_TYPE
    return {
        "definition": zapier.trigger(trigger),
        "trigger": trigger,
        "subscribe": subscribe,
        "unsubscribe": _request(trigger.unsubscribe) | {"skipThrowForStatus": True},
        "samples": _request(trigger.samples),
    }


def _search(search: Search) -> dict[str, Any]:
    return {
        "definition": zapier.search(search),
        "search": search,
        "request": _request(search.call, search.inputs),
        "counts_days": any(one.default is not None for one in search.inputs),
        "found": member("response.data", search.results),
    }


def _create(action: Action) -> dict[str, Any]:
    return {
        "definition": zapier.create(action),
        "action": action,
        "request": _request(action.call, action.inputs),
    }


def _request(call: Call, inputs: tuple[Input, ...] = ()) -> dict[str, Any]:
    """Return the options of `z.request`, in which slots have become JavaScript."""
    defaults = {one.name: one.default for one in inputs if one.default is not None}
    path = [literal(call.path)]
    if call.segments:
        path.append(literal(_filled(call.segments, defaults)))
    made: dict[str, Any] = {"url": Code(f"address({', '.join(path)})")}
    if call.method != "GET":
        made = {"method": call.method} | made
    if call.query:
        made["params"] = _filled(call.query, defaults)
    if call.body:
        made["body"] = _filled(call.body, defaults)
    return made


def _filled(values: Mapping[str, Value], defaults: Mapping[str, timedelta]) -> dict[str, Any]:
    return {name: _value(value, defaults) for name, value in values.items()}


def _value(value: Value, defaults: Mapping[str, timedelta]) -> Any:
    match value:
        case Given(name):
            read = member("bundle.inputData", name)
            if name not in defaults:
                return read
            return Code(f"{read} || daysFromNow({literal(defaults[name] / timedelta(days=1))})")
        case Held(name):
            return member("bundle.subscribeData", name)
        case Target():
            return Code("bundle.targetUrl")
        case Mapping():
            return _filled(value, defaults)
        case _:
            return value


def _required(folder: str, key: str) -> Code:
    return Code(f"require({literal(f'./{folder}/{key}')})")


def _package(spec: Spec) -> str:
    package = {
        "name": f"{_slug(spec.name)}-zapier",
        "version": zapier.PROJECT_VERSION,
        "description": _one_line(spec.description),
        "private": True,
        "main": "index.js",
        "scripts": {"test": "node --test"},
        "engines": {"node": ">=22"},
        "dependencies": {"zapier-platform-core": zapier.CORE_VERSION},
    }
    return json.dumps(package, indent=2) + "\n"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "connector"


def _one_line(text: str) -> str:
    """Leave nothing that could begin a new line, hide, or not be encoded."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|&])", r"\\\1", _one_line(text))
