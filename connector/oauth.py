"""OAuth 2.0: a Client Key and Client Secret for an access token (RFC 6749, 4.4).

Authlib carries the grant and the endpoints. Ours are the client, how it proves itself, the tokens
(keystore.tokens) and every word of an answer: one 401 for whatever is wrong with a client, nothing
of the request repeated in it, nothing read from the query string, nothing of it logged.
"""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import (
    ClientMixin,
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Request,
    TokenMixin,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from flask import Blueprint, Flask, Request, Response, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from connector import auth
from keystore import access, scopes
from keystore.access import Access
from keystore.verification import VerifiedKey, VerifiedToken

GRANT = "client_credentials"
CLIENT_METHODS = ["client_secret_basic", "client_secret_post"]
CHALLENGE = f'Basic realm="{auth.REALM}", charset="UTF-8"'
FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 10_000  # three or four short parameters
# Authlib refuses what arrives as plain http. Whether TLS is needed and where it ends, here or at a
# proxy, is not for it to say; this stands for the request's address, which nothing else looks at.
ADDRESS = "https://keyhook.invalid/oauth/"

bp = Blueprint("oauth", __name__)


class WrongClient(InvalidClientError):
    """No client, or not a valid one; always the same answer (RFC 6749, 5.2)."""

    status_code = HTTPStatus.UNAUTHORIZED
    description = (
        "Send a valid Client Key and Client Secret, by HTTP Basic"
        " or as client_id and client_secret in the body."
    )

    def get_headers(self) -> list[tuple[str, str]]:
        return [*OAuth2Error.get_headers(self), ("WWW-Authenticate", CHALLENGE)]


class Form(FlaskOAuth2Payload):
    """The parameters of the body; the query string, which ends up in logs, is not looked at."""

    @property
    def data(self) -> Mapping[str, str]:
        """Return what was sent; a parameter without a value counts as not sent (RFC 6749, 3.2)."""
        return {name: values[0] for name, values in self.datalist.items() if values[0]}

    @property
    def datalist(self) -> dict[str, list[str]]:
        """Return all that was sent, doubles too."""
        return dict(self._request.form.lists()) if self._request.mimetype == FORM else {}


class FormRequest(FlaskOAuth2Request):
    """A request to one of these endpoints. Raises InvalidRequestError for doubled parameters."""

    def __init__(self, request: Request) -> None:
        OAuth2Request.__init__(self, request.method, ADDRESS, headers=request.headers)
        self._request = request
        self.payload = Form(request)
        if any(len(values) > 1 for values in self.payload.datalist.values()):
            raise InvalidRequestError("Send each parameter once.")

    @property
    def form(self) -> Mapping[str, str]:
        """Return the parameters of the body."""
        return self.payload.data


class KeyClient(ClientMixin):
    """A key that has proved its secret, as Authlib wants to see a client."""

    def __init__(self, key: VerifiedKey) -> None:
        self.key = key

    def get_client_id(self) -> str:
        return self.key.client_key

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return the scopes to grant: those asked for, else the key's own; None for too much."""
        asked = self.key.scopes if scope is None else frozenset(scope.split(" "))
        return " ".join(sorted(asked)) if asked <= self.key.scopes else None

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return method in CLIENT_METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == GRANT


class LiveToken(TokenMixin):
    """A token that works now, as Authlib wants to see it."""

    def __init__(self, token: VerifiedToken) -> None:
        self.token = token

    def check_client(self, client: KeyClient) -> bool:
        """Tell whether it was issued to this client; it may have a new secret by now."""
        return self.token.key.key_id == client.key.key_id

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return False


def _by_basic(_query: object, request: FormRequest) -> KeyClient | None:
    header = request.headers.get("Authorization", "")
    pair = auth.parse(header) if auth.BASIC.match(header) else None
    return _client(pair)


def _by_body(_query: object, request: FormRequest) -> KeyClient | None:
    client_id, client_secret = request.form.get("client_id"), request.form.get("client_secret")
    return _client((client_id, client_secret) if client_id and client_secret else None)


def _client(pair: tuple[str, str] | None) -> KeyClient | None:
    key = None if pair is None else auth.by_secret(*pair)
    return None if key is None else KeyClient(key)


def _refuse_two_ways(request: FormRequest) -> None:
    """Refuse a client that proves itself twice, or names itself twice and differently.

    RFC 6749, 2.3: one method for each request. A client_id beside Basic is not a proof.
    """
    header = request.headers.get("Authorization")
    if not header:
        return
    named, pair = request.form.get("client_id"), auth.parse(header)
    if "client_secret" in request.form or (named and pair and named != pair[0]):
        raise InvalidRequestError("Send the Client Key and Client Secret in one way, not in two.")


class ClientCredentials(ClientCredentialsGrant):
    """The one grant there is."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_METHODS

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Issue a token. As Authlib's own, less a log line that shows it."""
        scope = self.request.payload.scope
        answer = self.generate_token(scope=scope, include_refresh_token=False)
        return HTTPStatus.OK, answer, self.TOKEN_RESPONSE_HEADER


class AnyHint:
    """A token_type_hint that we do not know is ignored (RFC 7009, 2.1; RFC 7662, 2.1)."""

    CLIENT_AUTH_METHODS = CLIENT_METHODS

    def check_params(self, request: FormRequest, _client: KeyClient) -> None:
        if "token" not in request.form:
            raise InvalidRequestError("Send the access token as token in the body.")

    def query_token(self, text: str, _hint: str | None) -> LiveToken | None:
        """Find a token that works now; all others are alike."""
        token = access.services().verification.by_token(text)
        return None if token is None else LiveToken(token)


class Revocation(AnyHint, RevocationEndpoint):
    """End a token (RFC 7009): 200 for one that does not work, 400 for another client's."""

    def revoke_token(self, token: LiveToken, _request: FormRequest) -> None:
        services = access.services()
        with services.db.session() as session:
            services.tokens.revoke(session, token.token)


class Introspection(AnyHint, IntrospectionEndpoint):
    """Say what a token may do (RFC 7662), to the keys of its own organization."""

    def check_permission(self, token: LiveToken, client: KeyClient, _request: object) -> bool:
        return token.token.key.organization_id == client.key.organization_id

    def introspect_token(self, token: LiveToken) -> dict[str, Any]:
        live, key = token.token, token.token.key
        return {
            "active": True,
            "scope": " ".join(sorted(key.scopes)),
            "client_id": key.client_key,
            "token_type": "Bearer",
            "iat": int(live.issued_at.timestamp()),
            "exp": int(live.expires_at.timestamp()),
            "sub": str(key.key_id),
            "iss": _issuer(),
        }


class Server(AuthorizationServer):
    """Authlib's server with our clients and tokens in it. It holds no state of its own."""

    def __init__(self) -> None:
        super().__init__(query_client=lambda _client_id: None)  # our methods find the client
        self.register_client_auth_method("client_secret_basic", _by_basic)
        self.register_client_auth_method("client_secret_post", _by_body)
        self.register_token_generator("default", self._issue)
        self.register_grant(ClientCredentials)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)

    def create_oauth2_request(self, _request: object) -> FormRequest:
        return FormRequest(request)

    def authenticate_client(
        self, request: FormRequest, methods: list[str], endpoint: str = "token"
    ) -> KeyClient:
        """Return who calls. Raises WrongClient, and InvalidRequestError for two ways at once."""
        if request.client is None:
            _refuse_two_ways(request)
            try:
                request.client = super().authenticate_client(request, methods, endpoint)
            except InvalidClientError:
                raise WrongClient from None
        return request.client  # type: ignore[no-any-return]

    def get_token_grant(self, request: FormRequest) -> ClientCredentials:
        """Return the grant that is asked for. Who calls is asked first, what they want then."""
        self.authenticate_client(request, CLIENT_METHODS)
        if request.payload.grant_type is None:
            raise InvalidRequestError(f"Send grant_type={GRANT} in the body, as {FORM}.")
        try:
            return super().get_token_grant(request)  # type: ignore[no-any-return]
        except UnsupportedGrantTypeError as error:
            # Authlib repeats what was asked for, in whatever bytes.
            supported = f"The only grant_type is {GRANT}."
            raise OAuth2Error(supported, error=error.error) from None

    def _issue(
        self, *, client: KeyClient, scope: str | None, **_more: object
    ) -> dict[str, str | int]:
        allowed = client.get_allowed_scope(scope)
        if allowed is None:
            raise InvalidScopeError("Ask for scopes that the key has, with one space between them.")
        services = access.services()
        with services.db.session() as session:
            issued = services.tokens.issue(session, client.key, frozenset(allowed.split()))
        answer: dict[str, str | int] = {
            "access_token": issued.text.reveal(),
            "token_type": "Bearer",
            "expires_in": int(issued.lifetime.total_seconds()),
        }
        # A key that may do nothing gets a token that may do nothing, which has no spelling.
        return answer | ({"scope": allowed} if allowed else {})


