"""OpenAI Responses, written after the vendor's OpenAPI document (2.3.0) and its guide of background mode (read 2026-11).

Responses are kept unless that was declined: they can be asked for, gone on from, forgotten, and those of the background be cancelled and
their streams be taken up again. One of the background makes a step whenever it is asked for: queued, in progress, completed.
"""

import itertools
import json
import threading
import urllib.parse

from .completions import EFFORTS, NAME, error, strict
from .rules import Rejected, decoded, image, matches, need, number, only, pdf, text, whole
from .scripts import SIGNATURE, Question, Text, Thinking, Tool

TOP = {
    "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens", "max_tool_calls",
    "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream",
    "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
}
ITEMS = {
    "message": {"type", "role", "content", "id", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status", "namespace"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input", "status", "namespace"},
    "custom_tool_call_output": {"type", "id", "call_id", "output", "status"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
    "item_reference": {"type", "id"},
}
PARTS = {
    "input_text": {"type", "text"},
    "input_image": {"type", "image_url", "file_id", "detail"},
    "input_file": {"type", "filename", "file_data", "file_url", "file_id", "detail"},
    "output_text": {"type", "text", "annotations", "logprobs"},
    "refusal": {"type", "refusal"},
}
# What an id of such an item begins with: "Expected an ID that begins with 'msg'."
IDS = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}
CALLS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}
TOOLS = {
    "function": {"type", "name", "description", "parameters", "strict"},
    "custom": {"type", "name", "description", "format"},
    "namespace": {"type", "name", "description", "tools"},
}
FINISH = {"stop": "completed", "tools": "completed", "length": "incomplete"}
RUNNING = ("queued", "in_progress")
NUMBERS = itertools.count(1)


class Kept:
    """What became of a response, for whoever asks later."""

    def __init__(self, response, items, before, frames=None, stuck=False):
        self.response = response
        # What the request said, and what had been said before it.
        self.items, self.before = items, before
        self.frames = frames
        # Never done by itself.
        self.stuck = stuck
        # What it will be when it is done.
        self.done = None

    def step(self):
        """The next state of one of the background."""
        if self.response["status"] == "queued":
            self.response["status"] = "in_progress"
        elif self.response["status"] == "in_progress" and not self.stuck:
            self.response = self.done


STORE = {}
LOCK = threading.Lock()


def new_id():
    return f"resp_fake{next(NUMBERS):04}"


