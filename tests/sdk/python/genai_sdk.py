"""Google's Gen AI SDK for Python through the gateway: to providers of the chat and of the messages wire, and to echo."""

import asyncio
import json

from case import ERRORS_LATE, GATEWAY, KEY, NARROW_KEY, PDF, PNG, TEXT, THOUGHT, WEATHER, Case, run
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

WEATHER_TOOL = types.Tool(
    function_declarations=[types.FunctionDeclaration(name="get_weather", description="Weather.", parameters_json_schema=WEATHER)]
)
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


class Person(BaseModel):
    name: str
    age: int


def client(key=KEY):
    # Its own second tries are another matter: see test_second_try.
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=GATEWAY, timeout=20_000))


def config(**more):
    return types.GenerateContentConfig(**more)


class Chat:
    """What must hold whichever wire the provider speaks."""

    @classmethod
    def setUpClass(cls):
        cls.client = client()

    def ask(self, scenario, contents="Say hello.", **more):
        return self.client.models.generate_content(model=self.model(scenario), contents=contents, config=config(**more))

    def stream(self, scenario, contents="Say hello.", **more):
        return self.client.models.generate_content_stream(model=self.model(scenario), contents=contents, config=config(**more))

    def test_whole(self):
        answer = self.ask("text", system_instruction="Be brief.", temperature=0.5, max_output_tokens=50, stop_sequences=["END"])
        self.assertEqual(answer.text, TEXT)
        self.assertEqual(answer.candidates[0].finish_reason, types.FinishReason.STOP)
        usage = answer.usage_metadata
        self.assertEqual((usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count), (11, 7, 18))
        body = self.request_seen(self.model("text"))
        self.assertEqual(body["temperature"], 0.5)
        self.assertIn("Be brief.", json.dumps(body))

    def test_stream(self):
        chunks = list(self.stream("text"))
        self.assertEqual("".join(chunk.text or "" for chunk in chunks), TEXT)
        self.assertGreater(len(chunks), 3)
        self.assertEqual(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP)
        self.assertEqual(chunks[-1].usage_metadata.candidates_token_count, 7)

    def test_async_stream(self):
        async def ask():
            asker = client()
            chunks = await asker.aio.models.generate_content_stream(model=self.model("text"), contents="Say hello.")
            return "".join([chunk.text or "" async for chunk in chunks])

        self.assertEqual(asyncio.run(ask()), TEXT)

    def test_length(self):
        answer = self.ask("length", max_output_tokens=16)
        self.assertEqual((answer.text, answer.candidates[0].finish_reason), ("Hello from", types.FinishReason.MAX_TOKENS))

    def test_tool_loop(self):
        for streamed in (False, True):
            for scenario in ("parallel", "interleaved"):
                with self.subTest(scenario, streamed=streamed):
                    asked = types.Content(role="user", parts=[types.Part.from_text(text="Weather?")])
                    options = {"tools": [WEATHER_TOOL], "automatic_function_calling": BY_HAND}
                    if streamed:
                        chunks = list(self.stream(scenario, [asked], **options))
                        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
                        said = types.Content(role="model", parts=parts)
                    else:
                        said = self.ask(scenario, [asked], **options).candidates[0].content
                    calls = [part.function_call for part in said.parts if part.function_call]
                    found = [(call.name, call.args) for call in calls]
                    self.assertEqual(found, [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})])
                    results = [
                        types.Part(function_response=types.FunctionResponse(
                            id=call.id, name=call.name, response={"result": f"{call.args['city']}: 21 degrees"}))
                        for call in calls
                    ]
                    answer = self.ask(scenario, [asked, said, types.Content(role="user", parts=results)], **options)
                    self.assertIn("Paris: 21 degrees", answer.text)
                    self.assertIn("Oslo: 21 degrees", answer.text)

    def test_a_function_is_called(self):
        """The SDK's own loop: it calls the function and asks again."""
        asked = []

        def get_weather(city: str) -> str:
            """Weather of a city."""
            asked.append(city)
            return f"{city}: 21 degrees"

        answer = self.ask("tool", "Weather?", tools=[get_weather])
        self.assertEqual(asked, ["Paris"])
        self.assertIn("Paris: 21 degrees", answer.text)

    def test_chat_session(self):
        chat = self.client.chats.create(model=self.model("text"))
        chat.send_message("Say hello.")
        self.assertEqual("".join(chunk.text or "" for chunk in chat.send_message_stream("Again.")), TEXT)
        self.assertEqual([content.role for content in chat.get_history()][:3], ["user", "model", "user"])

    def test_structured_output(self):
        answer = self.ask("json", response_mime_type="application/json", response_schema=Person)
        self.assertEqual(answer.parsed, Person(name="Ada", age=36))

    def test_media(self):
        parts = [types.Part.from_bytes(data=PNG, mime_type="image/png"), types.Part.from_bytes(data=PDF, mime_type="application/pdf")]
        self.assertIn("I see: ", self.ask("media", [*parts, "What is this?"]).text)

    def test_errors(self):
        for scenario, code in (("refuse-400", 400), ("refuse-404", 404), ("refuse-429", 429), ("refuse-503", 503)):
            with self.subTest(scenario), self.assertRaises(errors.APIError) as caught:
                self.ask(scenario)
            self.assertEqual(caught.exception.code, code)

    def test_an_error_in_the_stream(self):
        for scenario in ("mid-error", "cut", "truncate"):
            with self.subTest(scenario):
                said = []
                with self.assertRaises(Exception) as caught:
                    for chunk in self.stream(scenario):
                        said.append(chunk.text or "")
                self.assertNotIsInstance(caught.exception, AssertionError)
                self.assertTrue(ERRORS_LATE.startswith("".join(said)), said)

    def test_leaving_closes_the_providers_connection(self):
        stream = self.stream("endless")
        next(stream)
        stream.close()
        self.assert_hung_up(self.model("endless"))

    def test_count_tokens(self):
        self.assertGreater(self.client.models.count_tokens(model=self.model("text"), contents="Say hello.").total_tokens, 0)


class ToChat(Chat, Case):
    provider = "oai"


class ToMessages(Chat, Case):
    provider = "ant"

    def test_thinking(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
                options = {"thinking_config": thinking, "max_output_tokens": 4096}
                answers = list(self.stream("thinking", **options)) if streamed else [self.ask("thinking", **options)]
                parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
                self.assertEqual("".join(part.text for part in parts if part.thought and part.text), THOUGHT)
                self.assertEqual("".join(part.text for part in parts if part.text and not part.thought), TEXT)


class Echo(Case):
    # Kept in a name: one that nobody holds closes its connections.
    def test_echo(self):
        asker = client()
        self.assertIn("Say hello.", asker.models.generate_content(model="demo", contents="Say hello.").text)

    def test_models(self):
        asker = client(NARROW_KEY)
        self.assertIn("models/demo", [model.name for model in asker.models.list()])

    def test_who_may_ask(self):
        for key, model, code in (("sdk:wrong", "demo", 401), (NARROW_KEY, "oai/text--x", 403)):
            asker = client(key)
            with self.subTest(model), self.assertRaises(errors.ClientError) as caught:
                asker.models.generate_content(model=model, contents="Say hello.")
            self.assertEqual(caught.exception.code, code)


if __name__ == "__main__":
    run("__main__")
