"""Pages for whoever builds something on Keyhook. Anybody may read them."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from keystore import access
from webhooks import retry
from webhooks.services import hooks

SNIPPETS = Path(__file__).parent / "snippets"

blueprint = Blueprint("docs", __name__, url_prefix="/docs", template_folder="templates")


@dataclass(frozen=True)
class Snippet:
    """A receiver's check of a webhook: a file that runs, as it is shown."""

    name: str
    language: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return SNIPPETS / self.name

    @property
    def text(self) -> str:
        """What is in it."""
        return self.path.read_text(encoding="utf-8")


ALL = (
    Snippet("verify.py", "Python"),
    Snippet("verify.js", "JavaScript"),
    Snippet("verify.go", "Go"),
    Snippet("verify.rb", "Ruby"),
    Snippet("verify.php", "PHP"),
)


@blueprint.app_template_filter("wait_words")
def wait_words(wait: timedelta) -> str:
    """Return a wait as people say it: `5 minutes`, `1 hour`."""
    minutes = round(wait.total_seconds() / 60)
    count, unit = (minutes, "minute") if minutes % 60 else (minutes // 60, "hour")
    return f"{count} {unit}{'' if count == 1 else 's'}"


@blueprint.app_template_filter("sample_text")
def sample_text(sample: dict[str, Any]) -> str:
    """Return an event's sample as people read JSON."""
    return json.dumps(sample, indent=2, ensure_ascii=False)


@blueprint.get("/receive-webhooks/")
@access.public
def receive_webhooks() -> ResponseReturnValue:
    """Tell how to receive webhooks: what comes, how to check it, what to answer."""
    return render_template(
        "docs/receive-webhooks.html",
        snippets=ALL,
        event_types=sorted(hooks().catalog, key=lambda one: one.name.lower()),
        waits=retry.SCHEDULES[access.services().settings.retry_schedule],
    )
