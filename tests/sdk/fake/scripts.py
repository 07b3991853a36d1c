"""What the provider is asked to do, told by the model's name: `SCENARIO--ANYTHING`.

A script is the same for both wires; `completions.py` and `messages.py` say it in theirs.
"""

import json
from dataclasses import dataclass, field


@dataclass
class Text:
    pieces: list


@dataclass
class Thinking:
    pieces: list
    signature: str


@dataclass
class Tool:
    id: str
    name: str
    # The arguments as text, in the pieces in which they are streamed.
    pieces: list


@dataclass
class Answer:
    blocks: list
    # stop, length, tools
    finish: str = "stop"
    input_tokens: int = 11
    output_tokens: int = 7
    cached_tokens: int = 0
    # Tool calls arrive by turns, a piece of each.
    interleaved: bool = False
    # What happens after the content: end, error, truncate (a clean end without the end marker), cut (the transport breaks).
    ending: str = "end"
    # The stream's first event is an error.
    stillborn: bool = False
    # Pieces go on until the caller hangs up.
    endless: bool = False
    # Nothing comes until the caller hangs up.
    silent: bool = False


@dataclass
class Refusal:
    status: int
    headers: dict = field(default_factory=dict)


SIGNATURE = "c2lnbmF0dXJlLW9mLXRoZS1mYWtlLXByb3ZpZGVy"
THOUGHT = ["The user wants", " the weather."]
WORDS = ["Hello", " from", " the provider: ", "äöü 🍃", "."]
TEXT = "".join(WORDS)
JSON = ['{"name"', ': "Ada", ', '"age": 36}']

PARIS = Tool("call_paris_01", "get_weather", ["", '{"ci', 'ty": "Par', 'is"}'])
OSLO = Tool("call_oslo_02", "get_weather", ["", '{"city"', ': "Oslo"', "}"])
NOW = Tool("call_now_03", "get_time", [])


@dataclass
class Question:
    """What of a request decides over the answer."""

    # 1 for the first request with this model's name.
    number: int
    # Texts of the tool results that end the conversation.
    results: list
    # What the media of the last user turn are, as text.
    media: list
    wants_json: bool
    thinks: bool
    # The names of the tools that may be called.
    tools: list = field(default_factory=list)


def after_tools(question, calls, **more):
    """Calls first; says the results once they are there."""
    if question.results:
        return Answer([Text(["The tools said: ", ", ".join(question.results), "."])])
    return Answer(calls, finish="tools", output_tokens=21, **more)


def weather_with_thought(question):
    if question.results:
        return Answer([Text(["Sunny: ", question.results[0]])])
    return Answer([Thinking(THOUGHT, SIGNATURE), PARIS], finish="tools")


# What coding agents call their shell, and how they take a command (their own requests, seen 2026-11).
MARKER = "said-by-the-shell"
COMMAND = "printf 'said-%s' by-the-shell"
SHELLS = {
    "Bash": {"command": COMMAND, "description": "Says something"},
    "bash": {"command": COMMAND, "description": "Says something"},
    "run_shell_command": {"command": COMMAND, "description": "Says something"},
    "exec_command": {"cmd": COMMAND},
    "shell_command": {"command": COMMAND},
    "shell": {"command": ["bash", "-c", COMMAND]},
}


def shell(question):
    """Runs a command in whatever the caller has for that; agents that ask something else beside are answered."""
    name = next((name for name in SHELLS if name in question.tools), None)
    if name is None:
        return Answer([Text(WORDS)])
    arguments = json.dumps(SHELLS[name])
    return after_tools(question, [Tool("call_shell_04", name, [arguments[:9], arguments[9:]])])


@dataclass
class Edit:
    """What an editor that takes its changes from the model's text is told to do (aider's `diff` format, 0.86)."""

    file: str = "notes.txt"
    before: str = "first line\nsecond line\nthird line\n"
    after: str = "first line\nanother line\nthird line\n"

    def text(self):
        return ["\n\n", f"{self.file}\n", "```\n<<<<<<< SEARCH\n", "second line\n", "=======\nanother ", "line\n>>>>>>> REPLACE\n", "```"]


EDIT = Edit()


def flaky(question):
    if question.number == 1:
        return Refusal(429, {"retry-after": "1"})
    return Answer([Text(WORDS)])


SCENARIOS = {
    "text": lambda q: Answer([Text(WORDS)]),
    "cached": lambda q: Answer([Text(WORDS)], input_tokens=100, cached_tokens=64),
    "length": lambda q: Answer([Text(WORDS[:2])], finish="length"),
    "json": lambda q: Answer([Text(JSON)]) if q.wants_json else Refusal(400),
    # For whoever asks for it in the prompt.
    "said-json": lambda q: Answer([Text(JSON)]),
    "media": lambda q: Answer([Text(["I see: ", "; ".join(q.media)])]),
    "thinking": lambda q: Answer([Thinking(THOUGHT, SIGNATURE), Text(WORDS)] if q.thinks else [Text(WORDS)]),
    "tool": lambda q: after_tools(q, [PARIS]),
    "spoken-tool": lambda q: after_tools(q, [Text(["I shall", " look."]), PARIS]),
    "shell": shell,
    "edit": lambda q: Answer([Text([*WORDS, *EDIT.text()])]),
    "parallel": lambda q: after_tools(q, [PARIS, OSLO]),
    "interleaved": lambda q: after_tools(q, [PARIS, OSLO], interleaved=True),
    "no-arguments": lambda q: after_tools(q, [NOW]),
    "thinking-tool": weather_with_thought,
    "flaky": flaky,
    "refuse-429": lambda q: Refusal(429, {"retry-after": "7"}),
    "refuse-400": lambda q: Refusal(400),
    "refuse-401": lambda q: Refusal(401),
    "refuse-404": lambda q: Refusal(404),
    "refuse-413": lambda q: Refusal(413),
    "refuse-500": lambda q: Refusal(500),
    "refuse-503": lambda q: Refusal(503),
    "stillborn": lambda q: Answer([], stillborn=True),
    "mid-error": lambda q: Answer([Text(WORDS[:3])], ending="error"),
    "truncate": lambda q: Answer([Text(WORDS[:3])], ending="truncate"),
    "cut": lambda q: Answer([Text(WORDS[:3])], ending="cut"),
    "cut-tool": lambda q: Answer([Tool(PARIS.id, PARIS.name, PARIS.pieces[:3])], ending="cut"),
    "endless": lambda q: Answer([Text(["tick "])], endless=True),
    "silent": lambda q: Answer([], silent=True),
}


def play(model, question):
    """The script for this model, or None where there is no such model."""
    scenario = SCENARIOS.get(model.partition("--")[0])
    return scenario(question) if scenario else None