server = Server()


def for_clients(view: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    """Declare that a view asks for a client's credentials; the endpoint behind it does."""
    view.access = Access("client")  # type: ignore[attr-defined]
    return view


@bp.post("/oauth/token")
@for_clients
def token() -> ResponseReturnValue:
    """Give an access token for a Client Key and Client Secret."""
    return server.create_token_response()  # type: ignore[no-any-return]


@bp.post("/oauth/revoke")
@for_clients
def revoke() -> ResponseReturnValue:
    """End an access token."""
    return server.create_endpoint_response("revocation")  # type: ignore[no-any-return]


@bp.post("/oauth/introspect")
@for_clients
def introspect() -> ResponseReturnValue:
    """Say whether an access token works, and for what."""
    return server.create_endpoint_response("introspection")  # type: ignore[no-any-return]


@bp.get("/.well-known/oauth-authorization-server")
@access.public
def metadata() -> ResponseReturnValue:
    """Say where all this is and what it can (RFC 8414)."""
    issuer = _issuer()
    return jsonify(
        AuthorizationServerMetadata(
            issuer=issuer,
            token_endpoint=f"{issuer}/oauth/token",
            token_endpoint_auth_methods_supported=CLIENT_METHODS,
            grant_types_supported=[GRANT],
            response_types_supported=[],  # required, and there is no page to be sent to
            scopes_supported=sorted(scopes.OPERATIONS),
            revocation_endpoint=f"{issuer}/oauth/revoke",
            revocation_endpoint_auth_methods_supported=CLIENT_METHODS,
            introspection_endpoint=f"{issuer}/oauth/introspect",
            introspection_endpoint_auth_methods_supported=CLIENT_METHODS,
        )
    )


def _issuer() -> str:
    return access.services().settings.base_url.rstrip("/")


@bp.before_request
def _limit() -> None:
    request.max_content_length = MAX_BODY_BYTES


@bp.after_request
def _never_stored(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.errorhandler(OAuth2Error)
def _refused(error: OAuth2Error) -> ResponseReturnValue:
    return server.handle_response(*error())  # type: ignore[no-any-return]


@bp.errorhandler(RequestEntityTooLarge)
def _too_large(_error: RequestEntityTooLarge) -> ResponseReturnValue:
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return _refused(InvalidRequestError("The body is too large.", status_code=status))


def init_app(app: Flask) -> None:
    """Put the endpoints into an app whose `extensions["keyhook"]` holds the Services."""
    # At DEBUG Authlib logs what it issues; ours does not come by there, another version's might.
    logging.getLogger("authlib").setLevel(logging.INFO)
    app.register_blueprint(bp)
