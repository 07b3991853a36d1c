"""Compares rendered requests with the documents of the services they go to.

    python3 check.py RENDERED SPECS [--services] [--all]

RENDERED is what `tests/specs/run` has made: a request a line. SPECS is a folder with a document of each service. `--services`
compares with the documents of services that speak a wire of somebody else's, `--all` shows every finding, and not the first of each kind. Ends with `N valid, N refused, N invalid`,
and with `N explained` where a service of somebody else's wire may differ: `EXPLAINED` says why.
"""

import collections
import json
import multiprocessing
import pathlib
import re
import sys

import yaml

from schema import Document

# The wires that there are, by the document of who made each, and where in it the request stands.
WIRES = {
    ("openai", "chat-completions"): ("openai/openapi.yaml", "CreateChatCompletionRequest"),
    ("openai", "responses"): ("openai/openapi.yaml", "CreateResponse"),
    ("anthropic", "messages"): ("anthropic/openapi.json", "CreateMessageParams"),
    ("gemini", "generate-content"): ("gemini/openapi.json", "GenerateContentRequest"),
    ("vertex", "generate-content"): ("vertex/aiplatform.v1.discovery.json", "GoogleCloudAiplatformV1GenerateContentRequest"),
    ("cohere", "cohere-chat"): ("cohere/openapi.yaml", "/v2/chat"),
    ("ollama", "ollama-chat"): ("ollama/openapi.yaml", "ChatRequest"),
    # It speaks another's wire, and its document leaves nothing open.
    ("mistral", "chat-completions"): ("mistral/openapi.yaml", "ChatCompletionRequest"),
}
# Services that speak one of them in their own way; their documents say less than they take. For `--services`.
SERVICES = {
    ("openrouter", "chat-completions"): ("openrouter/openapi.yaml", "/chat/completions"),
    ("openrouter", "messages"): ("openrouter/openapi.yaml", "/messages"),
    ("openrouter", "responses"): ("openrouter/openapi.yaml", "/responses"),
    ("groq", "chat-completions"): ("groq/openapi.yaml", "/openai/v1/chat/completions"),
    ("groq", "responses"): ("groq/openapi.yaml", "/openai/v1/responses"),
    ("together", "chat-completions"): ("together/openapi.yaml", "ChatCompletionRequest"),
    ("moonshot", "chat-completions"): ("moonshot/openapi.yaml", "/v1/chat/completions"),
}
TARGETS = WIRES | SERVICES

# Where a document lags behind its service: the target, what is found, and what shows that the service takes it. What a recorded request
# of the same wire has that its service answered is found without being said here.
LAGS = [
    (("ollama", "ollama-chat"), r"\.messages\[\]\.(thinking|tool_name): unknown", "docs/api.md of the same commit: messages"),
    (("ollama", "ollama-chat"), r"\.messages\[\]\.(tool_call_id|tool_calls\[\]\.id): unknown", "Message and ToolCall of api/types.go, 2026-08"),
]

# Why a request may differ from the document of a service that speaks somebody else's wire: the targets, what is found, the reason. Nothing
# here is lost in silence: the service takes it, passes over it as it says, or answers that it does not have it.
CHAT, RESPONSES = "chat-completions", "responses"
EXPLAINED = [
    ([("openrouter", CHAT)], r"\.reasoning\.(enabled|exclude): unknown", "its guide to reasoning tokens has them (openrouter.ai/docs, 2026-11)"),
    ([("openrouter", CHAT)], r"\.content\[\]\.cache_control: unknown", "a hint at an image, which the one family that keeps hints knows"),
    ([("openrouter", CHAT), ("together", CHAT), ("moonshot", CHAT)], r"^\.(store|service_tier|prompt_cache_key|parallel_tool_calls): unknown",
     "a field of the wire's maker, which the service passes over as SDKs of that maker send it unasked"),
    ([("openrouter", "messages")], r"\.tools\[\]\.strict: unknown", "a field of the wire's maker; the document has it with other tools"),
    ([("openrouter", RESPONSES)], r"\.include\[\]: 'message\.output_text\.logprobs'",
     "real, and left: whoever asks for logprobs comes by the chat wire, which is asked in that wire unless `chat_api` says otherwise"),
    ([("openrouter", RESPONSES)], r"\.input_audio: no `format`", "the consumer did not say it either"),
    ([("openrouter", RESPONSES), ("groq", RESPONSES)], r"\.type: 'output_text' is none", "a list of texts, which the wire's maker takes from assistants as well"),
    ([("groq", CHAT)], r"^\.n: .* out of bounds", "there is one answer; the service says so"),
    ([("groq", CHAT), ("moonshot", CHAT)], r"\.content\[\](: no `text`|\.type: 'input_audio'|\.input_audio: unknown)", "there is no sound; the service says so"),
    ([("groq", CHAT), ("groq", RESPONSES)], r"^\.service_tier: ", "tiers are each service's own, and `default` is the consumer's word; the service says so"),
    ([("groq", RESPONSES)], r"^\.tool_choice(: no `function`|\.name: unknown)", "the document has the chat wire's form; the SDKs of the wire's maker, which its guide uses, send this one"),
    ([("groq", RESPONSES)], r"^\.reasoning\.summary: unknown", "the object is open"),
    ([("groq", RESPONSES)], r"^\.reasoning\.effort: 'none'", "the document of its chat wire has the word, for one family of models"),
    ([("groq", RESPONSES)], r"\.content\[\](: no `text`|\.type: 'input_(image|file|audio)'|\.(detail|image_url|file_data|filename|file_id|input_audio): unknown)",
     "its guide to the wire shows images so; of files the service says what it thinks"),
    ([("groq", RESPONSES)], r"\.input\[\]\.output: list is not string", "a list, as the wire's maker has it"),
    ([("together", CHAT)], r"\.messages\[\]\.content: list is not string", "a list of texts, as the wire's maker has it"),
    ([("together", CHAT)], r"\.tool_calls\[\]: no `index`|^\.tool_choice(: no `(id|index)`|\.function: no `arguments`)",
     "its ToolChoice, which it takes for calls as well, is that of streams, with a note that this is doubtful"),
    ([("together", CHAT)], r"\.input_audio\.format: ", "one form of sound; the service says so"),
    ([("moonshot", CHAT)], r"\.messages\[\](\.content: NoneType|\.(tool_calls|tool_call_id|reasoning_content): unknown)",
     "the document's Message is that of talk; its answers have calls and thoughts, its text wants the thoughts back, and its guides the results"),
]


