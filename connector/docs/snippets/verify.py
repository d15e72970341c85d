import hmac
import re
import time
from base64 import b64decode, b64encode

TOLERANCE = 300  # seconds


def is_genuine(
    secret: str,
    message_id: str | None,
    timestamp: str | None,
    signatures: str | None,
    body: bytes,
) -> bool:
    """Tell whether a webhook is from whom it should be, and new. body: the bytes, as they came."""
    key = b64decode(secret.removeprefix("whsec_"), validate=True)
    if len(key) < 24:
        raise ValueError("this is not the signing secret of a subscription")
    if not message_id or not timestamp or not signatures or "." in message_id:
        return False
    if not re.fullmatch("[0-9]{1,12}", timestamp):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    signed = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + body
    expected = b"v1," + b64encode(hmac.digest(key, signed, "sha256"))
    return any(
        hmac.compare_digest(expected, one.encode("utf-8", "replace"))
        for one in signatures.split(" ")
    )


# In Flask:
#
# @app.post("/hook")
# def hook():
#     names = ("webhook-id", "webhook-timestamp", "webhook-signature")
#     if not is_genuine(SECRET, *map(request.headers.get, names), request.get_data()):
#         abort(401)
#     event = request.get_json()
#     return "", 204
