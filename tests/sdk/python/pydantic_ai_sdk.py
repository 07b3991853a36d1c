"""pydantic-ai's models for OpenAI (both wires), Anthropic, Google and Mistral, each to providers of the chat, messages and responses wire."""

import asyncio
import json
import re

from case import ERRORS_LATE, GATEWAY, KEY, PNG, TEXT, Case, run
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, ModelHTTPError, NativeOutput, PromptedOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.mistral import MistralModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.mistral import MistralProvider
from pydantic_ai.providers.openai import OpenAIProvider


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def chat(model, key=KEY):
    return OpenAIChatModel(model, provider=OpenAIProvider(base_url=f"{GATEWAY}/v1", api_key=key))


def responses(model, key=KEY):
    return OpenAIResponsesModel(model, provider=OpenAIProvider(base_url=f"{GATEWAY}/v1", api_key=key))


def messages(model, key=KEY):
    # By their names it takes these models for old ones.
    profile = {"supports_json_schema_output": True}
    return AnthropicModel(model, provider=AnthropicProvider(base_url=GATEWAY, api_key=key), profile=profile)


def gemini(model, key=KEY):
    return GoogleModel(model, provider=GoogleProvider(base_url=GATEWAY, api_key=key))


def mistral(model, key=KEY):
    return MistralModel(model, provider=MistralProvider(base_url=f"{GATEWAY}/mistral", api_key=key))


class Chat:
    """What must hold whichever wire the consumer and whichever the provider speaks."""

    def agent(self, scenario, key=KEY, **more):
        return Agent(self.make(self.model(scenario), key), instructions="Be brief.", retries=0, **more)

    def run_agent(self, scenario, prompt="Say hello.", **more):
        return asyncio.run(self.agent(scenario, **more).run(prompt))

    def test_whole(self):
        done = self.run_agent("text")
        self.assertEqual(done.output, TEXT)
        self.assertEqual((done.usage().input_tokens, done.usage().output_tokens), (11, 7))
        self.assertIn("Be brief.", json.dumps(self.request_seen(self.model("text"))))

    def streamed(self, scenario, **more):
        async def ask():
            pieces = []
            async with self.agent(scenario, **more).run_stream("Weather?") as stream:
                async for piece in stream.stream_text(delta=True, debounce_by=None):
                    pieces.append(piece)
                return pieces, stream.usage()

        return asyncio.run(ask())

    def test_stream(self):
        pieces, usage = self.streamed("text")
        self.assertEqual(("".join(pieces), usage.output_tokens), (TEXT, 7))
        self.assertGreater(len(pieces), 2)

    def test_tool_loop(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                cities = []

                def get_weather(city: str) -> str:
                    """Weather."""
                    cities.append(city)
                    return f"{city}: 21"

                if streamed:
                    said = "".join(self.streamed("parallel", tools=[get_weather])[0])
                else:
                    said = self.run_agent("parallel", "Weather?", tools=[get_weather]).output
                # Gemini takes no bare text as a result: it is put into an object.
                self.assertEqual(re.sub(r'\{"return_value": "([^"]*)"\}', r"\1", said), "The tools said: Paris: 21, Oslo: 21.")
                self.assertEqual(sorted(cities), ["Oslo", "Paris"])

    def test_structured_output(self):
        # Its model for Mistral never sends a schema to the service (pydantic-ai 2.68): it can only ask for one in the prompt.
        prompted = self.make is mistral
        scenario, output = ("said-json", PromptedOutput(Person)) if prompted else ("json", NativeOutput(Person))
        done = self.run_agent(scenario, "Who?", output_type=output)
        self.assertEqual(done.output, Person(name="Ada", age=36))

    def test_images(self):
        done = self.run_agent("media", ["What is this?", BinaryContent(PNG, media_type="image/png")])
        self.assertEqual(done.output, f"I see: image/png of {len(PNG)} bytes")

    def test_errors(self):
        for scenario, status in (("refuse-400", 400), ("no-such-scenario", 404)):
            with self.subTest(scenario), self.assertRaises(ModelHTTPError) as caught:
                self.run_agent(scenario)
            self.assertEqual(caught.exception.status_code, status)

    def test_wrong_key(self):
        with self.assertRaises(ModelHTTPError) as caught:
            asyncio.run(self.agent("text", "sdk:wrong").run("Say hello."))
        self.assertEqual(caught.exception.status_code, 401)

    def test_broken_streams(self):
        for scenario in ("mid-error", "truncate", "cut"):
            with self.subTest(scenario):
                async def ask(scenario=scenario):
                    async with self.agent(scenario).run_stream("Say hello.") as stream:
                        async for piece in stream.stream_text(delta=True, debounce_by=None):
                            pieces.append(piece)

                pieces = []
                with self.assertRaises(Exception):
                    asyncio.run(ask())
                self.assertTrue(ERRORS_LATE.startswith("".join(pieces)))


# A class for each pair of a consumer's and a provider's wire.
for surface, make in (("Chat", chat), ("Responses", responses), ("Messages", messages), ("Gemini", gemini), ("Mistral", mistral)):
    for wire, provider in (("Chat", "oai"), ("Messages", "ant"), ("Responses", "res")):
        name = f"{surface}_Over{wire}"
        globals()[name] = type(name, (Chat, Case), {"provider": provider, "make": staticmethod(make), "__module__": __name__})


if __name__ == "__main__":
    run(__name__)
