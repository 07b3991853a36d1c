"""Cohere chat, version 2, written after the vendor's OpenAPI document (1.0) and recorded traffic: what it takes, refuses and answers."""

import itertools
import json

from .rules import decoded, image, need, number, only, text, whole
from .scripts import Question, Text, Thinking, Tool

TOP = {
    "stream", "model", "messages", "tools", "strict_tools", "documents", "citation_options", "response_format", "safety_mode",
    "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty", "presence_penalty", "k", "p", "logprobs",
    "tool_choice", "thinking", "priority",
}
MESSAGE = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "tool_plan", "citations"},
    "tool": {"role", "content", "tool_call_id"},
}
PARTS = {
    "system": {"text"}, "user": {"text", "image_url"}, "assistant": {"text", "thinking"}, "tool": {"text", "document"},
}
NUMBERS = itertools.count(1)
FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tools": "TOOL_CALL"}


def check(body):
    """Refuses what the service refuses; says what decides over the answer."""
    for name in body:
        need(name in TOP, f"invalid request: unknown field: parameter '{name}' is not a valid field")
    text(body.get("model"), "model")
    for name, low, high in (("temperature", 0, 1), ("p", 0.01, 0.99), ("k", 0, 500), ("frequency_penalty", 0, 1), ("presence_penalty", 0, 1)):
        if name in body:
            number(body[name], low, high, name)
    need(len(body.get("stop_sequences", [])) <= 5, "invalid request: too many stop sequences")
    check_tools(body)
    for index, document in enumerate(body.get("documents", [])):
        check_document(document, f"documents[{index}]")
    thinking = body.get("thinking")
    if thinking is not None:
        only(thinking, {"type", "token_budget"}, "thinking")
        need(thinking.get("type") in ("enabled", "disabled"), "invalid request: thinking.type")
        if "token_budget" in thinking:
            whole(thinking["token_budget"], 1, "thinking.token_budget")
    thinks = bool(thinking) and thinking["type"] == "enabled"
    question = Question(0, [], [], wants_json=check_format(body), thinks=thinks)
    turns = body.get("messages")
    need(isinstance(turns, list) and turns, "invalid request: messages must not be empty")
    open_calls, results = [], []
    for index, turn in enumerate(turns):
        place = f"messages[{index}]"
        role = turn.get("role")
        need(role in MESSAGE, f"invalid request: {place}.role")
        only(turn, MESSAGE[role], place)
        seen, said = parts(turn, role, place)
        if role == "tool":
            need(turn.get("tool_call_id") in open_calls, f"invalid request: {place}: tool call id not found in previous tool calls")
            open_calls.remove(turn["tool_call_id"])
            results.append(said)
            continue
        need(not open_calls, f"invalid request: {place}: all tool calls must be answered")
        if role == "user":
            question.media = seen
        if role == "assistant":
            open_calls, results = calls(turn, place), []
    need(not open_calls, "invalid request: all tool calls must be answered")
    question.results = results
    return question


def check_tools(body):
    tools = body.get("tools") or []
    choice = body.get("tool_choice")
    need(choice in (None, "REQUIRED", "NONE"), "invalid request: tool_choice must be REQUIRED or NONE")
    need(not choice or tools, "invalid request: tool_choice without tools")
    for index, tool in enumerate(tools):
        place = f"tools[{index}]"
        only(tool, {"type", "function"}, place)
        need(tool.get("type") == "function", f"invalid request: {place}.type")
        only(tool.get("function"), {"name", "description", "parameters"}, f"{place}.function")
        text(tool["function"].get("name"), f"{place}.function.name")
        schema = tool["function"].get("parameters")
        need(isinstance(schema, dict), f"invalid request: {place}.function.parameters")
        if body.get("strict_tools"):
            need(schema.get("required"), "invalid request: strict tools need at least one required parameter")


def check_document(document, place):
    if isinstance(document, str):
        return
    only(document, {"id", "data"}, place)
    need(isinstance(document.get("data"), dict), f"{place}.data: Input should be a valid dictionary")


def check_format(body):
    wanted = body.get("response_format")
    kind = (wanted or {}).get("type", "text")
    need(kind in ("text", "json_object"), "invalid request: response_format.type")
    if kind == "text":
        return False
    only(wanted, {"type", "json_schema"}, "response_format")
    alone = not body.get("tools") and not body.get("documents")
    need(alone, "invalid request: response_format is not supported with tools or documents")
    return True


