"""A browser without a screen: it keeps cookies, and fills in the forms that a page really holds."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import PASSWORD

DEVELOPER = "/settings/organization/developer/"
NEW_KEY = f"{DEVELOPER}keys/new/"


@dataclass
class Form:
    """A form of a page: where it goes, and what it holds when nobody has typed anything."""

    action: str
    values: dict[str, str | list[str]] = field(default_factory=dict)  # lists: ticked boxes


class _Forms(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.forms: list[Form] = []
        self._open = ""  # the select or textarea that we are in

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.forms.append(Form(values.get("action") or self.address))
        elif self.forms:
            self._take(tag, values, self.forms[-1].values)

    def _take(
        self, tag: str, has: dict[str, str | None], values: dict[str, str | list[str]]
    ) -> None:
        name, value = has.get("name") or "", has.get("value") or ""
        match tag, has.get("type"):
            case "input", "submit":
                pass  # sent only by whoever presses it
            case "input", "radio":
                if "checked" in has:
                    values[name] = value
            case "input", "checkbox":
                ticked = values.setdefault(name, [])
                if "checked" in has and isinstance(ticked, list):
                    ticked.append(value)
            case "input", _:
                values[name] = value
            case (("select" | "textarea"), _):
                self._open, values[name] = name, ""
            case "option", _ if "selected" in has:
                values[self._open] = value

    def handle_data(self, data: str) -> None:
        if self.forms and self._open and self.lasttag == "textarea":
            self.forms[-1].values[self._open] = data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag in {"select", "textarea"}:
            self._open = ""


def forms(response: TestResponse) -> list[Form]:
    """Return the forms of a page, without the one that signs out."""
    parser = _Forms(response.request.full_path.rstrip("?"))
    parser.feed(response.text)
    return [form for form in parser.forms if form.action != "/sign-out/"]


class Browser:
    """One person's browser."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, buffered=True)

    def post(self, form: Form, **headers: str) -> TestResponse:
        """Send a form as it is; a page that was sent once can be sent again with this."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(form.action, data=form.values, headers=names)

    def form(self, path: str, **typed: str | list[str]) -> Form:
        """Open a page and fill in its (only) form."""
        [form] = forms(self.get(path))
        form.values |= typed
        return form

    def submit(self, path: str, **typed: str | list[str]) -> TestResponse:
        """Open a page, fill in its form, and send it."""
        return self.post(self.form(path, **typed))

    def sign_in(
        self, email: str, password: str = PASSWORD, path: str = "/sign-in/"
    ) -> TestResponse:
        return self.submit(path, email=email, password=password)

    def cookie(self) -> str:
        """Return the session cookie as the browser sends it."""
        cookie = self.client.get_cookie("keyhook")
        return "" if cookie is None else cookie.value
