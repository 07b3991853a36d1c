"""Anthropic Messages, written after the vendor's OpenAPI document (2026-08): what it takes, refuses and answers."""

import itertools
import json

from .rules import decoded, image, matches, need, number, only, pdf, text, whole
from .scripts import SIGNATURE, Question, Text, Thinking, Tool

TOP = {
    "model", "messages", "cache_control", "container", "inference_geo", "max_tokens", "metadata", "output_config",
    "service_tier", "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice", "tools", "top_k",
    "top_p",
}
# The count takes fewer (CountMessageTokensParams).
COUNT = {"messages", "model", "cache_control", "output_config", "system", "thinking", "tool_choice", "tools"}
TOOL = {
    "type", "description", "name", "input_schema", "cache_control", "strict", "eager_input_streaming",
    "allowed_callers", "defer_loading", "input_examples",
}
BLOCKS = {
    "text": {"type", "text", "cache_control", "citations"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "cache_control", "citations", "context", "title"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
}
BY_ROLE = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "thinking", "redacted_thinking", "tool_use"},
}
# The beta under which the service holds a conversation (SDK of 2026-11: `thread`, then only what is new).
THREADS_BETA = "message-threads-2026-08-12"
VERSIONS = {"2023-06-01", "2026-10-21"}
ID = "[a-zA-Z0-9_-]+"
ERRORS = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 503: "api_error", 529: "overloaded_error",
}
NUMBERS = itertools.count(1)
FINISH = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}


class Threads:
    """Conversations by the id of their last answer."""

    def __init__(self):
        self.held = {}

    def resume(self, body, headers):
        """The request with the whole conversation in it, and whether the answer is to be held."""
        thread = body.get("thread")
        if thread is None or THREADS_BETA not in headers.get("anthropic-beta", ""):
            return body, False
        body = {name: value for name, value in body.items() if name != "thread"}
        if thread.get("type") == "continue":
            before = self.held.get(thread.get("previous_message_id"))
            need(before is not None, "thread: no usable state for `previous_message_id`")
            need(not {"system", "tools"} & set(body), "thread: `system` and `tools` are the thread's own")
            body = {**before, **body, "messages": [*before["messages"], *body["messages"]]}
        return body, True

    def hold(self, body, answer):
        kept = ("text", "thinking", "tool_use")
        content = [{key: value for key, value in block.items() if value is not None}
                   for block in answer["content"] if block["type"] in kept]
        messages = [*body["messages"], {"role": "assistant", "content": content}]
        self.held[answer["id"]] = {**body, "messages": messages}


def check_headers(headers):
    need(headers.get("anthropic-version") in VERSIONS, "anthropic-version: header is required")


# What the service takes from who names its beta, and from nobody else (Claude Code 2.1.197 names both).
BETA_FIELDS = {"context_management": "context-management-2025-06-27"}
SYSTEM_TURNS_BETA = "mid-conversation-system-2026-04-07"


def without_betas(body, headers):
    """The request without what its betas allow; the rest is for `check`."""
    asked = headers.get("anthropic-beta", "")
    body = {name: value for name, value in body.items() if name not in BETA_FIELDS or BETA_FIELDS[name] not in asked}
    if SYSTEM_TURNS_BETA in asked and isinstance(body.get("messages"), list):
        body["messages"] = [turn for turn in body["messages"] if turn.get("role") != "system"]
    return body


def check(body, counting=False):
    """Refuses what the service refuses; says what decides over the answer."""
    # A field that only the other operation has is as unknown as any.
    for name in body:
        need(name in (COUNT if counting else TOP), f"{name}: Extra inputs are not permitted", name)
    text(body.get("model"), "model")
    if not counting:
        need("max_tokens" in body, "max_tokens: Field required", "max_tokens")
        whole(body["max_tokens"], 1, "max_tokens")
    check_sampling(body)
    check_tools(body)
    system = body.get("system", "")
    if not isinstance(system, str):
        for index, block in enumerate(system):
            only(block, BLOCKS["text"], f"system.{index}")
            need(block.get("text"), "system: text content blocks must be non-empty", "system")
    return check_turns(body)


def check_sampling(body):
    if "temperature" in body:
        number(body["temperature"], 0, 1, "temperature")
    if "stream" in body:
        need(isinstance(body["stream"], bool), "stream: Input should be a valid boolean", "stream")
    for stop in body.get("stop_sequences", []):
        need(text(stop, "stop_sequences").strip(), "stop_sequences: each stop sequence must contain non-whitespace")
    only(body.get("metadata", {}), {"user_id"}, "metadata")
    only(body.get("output_config", {}), {"effort", "format"}, "output_config")
    if body.get("output_config", {}).get("format"):
        wanted = body["output_config"]["format"]
        only(wanted, {"type", "schema"}, "output_config.format")
        need(wanted.get("type") == "json_schema", "output_config.format.type: Input should be 'json_schema'")
        need(isinstance(wanted.get("schema"), dict), "output_config.format.schema: Field required")
    thinking = body.get("thinking", {"type": "disabled"})
    need(thinking.get("type") in ("enabled", "disabled", "adaptive"), "thinking.type: unknown", "thinking")
    only(thinking, {"type", "budget_tokens", "display"}, "thinking")
    if thinking["type"] == "enabled":
        whole(thinking.get("budget_tokens"), 1024, "thinking.enabled.budget_tokens")
        fits = thinking["budget_tokens"] < body.get("max_tokens", 1 << 30)
        need(fits, "`max_tokens` must be greater than `thinking.budget_tokens`")
    if thinking["type"] != "disabled":
        need(body.get("temperature", 1) == 1, "`temperature` may only be set to 1 when thinking is enabled")
        forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
        need(not forced, "Thinking may not be enabled when tool_choice forces tool use.")


