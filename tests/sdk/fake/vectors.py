"""Embeddings as OpenAI documents them (OpenAPI document 2.3.0): as numbers, or as base64 of floats of 32 bits."""

import base64
import struct

from .rules import need, only, whole

FIELDS = {"input", "model", "encoding_format", "dimensions", "user"}
USUAL = 8


def numbers(item, length):
    """What a text, or a list of tokens, is embedded as: numbers that a float of 32 bits holds exactly."""
    weight = sum(item.encode() if isinstance(item, str) else item)
    return [(weight % 97 - at) / 64 for at in range(length)]


def answer(body):
    only(body, FIELDS, "body")
    given = body.get("input")
    is_tokens = isinstance(given, list) and given and all(isinstance(one, int) for one in given)
    items = [given] if isinstance(given, str) or is_tokens else given
    need(isinstance(items, list) and items and all(items), "'$.input' is invalid.", "input")
    form = body.get("encoding_format", "float")
    need(form in ("float", "base64"), "encoding_format", "encoding_format")
    if "dimensions" in body:
        whole(body["dimensions"], 1, "dimensions")
    data = []
    for at, item in enumerate(items):
        vector = numbers(item, body.get("dimensions", USUAL))
        packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": at, "embedding": packed if form == "base64" else vector})
    count = sum(len(item.split()) if isinstance(item, str) else len(item) for item in items)
    return {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": count, "total_tokens": count}}
