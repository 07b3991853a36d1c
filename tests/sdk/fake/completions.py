"""OpenAI Chat Completions, written after the vendor's OpenAPI document (2.3.0): what it takes, refuses and answers."""

import itertools
import json

from .rules import decoded, image, matches, need, number, only, pdf, text, whole
from .scripts import Question, Text, Tool

TOP = {
    "metadata", "top_logprobs", "temperature", "top_p", "user", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention", "prompt_cache_options", "messages", "model", "service_tier", "modalities", "verbosity",
    "reasoning_effort", "max_completion_tokens", "frequency_penalty", "presence_penalty", "web_search_options",
    "response_format", "audio", "store", "moderation", "stream", "stop", "logit_bias", "logprobs", "max_tokens", "n",
    "prediction", "seed", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "function_call", "functions",
}
MESSAGE = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "tool_calls", "function_call", "audio", "annotations"},
    # The service's own example says the tool's name too: openai-cookbook, How_to_call_functions_with_chat_models.ipynb.
    "tool": {"role", "content", "tool_call_id", "name"},
}
PARTS = {
    "system": {"text"}, "developer": {"text"}, "tool": {"text"}, "assistant": {"text", "refusal"},
    "user": {"text", "image_url", "input_audio", "file"},
}
EFFORTS = {None, "none", "minimal", "low", "medium", "high", "xhigh", "max"}
NAME = "[a-zA-Z0-9_-]{1,64}"
# The service refuses longer ones: "string too long. Expected a string with maximum length 40".
LONGEST_CALL_ID = 40
ERRORS = {
    400: ("invalid_request_error", None), 401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", None), 404: ("invalid_request_error", "model_not_found"),
    413: ("invalid_request_error", None), 429: ("requests", "rate_limit_exceeded"), 500: ("server_error", None),
    503: ("server_error", None),
}
NUMBERS = itertools.count(1)
FINISH = {"stop": "stop", "length": "length", "tools": "tool_calls"}


def check(body):
    """Refuses what the service refuses; says what decides over the answer."""
    for name in body:
        need(name in TOP, f"Unrecognized request argument supplied: {name}")
    text(body.get("model"), "model")
    check_sampling(body)
    check_tools(body)
    question = Question(0, [], [], wants_json=check_format(body.get("response_format")), thinks=False)
    turns = body.get("messages")
    need(isinstance(turns, list) and turns, "Invalid 'messages': empty array.", "messages")
    open_calls, results = [], []
    for index, turn in enumerate(turns):
        place = f"messages[{index}]"
        role = turn.get("role")
        need(role in MESSAGE, f"Invalid value: '{role}'.", f"{place}.role")
        only(turn, MESSAGE[role], place)
        seen = parts(turn, role, place)
        if role == "tool":
            id_ = turn.get("tool_call_id")
            need(id_ in open_calls, "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
                 "message with 'tool_calls'.", f"{place}.role")
            open_calls.remove(id_)
            results.append(said(turn["content"]))
            continue
        need(not open_calls, unanswered(open_calls), place)
        if role == "user":
            question.media = seen
        if role == "assistant":
            open_calls, results = calls(turn, place), []
    need(not open_calls, unanswered(open_calls))
    question.results = results
    return question


def unanswered(ids):
    return ("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(ids)}")


