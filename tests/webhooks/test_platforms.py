"""A host tells whose it is, and nothing that only looks like it does."""

import pytest

from webhooks.platforms import described, platform


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("hooks.zapier.com", "Zapier"),
        ("HOOKS.zapier.com.", "Zapier"),
        ("northwind.app.n8n.cloud", "n8n"),
        ("hook.eu2.make.com", "Make"),
        ("hook.integromat.com", "Make"),
        ("prod-12.westeurope.logic.azure.com", "Power Automate"),
        ("0a1b.09.environment.api.powerplatform.com", "Power Automate"),
    ],
)
def test_names_the_platform_of_a_host(host: str, name: str) -> None:
    assert platform(host) == name
    assert described(host) == f"{name} ({host})"


@pytest.mark.parametrize(
    "host", ["remake.com", "hooks.zapier.com.example", "zapier.com", "127.0.0.1", "", "example.com"]
)
def test_any_other_host_is_itself(host: str) -> None:
    assert platform(host) is None
    assert described(host) == host
