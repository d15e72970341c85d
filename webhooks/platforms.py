"""Which platform a target belongs to, as far as its host tells.

Whoever runs n8n themselves has a host of their own, and it is not known.
"""

#: By domain; hosts below it are meant, too.
PLATFORMS = {
    "hooks.zapier.com": "Zapier",
    "app.n8n.cloud": "n8n",
    "make.com": "Make",
    "integromat.com": "Make",  # its former name
    "logic.azure.com": "Power Automate",
    "api.powerplatform.com": "Power Automate",
}


def platform(host: str) -> str | None:
    """Return the name of the platform whose host this is, None for any other host."""
    labels = host.lower().rstrip(".").split(".")
    domains = [".".join(labels[at:]) for at in range(len(labels))]
    return next((PLATFORMS[one] for one in domains if one in PLATFORMS), None)


def described(host: str) -> str:
    """Return a host with its platform's name, if it has one, as people read it."""
    name = platform(host)
    return f"{name} ({host})" if name else host
