"""Images as OpenAI documents them (OpenAPI document 2.3.0): what is made, edited and varied, whole and in a stream."""

import base64
import json

from .audio import events_of, form
from .rules import IMAGES, decoded, need, only, text

# A picture of one pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MADE = {
    "prompt", "model", "n", "quality", "response_format", "output_format", "output_compression", "stream", "partial_images", "size",
    "moderation", "background", "style", "user",
}
EDITED = {
    "model", "images", "mask", "prompt", "n", "quality", "input_fidelity", "size", "user", "output_format", "output_compression",
    "moderation", "background", "stream", "partial_images",
}
VARIED = {"image", "model", "n", "response_format", "size", "user"}
SIZES = {"auto", "1024x1024", "1536x1024", "1024x1536", "256x256", "512x512"}


def answer(path, content_type, raw):
    """The body that was understood, and the type of the answer and its bytes."""
    kind = path.rpartition("/")[2]
    if kind == "variations":
        body = fields(content_type, raw)
        only(body, VARIED, "body")
        need(seen(body.get("image")), "image is missing", "image")
        return body, *whole(body, 1)
    body = json.loads(raw)
    only(body, MADE if kind == "generations" else EDITED, "body")
    text(body.get("prompt"), "prompt")
    count = 0
    if kind == "edits":
        images = body.get("images")
        need(isinstance(images, list) and 1 <= len(images) <= 16, "images: 1 to 16 are needed", "images")
        for image in [*images, *([body["mask"]] if "mask" in body else [])]:
            only(image, {"file_id", "image_url"}, "images")
            url = text(image.get("image_url"), "image_url")
            mime, _, data = url.removeprefix("data:").partition(";base64,")
            need(mime in IMAGES and decoded(data, "image_url").startswith(IMAGES[mime]), "Invalid image", "images")
        count = len(images)
    if body.get("stream"):
        return body, "text/event-stream", stream(body, "image_generation" if kind == "generations" else "image_edit", count)
    # Models of today answer in base64 and know no other form.
    need("response_format" not in body, "Unknown parameter: 'response_format'.", "response_format")
    return body, *whole(body, count)


def fields(content_type, raw):
    """A form, each field once; numbers as such."""
    each = form(content_type, raw).items()
    return {name: int(value[0]) if name == "n" else value[0] for name, value in each}


def seen(image):
    return isinstance(image, bytes) and image.startswith(PNG[:8])


def like(body):
    size = body.get("size", "1024x1024")
    need(size in SIZES, f"Invalid value: '{size}'.", "size")
    return {"background": "opaque", "output_format": body.get("output_format", "png"), "quality": "low", "size": size}


def used(made, given):
    details = {"image_tokens": given * 10, "text_tokens": 5}
    return {"input_tokens": 5 + given * 10, "input_tokens_details": details, "output_tokens": made * 200, "total_tokens": 5 + given * 10 + made * 200}


def whole(body, given):
    count = body.get("n", 1)
    need(isinstance(count, int) and 1 <= count <= 10, "n must be 1 to 10", "n")
    data = [{"b64_json": base64.b64encode(PNG).decode()} for _ in range(count)]
    answer = {"created": 1, "data": data, **like(body), "usage": used(count, given)}
    return "application/json", json.dumps(answer).encode()


def stream(body, name, given):
    image = {"b64_json": base64.b64encode(PNG).decode(), "created_at": 1, **like(body)}
    partial = [{"type": f"{name}.partial_image", **image, "partial_image_index": at} for at in range(body.get("partial_images", 0))]
    events = [*partial, {"type": f"{name}.completed", **image, "usage": used(1, given)}]
    return b"".join(f"event: {event['type']}\n".encode() + events_of([event]) for event in events)