def check(body):
    """Refuses what the service refuses; says what decides over the answer."""
    for name in body:
        need(name in TOP, f"Unknown parameter: '{name}'.", name)
    text(body.get("model"), "model")
    check_settings(body)
    check_tools(body)
    before = []
    if body.get("previous_response_id") is not None:
        need(not body.get("conversation"), "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.")
        kept = STORE.get(body["previous_response_id"])
        if kept is None:
            raise Rejected(f"Previous response with id '{body['previous_response_id']}' not found.", "previous_response_id",
                           "previous_response_not_found")
        before = said_before(kept)
    given = body.get("input")
    need(isinstance(given, str) or isinstance(given, list), "Missing required parameter: 'input'.", "input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    question = check_items(items, before)
    question.wants_json = check_format(body)
    question.thinks = (body.get("reasoning") or {}).get("effort") not in (None, "none")
    return question


# TokenCountsBody of the OpenAPI document 2.3.0.
COUNTED = {
    "model", "input", "previous_response_id", "tools", "text", "reasoning", "truncation", "instructions", "personality", "conversation",
    "tool_choice", "parallel_tool_calls",
}


def check_count(body):
    """The same for a request to count tokens."""
    for name in body:
        need(name in COUNTED, f"Unknown parameter: '{name}'.", name)
    check(body)


def said_before(kept):
    return [*kept.before, *kept.items, *kept.response["output"]]


def check_settings(body):
    if body.get("temperature") is not None:
        number(body["temperature"], 0, 2, "temperature")
    if body.get("max_output_tokens") is not None:
        whole(body["max_output_tokens"], 16, "max_output_tokens")
    for name, value in (body.get("metadata") or {}).items():
        text(value, f"metadata.{name}")
    reasoning = body.get("reasoning") or {}
    only(reasoning, {"effort", "summary", "generate_summary", "context", "mode"}, "reasoning")
    need(reasoning.get("effort") in EFFORTS, "Invalid value for 'reasoning.effort'.", "reasoning.effort")
    if body.get("stream_options") is not None:
        need(body.get("stream") is True, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
        only(body["stream_options"], {"include_obfuscation"}, "stream_options")
    if body.get("background"):
        # Guide: "Background sampling requires `store=true`; stateless requests are rejected."
        need(body.get("store") is not False, "Background requests require 'store' to be true.", "store")


def check_format(body):
    wanted = body.get("text") or {}
    only(wanted, {"format", "verbosity"}, "text")
    form = wanted.get("format") or {"type": "text"}
    if form.get("type") == "json_schema":
        only(form, {"type", "name", "description", "schema", "strict"}, "text.format")
        matches(NAME, form.get("name"), "text.format.name")
        need(isinstance(form.get("schema"), dict), "Missing required parameter: 'text.format.schema'.", "text.format.schema")
        if form.get("strict"):
            strict(form["schema"], f"response_format '{form['name']}'")
    else:
        need(form.get("type") in ("text", "json_object"), f"Invalid value: '{form.get('type')}'.", "text.format.type")
    return form["type"] != "text"


def check_tools(body):
    tools = body.get("tools") or []
    for index, tool in enumerate(tools):
        check_tool(tool, f"tools[{index}]")
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        need(choice.get("type") in ("function", "custom", "allowed_tools"), f"Invalid value: '{choice.get('type')}'.", "tool_choice")
        if choice["type"] != "allowed_tools":
            only(choice, {"type", "name"}, "tool_choice")
            known = any(tool.get("name") == choice.get("name") for tool in tools)
            need(known, f"Tool choice '{choice.get('name')}' not found in 'tools' parameter.", "tool_choice")
    else:
        need(choice in (None, "none", "auto", "required"), f"Invalid value: '{choice}'.", "tool_choice")
        need(choice != "required" or tools, "Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")


def check_tool(tool, place):
    kind = tool.get("type")
    need(kind in TOOLS, f"Invalid value: '{kind}'.", f"{place}.type")
    only(tool, TOOLS[kind], place)
    matches(NAME, tool.get("name"), f"{place}.name")
    for index, inner in enumerate(tool.get("tools") or []):
        check_tool(inner, f"{place}.tools[{index}]")
    schema = tool.get("parameters")
    if kind == "function" and schema is not None:
        need(schema.get("type") == "object", f"Invalid schema for function '{tool['name']}'.", f"{place}.parameters")
        # Without a word about it the service makes a schema strict as far as it can; only what asks for it is held to it.
        if tool.get("strict"):
            strict(schema, f"function '{tool['name']}'")


def check_items(items, before):
    question = Question(0, [], [], wants_json=False, thinks=False)
    open_calls = {item["call_id"]: CALLS[item["type"]] for item in before if item.get("type") in CALLS}
    for item in before:
        if item.get("type") in CALLS.values():
            open_calls.pop(item["call_id"], None)
    for index, item in enumerate(items):
        place = f"input[{index}]"
        kind = item.get("type", "message")
        need(kind in ITEMS, f"Invalid value: '{kind}'.", f"{place}.type")
        only(item, ITEMS[kind], place)
        check_id(item, kind, place)
        if kind == "message":
            question.media = message(item, place, question)
        elif kind in CALLS:
            matches(NAME, item.get("name"), f"{place}.name")
            text(item.get("arguments" if kind == "function_call" else "input"), place)
            need(len(text(item.get("call_id"), place)) <= 64, f"Invalid '{place}.call_id': string too long.", place)
            need(item["call_id"] not in open_calls, f"Duplicate item found with call_id {item['call_id']}.", place)
            open_calls[item["call_id"]] = CALLS[kind]
            question.results = []
        elif kind == "reasoning":
            check_reasoning(item, items[index + 1:], place)
        elif kind in CALLS.values():
            known = open_calls.pop(item.get("call_id"), None) == kind
            need(known, f"No tool call found for function call output with call_id {item.get('call_id')}.", "input")
            question.results.append(said(item["output"], place))
    need(not open_calls, f"No tool output found for function call {', '.join(open_calls)}.", "input")
    return question


def check_id(item, kind, place):
    given = item.get("id")
    if kind == "item_reference":
        need(known_item(given), f"Item with id '{given}' not found.", "input")
    elif kind in IDS and given is not None and (kind != "message" or item.get("role") == "assistant"):
        begins = text(given, f"{place}.id").startswith(IDS[kind])
        need(begins, f"Invalid '{place}.id': '{given}'. Expected an ID that begins with '{IDS[kind]}'.", f"{place}.id")
        need(len(given) <= 64, f"Invalid '{place}.id': string too long.", f"{place}.id")


def known_item(identity):
    return any(item.get("id") == identity for kept in STORE.values() for item in kept.response["output"])


def check_reasoning(item, rest, place):
    need(isinstance(item.get("summary"), list), f"Missing required parameter: '{place}.summary'.", f"{place}.summary")
    sealed = item.get("encrypted_content")
    if sealed is None:
        need(known_item(item.get("id")), f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to "
             "false. Try again with `store` set to true, or remove this item from your input.", "input")
    else:
        need(sealed == SIGNATURE, f"The encrypted content for item {item.get('id')} could not be verified.")
    follows = rest and (rest[0].get("type") in CALLS or rest[0].get("role") == "assistant" or rest[0].get("type") == "reasoning")
    need(follows, f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.", "input")


def message(item, place, question):
    """Checks the content; says which media there are."""
    role = item.get("role")
    need(role in ("user", "assistant", "system", "developer"), f"Invalid value: '{role}'.", f"{place}.role")
    if role in ("user", "assistant"):
        question.results = []
    content = item.get("content")
    if isinstance(content, str):
        return []
    need(isinstance(content, list) and content, f"Invalid type for '{place}.content'.", f"{place}.content")
    return parts(content, ("output_text", "refusal") if role == "assistant" else ("input_text", "input_image", "input_file"), place)


def parts(content, kinds, place):
    seen = []
    for index, part in enumerate(content):
        at = f"{place}.content[{index}]"
        kind = part.get("type")
        need(kind in kinds, f"Invalid value: '{kind}'. Supported values are: {', '.join(kinds)}.", at)
        only(part, PARTS[kind], at)
        if kind in ("input_text", "output_text"):
            text(part.get("text"), f"{at}.text")
        if kind == "input_image":
            need(part.get("detail", "auto") in ("auto", "low", "high", "original", None), "Invalid value.", f"{at}.detail")
            seen.append(inline(part["image_url"], "image", at, part))
        if kind == "input_file":
            if part.get("file_url"):
                seen.append(f"document at {part['file_url']}")
            else:
                text(part.get("filename"), f"{at}.filename")
                seen.append(inline(part.get("file_data"), "file", at, part))
    return seen


def inline(url, what, at, part):
    url = text(url, at)
    if what == "image" and url.startswith(("https://", "http://")):
        return f"image at {url}"
    kind, found, data = url.removeprefix("data:").partition(";base64,")
    need(found, f"Invalid '{at}'. Expected a base64-encoded data URL.", at)
    if what == "image":
        return image(kind, decoded(data, at), at)
    need(kind == "application/pdf", f"Invalid file data: unsupported MIME type '{kind}' of {part.get('filename')}.", at)
    return pdf(decoded(data, at), at)


def said(output, place):
    if isinstance(output, str):
        return output
    seen = parts(output, ("input_text", "input_image", "input_file"), place)
    return " ".join([part["text"] for part in output if part["type"] == "input_text"] + seen)


def usage(answer):
    return {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }


def envelope(id_, model, body, status="in_progress"):
    reasoning = body.get("reasoning") or {}
    return {
        "id": id_, "object": "response", "created_at": 1_790_000_000, "status": status, "background": bool(body.get("background")),
        "completed_at": None, "error": None, "incomplete_details": None, "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"), "max_tool_calls": None, "model": model, "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True), "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"), "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "safety_identifier": None, "service_tier": "default", "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0), "text": {"format": {"type": "text"}, "verbosity": "medium", **(body.get("text") or {})},
        "tool_choice": body.get("tool_choice", "auto"), "tools": body.get("tools") or [], "top_logprobs": 0, "top_p": 1.0,
        "truncation": "disabled", "usage": None, "user": None, "metadata": body.get("metadata") or {},
    }


def output(id_, answer, body):
    """The items of a whole answer."""
    items = []
    for index, block in enumerate(answer.blocks):
        own = f"{id_.removeprefix('resp_')}_{index}"
        match block:
            case Text(pieces):
                content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": "".join(pieces)}]
                items.append({"id": f"msg_{own}", "type": "message", "status": "completed", "content": content, "role": "assistant"})
            case Thinking(pieces, signature):
                item = {"id": f"rs_{own}", "type": "reasoning", "summary": [{"type": "summary_text", "text": "".join(pieces)}]}
                if "reasoning.encrypted_content" in (body.get("include") or []):
                    item["encrypted_content"] = signature
                items.append(item)
            case Tool(call, name, pieces):
                items.append({"id": f"fc_{own}", "type": "function_call", "status": "completed", "arguments": "".join(pieces) or "{}",
                              "call_id": call, "name": name})
    return items


def whole_answer(id_, model, answer, body):
    response = envelope(id_, model, body, FINISH[answer.finish])
    response |= {"output": output(id_, answer, body), "usage": usage(answer)}
    if response["status"] == "incomplete":
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    else:
        response["completed_at"] = 1_790_000_001
    return response


def keep(response, body, frames=None, stuck=False):
    if body.get("store") is False:
        return None
    given = body["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    items = [{"type": "message", **item} for item in items]
    for index, item in enumerate(items):
        item.setdefault("id", f"{IDS.get(item['type'], 'item')}_in_{response['id'].removeprefix('resp_')}_{index}")
        if item["type"] == "message" and isinstance(item["content"], str):
            item |= {"content": [{"type": "input_text", "text": item["content"]}], "status": "completed"}
    before = said_before(STORE[body["previous_response_id"]]) if body.get("previous_response_id") else []
    with LOCK:
        STORE[response["id"]] = Kept(response, items, before, frames, stuck)
    return STORE[response["id"]]


def unary(id_, model, answer, body):
    done = whole_answer(id_, model, answer, body)
    if not body.get("background"):
        keep(done, body)
        return done
    kept = keep(envelope(id_, model, body, "queued"), body, stuck=answer.endless or answer.silent)
    kept.done = done
    return kept.response


def refused(problem):
    value = error(400, problem.message, problem.param)
    value["error"]["code"] = problem.code
    return value


def stream(id_, model, answer, body):
    """The frames of a stream, one by one. One of the background goes on when its connection does not."""
    if answer.stillborn:
        yield numbered([failure()])[0]
        return
    if body.get("background"):
        ends, endless = answer.ending, answer.endless
        answer.ending, answer.endless = "end", False
        frames = numbered(events(id_, model, answer, body))
        kept = keep(envelope(id_, model, body, "queued"), body, frames, stuck=endless)
        kept.done = whole_answer(id_, model, answer, body)
        answer.ending = ends
        yield from frames if ends == "end" else frames[: len(frames) // 2]
        return
    if answer.endless:
        count = itertools.count()
        yield from (numbered([event], next(count))[0] for event in events(id_, model, answer, body))
    keep(whole_answer(id_, model, answer, body), body)
    yield from numbered(events(id_, model, answer, body))


def numbered(events_, first=0):
    frames = []
    for sequence, (kind, fields) in enumerate(events_, first):
        data = json.dumps({"type": kind, "sequence_number": sequence, **fields}, ensure_ascii=False)
        frames.append(f"event: {kind}\ndata: {data}\n\n")
    return frames


def failure():
    # Flat in the document, nested as the service sends it (recorded 2025-11).
    return "error", {"error": {"type": "server_error", "code": "server_error", "message": "The server is overloaded", "param": None}}


def events(id_, model, answer, body):
    behind = body.get("background")
    yield "response.created", {"response": envelope(id_, model, body, "queued" if behind else "in_progress")}
    if behind:
        yield "response.queued", {"response": envelope(id_, model, body, "queued")}
    yield "response.in_progress", {"response": envelope(id_, model, body)}
    done = whole_answer(id_, model, answer, body)
    for index, (block, item) in enumerate(zip(answer.blocks, done["output"])):
        yield from item_events(index, block, item, answer)
    if answer.ending == "error":
        yield failure()
        error_ = {"code": "server_error", "message": "The server is overloaded"}
        yield "response.failed", {"response": {**envelope(id_, model, body, "failed"), "error": error_}}
    if answer.ending == "end":
        yield f"response.{done['status']}", {"response": done}


def item_events(index, block, item, answer):
    place = {"item_id": item["id"], "output_index": index}
    complete = answer.ending == "end"
    match block:
        case Text(pieces):
            yield "response.output_item.added", {"output_index": index, "item": {**item, "status": "in_progress", "content": []}}
            part = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
            place["content_index"] = 0
            yield "response.content_part.added", {**place, "part": part}
            for piece in itertools.cycle(pieces) if answer.endless else pieces:
                yield "response.output_text.delta", {**place, "delta": piece, "logprobs": [], "obfuscation": "x"}
            if complete:
                yield "response.output_text.done", {**place, "text": "".join(pieces), "logprobs": []}
                yield "response.content_part.done", {**place, "part": item["content"][0]}
        case Thinking(pieces, _):
            yield "response.output_item.added", {"output_index": index, "item": {**item, "summary": []}}
            place["summary_index"] = 0
            yield "response.reasoning_summary_part.added", {**place, "part": {"type": "summary_text", "text": ""}}
            for piece in pieces:
                yield "response.reasoning_summary_text.delta", {**place, "delta": piece}
            yield "response.reasoning_summary_text.done", {**place, "text": "".join(pieces)}
            yield "response.reasoning_summary_part.done", {**place, "part": item["summary"][0]}
        case Tool(_, name, pieces):
            yield "response.output_item.added", {"output_index": index, "item": {**item, "status": "in_progress", "arguments": ""}}
            for piece in [piece for piece in pieces if piece] or ["{}"]:
                yield "response.function_call_arguments.delta", {**place, "delta": piece, "obfuscation": "x"}
            if complete:
                yield "response.function_call_arguments.done", {**place, "name": name, "arguments": item["arguments"]}
    if complete:
        yield "response.output_item.done", {"output_index": index, "item": item}


def kept(method, path):
    """What is asked about a response that is kept: a status and a value, or the frames of its stream."""
    where = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(where.query)
    identity, _, what = where.path.removeprefix("/v1/responses/").partition("/")
    found = STORE.get(identity)
    if found is None:
        return 404, error(404, f"Response with id '{identity}' not found.")
    with LOCK:
        match method, what:
            case "GET", "":
                if query.get("stream") == ["true"]:
                    return resumed(found, query)
                found.step()
                return 200, found.response
            case "DELETE", "":
                del STORE[identity]
                return 200, {"id": identity, "object": "response", "deleted": True}
            case "POST", "cancel":
                if not found.response["background"]:
                    return 400, error(400, "Cannot cancel a synchronous response.")
                if found.response["status"] in RUNNING:
                    found.response["status"] = "cancelled"
                return 200, found.response
            case "GET", "input_items":
                return 200, listed(found, query)
    return 405, error(405, "no such operation")


def resumed(found, query):
    # Guide: "you can only start a new stream from a background response if you created it with `stream=true`".
    if found.frames is None:
        return 400, error(400, "This response cannot be streamed: it was not made in the background with 'stream'.")
    after = int(query.get("starting_after", ["-1"])[0])
    return 200, found.frames[after + 1:]


def listed(found, query):
    items = [*found.before, *found.items]
    if query.get("order", ["desc"]) == ["desc"]:
        items.reverse()
    if "after" in query:
        ids = [item["id"] for item in items]
        items = items[ids.index(query["after"][0]) + 1:]
    limit = int(query.get("limit", ["20"])[0])
    page = items[:limit]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return {"object": "list", "data": page, **ends, "has_more": len(items) > limit}
