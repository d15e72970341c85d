"""What Zapier's review would say, before anything is sent to Zapier."""

from connector.platforms.findings import Finding
from connector.platforms.zapier.checks import RULES
from connector.platforms.zapier.definition import define
from connector.platforms.zapier.draft import Draft
from connector.spec import Spec


def lint(spec: Spec) -> list[Finding]:
    """Return the findings on the connector of a spec; none means that it may be sent in."""
    return check(Draft(spec, define(spec)))


def check(draft: Draft) -> list[Finding]:
    """Return the findings of every rule on a definition."""
    return [
        Finding(name, where, message)
        for name, rule in RULES.items()
        for where, message in rule(draft)
    ]
