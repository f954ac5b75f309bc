"""Types, with their ranges, for values read from files, and the check of a value."""

import json
import sys
from typing import Annotated

import msgspec
from msgspec import Meta

from utils.errors import UserError

LEAST_MS, MOST_MS = 1e-9, 1e9  # of a latency
Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]  # nor NaN
NotNegative = Annotated[float, Meta(ge=0, le=1e12)]
AboveZero = Annotated[float, Meta(gt=0, le=1e12)]
Milliseconds = Annotated[float, Meta(ge=LEAST_MS, le=MOST_MS)]
InputSize = Annotated[int, Meta(ge=1, le=16_384)]
Classes = Annotated[int, Meta(ge=2, le=10_000_000)]
WidthMultiplier = Annotated[float, Meta(gt=0, le=100)]
Levels = Annotated[int, Meta(ge=1, le=1000)]
MOST_CHANNELS = 65_536
Width = Annotated[int, Meta(ge=1, le=MOST_CHANNELS)]
Stride = Annotated[int, Meta(ge=1, le=16)]


def parse_json(data, path, line=None):
    """Return the JSON value that bytes from a file hold; line: theirs in it.

    Raises UserError that names the file and line of what is not JSON or nested too deeply.
    """
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: {error.reason}"
    except json.JSONDecodeError as error:
        line = line or error.lineno
        reason = error.msg
    except (ValueError, RecursionError) as error:  # an int of thousands of digits, deep nesting
        reason = str(error).partition(";")[0].partition(" while")[0]
    place = f"{path}, line {line}" if line else path
    raise UserError(f"{place}: not JSON ({reason})")


def checked(value, kind, place):
    """Return a JSON value converted to a msgspec type.

    Raises UserError, beginning with `place`, that names the field and says what was expected.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, field = str(error).partition(" - at `$")
        field = field.strip("`.")
        message = message[0].lower() + message[1:]
        raise UserError(f"{place}: {f'{field}: ' if field else ''}{message}") from None
