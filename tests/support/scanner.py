"""A secret scanner: it has keys of its own, lists them on loopback, and signs what it reports.

with Scanner() as scanner:
    body = scanner.body({"token": "khs..."})
    client.post("/v1/leaks/github/", data=body, headers=scanner.sign(body))
"""

import base64
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

URL = "https://github.com/octocat/hello/blob/1/.env"


@dataclass
class Listed:
    """A key on the list."""

    private: EllipticCurvePrivateKey
    is_current: bool = True

    @property
    def pem(self) -> str:
        public = self.private.public_key()
        form = PublicFormat.SubjectPublicKeyInfo
        return public.public_bytes(Encoding.PEM, form).decode("ascii")


class Scanner:
    """Listens from `with` to the end of its block."""

    def __init__(self) -> None:
        self.keys: dict[str, Listed] = {}
        self.add_key("first")
        self.add_key("second")
        self.asked = 0
        self.not_modified = 0
        self.status = 200  # anything else: without a list
        self.location: str | None = None
        self.list_text: str | None = None  # instead of the real list
        self.hangs = False
        self._over = threading.Event()

    def add_key(
        self, identifier: str, *, is_current: bool = True, curve: EllipticCurve | None = None
    ) -> None:
        self.keys[identifier] = Listed(generate_private_key(curve or SECP256R1()), is_current)

    @property
    def keys_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/meta/public_keys"

    def list_of_keys(self) -> str:
        if self.list_text is not None:
            return self.list_text
        listed = [
            {"key_identifier": name, "key": key.pem, "is_current": key.is_current}
            for name, key in self.keys.items()
        ]
        return json.dumps({"public_keys": listed})

    def body(self, *records: Any) -> bytes:
        """Return a report's body, spaced as no JSON library would by default."""
        return json.dumps(
            [{"type": "keyhook_secret", "url": URL, "source": "content"} | one for one in records],
            indent=1,
        ).encode()

    def sign(self, body: bytes, identifier: str = "first") -> dict[str, str]:
        signature = self.keys[identifier].private.sign(body, ECDSA(SHA256()))
        return {
            "Github-Public-Key-Identifier": identifier,
            "Github-Public-Key-Signature": base64.b64encode(signature).decode("ascii"),
        }

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Be gone."""
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        scanner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                scanner.asked += 1
                if scanner.hangs:
                    scanner._over.wait()
                    return
                text = scanner.list_of_keys().encode()
                etag = f'"{hash(text)}"'
                if scanner.status == 200 and self.headers["If-None-Match"] == etag:
                    scanner.not_modified += 1
                    self.send_response(304)
                    self.end_headers()
                    return
                self.send_response(scanner.status)
                if scanner.location is not None:
                    self.send_header("Location", scanner.location)
                self.send_header("ETag", etag)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
