"""Links that work without a key, for a while: whoever has the link may read that one file."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from connector.meetings.errors import LinkRefused
from keystore.vault import Vault

LIFETIME = timedelta(days=7)


@dataclass(frozen=True)
class Links:
    """Makes and checks the signed address of a transcript's WebVTT file."""

    vault: Vault
    base_url: str

    def vtt_url(self, organization_id: UUID, transcription_uuid: UUID, now: datetime) -> str:
        """Return the whole URL, good for `LIFETIME` from now."""
        expires = int((now + LIFETIME).timestamp())
        query = urlencode(
            {
                "organization": organization_id,
                "expires": expires,
                "signature": self.vault.digest(
                    _claim(organization_id, transcription_uuid, expires)
                ),
            }
        )
        return f"{self.base_url.rstrip('/')}/v1/transcriptions/{transcription_uuid}/vtt/?{query}"

    def check(
        self,
        organization_id: UUID,
        transcription_uuid: UUID,
        *,
        expires: int,
        signature: str,
        now: datetime,
    ) -> None:
        """Raise LinkRefused unless we signed exactly this and its time is not over."""
        claim = _claim(organization_id, transcription_uuid, expires)
        genuine = self.vault.matches(claim, signature)
        if not genuine or now.timestamp() >= expires:
            raise LinkRefused


def _claim(organization_id: UUID, transcription_uuid: UUID, expires: int) -> str:
    # The first words keep this apart from whatever else the vault makes digests of.
    return f"transcript link {organization_id} {transcription_uuid} {expires}"