def parts(turn, role, place):
    """Checks the content; says which media there are, and what is said."""
    content = turn.get("content")
    if content is None:
        need(role == "assistant", f"invalid request: {place}.content")
        return [], ""
    if isinstance(content, str):
        return [], content
    seen, said = [], []
    for index, part in enumerate(content):
        at = f"{place}.content[{index}]"
        kind = part.get("type")
        need(kind in PARTS[role], f"invalid request: {at}.type")
        only(part, {"type", kind}, at)
        if kind == "text":
            said.append(text(part.get("text"), f"{at}.text"))
        if kind == "thinking":
            text(part.get("thinking"), f"{at}.thinking")
        if kind == "document":
            check_document(part["document"], at)
            said.append(json.dumps(part["document"]["data"]))
        if kind == "image_url":
            only(part["image_url"], {"url", "detail"}, f"{at}.image_url")
            kind, found, data = text(part["image_url"].get("url"), at).removeprefix("data:").partition(";base64,")
            need(found, f"invalid request: {at}: only data URLs in these tests")
            seen.append(image(kind, decoded(data, at), at))
    return seen, " ".join(said)


def calls(turn, place):
    ids = []
    for index, call in enumerate(turn.get("tool_calls") or []):
        at = f"{place}.tool_calls[{index}]"
        only(call, {"id", "type", "function"}, at)
        only(call.get("function"), {"name", "arguments"}, f"{at}.function")
        json.loads(text(call["function"].get("arguments"), f"{at}.function.arguments"))
        ids.append(text(call.get("id"), f"{at}.id"))
    return ids


def error(status, message):
    return {"id": new_id(), "message": message}


def usage(answer):
    """The service's own prompt is in `tokens` and costs nothing."""
    return {
        "billed_units": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
        "tokens": {"input_tokens": answer.input_tokens + 500, "output_tokens": answer.output_tokens + 9},
        "cached_tokens": answer.cached_tokens,
    }


def new_id():
    return f"00000000-fake-{next(NUMBERS):04}"


def cited(body, words):
    """The first word, by the first document."""
    documents = body.get("documents") or []
    if not documents or not words:
        return []
    first = documents[0] if isinstance(documents[0], dict) else {"data": {"text": documents[0]}}
    name = first.get("id", "doc:0")
    source = {"type": "document", "id": name, "document": {**first["data"], "id": name}}
    return [{"start": 0, "end": len(words), "text": words, "sources": [source], "type": "TEXT_CONTENT"}]


def planned(answer):
    """Words before calls are the plan on this wire."""
    tools = any(isinstance(block, Tool) for block in answer.blocks)
    return [block for block in answer.blocks if tools and isinstance(block, Text)]


def unary(id_, model, answer, body):
    message = {"role": "assistant"}
    plan, content, tools = planned(answer), [], []
    for block in answer.blocks:
        if isinstance(block, Thinking):
            content.append({"type": "thinking", "thinking": "".join(block.pieces)})
        elif isinstance(block, Text) and block not in plan:
            content.append({"type": "text", "text": "".join(block.pieces)})
            message["citations"] = cited(body, block.pieces[0])
        elif isinstance(block, Tool):
            arguments = "".join(block.pieces) or "{}"
            tools.append({"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}})
    if content:
        message["content"] = content
    if plan:
        message["tool_plan"] = "".join(plan[0].pieces)
    if tools:
        message["tool_calls"] = tools
    return {"id": id_, "message": message, "finish_reason": FINISH[answer.finish], "usage": usage(answer)}


def stream(id_, model, answer, body):
    """The frames of a stream, one by one."""
    def told(kind, index=None, **message):
        event = {"type": kind} | ({} if index is None else {"index": index})
        return frame({**event, "delta": {"message": message}} if message else event)

    if answer.stillborn:
        yield frame({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "The server is overloaded"}})
        return
    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield frame({"id": id_, "type": "message-start", "delta": {"message": empty}})
    plan, content, called = planned(answer), itertools.count(), itertools.count()
    for block in answer.blocks:
        if block in plan:
            for piece in block.pieces:
                yield told("tool-plan-delta", tool_plan=piece)
        elif isinstance(block, Tool):
            index = next(called)
            head = {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": ""}}
            yield told("tool-call-start", index, tool_calls=head)
            for piece in block.pieces:
                yield told("tool-call-delta", index, tool_calls={"function": {"arguments": piece}})
            if answer.ending == "end":
                yield told("tool-call-end", index)
        else:
            kind = "thinking" if isinstance(block, Thinking) else "text"
            index = next(content)
            yield told("content-start", index, content={"type": kind, kind: ""})
            for piece in block.pieces:
                yield told("content-delta", index, content={kind: piece})
            while answer.endless:
                yield told("content-delta", index, content={kind: block.pieces[0]})
            for citation in cited(body, block.pieces[0]) if kind == "text" else []:
                yield told("citation-start", 0, citations=citation)
                yield told("citation-end", 0)
            if answer.ending == "end":
                yield told("content-end", index)
    if answer.ending == "error":
        yield frame({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "The server is overloaded"}})
    if answer.ending != "end":
        return
    yield frame({"type": "message-end", "delta": {"finish_reason": FINISH[answer.finish], "usage": usage(answer)}})
    yield "data: [DONE]\n\n"


def frame(value):
    return f"event: {value['type']}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
