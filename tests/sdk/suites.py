"""The suites: how each is run, whom it drives, and what its cases' names say of the wires."""

import re
import sys
from typing import NamedTuple

from compatibility import ITSELF

COMPLETIONS, MESSAGES, RESPONSES, GEMINI = "Chat Completions", "Messages", "Responses", "Gemini"


class Suite(NamedTuple):
    # Where what it drives is installed, for Python or for Node.
    environment: str
    # Python's module, or Node's arguments.
    arguments: list
    # The packages that are driven and the wires that they speak, by how the names of cases begin; the first that fits counts.
    drives: list
    # It takes so long that it has a process of its own.
    long: bool = False

    @property
    def language(self):
        return "Node" if self.environment.endswith("node") else "Python"


def python(environment, module, package, surface, long=False):
    return Suite(environment, [module], [("", package, surface)], long)


NODE = ["--test-reporter=./node/lines.mjs", "--test"]

# What runs on every change.
EVERY = {
    "openai-python": python("openai", "openai_sdk", "openai", COMPLETIONS, long=True),
    "openai-responses-python": python("openai", "openai_responses", "openai", RESPONSES),
    "openai-batches-python": python("openai", "openai_batches", "openai", "Batches and Files"),
    "openai-audio-python": python("openai", "openai_audio", "openai", "Audio"),
    "openai-realtime-python": python("openai", "openai_realtime", "openai", "Realtime"),
    "anthropic-python-1": python("anthropic-1", "anthropic_sdk", "anthropic", MESSAGES),
    "anthropic-python-2": python("anthropic-2", "anthropic_sdk", "anthropic", MESSAGES),
    "genai-python": python("genai", "genai_sdk", "google-genai", GEMINI),
    "cohere-python": python("cohere", "cohere_sdk", "cohere", "Cohere chat"),
    "ollama-python": python("ollama", "ollama_sdk", "ollama", "Ollama"),
    "node": Suite(
        "node", [*NODE, *(f"node/{name}.test.mjs" for name in ("openai", "responses", "realtime", "jobs", "anthropic"))],
        [
            ("openai.audio", "openai", "Audio"), ("openai.batches", "openai", "Batches and Files"),
            ("openai.responses", "openai", RESPONSES), ("openai.realtime", "openai", "Realtime"), ("openai", "openai", COMPLETIONS),
            ("anthropic", "@anthropic-ai/sdk", MESSAGES),
        ],
    ),
}

# What is asked for by `--more`.
MORE = {
    "mistral-python": python("mistral", "mistral_sdk", "mistralai", COMPLETIONS),
    "langchain-python": Suite("langchain", ["langchain_sdk"], [
        ("Chat_", "langchain-openai", COMPLETIONS), ("Responses_", "langchain-openai", RESPONSES),
        ("Messages_", "langchain-anthropic", MESSAGES), ("Gemini_", "langchain-google-genai", GEMINI),
    ]),
    "langchain-node": Suite("langchain-node", [*NODE, "node/langchain.test.mjs"], [
        ("langchain-openai.responses", "@langchain/openai", RESPONSES), ("langchain-openai", "@langchain/openai", COMPLETIONS),
        ("langchain-anthropic", "@langchain/anthropic", MESSAGES), ("langchain-google", "@langchain/google-genai", GEMINI),
    ]),
    "pydantic-ai-python": Suite("pydantic-ai", ["pydantic_ai_sdk"], [
        ("Chat_", "pydantic-ai-slim", f"{COMPLETIONS} (`openai`)"), ("Responses_", "pydantic-ai-slim", f"{RESPONSES} (`openai`)"),
        ("Messages_", "pydantic-ai-slim", f"{MESSAGES} (`anthropic`)"), ("Gemini_", "pydantic-ai-slim", f"{GEMINI} (`google`)"),
        ("Mistral_", "pydantic-ai-slim", f"{COMPLETIONS} (`mistral`)"),
    ]),
    "more-node": Suite("more-node", [*NODE, "node/ai.test.mjs", "node/mistral.test.mjs"], [
        ("ai-openai.responses", "@ai-sdk/openai", RESPONSES), ("ai-openai", "@ai-sdk/openai", COMPLETIONS),
        ("ai-compatible", "@ai-sdk/openai-compatible", COMPLETIONS), ("ai-anthropic", "@ai-sdk/anthropic", MESSAGES),
        ("ai-google", "@ai-sdk/google", GEMINI), ("ai-mistral", "@ai-sdk/mistral", COMPLETIONS),
        ("mistral", "@mistralai/mistralai", COMPLETIONS),
    ]),
}

# What the names of groups say of the provider's wire; the first that fits counts. `None` is the consumer's own.
GROUPS = [
    (r"over[_ ]?chat\b|ToChat", COMPLETIONS), (r"over[_ ]?messages\b|ToMessages|Across", MESSAGES), (r"over[_ ]?responses\b", RESPONSES),
    (r"SameWire|OverOwn|Kept|ByFiles|Relayed|Sound|responses(_kept)?$|realtime_relayed", None),
]


def wire(surface, case):
    """The wire of the provider that this case led to; the gateway answers some by itself."""
    surface, group = surface.partition(" (")[0], case.rpartition(".")[0]
    if "OtherWire" in group:
        return COMPLETIONS if surface == MESSAGES else MESSAGES
    found = next((wire or surface for pattern, wire in GROUPS if re.search(pattern, group, re.IGNORECASE)), None)
    return found or ITSELF


def driven(suite, case):
    """The package and its wire, by the name of a case."""
    return next(((package, surface) for begin, package, surface in suite.drives if case.startswith(begin)), ("?", "?"))


def processes(suites):
    """The suites by what runs them: those of one environment share a process, since what they import is most of what a start costs."""
    found = {}
    for name, suite in suites.items():
        found.setdefault((suite.environment, suite.long), {})[name] = suite
    return list(found.values())


if __name__ == "__main__":
    # For the installer: the modules that an environment's suites are.
    environment = sys.argv[1]
    print(*(suite.arguments[0] for suite in [*EVERY.values(), *MORE.values()] if suite.environment == environment))
