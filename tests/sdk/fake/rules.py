"""What both wires' checks are made of."""

import base64
import binascii
import re


class Rejected(Exception):
    """The request is one that the real service answers with 400."""

    def __init__(self, message, param=None, code=None):
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


def need(condition, message, param=None):
    if not condition:
        raise Rejected(message, param)


def only(value, allowed, place):
    """An object with none but these fields."""
    need(isinstance(value, dict), f"{place}: Input should be a valid dictionary", place)
    for name in value:
        need(name in allowed, f"{place}.{name}: Extra inputs are not permitted", f"{place}.{name}")


def text(value, place):
    need(isinstance(value, str), f"{place}: Input should be a valid string", place)
    return value


def number(value, low, high, place):
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    need(fits, f"{place}: Input should be between {low} and {high}", place)


def whole(value, low, place):
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= low
    need(fits, f"{place}: Input should be an integer of at least {low}", place)


def matches(pattern, value, place):
    need(re.fullmatch(pattern, text(value, place)), f"{place}: String should match pattern '{pattern}'", place)


def decoded(value, place):
    """The bytes of strict base64."""
    try:
        return base64.b64decode(text(value, place), validate=True)
    except binascii.Error:
        raise Rejected(f"{place}: Input should be valid base64", place) from None


IMAGES = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8", "image/gif": b"GIF8", "image/webp": b"RIFF"}


def image(kind, data, place):
    need(kind in IMAGES, f"{place}: {kind} is not one of {', '.join(IMAGES)}", place)
    need(data.startswith(IMAGES[kind]), f"{place}: the image does not look like {kind}", place)
    return f"{kind} of {len(data)} bytes"


def pdf(data, place):
    need(data.startswith(b"%PDF-"), f"{place}: The PDF specified was not valid.", place)
    return f"application/pdf of {len(data)} bytes"
