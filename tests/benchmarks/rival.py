"""djangorestframework-api-key as its manual sets it up, in an environment of its own.

Nothing of ours is imported here. Whatever Django or its REST framework would do beside the check
and is not needed for it (middleware, sign-in, choosing a renderer) is left out, so that the
comparison is with the check itself.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

BATCH = 1_000
urlpatterns: list[object] = []


def set_up(database: str, max_age: int | None) -> None:
    """Configure Django for a database file; max_age as its CONN_MAX_AGE."""
    settings.configure(
        DEBUG=False,
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=[],
        INSTALLED_APPS=["rest_framework", "rest_framework_api_key"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": database,
                "CONN_MAX_AGE": max_age,
            }
        },
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "UNAUTHENTICATED_USER": None,
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework_api_key.permissions.HasAPIKey"],
        },
        USE_TZ=True,
    )
    django.setup()


def seed(database: str, keys: int) -> str:
    """Make the tables and so many keys; return one of them."""
    set_up(database, None)
    from rest_framework_api_key.models import APIKey  # noqa: PLC0415 - needs the settings

    call_command("migrate", verbosity=0)
    for begin in range(0, keys - 1, BATCH):
        copies = [APIKey(name=f"Copy {begin + number}") for number in range(BATCH)]
        for copy in copies[: keys - 1 - begin]:
            APIKey.objects.assign_key(copy)
        APIKey.objects.bulk_create(copies[: keys - 1 - begin])
    _, key = APIKey.objects.create_key(name="Used")
    return str(key)


def make(database: str, max_age: int | None) -> Callable[..., Any]:
    """Return the application."""
    set_up(database, max_age)
    from rest_framework.decorators import api_view  # noqa: PLC0415 - as above
    from rest_framework.response import Response  # noqa: PLC0415

    def me(request: object) -> object:
        return Response({"hello": "world"})

    urlpatterns.append(path("v1/me/", api_view(["GET"])(me)))
    application: Callable[..., Any] = get_wsgi_application()
    return application


def serve(database: str, max_age: int | None, port: int, options: dict[str, Any]) -> None:
    server = Server(
        "rival", port=port, interface=Interfaces.WSGI, log_level=LogLevels.warning, **options
    )
    server.serve(target_loader=partial(make, database, max_age), wrap_loader=False)


if __name__ == "__main__":
    what, file, number, *more = sys.argv[1:]
    if what == "seed":
        sys.stdout.write(seed(file, int(number)))
    else:
        serve(file, None if what == "kept" else 0, int(number), json.loads(more[0]))
