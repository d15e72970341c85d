"""Transcripts by their own id, and their WebVTT files behind signed links."""

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from connector import auth
from connector.api import context
from connector.meetings.errors import LinkRefused, TranscriptNotFound
from connector.meetings.fields import as_uuid
from connector.problems import Forbidden, NotFound

bp = Blueprint("transcriptions", __name__)


@bp.get("/transcriptions/<transcription_uuid>/", strict_slashes=False)
@auth.scoped("transcripts:read")
def show(transcription_uuid: str) -> ResponseReturnValue:
    """Return one transcript."""
    uuid = as_uuid(transcription_uuid)
    if uuid is None:
        raise NotFound(TranscriptNotFound.detail)
    with context.session() as session:
        try:
            transcript = context.meetings().transcript(session, context.sight(), uuid)
        except TranscriptNotFound as error:
            raise NotFound(error.detail) from error
    return jsonify(transcript.to_json())


@bp.get("/transcriptions/<transcription_uuid>/vtt/", strict_slashes=False)
@auth.signed_link
def captions(transcription_uuid: str) -> ResponseReturnValue:
    """Return the WebVTT file to whoever has a link that we signed, for as long as it is good."""
    uuid = as_uuid(transcription_uuid)
    organization_id = as_uuid(request.args.get("organization", ""))
    expires = request.args.get("expires", type=int)
    if uuid is None or organization_id is None or expires is None:
        raise Forbidden(LinkRefused.detail)
    with context.session() as session:
        try:
            text = context.meetings().captions(
                session,
                organization_id,
                uuid,
                expires=expires,
                signature=request.args.get("signature", ""),
            )
        except LinkRefused as error:
            raise Forbidden(error.detail) from error
        except TranscriptNotFound as error:
            raise NotFound(error.detail) from error
    return Response(
        text,
        content_type="text/vtt; charset=utf-8",
        # What people said is no script, whatever it looks like, and no proxy's to keep.
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-store"},
    )