def check_sampling(body):
    need(not {"max_tokens", "max_completion_tokens"} <= set(body),
         "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    for name in ("max_tokens", "max_completion_tokens", "n"):
        if body.get(name) is not None:
            whole(body[name], 1, name)
    if body.get("temperature") is not None:
        number(body["temperature"], 0, 2, "temperature")
    need(body.get("reasoning_effort") in EFFORTS, "Invalid value for 'reasoning_effort'.", "reasoning_effort")
    stops = body.get("stop") or []
    need(isinstance(stops, str) or len(stops) <= 4, "Invalid 'stop': array too long.", "stop")
    if "stream_options" in body:
        need(body.get("stream") is True, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
        only(body["stream_options"] or {}, {"include_usage", "include_obfuscation"}, "stream_options")
    for name, value in (body.get("metadata") or {}).items():
        text(value, f"metadata.{name}")


def check_tools(body):
    tools = body.get("tools")
    need(tools is None or tools, "Invalid 'tools': empty array.", "tools")
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) not in (None, "none"):
            need(tools, f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.", name)
    for index, tool in enumerate(tools or []):
        place = f"tools[{index}]"
        only(tool, {"type", "function"}, place)
        need(tool.get("type") == "function", f"Invalid value: '{tool.get('type')}'.", f"{place}.type")
        only(tool.get("function"), {"name", "description", "parameters", "strict"}, f"{place}.function")
        matches(NAME, tool["function"].get("name"), f"{place}.function.name")
        schema = tool["function"].get("parameters", {"type": "object"})
        need(schema.get("type") == "object", f"Invalid schema for function '{tool['function']['name']}'.", place)
        if tool["function"].get("strict"):
            strict(schema, f"function '{tool['function']['name']}'")
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        only(choice, {"type", "function"}, "tool_choice")
        only(choice.get("function"), {"name"}, "tool_choice.function")
    else:
        need(choice in (None, "none", "auto", "required"), f"Invalid value: '{choice}'.", "tool_choice")


def check_format(wanted):
    kind = (wanted or {}).get("type", "text")
    if kind == "json_schema":
        only(wanted, {"type", "json_schema"}, "response_format")
        schema = wanted.get("json_schema")
        only(schema, {"name", "description", "schema", "strict"}, "response_format.json_schema")
        matches(NAME, schema.get("name"), "response_format.json_schema.name")
        if schema.get("strict"):
            strict(schema.get("schema"), f"response_format '{schema['name']}'")
    else:
        need(kind in ("text", "json_object"), f"Invalid value: '{kind}'.", "response_format.type")
    return kind != "text"


def strict(schema, owner):
    """In strict mode each object names all its properties as required and admits no others."""
    if isinstance(schema, list):
        for part in schema:
            strict(part, owner)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        need(closed, f"Invalid schema for {owner}: 'additionalProperties' is required to be supplied and to be false.")
        every = set(schema.get("required", [])) == set(schema.get("properties", {}))
        need(every, f"Invalid schema for {owner}: 'required' must include every key in properties.")
    for value in schema.values():
        strict(value, owner)


def parts(turn, role, place):
    """Checks the content; says which media there are."""
    content = turn.get("content")
    if content is None:
        calls_only = role == "assistant" and (turn.get("tool_calls") or turn.get("refusal"))
        need(calls_only, "Invalid value for 'content': expected a string, got null.", f"{place}.content")
        return []
    if isinstance(content, str):
        return []
    need(isinstance(content, list) and content, "Invalid 'content': empty array.", f"{place}.content")
    seen = []
    for index, part in enumerate(content):
        at = f"{place}.content[{index}]"
        kind = part.get("type")
        need(kind in PARTS[role], f"Invalid value: '{kind}'.", f"{at}.type")
        only(part, {"type", kind}, at)
        if kind == "text":
            text(part.get("text"), f"{at}.text")
        if kind == "image_url":
            seen.append(picture(part["image_url"], at))
        if kind == "file":
            seen.append(document(part["file"], at))
    return seen


def picture(value, at):
    only(value, {"url", "detail"}, f"{at}.image_url")
    need(value.get("detail", "auto") in ("auto", "low", "high"), "Invalid value.", f"{at}.image_url.detail")
    url = text(value.get("url"), f"{at}.image_url.url")
    if not url.startswith("data:"):
        need(url.startswith(("https://", "http://")), "Failed to download image.", f"{at}.image_url.url")
        return f"image at {url}"
    kind, found, data = url.removeprefix("data:").partition(";base64,")
    need(found, "Invalid data URL.", f"{at}.image_url.url")
    return image(kind, decoded(data, at), at)


def document(value, at):
    only(value, {"filename", "file_data", "file_id"}, f"{at}.file")
    data = text(value.get("file_data"), f"{at}.file.file_data")
    text(value.get("filename"), f"{at}.file.filename")
    kind, found, data = data.removeprefix("data:").partition(";base64,")
    need(found, f"Invalid file data: '{at}.file.file_data'. Expected a base64-encoded data URL with a MIME type.")
    need(kind == "application/pdf", f"Invalid file data: unsupported MIME type '{kind}'.", at)
    return pdf(decoded(data, at), at)


def said(content):
    return content if isinstance(content, str) else " ".join(part["text"] for part in content)


def calls(turn, place):
    ids = []
    made = turn.get("tool_calls")
    need(made is None or made, "Invalid 'tool_calls': empty array.", place)
    for index, call in enumerate(made or []):
        at = f"{place}.tool_calls[{index}]"
        only(call, {"id", "type", "function"}, at)
        need(call.get("type") == "function", f"Missing required parameter: '{at}.type'.", at)
        only(call.get("function"), {"name", "arguments"}, f"{at}.function")
        matches(NAME, call["function"].get("name"), f"{at}.function.name")
        text(call["function"].get("arguments"), f"{at}.function.arguments")
        id_ = text(call.get("id"), f"{at}.id")
        fits = len(id_) <= LONGEST_CALL_ID
        need(fits, f"Invalid '{at}.id': string too long. Expected a string with maximum length 40.", f"{at}.id")
        need(id_ not in ids, f"Duplicate value for 'tool_call_id' of '{id_}'.", f"{at}.id")
        ids.append(id_)
    return ids


def error(status, message, param=None):
    kind, code = ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def usage(answer):
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        # What came from the cache is part of the prompt here.
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    }


def said_and_called(answer):
    """This wire shows no reasoning."""
    texts = ["".join(block.pieces) for block in answer.blocks if isinstance(block, Text)]
    return "".join(texts) if texts else None, [block for block in answer.blocks if isinstance(block, Tool)]


def new_id():
    return f"chatcmpl-fake{next(NUMBERS):04}"


def unary(id_, model, answer):
    content, tools = said_and_called(answer)
    message = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    if tools:
        message["tool_calls"] = [
            {"id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": "".join(tool.pieces) or "{}"}}
            for tool in tools
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH[answer.finish]}
    return {
        "id": id_, "object": "chat.completion", "created": 1_790_000_000, "model": model,
        "choices": [choice], "usage": usage(answer), "service_tier": "default", "system_fingerprint": None,
    }


