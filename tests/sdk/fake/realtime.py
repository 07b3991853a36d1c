"""OpenAI's Realtime over a WebSocket, as its documents have it (OpenAPI document 2.3.0 and guide, read 2026-11).

A connection without a model, or with another one than a realtime model, is refused; an event that the real service would refuse is
answered with an error event. An answer repeats the last text of a user, as text or as speech with its words; a text that begins
with `call ` is answered with a call of the function that is named.
"""

import base64
import hashlib
import json
import struct
import urllib.parse

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
USAGE = {
    "total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
    "input_token_details": {"text_tokens": 15, "audio_tokens": 5, "image_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
}
SPEECH = base64.b64encode(bytes(4800)).decode()


def handshake(handler):
    """Agrees to a session, or refuses it; True where it is agreed."""
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(handler.path).query))
    model = query.get("model", "")
    if "realtime" not in model and query.get("intent") != "transcription":
        message = f"The model `{model}` does not exist or you do not have access to it."
        handler.reply(404, {"error": {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}})
        return None
    key = handler.headers["sec-websocket-key"] + GUID
    handler.send_response(101)
    handler.send_header("upgrade", "websocket")
    handler.send_header("connection", "Upgrade")
    handler.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
    handler.end_headers()
    return model


class Session:
    """One session."""

    def __init__(self, handler, model):
        self.read, self.write = handler.rfile.read, handler.wfile.write
        self.older = handler.headers.get("openai-beta") == "realtime=v1"
        self.session = {"type": "realtime", "object": "realtime.session", "id": "sess_1", "model": model, "output_modalities": ["audio"]}
        self.items, self.number, self.answers = [], 0, 0

    def run(self):
        self.say("session.created", session=self.session)
        while True:
            opcode, payload = self.frame()
            if opcode == 8:
                self.send(8, payload[:2])
                return
            if opcode == 9:
                self.send(10, payload)
            if opcode == 1:
                self.take(json.loads(payload))

    def frame(self):
        first, second = self.read(2)
        if not second & 0x80:
            raise ValueError("a frame of a client is masked")
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.read(8))[0]
        mask = self.read(4)
        return first & 0xF, bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.read(length)))

    def send(self, opcode, payload):
        length = len(payload)
        head = bytes([0x80 | opcode, length]) if length < 126 else struct.pack(">BBH", 0x80 | opcode, 126, length)
        self.write(head + payload)

    def say(self, kind, **fields):
        self.number += 1
        self.send(1, json.dumps({"type": kind, "event_id": f"event_{self.number}", **fields}).encode())

    def refuse(self, event, message, code="invalid_value"):
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None, "event_id": event.get("event_id")}
        self.say("error", error=error)

    def take(self, event):
        kind = event.get("type")
        if kind == "session.update":
            session = event["session"]
            if not self.older and session.get("type") != "realtime":
                return self.refuse(event, "Missing required parameter: 'session.type'.", "missing_required_parameter")
            if session.get("model", self.session["model"]) != self.session["model"]:
                return self.refuse(event, "Cannot update a session's model.")
            self.session |= session
            return self.say("session.updated", session=self.session)
        if kind == "conversation.item.create":
            item = {"id": f"item_{len(self.items)}", "object": "realtime.item", "status": "completed", **event["item"]}
            self.items.append(item)
            for name in ["conversation.item.created"] if self.older else ["conversation.item.added", "conversation.item.done"]:
                self.say(name, previous_item_id=None, item=item)
            return None
        if kind == "response.create":
            return self.answer(event.get("response") or {})
        if kind == "input_audio_buffer.append":
            return None
        return self.refuse(event, f"Invalid value: '{kind}'.")

    def answer(self, asked):
        self.answers += 1
        identity = f"resp_{self.answers}"
        last = self.items[-1]
        text = last.get("output") or last["content"][0]["text"]
        modalities = asked.get("output_modalities", self.session["output_modalities"])
        response = {"object": "realtime.response", "id": identity, "status": "in_progress", "output": [], "output_modalities": modalities}
        self.say("response.created", response=response)
        item = {"id": f"item_a{self.answers}", "object": "realtime.item", "type": "message", "status": "completed", "role": "assistant"}
        place = {"response_id": identity, "item_id": item["id"], "output_index": 0, "content_index": 0}
        if text.startswith("call "):
            call = {"call_id": "call_1", "name": text.split()[1], "arguments": '{"city":"Paris"}'}
            item |= {"type": "function_call", **call}
            del item["role"], place["content_index"]
            self.say("response.function_call_arguments.delta", **place, call_id="call_1", delta=call["arguments"])
            self.say("response.function_call_arguments.done", **place, call_id="call_1", name=call["name"], arguments=call["arguments"])
        elif modalities == ["text"]:
            item["content"] = [{"type": "output_text", "text": text}]
            for word in text.split(" "):
                self.say("response.output_text.delta", **place, delta=word)
            self.say("response.output_text.done", **place, text=text)
        else:
            item["content"] = [{"type": "output_audio", "transcript": text}]
            self.say("response.output_audio.delta", **place, delta=SPEECH)
            self.say("response.output_audio_transcript.delta", **place, delta=text)
        self.items.append(item)
        self.say("response.done", response={**response, "status": "completed", "output": [item], "usage": USAGE})
