"""The body of a request, decoded with care."""

import json
from typing import Any

from flask import request

from connector.problems import BadRequest


def decoded() -> Any:
    """Return the body's JSON, whatever Content-Type was sent.

    NaN and Infinity come through as Python reads them; the schemas refuse them by field. Raises
    BadRequest when it is not JSON; Flask itself answers 413 when it is too long.
    """
    try:
        return json.loads(request.get_data(cache=False).decode("utf-8"))
    except UnicodeDecodeError:
        raise BadRequest("The body must be JSON in UTF-8.") from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except ValueError:
        raise BadRequest("The body holds a number with too many digits.") from None
