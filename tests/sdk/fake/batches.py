"""Batches as the two services document them (2026-11): OpenAI's by files, Anthropic's in the body. A batch is done when it is asked for the second time."""

import email.parser
import email.policy
import itertools
import json
import threading
import time

from . import completions, messages
from .rules import Rejected, need
from .scripts import Refusal, play

NUMBERS = itertools.count(1)
LOCK = threading.Lock()
FILES = {}
BATCHES = {}


def answer(method, path, headers, raw):
    """Status, content type and body; None where the path is none of these."""
    with LOCK:
        parts = [part for part in path.split("?")[0].split("/") if part][1:]
        match [method, *parts]:
            case ["POST", "files"]:
                return told(upload(headers, raw))
            case ["GET", "files", name, "content"]:
                return (200, "application/octet-stream", FILES[name]["content"]) if name in FILES else missing(name)
            case ["GET", "files", name]:
                return told(public(FILES[name])) if name in FILES else missing(name)
            case ["DELETE", "files", name]:
                return told({"id": name, "object": "file", "deleted": True}) if FILES.pop(name, None) else missing(name)
            case ["POST", "batches"]:
                return told(make(json.loads(raw)))
            case ["GET", "batches"]:
                data = [show(batch) for batch in reversed(BATCHES.values()) if "endpoint" in batch]
                return told({"object": "list", "data": data, "has_more": False})
            case ["GET", "batches", name]:
                return told(look(BATCHES[name])) if name in BATCHES else missing(name)
            case ["POST", "batches", name, "cancel"]:
                return told(show({**BATCHES[name], "status": "cancelling"})) if name in BATCHES else missing(name)
            case ["POST", "messages", "batches"]:
                return told(make_messages(json.loads(raw)))
            case ["GET", "messages", "batches", name, "results"]:
                return 200, "application/x-jsonl", lines(BATCHES[name]["results"])
            case ["GET", "messages", "batches", name]:
                return told(look_messages(BATCHES[name])) if name in BATCHES else missing(name)
            case ["POST", "messages", "batches", name, "cancel"]:
                return told({**look_messages(BATCHES[name]), "processing_status": "canceling"})
            case ["DELETE", "messages", "batches", name]:
                return told({"id": name, "type": "message_batch_deleted"}) if BATCHES.pop(name, None) else missing(name)
    return None


def told(value):
    return 200, "application/json", json.dumps(value).encode()


def missing(name):
    return 404, "application/json", json.dumps(completions.error(404, f"No such object: {name}")).encode()


def lines(values):
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def upload(headers, raw):
    head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + raw)
    fields = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    need("file" in fields, "'file' is a required property")
    need(fields["purpose"].get_content().strip() == "batch", "Invalid purpose")
    content = fields["file"].get_payload(decode=True)
    # "each input file can only include requests to a single model": the batch guide, read 2026-11.
    need(len({json.loads(line)["body"]["model"] for line in content.splitlines() if line}) == 1, "one model in a file")
    return public(keep(content, fields["file"].get_filename(), "batch"))


def keep(content, name, purpose):
    file = {
        "id": f"file-{next(NUMBERS)}", "object": "file", "bytes": len(content), "created_at": 1795651200,
        "filename": name, "purpose": purpose, "status": "processed", "content": content,
    }
    FILES[file["id"]] = file
    return file


def public(file):
    return {name: value for name, value in file.items() if name != "content"}


def make(body):
    need(body.get("completion_window") == "24h", "Invalid completion_window")
    need(body.get("endpoint") == "/v1/chat/completions", "Invalid endpoint")
    need(body.get("input_file_id") in FILES, "No such File object")
    need(all(isinstance(value, str) for value in body.get("metadata", {}).values()), "Invalid metadata")
    items = [json.loads(line) for line in FILES[body["input_file_id"]]["content"].splitlines() if line]
    good, bad = [], []
    for item in items:
        need(item["url"] == body["endpoint"] and item["method"] == "POST", "Invalid url or method")
        status, reply = run(completions, item["body"])
        response = {"status_code": status, "request_id": "req_1", "body": reply}
        line = {"id": f"batch_req_{next(NUMBERS)}", "custom_id": item["custom_id"], "response": response, "error": None}
        (good if status == 200 else bad).append(line)
    batch = {
        "id": f"batch_{next(NUMBERS)}", "endpoint": body["endpoint"], "input_file_id": body["input_file_id"], "status": "in_progress",
        "metadata": body.get("metadata"), "good": good, "bad": bad, "output_file_id": None, "error_file_id": None,
    }
    BATCHES[batch["id"]] = batch
    return show(batch)


def look(batch):
    shown = show(batch)
    if batch["status"] == "in_progress":
        batch["status"] = "completed"
        if batch["good"]:
            batch["output_file_id"] = keep(lines(batch["good"]), "output.jsonl", "batch_output")["id"]
        if batch["bad"]:
            batch["error_file_id"] = keep(lines(batch["bad"]), "errors.jsonl", "batch_output")["id"]
    return shown


def show(batch):
    done = batch["status"] == "completed"
    names = ("id", "endpoint", "input_file_id", "status", "metadata", "output_file_id", "error_file_id")
    counts = {"total": len(batch["good"] + batch["bad"]), "completed": len(batch["good"]) * done, "failed": len(batch["bad"]) * done}
    return {
        **{name: batch[name] for name in names}, "object": "batch", "errors": None, "completion_window": "24h",
        "created_at": 1795651200, "completed_at": 1795651300 if done else None, "request_counts": counts,
    }


def make_messages(body):
    need(set(body) == {"requests"} and body["requests"], "requests: Field required")
    names = [item["custom_id"] for item in body["requests"]]
    need(len(set(names)) == len(names), "custom_id: must be unique")
    results = []
    for item in body["requests"]:
        need(set(item) == {"custom_id", "params"}, "requests: extra inputs")
        status, reply = run(messages, item["params"])
        result = {"type": "succeeded", "message": reply} if status == 200 else {"type": "errored", "error": reply}
        results.append({"custom_id": item["custom_id"], "result": result})
    batch = {"id": f"msgbatch_{next(NUMBERS)}", "results": results, "looks": 0}
    BATCHES[batch["id"]] = batch
    return show_messages(batch, False)


def look_messages(batch):
    batch["looks"] += 1
    return show_messages(batch, batch["looks"] > 1)


def show_messages(batch, done):
    kinds = [line["result"]["type"] for line in batch["results"]]
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1795651200))
    return {
        "id": batch["id"], "type": "message_batch", "processing_status": "ended" if done else "in_progress",
        "request_counts": {
            "processing": 0 if done else len(kinds), "succeeded": kinds.count("succeeded") * done,
            "errored": kinds.count("errored") * done, "canceled": 0, "expired": 0,
        },
        "ended_at": moment if done else None, "created_at": moment, "expires_at": moment, "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"https://api.anthropic.com/v1/messages/batches/{batch['id']}/results" if done else None,
    }


def run(wire, body):
    """Status and reply of one request."""
    try:
        question = wire.check(body)
    except Rejected as problem:
        return 400, wire.error(400, problem.message)
    question.number = 1
    script = play(body["model"], question)
    if script is None:
        return 404, wire.error(404, "no such model")
    if isinstance(script, Refusal):
        return script.status, wire.error(script.status, "refused as asked")
    return 200, wire.unary(wire.new_id(), body["model"], script)
