"""The organization's limit over HTTP: told to keys that manage keys, changed by none."""

from keystore.audit import SYSTEM
from tests.connector.api.office import MANAGE, READ, Office, body

PATH = "/v1/keys/limit/"


def choose(office: Office, limit: int | None) -> None:
    """Change the limit as an admin does."""
    with office.parts.services.db.session() as session:
        office.parts.services.rates.set_default(
            session, organization_id=office.organization.id, limit=limit, actor=SYSTEM
        )


def test_a_manager_reads_what_keys_without_a_limit_may_do(office: Office) -> None:
    manager, installed = office.manager(), office.parts.services.rates.default

    assert body(manager.get(PATH)) == {
        "rate_limit": installed,
        "chosen": None,
        "installed": installed,
    }
    choose(office, 90)
    assert body(manager.get(PATH)) == {"rate_limit": 90, "chosen": 90, "installed": installed}
    assert manager.get("/v1/me/").headers["RateLimit-Policy"] == '"key";q=90;w=60'
    choose(office, None)
    assert body(manager.get(PATH))["rate_limit"] == installed


def test_z1_no_key_changes_it(office: Office) -> None:
    manager = office.manager(MANAGE)
    before = body(manager.get(PATH))

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = manager.open(PATH, method=method, json={"rate_limit": 1_000})
        assert answer.status_code in {404, 405}, method

    assert body(manager.get(PATH)) == before
    assert office.manager(READ).get(PATH).status_code == 403
