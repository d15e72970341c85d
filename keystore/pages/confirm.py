"""Asking somebody who signed in a while ago whether it is still them.

The question is asked in place, at the very address that was wanted, so that nothing has to be
remembered elsewhere: the page carries what the person had filled in, and the right password lets
that same form through. It is no redirect, so it cannot go round in circles.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import TypeVar, cast

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue

from keystore.access import actor, password_of, services, the_visitor
from keystore.credentials import SecretValue
from keystore.errors import TooManyFailures
from keystore.knocks import Kind
from keystore.pages.forms import CONFIRM_PREFIX, ConfirmForm

V = TypeVar("V", bound=Callable[..., object])

WRONG = "That is not your password."


def recent_sign_in(view: V) -> V:
    """Let nobody pass who showed their password more than ten minutes ago; ask for it instead.

    Stands below the decorator that says who may call the view.
    """

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> object:
        asked = _question()
        return view(*args, **kwargs) if asked is None else asked

    return cast("V", guarded)


def _question() -> ResponseReturnValue | None:
    """Return what to answer instead of the view, or None when there is nothing to ask."""
    person = the_visitor()
    if services().sessions.is_recent(person.sign_in):
        return None
    form, failure, waiting = ConfirmForm(prefix=CONFIRM_PREFIX), None, {}
    if form.asked_before() and form.validate():
        try:
            failure = _check(form)
        except TooManyFailures as error:
            failure, waiting = error.detail, {"Retry-After": str(error.seconds)}
        if failure is None:
            # Somebody who only wanted to open the page filled in no form that could go through.
            if form.carries.data:
                return None
            return redirect(request.full_path.rstrip("?"), HTTPStatus.SEE_OTHER)
    elif not form.asked_before():
        form.carries.data = "1" if request.method == "POST" else ""
    carried = [
        (name, text)
        for name, text in request.form.items(multi=True)
        if name != "csrf_token" and not name.startswith(CONFIRM_PREFIX)
    ]
    page = render_template("confirm.html", form=form, carried=carried, failure=failure)
    return page, HTTPStatus.TOO_MANY_REQUESTS if waiting else HTTPStatus.FORBIDDEN, waiting


def _check(form: ConfirmForm) -> str | None:
    """Try the password; return what is wrong, or None when it is the person."""
    person = the_visitor()
    password = SecretValue(form.password.data or "")
    if password_of(person.user.email, password, Kind.CONFIRMATION) is None:
        return WRONG
    with services().db.session() as db:
        services().sessions.confirm(db, person.sign_in, person.user, actor())
    return None