def stream(id_, model, answer, body):
    """The frames of a stream, one by one."""
    with_usage = (body.get("stream_options") or {}).get("include_usage")
    base = {
        "id": id_, "object": "chat.completion.chunk", "created": 1_790_000_000, "model": model,
        "service_tier": "default", "system_fingerprint": None,
    }

    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return frame({**base, "choices": [choice], **({"usage": None} if with_usage else {})})

    if answer.stillborn:
        yield frame(error(503, "The server is overloaded"))
        return
    yield chunk({"role": "assistant", "content": None if answer.finish == "tools" else "", "refusal": None})
    tools = [block for block in answer.blocks if isinstance(block, Tool)]
    for block in answer.blocks:
        if isinstance(block, Text):
            for piece in block.pieces:
                yield chunk({"content": piece})
            while answer.endless:
                yield chunk({"content": block.pieces[0]})
    for delta in tool_deltas(tools, answer.interleaved):
        yield chunk({"tool_calls": [delta]})
    if answer.ending == "error":
        yield frame(error(503, "The server is overloaded"))
    if answer.ending != "end":
        return
    yield chunk({}, FINISH[answer.finish])
    if with_usage:
        yield frame({**base, "choices": [], "usage": usage(answer)})
    yield "data: [DONE]\n\n"


def tool_deltas(tools, interleaved):
    rows = []
    for index, tool in enumerate(tools):
        head = {"index": index, "id": tool.id, "type": "function", "function": {"name": tool.name, "arguments": ""}}
        pieces = [piece for piece in tool.pieces if piece] or ["{}"]
        rows.append([head, *({"index": index, "function": {"arguments": piece}} for piece in pieces)])
    if not interleaved:
        return [delta for row in rows for delta in row]
    longest = max(map(len, rows))
    return [row[turn] for turn in range(longest) for row in rows if turn < len(row)]


def frame(value):
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
