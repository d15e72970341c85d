"""Zapier's publish checks that can be judged from the definition, under Zapier's own ids.

Zapier runs them on its server, for those who have an account; the schema that comes with
`zapier-platform-core` knows none of them. Source: the integration check reference at
docs.zapier.com/platform/publish/integration-checks-reference. Left out are the checks of accounts,
of live Zaps and of the listing (A, E, L, S, T, U, most of M), and those that compare two versions
(C). Each rule yields the place and what is wrong there.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from connector.platforms.zapier.definition import CORE_VERSION, value_at
from connector.platforms.zapier.draft import Draft, Step, credentials, inputs, steps, texts

Findings = Iterator[tuple[str, str]]
Rule = Callable[[Draft], Findings]

_SECRET = re.compile(r"api_?key|client_?key|credential|jwt|passw|pswd|secret|token", re.IGNORECASE)
_ID = re.compile(r"(^|_)(uu)?ids?$", re.IGNORECASE)
_DOMAIN = re.compile(r"domain|host|instance|site|url", re.IGNORECASE)
_LINK = re.compile(r"\[[^\[\]]+\]\(https?://[^\s()]+\)")
_DANGEROUS = re.compile(r"\s*(blob|data|file|javascript|vbscript):\S", re.IGNORECASE)
_SMALL_WORDS = frozenset(
    ("a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "of", "on", "or", "the", "to")
)
_ZONELESS = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*|\d\d? [A-Z][a-z]{2,8} \d{4}( [\d:]+)?")
_LISTING = range(40, 141)  # characters of a listing's description

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "datetime": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def _d001(draft: Draft) -> Findings:
    for where, field in inputs(draft):
        if _SECRET.search(field["key"]):
            yield where, "a credential belongs in the authentication, not in an input field"


def _d002(draft: Draft) -> Findings:
    for where, field in credentials(draft):
        if not _LINK.search(field.get("helpText", "")):
            yield where, "the help text should link to the page where the credential is found"


def _d003(draft: Draft) -> Findings:
    named = re.findall(r"\{(\w+)\}", draft.spec.auth.label)
    if not named:
        yield "authentication.connectionLabel", "it has to name something of the account"
    for name in named:
        if _SECRET.search(name):
            yield "authentication.connectionLabel", f"{name} may be a credential"


def _d004(draft: Draft) -> Findings:
    for where, field in inputs(draft):
        if _ID.search(field["key"]) and not {"dynamic", "search", "choices"} & set(field):
            yield where, "an id wants a dropdown or a search to choose it from"


def _d005(draft: Draft) -> Findings:
    triggers = draft.definition.get("triggers", {})
    for where, field in inputs(draft):
        if "dynamic" in field and field["dynamic"].split(".")[0] not in triggers:
            yield where, f"its dropdown comes from a trigger that is not there: {field['dynamic']}"


def _d006(draft: Draft) -> Findings:
    for step in steps(draft, "triggers"):
        if step.is_hook and "performList" not in step.operation:
            yield step.where, "a hook needs performList, for the test in the editor"


def _d007(draft: Draft) -> Findings:
    if not draft.spec.base_url.startswith("https://"):
        yield "base URL", f"{draft.spec.base_url} is not https"
    for where, text in texts(draft.definition):
        if "http://" in text.replace(draft.spec.base_url, ""):
            yield where, "an address is not https"


def _d008(draft: Draft) -> Findings:
    for where, text in texts(draft.definition):
        if where.endswith(("helpText", "description", "directions")):
            rest = re.sub(r"`[^`]*`", "", _LINK.sub("", text))
            if "://" in rest or "](" in rest:
                yield where, "an address has to be a Markdown link or stand in backticks"


def _d009(draft: Draft) -> Findings:
    for step in steps(draft, "searches"):
        if not step.operation.get("inputFields"):
            yield step.where, "a search needs a field to search by"


def _d010(draft: Draft) -> Findings:
    for step in steps(draft, "triggers"):
        if step.is_hook:
            continue
        keys = [field["key"] for field in step.outputs if field.get("primary")] or ["id"]
        for key in keys:
            if step.sample and key not in step.sample:
                yield step.where, f"the sample lacks {key}, which tells one item from another"


def _d011(draft: Draft) -> Findings:
    for where, field in (*inputs(draft), *credentials(draft)):
        label, help_text = (_bare(field.get(name, "")) for name in ("label", "helpText"))
        if label and label == help_text:
            yield where, "the help text only repeats the label"


def _d012(draft: Draft) -> Findings:
    for step in steps(draft):
        if not step.sample:
            yield step.where, "a sample is missing"


def _d013(draft: Draft) -> Findings:
    searches = draft.definition.get("searches", {})
    for where, field in inputs(draft):
        if "search" in field and field["search"].split(".")[0] not in searches:
            yield where, f"it is filled by a search that is not there: {field['search']}"


def _d014(draft: Draft) -> Findings:
    for where, field in inputs(draft):
        if "search" not in field:
            continue
        if field.get("type", "string") not in {"string", "number", "integer"}:
            yield where, f"a search cannot fill a field of type {field['type']}"
        for other in {"list", "dict", "children"} & set(field):
            yield where, f"a search cannot fill a field that has {other}"


def _d015(draft: Draft) -> Findings:
    for group in ("searchOrCreates", "searchAndCreates"):
        for key, both in draft.definition.get(group, {}).items():
            for member, there in (("search", "searches"), ("create", "creates")):
                if both.get(member) not in draft.definition.get(there, {}):
                    yield f"{group}.{key}", f"its {member} is not there: {both.get(member)}"


def _d016(draft: Draft) -> Findings:
    there = list(steps(draft))
    if len(there) == 1 and _is_static(there[0]):
        yield there[0].where, "a single static hook is no integration"


def _d017(draft: Draft) -> Findings:
    for step in steps(draft, "triggers"):
        if _is_static(step):
            yield step.where, "a hook has to subscribe and unsubscribe by itself"


def _d018(draft: Draft) -> Findings:
    for step in steps(draft):
        label = step.body["display"]["label"]
        if label != _title_case(label):
            yield step.where, f"the label should read {_title_case(label)!r}"


def _d021(draft: Draft) -> Findings:
    for step in steps(draft, "triggers"):
        text = step.body["display"]["description"]
        if not (text.startswith("Triggers when ") and text.endswith(".")):
            yield step.where, "the description should read 'Triggers when ... .'"


def _d022(draft: Draft) -> Findings:
    for step in steps(draft, "creates"):
        if not step.inputs:
            yield step.where, "an action wants a field that is the same for everybody"


def _d023(draft: Draft) -> Findings:
    for step in steps(draft):
        declared = [
            (field["key"], value)
            for field in step.outputs
            if field.get("type") == "datetime"
            for value in value_at(step.sample, field["key"])
            if isinstance(value, str) and not _is_time(value)
        ]
        others = [(key, text) for key, text in texts(step.sample) if _ZONELESS.fullmatch(text)]
        for key, text in dict.fromkeys(declared + others):
            yield f"{step.where}.sample.{key}", f"{text!r} is not ISO 8601 with a zone"


def _d024(draft: Draft) -> Findings:
    for step in steps(draft):
        for field in step.outputs:
            values = value_at(step.sample, field["key"])
            where = f"{step.where}.sample.{field['key']}"
            if field.get("required") and not values:
                yield where, "a required field is not in the sample"
            for value in values:
                if not _fits(value, field):
                    yield where, f"{value!r} is not of the type {field['type']}"


def _d025(draft: Draft) -> Findings:
    for where, text in texts(draft.definition):
        if _DANGEROUS.match(text) or re.search(r"\]\(\s*(?!https?://)\w+:", text):
            yield where, "an address like this could run code"


def _d026(draft: Draft) -> Findings:
    for where, field in credentials(draft):
        if "inputFormat" in field or _DOMAIN.search(field["key"]):
            yield where, "a domain that people fill in has to be checked by hand"


def _d027(draft: Draft) -> Findings:
    if draft.definition["platformVersion"] != CORE_VERSION:
        yield "platformVersion", f"the newest that was tested is {CORE_VERSION}"


def _d028(draft: Draft) -> Findings:
    holders = [("flags", draft.definition.get("flags", {}))]
    holders += [(step.where, step.operation) for step in steps(draft)]
    for where, holder in holders:
        if holder.get("cleanInputData"):
            yield where, "empty values should reach our own code: switch cleanInputData off"


def _m002(draft: Draft) -> Findings:
    text = draft.spec.description
    if not text.startswith(f"{draft.spec.name} is a") or "zapier" in text.lower():
        yield "description", f"it should begin '{draft.spec.name} is a' and not speak of Zapier"
    if len(text) not in _LISTING:
        yield "description", "it should have 40 to 140 characters"


def _bare(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().casefold()


def _is_static(step: Step) -> bool:
    both = {"performSubscribe", "performUnsubscribe"}
    return step.is_hook and not both <= set(step.operation)


def _title_case(label: str) -> str:
    first, *words = label.split(" ")
    return " ".join(
        [_capital(first)]
        + [word if word in _SMALL_WORDS else _capital(word) for word in words[:-1]]
        + [_capital(word) for word in words[-1:]]
    )


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _is_time(text: str) -> bool:
    try:
        return len(text) == len("2026-11-23") or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _fits(value: Any, field: Mapping[str, Any]) -> bool:
    if value is None or "type" not in field:
        return True
    parts = value if field.get("list") and isinstance(value, list) else [value]
    types = _TYPES.get(field["type"])
    return types is None or all(
        isinstance(part, types) and (bool in types or not isinstance(part, bool)) for part in parts
    )


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "D001": _d001,
        "D002": _d002,
        "D003": _d003,
        "D004": _d004,
        "D005": _d005,
        "D006": _d006,
        "D007": _d007,
        "D008": _d008,
        "D009": _d009,
        "D010": _d010,
        "D011": _d011,
        "D012": _d012,
        "D013": _d013,
        "D014": _d014,
        "D015": _d015,
        "D016": _d016,
        "D017": _d017,
        "D018": _d018,
        "D021": _d021,
        "D022": _d022,
        "D023": _d023,
        "D024": _d024,
        "D025": _d025,
        "D026": _d026,
        "D027": _d027,
        "D028": _d028,
        "M002": _m002,
    }
)
