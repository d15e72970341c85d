from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest

from connector.meetings.errors import LinkRefused
from connector.meetings.links import LIFETIME, Links
from keystore.clock import ManualClock
from keystore.credentials import SecretValue
from keystore.vault import Vault

ORGANIZATION, TRANSCRIPTION = uuid4(), uuid4()


@pytest.fixture
def links(vault: Vault) -> Links:
    return Links(vault, "https://keyhook.example")


def claim(url: str) -> tuple[UUID, UUID, int, str]:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return (
        UUID(query["organization"]),
        UUID(parts.path.split("/")[3]),
        int(query["expires"]),
        query["signature"],
    )


def test_a_link_is_good_for_its_time(links: Links, clock: ManualClock) -> None:
    url = links.vtt_url(ORGANIZATION, TRANSCRIPTION, clock.now())
    organization, transcription, expires, signature = claim(url)
    assert (organization, transcription) == (ORGANIZATION, TRANSCRIPTION)
    clock.advance(LIFETIME - timedelta(seconds=1))
    links.check(organization, transcription, expires=expires, signature=signature, now=clock.now())
    clock.advance(1)
    with pytest.raises(LinkRefused):
        links.check(
            organization, transcription, expires=expires, signature=signature, now=clock.now()
        )


@pytest.mark.parametrize("changed", ["organization", "transcription", "expires", "signature"])
def test_a_changed_link_is_refused(links: Links, clock: ManualClock, changed: str) -> None:
    _, _, expires, signature = claim(links.vtt_url(ORGANIZATION, TRANSCRIPTION, clock.now()))
    with pytest.raises(LinkRefused):
        links.check(
            uuid4() if changed == "organization" else ORGANIZATION,
            uuid4() if changed == "transcription" else TRANSCRIPTION,
            expires=expires + (changed == "expires"),
            signature=signature[:-1] if changed == "signature" else signature,
            now=clock.now(),
        )


def test_a_link_of_another_installation_is_refused(links: Links, clock: ManualClock) -> None:
    others = Links(Vault([SecretValue("x" * 64)]), links.base_url)
    _, _, expires, signature = claim(others.vtt_url(ORGANIZATION, TRANSCRIPTION, clock.now()))
    with pytest.raises(LinkRefused):
        links.check(
            ORGANIZATION, TRANSCRIPTION, expires=expires, signature=signature, now=clock.now()
        )