def document(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        return json.loads(text)
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def schema(root, name):
    if name.startswith("/"):
        return root["paths"][name]["post"]["requestBody"]["content"]["application/json"]["schema"]
    if "schemas" in root:
        return root["schemas"][name]
    return root["components"]["schemas"][name]


def kind(error):
    """A finding without the places in lists."""
    return re.sub(r"\[\d+\]", "[]", re.sub(r"'[^']{40,}'", "'…'", error))


def lag(target, error):
    return next((why for known, pattern, why in LAGS if known == target and re.search(pattern, error)), None)


def reason(target, error):
    return next((why for targets, pattern, why in EXPLAINED if target in targets and re.search(pattern, error)), None)


def entries(rendered, target, word):
    """What was rendered for a target, or recorded of it."""
    with open(rendered, encoding="utf-8") as lines:
        for line in lines:
            one = json.loads(line)
            if word in one and (one["provider"], one["wire"].replace("_", "-")) == target:
                yield one


def judged(job):
    """The findings of one target: counts by the wire that requests came by, and examples by kind."""
    target, rendered, specs, every = job
    file, name = TARGETS[target]
    root = document(pathlib.Path(specs, file))
    description, reader = schema(root, name), Document(root)
    counts, found = collections.Counter(), collections.OrderedDict()
    recorded = collections.OrderedDict()
    for one in entries(rendered, target, "recorded"):
        for error in reader.errors(description, one["recorded"]):
            recorded.setdefault(kind(error), one["id"])
    for one in entries(rendered, target, "from"):
        if "refused" in one:
            counts[one["from"], "refused"] += 1
            found.setdefault(f"refused: {one['refused']}", []).append(one["id"])
            continue
        # Any model may be asked for; lists of them are out of date. The path says it in one wire.
        errors = [error for error in reader.errors(description, one["body"]) if not re.match(r"\.model: ", error)]
        verdict = "valid"
        for error in errors:
            why, excuse = lag(target, kind(error)), reason(target, kind(error))
            if kind(error) in recorded:
                why = f"recorded: {kind(error)}"
            if why is not None:
                found.setdefault(f"lags: {why}", []).append(one["id"])
            elif excuse is not None:
                verdict = "explained" if verdict == "valid" else verdict
                found.setdefault(f"explained: {error if every else kind(error)}: {excuse}", []).append(one["id"])
            else:
                verdict = "invalid"
                found.setdefault(error if every else kind(error), []).append(one["id"])
        counts[one["from"], verdict] += 1
    return target, counts, found


def main():
    rendered, specs = sys.argv[1:3]
    targets = SERVICES if "--services" in sys.argv else WIRES
    jobs = [(target, rendered, specs, "--all" in sys.argv) for target in targets]
    sums = collections.Counter()
    with multiprocessing.Pool(2) as pool:
        for (provider, wire), counts, found in pool.imap(judged, jobs):
            print(f"{provider} {wire}:")
            for start in sorted({start for start, _ in counts}):
                row = {word: counts[start, word] for word in ("valid", "explained", "refused", "invalid")}
                sums.update(row)
                print(f"  from {start}: " + ", ".join(f"{number} {word}" for word, number in row.items() if number))
            for error, ids in found.items():
                print(f"    {len(ids)} × {error} ({ids[0]})")
            if not counts:
                sums["invalid"] += 1
                print("  nothing was rendered for it")
    explained = f"{sums['explained']} explained, " if sums["explained"] else ""
    print(f"{sums['valid']} valid, {explained}{sums['refused']} refused, {sums['invalid']} invalid")
    sys.exit(bool(sums["invalid"]))


if __name__ == "__main__":
    main()