def check_tools(body):
    for index, tool in enumerate(body.get("tools", [])):
        place = f"tools.{index}"
        only(tool, TOOL, place)
        need(tool.get("type") in (None, "custom"), f"{place}.type: unknown", place)
        matches("[a-zA-Z0-9_-]{1,128}", tool.get("name"), f"{place}.custom.name")
        schema = tool.get("input_schema")
        need(isinstance(schema, dict), f"{place}.custom.input_schema: Field required", place)
        need(schema.get("type") == "object", f"{place}.custom.input_schema.type: Input should be 'object'", place)
    if "tool_choice" in body:
        choice = body["tool_choice"]
        need(body.get("tools"), "tool_choice may only be specified while providing tools.")
        need(choice.get("type") in ("auto", "any", "tool", "none"), "tool_choice.type: unknown", "tool_choice")
        fields = {"auto": {"disable_parallel_tool_use"}, "any": {"disable_parallel_tool_use"}, "none": set()}
        only(choice, {"type"} | fields.get(choice["type"], {"name", "disable_parallel_tool_use"}), "tool_choice")


def check_turns(body):
    turns = body.get("messages")
    need(isinstance(turns, list) and turns, "messages: at least one message is required", "messages")
    question = Question(0, [], [], wants_json=bool(body.get("output_config", {}).get("format")), thinks=False)
    question.thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    open_calls = []
    for index, turn in enumerate(turns):
        place = f"messages.{index}"
        only(turn, {"role", "content"}, place)
        role = turn.get("role")
        need(role in BY_ROLE, f"{place}.role: Input should be 'user' or 'assistant'", f"{place}.role")
        need(index or role == "user", "messages: first message must use the \"user\" role")
        blocks = as_blocks(turn.get("content"), place)
        if role == "user":
            question.results, question.media = user_turn(blocks, open_calls, place)
            open_calls = []
        else:
            open_calls = assistant_turn(blocks, question, body, place, index == len(turns) - 1)
    need(not open_calls, unanswered(len(turns) - 1, open_calls))
    if question.results and body.get("thinking", {}).get("type") == "enabled":
        check_loop(turns)
    return question


def check_loop(turns):
    """With a budget for thinking, the turn whose calls are being answered must begin with its thinking.

    A turn is all that was said since the user last asked something; with adaptive thinking nothing is demanded (reference of
    extended and of adaptive thinking, 2026-10)."""
    asked = [index for index, turn in enumerate(turns) if turn["role"] == "user" and not answers(turn)]
    begin = asked[-1] + 1
    first = as_blocks(turns[begin]["content"], f"messages.{begin}")[0]["type"]
    need(first in ("thinking", "redacted_thinking"), f"messages.{begin}.content.0.type: Expected `thinking` or "
         f"`redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final `assistant` message must "
         "start with a thinking block.")


def answers(turn):
    return any(block.get("type") == "tool_result" for block in as_blocks(turn["content"], ""))


def as_blocks(content, place):
    if isinstance(content, str):
        need(content, f"{place}: user messages must have non-empty content", place)
        return [{"type": "text", "text": content}]
    need(isinstance(content, list) and content, f"{place}: content must be a non-empty list", place)
    return content


def user_turn(blocks, open_calls, place):
    results, media, answered, others = [], [], [], False
    for number_, block in enumerate(blocks):
        at = f"{place}.content.{number_}"
        kind = check_block(block, "user", at)
        if kind == "tool_result":
            id_ = block.get("tool_use_id")
            matches(ID, id_, f"{at}.tool_result.tool_use_id")
            known = id_ in open_calls and id_ not in answered
            need(known, f"{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id_}. Each `tool_result` block "
                 "must have a corresponding `tool_use` block in the previous message.")
            need(not others, f"{place}: `tool_result` blocks must stand before other content")
            answered.append(id_)
            results.append(result_text(block, at))
        else:
            others = True
            media += seen(block, kind, at)
    missing = [id_ for id_ in open_calls if id_ not in answered]
    need(not missing, unanswered(place, missing))
    return results, media


def unanswered(place, ids):
    return (f"{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}. Each "
            "`tool_use` block must have a corresponding `tool_result` block in the next message.")


