"""Three scripted providers on one loopback port: OpenAI Chat Completions, Responses and Realtime, Anthropic Messages and Cohere chat.

The model's name chooses the script (`fake/scripts.py`). A request that the real service would refuse is refused. What came
and how each exchange ended is told on `/-/seen?model=NAME`; `/-/ended?model=NAME` waits for the end first.

    python3 upstream.py      prints its address as the first line, ends with its standard input
"""

import http.server
import json
import os
import select
import sys
import threading
import time
import urllib.parse

from fake import audio, batches, cohere, completions, messages, pictures, realtime, responses, vectors
from fake.rules import Rejected
from fake.scripts import Answer, Refusal, play

OPENAI_KEY = "upstream-openai-key"
ANTHROPIC_KEY = "upstream-anthropic-key"
COHERE_KEY = "upstream-cohere-key"
# How long an exchange waits for its caller to hang up, or a question for an exchange's end, in seconds.
PATIENCE = 10
# Between two pieces of an endless stream, in seconds.
PACE = 0.01


class Log:
    """Exchanges by model, and a way to wait for their ends."""

    def __init__(self):
        self.changed = threading.Condition()
        self.entries = {}

    def add(self, model, entry):
        with self.changed:
            self.entries.setdefault(model, []).append(entry)
            return len(self.entries[model])

    def add_entry(self, model, entry):
        self.add(model, entry)
        return entry

    def end(self, entry, how):
        with self.changed:
            entry["ended"] = how
            entry["ended_at"] = time.time()
            self.changed.notify_all()

    def seen(self, model, wait):
        with self.changed:
            if wait:
                self.changed.wait_for(lambda: self.all_ended(model), PATIENCE)
            return [dict(entry) for entry in self.entries.get(model, [])]

    def all_ended(self, model):
        entries = self.entries.get(model, [])
        return bool(entries) and all("ended" in entry for entry in entries)


