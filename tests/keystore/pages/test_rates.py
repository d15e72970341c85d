from datetime import timedelta

import pytest

from keystore import audit
from keystore.clock import ManualClock
from keystore.keys import Issued
from keystore.models import Organization
from keystore.rates import Rates
from keystore.services import Services
from tests.keystore.pages.browser import DEVELOPER, Browser, Form, forms


@pytest.fixture
def rates(clock: ManualClock) -> Rates:
    return Rates(clock, default=60, ceiling=6000)


def deeds(services: Services, organization: Organization) -> list[str]:
    with services.db.session() as session:
        return [event.action for event in audit.events(session, organization.id)]


def limit_form(browser: Browser, key_page: str, **typed: str) -> Form:
    form = forms(browser.get(f"{key_page}limit/"))[0]
    form.values |= typed
    return form


def plan(browser: Browser, key_page: str, **typed: str) -> str:
    values = {
        "starts_at": "2026-01-02T10:00",
        "ends_at": "2026-01-02T12:00",
        "rate_limit": "600",
        "reason": "Import of last year",
    }
    answer = browser.submit(f"{key_page}spikes/new/", **(values | typed))
    return (
        browser.get(answer.headers["Location"]).text
        if "Location" in answer.headers
        else answer.text
    )


def test_a_keys_page_shows_its_limit_and_leads_to_it(ada: Browser, key_page: str) -> None:
    page = ada.get(key_page).text
    assert "60 requests a minute" in page
    assert f'href="{key_page}limit/"' in page


def test_the_limits_page_shows_what_is_used_now(
    ada: Browser, key_page: str, services: Services, issued: Issued
) -> None:
    verified = services.verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    assert verified is not None
    for _ in range(7):
        services.limits.take(verified._replace(rate_limit=60))
    page = " ".join(ada.get(f"{key_page}limit/").text.split())
    assert "60 requests a minute at the moment, of which 7 are used" in page
    assert "None is planned" in page


def test_an_admin_changes_a_limit_and_gives_it_up_again(
    ada: Browser, key_page: str, services: Services, organization: Organization
) -> None:
    assert ada.post(limit_form(ada, key_page, limit="1200")).status_code == 303
    assert "1,200 requests a minute" in ada.get(key_page).text
    assert limit_form(ada, key_page).values["limit"] == "1200"
    ada.post(limit_form(ada, key_page, limit=""))
    assert "60 requests a minute" in ada.get(key_page).text
    assert deeds(services, organization)[-2:] == ["key.limit_changed"] * 2


@pytest.mark.parametrize("limit", ["0", "-5", "6001", "1" + "0" * 40, "many"])
def test_a_limit_that_cannot_be_says_so_at_its_field(
    ada: Browser, key_page: str, limit: str
) -> None:
    page = ada.post(limit_form(ada, key_page, limit=limit))
    assert page.status_code == 422
    assert 'id="limit-error"' in page.text


def test_the_organizations_limit_counts_for_keys_without_their_own(
    ada: Browser, key_page: str, services: Services, organization: Organization
) -> None:
    address = f"{DEVELOPER}limit/"
    assert f'href="{address}"' in ada.get(DEVELOPER).text
    assert ada.submit(address, limit="7000").status_code == 422
    assert ada.submit(address, limit="90").status_code == 303
    assert ada.form(address).values["limit"] == "90"
    assert "90 requests a minute" in ada.get(key_page).text
    assert deeds(services, organization)[-1] == "organization.limit_changed"


def test_l2_a_planned_spike_is_shown_until_it_is_over(
    ada: Browser, key_page: str, clock: ManualClock
) -> None:
    page = plan(ada, key_page)
    assert "600 a minute" in page
    assert "“Import of last year”" in page
    clock.advance(timedelta(days=1, hours=10))
    ada.sign_in("ada@northwind.example")
    assert "600 requests a minute; 1 spike planned" in " ".join(ada.get(key_page).text.split())
    clock.advance(timedelta(hours=2))
    assert "60 requests a minute" in ada.get(key_page).text
    assert "None is planned" in ada.get(f"{key_page}limit/").text


def test_a_spike_is_cancelled_once(
    ada: Browser, key_page: str, services: Services, organization: Organization
) -> None:
    plan(ada, key_page)
    _, cancel = forms(ada.get(f"{key_page}limit/"))
    assert ada.post(cancel).status_code == 303
    assert "None is planned" in ada.get(f"{key_page}limit/").text
    again = ada.post(cancel)
    assert again.status_code == 409
    assert "over, or was cancelled" in again.text
    assert deeds(services, organization)[-2:] == ["key.spike_planned", "key.spike_cancelled"]


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("ends_at", {"ends_at": "2026-01-02T09:00"}),
        ("ends_at", {"ends_at": "2026-06-02T09:00"}),
        ("starts_at", {"starts_at": "soon"}),
        ("rate_limit", {"rate_limit": "60"}),
        ("rate_limit", {"rate_limit": "60000"}),
        ("reason", {"reason": "un\u200bseen"}),
    ],
)
def test_what_is_wrong_with_a_spike_is_said_at_its_field(
    ada: Browser, key_page: str, field: str, typed: dict[str, str]
) -> None:
    assert f'id="{field}-error"' in plan(ada, key_page, **typed)
    assert "None is planned" in ada.get(f"{key_page}limit/").text


def test_an_expired_keys_limit_stays(
    ada: Browser, key_page: str, services: Services, issued: Issued, clock: ManualClock
) -> None:
    form = limit_form(ada, key_page, limit="90")
    spike = ada.form(
        f"{key_page}spikes/new/",
        starts_at="2026-01-01T10:00",
        ends_at="2026-01-02T10:00",
        rate_limit="600",
        reason="Import",
    )
    with services.db.session() as session:
        services.keys.set_expiry(
            session,
            issued.key.id,
            organization_id=issued.key.organization_id,
            expires_at=clock.now() + timedelta(minutes=1),
            actor=audit.SYSTEM,
        )
    clock.advance(60)
    services.verification.by_secret(issued.key.client_key, issued.client_secret.reveal())
    for sent in (form, spike):
        answer = ada.post(sent)
        assert answer.status_code == 409
        assert "has expired" in answer.text
