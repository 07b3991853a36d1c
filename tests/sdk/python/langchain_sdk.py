"""LangChain's chat models for OpenAI (both wires), Anthropic and Google, each to providers of the chat, messages and responses wire."""

import asyncio
import json

import anthropic
import openai
from case import ERRORS_LATE, GATEWAY, KEY, PNG, PNG64, TEXT, Case, run
from google.genai import errors
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_genai.chat_models import ChatGoogleGenerativeAIError
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

LOOP = asyncio.Runner()
HI = [SystemMessage("Be brief."), HumanMessage("Say hello.")]


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """Weather."""
    return f"{city}: 21 degrees"


def chat(model, key=KEY, **more):
    # Other services than OpenAI's own it asks for the use only if it is told to.
    return ChatOpenAI(model=model, base_url=f"{GATEWAY}/v1", api_key=key, max_retries=0, timeout=20, **{"stream_usage": True, **more})


def responses(model, key=KEY, **more):
    return chat(model, key, use_responses_api=True, **more)


def messages(model, key=KEY, **more):
    return ChatAnthropic(model=model, base_url=GATEWAY, api_key=key, max_retries=0, timeout=20, max_tokens=2048, **more)


def gemini(model, key=KEY, **more):
    return ChatGoogleGenerativeAI(model=model, base_url=GATEWAY, api_key=key, max_retries=1, timeout=20, **more)


class Chat:
    """What must hold whichever wire the consumer and whichever the provider speaks."""

    def ask(self, scenario, turns=HI, **more):
        return self.make(self.model(scenario), **more).invoke(turns)

    def collect(self, scenario, turns=HI, **more):
        chunks = list(self.make(self.model(scenario), **more).stream(turns))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        return whole

    def test_whole(self):
        answer = self.ask("text")
        self.assertEqual(answer.text, TEXT)
        usage = answer.usage_metadata
        self.assertEqual((usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]), (11, 7, 18))
        self.assertIn("Be brief.", json.dumps(self.request_seen(self.model("text"))))

    def test_stream(self):
        answer = self.collect("text")
        self.assertEqual(answer.text, TEXT)
        self.assertEqual(answer.usage_metadata["output_tokens"], 7)

    def test_async_stream(self):
        async def ask():
            return "".join([chunk.text async for chunk in self.make(self.model("text")).astream(HI)])

        # Its models share a client, which belongs to one loop.
        self.assertEqual(LOOP.run(ask()), TEXT)

    def test_tool_loop(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                model, turns = self.make(self.model("parallel")).bind_tools([get_weather]), [HumanMessage("Weather?")]
                if streamed:
                    chunks = list(model.stream(turns))
                    message = chunks[0]
                    for chunk in chunks[1:]:
                        message += chunk
                else:
                    message = model.invoke(turns)
                self.assertEqual([call["args"] for call in message.tool_calls], [{"city": "Paris"}, {"city": "Oslo"}])
                turns.append(message)
                turns += [get_weather.invoke(call) for call in message.tool_calls]
                self.assertIsInstance(turns[-1], ToolMessage)
                self.assertEqual(model.invoke(turns).text, "The tools said: Paris: 21 degrees, Oslo: 21 degrees.")

    def test_structured_output(self):
        model = self.make(self.model("json")).with_structured_output(Person, method="json_schema")
        self.assertEqual(model.invoke(HI), Person(name="Ada", age=36))

    def test_images(self):
        content = [{"type": "text", "text": "What is this?"}, {"type": "image", "base64": PNG64, "mime_type": "image/png"}]
        self.assertEqual(self.ask("media", [HumanMessage(content)]).text, f"I see: image/png of {len(PNG)} bytes")

    def refusal(self, scenario, kind):
        with self.assertRaises(kind) as caught:
            self.ask(scenario)
        return caught.exception

    def test_errors(self):
        for scenario, status in (("refuse-400", 400), ("no-such-scenario", 404), ("refuse-429", 429), ("refuse-500", 502)):
            with self.subTest(scenario):
                self.assertEqual(status_of(self.refusal(scenario, self.error)), status)

    def test_wrong_key(self):
        with self.assertRaises(self.error) as caught:
            self.make(self.model("text"), "sdk:wrong").invoke(HI)
        self.assertEqual(status_of(caught.exception), 401)

    def test_broken_streams(self):
        for scenario in ("mid-error", "truncate", "cut"):
            with self.subTest(scenario):
                text = ""
                with self.assertRaises(Exception):
                    for chunk in self.make(self.model(scenario)).stream(HI):
                        text += chunk.text
                self.assertEqual(text, ERRORS_LATE)


def status_of(error):
    """What it says of itself, or what it was raised from."""
    while error is not None:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None


# A class for each pair of a consumer's and a provider's wire.
for surface, make, error in (
    ("Chat", chat, openai.APIStatusError), ("Responses", responses, openai.APIStatusError),
    ("Messages", messages, anthropic.APIStatusError),
    # It gives its own name to what the caller did wrong alone.
    ("Gemini", gemini, (ChatGoogleGenerativeAIError, errors.APIError)),
):
    for wire, provider in (("Chat", "oai"), ("Messages", "ant"), ("Responses", "res")):
        name = f"{surface}_Over{wire}"
        globals()[name] = type(name, (Chat, Case), {"provider": provider, "make": staticmethod(make), "error": error, "__module__": __name__})


if __name__ == "__main__":
    run(__name__)