# Where each wire is asked.
WIRES = {"/v1/chat/completions": completions, "/v1/responses": responses, "/v1/messages": messages, "/v2/chat": cohere}
LOG = Log()
THREADS = messages.Threads()


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Each write leaves as it is.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.batched(b"") or self.kept():
            return
        where = urllib.parse.urlsplit(self.path)
        if where.path == "/v1/realtime":
            return self.session()
        model = dict(urllib.parse.parse_qsl(where.query)).get("model", "")
        self.reply(200, LOG.seen(model, wait=where.path == "/-/ended"))

    def do_DELETE(self):
        self.batched(b"") or self.kept() or self.reply(404, completions.error(404, "no such path"))

    def kept(self):
        """Answers what is asked about a response that is kept; false where something else is asked."""
        if not self.path.startswith("/v1/responses/") or self.path == "/v1/responses/input_tokens":
            return False
        if self.headers.get("authorization") != f"Bearer {OPENAI_KEY}":
            self.reply(401, completions.error(401, "the credential is wrong"))
            return True
        status, found = responses.kept(self.command, self.path)
        if isinstance(found, list):
            self.stream(found, Answer([]))
        else:
            self.reply(status, found)
        return True

    def batched(self, raw):
        """Answers what is asked about batches and files; false where something else is asked."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        wire = messages if self.path.startswith("/v1/messages") else completions
        if not self.path.startswith(("/v1/batches", "/v1/files", "/v1/messages/batches")):
            return False
        if not authorised(wire, headers):
            self.reply(401, wire.error(401, "the credential is wrong"))
            return True
        try:
            found = batches.answer(self.command, self.path, headers, raw)
        except Rejected as problem:
            self.reply(400, wire.error(400, problem.message))
            return True
        if found is None:
            self.reply(405, wire.error(405, "no such operation"))
            return True
        status, kind, data = found
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return True

    def read_body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def session(self):
        if self.headers.get("authorization") != f"Bearer {OPENAI_KEY}":
            return self.reply(401, completions.error(401, "the credential is wrong"))
        self.close_connection = True
        model = realtime.handshake(self)
        if model is not None:
            try:
                realtime.Session(self, model).run()
            except (ValueError, ConnectionError):
                # The caller is gone.
                pass

    def do_POST(self):
        raw = self.read_body()
        if self.batched(raw) or self.kept():
            return
        if self.path.startswith("/v1/audio/"):
            return self.audio(raw)
        if self.path.startswith("/v1/images/") or self.path == "/v1/embeddings":
            return self.made(raw)
        wire = WIRES.get(self.path.removesuffix("/count_tokens").removesuffix("/input_tokens"), completions)
        try:
            body = json.loads(raw)
        except ValueError:
            return self.reply(400, wire.error(400, "We could not parse the JSON body of your request."))
        model = str(body.get("model"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        entry = {"path": self.path, "headers": headers, "body": body, "text": raw.decode()}
        number = LOG.add(model, entry)
        try:
            how = self.answer(wire, body, model, number, headers)
        except Rejected as problem:
            entry["rejected"] = problem.message
            self.reply(400, responses.refused(problem) if wire is responses else wire.error(400, problem.message))
            how = "rejected"
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            how = "hung up"
        LOG.end(entry, how)

    def audio(self, raw):
        try:
            if self.headers.get("authorization") != f"Bearer {OPENAI_KEY}":
                return self.reply(401, completions.error(401, "the credential is wrong"))
            if self.path == "/v1/audio/speech":
                body = json.loads(raw)
                kind, data = audio.speech(body)
            else:
                fields = audio.form(self.headers.get("content-type", ""), raw)
                body = {name: values for name, values in fields.items() if name != "file"}
                kind, data = audio.transcription(fields, self.path.endswith("translations"))
        except Rejected as problem:
            return self.reply(400, completions.error(400, problem.message))
        model = body["model"] if isinstance(body["model"], str) else body["model"][0]
        LOG.end(LOG.add_entry(model, {"path": self.path, "body": body}), "answered")
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def made(self, raw):
        """Answers with images, or with embeddings."""
        if self.headers.get("authorization") != f"Bearer {OPENAI_KEY}":
            return self.reply(401, completions.error(401, "the credential is wrong"))
        try:
            if self.path == "/v1/embeddings":
                body = json.loads(raw)
                LOG.end(LOG.add_entry(body.get("model"), {"path": self.path, "body": body}), "answered")
                return self.reply(200, vectors.answer(body))
            _, kind, data = pictures.answer(self.path, self.headers.get("content-type", ""), raw)
        except Rejected as problem:
            return self.reply(400, completions.error(400, problem.message))
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self, wire, body, model, number, headers):
        if not authorised(wire, headers):
            return self.reply(401, wire.error(401, "the credential is wrong"))
        if wire is messages:
            messages.check_headers(headers)
            body = messages.without_betas(body, headers)
        if self.path == "/v1/messages/count_tokens":
            messages.check(body, counting=True)
            return self.reply(200, {"input_tokens": 1234})
        if self.path == "/v1/responses/input_tokens":
            responses.check_count(body)
            return self.reply(200, {"object": "response.input_tokens", "input_tokens": 1234})
        if self.path not in WIRES:
            return self.reply(404, wire.error(404, "no such path"))
        held = False
        if wire is messages:
            body, held = THREADS.resume(body, headers)
        question = wire.check(body)
        question.number = number
        question.tools = [tool.get("function", tool).get("name") for tool in body.get("tools") or []]
        script = play(model, question)
        if script is None:
            return self.reply(404, wire.error(404, f"The model `{model}` does not exist"))
        if isinstance(script, Refusal):
            text = wire.error(script.status, f"refused with {script.status} as asked")
            return self.reply(script.status, text, script.headers)
        behind = wire is responses and body.get("background")
        if script.silent and not behind:
            return self.hold()
        identity = wire.new_id()
        if wire in (cohere, responses):
            # Its answers cite the request's documents, or repeat what was asked for.
            whole = lambda *asked: wire.unary(*asked, body)
        else:
            whole = wire.unary
        if held:
            THREADS.hold(body, whole(identity, model, script))
        if body.get("stream"):
            return self.stream(wire.stream(identity, model, script, body), script)
        if script.ending in ("cut", "truncate") and not behind:
            return self.half(json.dumps(whole(identity, model, script)).encode())
        if script.ending == "error" or script.stillborn:
            return self.reply(503, wire.error(503, "The server is overloaded"))
        return self.reply(200, whole(identity, model, script))

    def reply(self, status, value, headers=None):
        data = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", "req_fake_01")
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)
        return "answered"

    def half(self, data):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True
        return "cut"

    def stream(self, frames, script):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        until = time.monotonic() + PATIENCE
        for frame in frames:
            data = frame.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            if script.endless and self.gone(PACE):
                return "hung up"
            if time.monotonic() > until:
                self.close_connection = True
                return "nobody hung up"
        if script.ending == "cut":
            self.close_connection = True
            return "cut"
        self.wfile.write(b"0\r\n\r\n")
        return "answered"

    def hold(self):
        """Says nothing until the caller is gone."""
        self.close_connection = True
        return "hung up" if self.gone(PATIENCE) else "nobody hung up"

    def gone(self, seconds):
        """True if the caller closes within this time. A caller that waits for an answer sends nothing more."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if not readable:
            return False
        self.close_connection = True
        return True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A caller that hangs up is what some cases are about; anything else is a fault of this file and is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def authorised(wire, headers):
    if wire is messages:
        return headers.get("x-api-key") == ANTHROPIC_KEY
    key = COHERE_KEY if wire is cohere else OPENAI_KEY
    return headers.get("authorization") == f"Bearer {key}"


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


def main():
    server = Server(("127.0.0.1", 0), Provider)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