def result_text(block, at):
    content = block.get("content", "")
    if isinstance(content, str):
        return content
    for index, part in enumerate(content):
        need(part.get("type") in ("text", "image", "document"), f"{at}.content.{index}.type: unknown")
        only(part, BLOCKS[part["type"]], f"{at}.content.{index}")
    return " ".join(part.get("text") or "+".join(seen(part, part["type"], at)) for part in content)


def assistant_turn(blocks, question, body, place, last):
    calls = []
    for number_, block in enumerate(blocks):
        at = f"{place}.content.{number_}"
        kind = check_block(block, "assistant", at)
        if kind == "tool_use":
            matches(ID, block.get("id"), f"{at}.tool_use.id")
            need(isinstance(block.get("input"), dict), f"{at}.tool_use.input: Input should be a valid dictionary")
            need(block["id"] not in calls, "messages: `tool_use` ids must be unique")
            calls.append(block["id"])
        if kind == "thinking":
            need(block.get("signature") == SIGNATURE, f"{at}: Invalid `signature` in `thinking` block")
    if last and blocks[-1].get("type") == "text":
        trimmed = blocks[-1]["text"] == blocks[-1]["text"].rstrip()
        need(trimmed, "messages: final assistant content cannot end with trailing whitespace")
    return calls


def check_block(block, role, at):
    need(isinstance(block, dict), f"{at}: Input should be a valid dictionary", at)
    kind = block.get("type")
    need(kind in BY_ROLE[role], f"{at}.type: Input tag '{kind}' is not expected for {role}", at)
    only(block, BLOCKS[kind], at)
    if kind == "text":
        need(text(block.get("text"), at).strip(), "messages: text content blocks must contain non-whitespace text", at)
    return kind


def seen(block, kind, at):
    if kind not in ("image", "document"):
        return []
    source = block.get("source", {})
    form = source.get("type")
    if form == "url":
        only(source, {"type", "url"}, f"{at}.source")
        need(source["url"].startswith("https://"), f"{at}.source: Only HTTPS URLs are supported.")
        return [f"{kind} at {source['url']}"]
    if form == "text" and kind == "document":
        only(source, {"type", "media_type", "data"}, f"{at}.source")
        need(source.get("media_type") == "text/plain", f"{at}.source.media_type: Input should be 'text/plain'")
        return [f"text/plain of {len(text(source.get('data'), at))} characters"]
    need(form == "base64", f"{at}.source.type: unknown", at)
    only(source, {"type", "media_type", "data"}, f"{at}.source")
    data = decoded(source.get("data"), f"{at}.source.data")
    if kind == "image":
        return [image(source.get("media_type"), data, at)]
    need(source.get("media_type") == "application/pdf", f"{at}.source.media_type: Input should be 'application/pdf'")
    return [pdf(data, at)]


def error(status, message, request_id="req_fake_01"):
    kind = ERRORS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def usage(answer, output):
    return {
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "inference_geo": None,
        # What came from the cache is not in here.
        "input_tokens": answer.input_tokens - answer.cached_tokens,
        "output_tokens": output,
        "server_tool_use": None,
        "service_tier": "standard",
    }


def new_id():
    return f"msg_fake_{next(NUMBERS):04}"


def message(id_, model, answer, content, finish, output):
    return {
        "id": id_, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": finish, "stop_sequence": None, "stop_details": None, "container": None,
        "usage": usage(answer, output),
    }


def unary(id_, model, answer):
    content = []
    for block in answer.blocks:
        match block:
            case Text(pieces):
                content.append({"type": "text", "text": "".join(pieces)})
            case Thinking(pieces, signature):
                content.append({"type": "thinking", "thinking": "".join(pieces), "signature": signature})
            case Tool(call, name, pieces):
                arguments = json.loads("".join(pieces) or "{}")
                content.append({"type": "tool_use", "id": call, "name": name, "input": arguments})
    return message(id_, model, answer, content, FINISH[answer.finish], answer.output_tokens)


def event(kind, **fields):
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n"


def stream(id_, model, answer, _body):
    """The frames of a stream, one by one."""
    if answer.stillborn:
        yield event("error", error={"type": "overloaded_error", "message": "Overloaded"})
        return
    yield event("message_start", message=message(id_, model, answer, [], None, 1))
    yield event("ping")
    for index, block in enumerate(answer.blocks):
        yield from block_frames(index, block)
        while answer.endless:
            yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": block.pieces[0]})
        if answer.ending == "end":
            yield event("content_block_stop", index=index)
    if answer.ending == "error":
        yield event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    if answer.ending != "end":
        return
    delta = {"stop_reason": FINISH[answer.finish], "stop_sequence": None, "stop_details": None, "container": None}
    yield event("message_delta", delta=delta, usage=usage(answer, answer.output_tokens))
    yield event("message_stop")


def block_frames(index, block):
    match block:
        case Text(pieces):
            start, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in pieces]
        case Thinking(pieces, signature):
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces]
            deltas.append({"type": "signature_delta", "signature": signature})
        case Tool(id_, name, pieces):
            start = {"type": "tool_use", "id": id_, "name": name, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in pieces or [""]]
    yield event("content_block_start", index=index, content_block=start)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
