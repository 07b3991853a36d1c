"""Speech and transcriptions as OpenAI documents them (OpenAPI document 2.3.0): forms are read strictly, every format is answered."""

import base64
import json

from .rules import Rejected

FORMATS = {"mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm"}
SOUND = bytes(range(256)) * 40
SAID = "The sun was setting."
SEGMENT = {
    "id": 0, "seek": 0, "start": 0.0, "end": 1.5, "text": SAID, "tokens": [1, 2], "temperature": 0.0,
    "avg_logprob": -0.2, "compression_ratio": 1.0, "no_speech_prob": 0.01,
}
WORDS = [{"word": "The", "start": 0.0, "end": 0.2}, {"word": "sun", "start": 0.2, "end": 0.6}]
TOKENS = {"type": "tokens", "total_tokens": 70, "input_tokens": 54, "input_token_details": {"text_tokens": 0, "audio_tokens": 54}, "output_tokens": 16}
FIELDS = {
    "file", "model", "language", "prompt", "response_format", "temperature", "include[]", "timestamp_granularities[]", "stream",
    "chunking_strategy",
}


def speech(body):
    """The type of the answer and its bytes."""
    for name in ("model", "input", "voice"):
        if not isinstance(body.get(name), str):
            raise Rejected(f"{name} must be a string")
    unknown = set(body) - {"model", "input", "voice", "instructions", "response_format", "speed", "stream_format"}
    if unknown:
        raise Rejected(f"unknown {sorted(unknown)}")
    if body.get("response_format", "mp3") not in FORMATS:
        raise Rejected("response_format")
    if body.get("stream_format") == "sse":
        half = len(SOUND) // 2
        events = [{"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()} for part in (SOUND[:half], SOUND[half:])]
        counts = {"input_tokens": 4, "output_tokens": 40, "total_tokens": 44}
        return "text/event-stream", events_of([*events, {"type": "speech.audio.done", "usage": counts}])
    return FORMATS[body.get("response_format", "mp3")], SOUND


def events_of(events):
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()


def form(content_type, raw):
    """The fields of a form: files as bytes, other fields as lists of texts."""
    kind, _, rest = content_type.partition(";")
    if kind != "multipart/form-data" or not rest.strip().startswith("boundary="):
        raise Rejected("not a form")
    mark = b"--" + rest.strip().removeprefix("boundary=").strip('"').encode()
    if not raw.startswith(mark) or not raw.rstrip().endswith(mark + b"--"):
        raise Rejected("the boundary is missing")
    fields = {}
    for part in raw.split(mark)[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        names = [piece.split('"')[1] for piece in head.decode().split(";") if piece.strip().startswith("name=")]
        if len(names) != 1:
            raise Rejected("a part without a name")
        value = value.removesuffix(b"\r\n")
        fields.setdefault(names[0], []).append(value if b"filename=" in head else value.decode())
    return fields


def transcription(fields, translating):
    """The type of the answer and its bytes."""
    unknown = set(fields) - FIELDS
    if unknown:
        raise Rejected(f"unknown {sorted(unknown)}")
    for name in ("file", "model"):
        if len(fields.get(name, [])) != 1:
            raise Rejected(f"{name} is missing")
    if not fields["file"][0].startswith(b"RIFF"):
        raise Rejected("Invalid file format")
    kind = fields.get("response_format", ["json"])[0]
    if fields.get("stream") == ["true"]:
        pieces = [SAID[:8], SAID[8:]]
        deltas = [{"type": "transcript.text.delta", "delta": piece} for piece in pieces]
        return "text/event-stream", events_of([*deltas, {"type": "transcript.text.done", "text": SAID, "usage": TOKENS}])
    if kind == "json":
        return "application/json", json.dumps({"text": SAID, "usage": TOKENS}).encode()
    if kind == "text":
        return "text/plain; charset=utf-8", (SAID + "\n").encode()
    if kind == "srt":
        return "text/plain; charset=utf-8", f"1\n00:00:00,000 --> 00:00:01,500\n{SAID}\n\n\n".encode()
    if kind == "vtt":
        return "text/plain; charset=utf-8", f"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n{SAID}\n\n".encode()
    if kind == "diarized_json":
        segment = {"type": "transcript.text.segment", "id": "seg_0", "start": 0.0, "end": 1.5, "text": SAID, "speaker": "A"}
        answer = {"task": "transcribe", "duration": 1.5, "text": SAID, "segments": [segment], "usage": TOKENS}
        return "application/json", json.dumps(answer).encode()
    if kind != "verbose_json":
        raise Rejected("response_format")
    answer = {"task": "translate" if translating else "transcribe", "language": "english", "duration": 1.5, "text": SAID, "segments": [SEGMENT]}
    if "word" in fields.get("timestamp_granularities[]", []):
        answer["words"] = WORDS
    answer["usage"] = {"type": "duration", "seconds": 2}
    return "application/json", json.dumps(answer).encode()
