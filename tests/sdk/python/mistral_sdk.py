"""Mistral's SDK for Python through the gateway: to providers of the chat, the messages and the responses wire, and to echo."""

import asyncio
import json

from case import ERRORS_LATE, GATEWAY, KEY, PERSON, PNG, PNG64, TEXT, WEATHER, Case, run
from mistralai.client import Mistral, errors
from pydantic import BaseModel

WEATHER_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}}
TIME_TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
HI = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]


class Person(BaseModel):
    name: str
    age: int


def client(key=KEY):
    return Mistral(server_url=f"{GATEWAY}/mistral", api_key=key, timeout_ms=20_000)


def calls_of(calls):
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


class Chat:
    """What must hold whichever wire the provider speaks."""

    @classmethod
    def setUpClass(cls):
        cls.client = client()

    def ask(self, scenario, messages=HI, **more):
        return self.client.chat.complete(model=self.model(scenario), messages=messages, **more)

    def chunks(self, scenario, messages=HI, **more):
        with self.client.chat.stream(model=self.model(scenario), messages=messages, **more) as events:
            return [event.data for event in events]

    def test_whole(self):
        answer = self.ask("text", temperature=0.5, max_tokens=50, stop=["END"], safe_prompt=False)
        choice = answer.choices[0]
        self.assertEqual((choice.message.role, choice.message.content, choice.finish_reason), ("assistant", TEXT, "stop"))
        usage = answer.usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (11, 7, 18))
        body = self.request_seen(self.model("text"))
        self.assertEqual(body["temperature"], 0.5)
        self.assertIn(50, [body.get(name) for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")])

    def test_seed(self):
        answer = self.ask("text", random_seed=7)
        self.assertEqual(answer.choices[0].message.content, TEXT)
        body = self.request_seen(self.model("text"))
        self.assertNotIn("random_seed", body)
        self.assertEqual(body.get("seed"), self.seed)

    def test_stream(self):
        chunks = self.chunks("text")
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), TEXT)
        finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
        self.assertEqual(finishes, ["stop"])

    def test_usage_of_a_stream(self):
        # Its service tells the use at the end of every stream, without being asked.
        usage = self.chunks("text")[-1].usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (11, 7, 18))

    def test_async_stream(self):
        async def ask():
            async with client() as own:
                stream = await own.chat.stream_async(model=self.model("text"), messages=HI)
                return "".join([event.data.choices[0].delta.content or "" async for event in stream if event.data.choices])

        self.assertEqual(asyncio.run(ask()), TEXT)

    def test_length(self):
        choice = self.ask("length", max_tokens=16).choices[0]
        self.assertEqual((choice.message.content, choice.finish_reason), ("Hello from", "length"))

    def test_tool_loop(self):
        messages = [{"role": "user", "content": "Weather?"}]
        message = self.ask("parallel", messages, tools=[WEATHER_TOOL], tool_choice="any", parallel_tool_calls=True).choices[0].message
        self.assertEqual(calls_of(message.tool_calls), [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})])
        messages.append(message)
        for call in message.tool_calls:
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "name": "get_weather", "tool_call_id": call.id, "content": f"{city}: 21 degrees"})
        answer = self.ask("parallel", messages, tools=[WEATHER_TOOL]).choices[0].message
        self.assertEqual(answer.content, "The tools said: Paris: 21 degrees, Oslo: 21 degrees.")

    def test_streamed_calls(self):
        for scenario in ("parallel", "interleaved", "spoken-tool", "no-arguments"):
            with self.subTest(scenario):
                chunks = self.chunks(scenario, tools=[WEATHER_TOOL, TIME_TOOL])
                calls = [call for chunk in chunks if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
                wanted = {"spoken-tool": [("get_weather", {"city": "Paris"})], "no-arguments": [("get_time", {})]}
                both = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
                # Its calls come whole, each with its name.
                self.assertEqual(calls_of(calls), wanted.get(scenario, both))
                self.assertNotIn("null", [call.id for call in calls])
                self.assertEqual(chunks[-1].choices[0].finish_reason, "tool_calls")

    def test_forced_tool(self):
        wanted = {"type": "function", "function": {"name": "get_weather"}}
        self.ask("tool", tools=[WEATHER_TOOL, TIME_TOOL], tool_choice=wanted)
        self.assertIn("get_weather", json.dumps(self.request_seen(self.model("tool"))["tool_choice"]))

    def test_structured_output(self):
        answer = self.client.chat.parse(Person, model=self.model("json"), messages=HI)
        self.assertEqual(answer.choices[0].message.parsed, Person(name="Ada", age=36))
        self.assertIn(json.dumps(PERSON["required"]), json.dumps(self.request_seen(self.model("json"))))

    def test_streamed_structured_output(self):
        with self.client.chat.parse_stream(Person, model=self.model("json"), messages=HI) as events:
            text = "".join(event.data.choices[0].delta.content or "" for event in events if event.data.choices)
        self.assertEqual(json.loads(text), {"name": "Ada", "age": 36})

    def test_images(self):
        # Its own form: the address is a string.
        for place in (f"data:image/png;base64,{PNG64}", {"url": f"data:image/png;base64,{PNG64}"}):
            with self.subTest(kind=type(place).__name__):
                content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": place}]
                answer = self.ask("media", [{"role": "user", "content": content}])
                self.assertEqual(answer.choices[0].message.content, f"I see: image/png of {len(PNG)} bytes")

    def refusal(self, scenario, **more):
        with self.assertRaises(errors.SDKError) as caught:
            self.ask(scenario, **more)
        return caught.exception

    def test_errors(self):
        for scenario, status in (("refuse-400", 400), ("no-such-scenario", 404), ("refuse-429", 429), ("refuse-500", 502), ("refuse-503", 503)):
            with self.subTest(scenario):
                error = self.refusal(scenario)
                self.assertEqual(error.status_code, status)
                self.assertTrue(error.headers["x-request-id"])
                self.assertIn("message", json.loads(error.body)["error"])
        self.assertEqual(self.refusal("refuse-429").headers["retry-after"], "7")

    def test_broken_streams(self):
        for scenario in ("mid-error", "truncate", "cut"):
            with self.subTest(scenario):
                text, finishes = "", []
                with self.assertRaises(Exception):
                    with self.client.chat.stream(model=self.model(scenario), messages=HI) as events:
                        for event in events:
                            text += event.data.choices[0].delta.content or ""
                            finishes.append(event.data.choices[0].finish_reason)
                self.assertEqual(text, ERRORS_LATE)
                # The error comes in a chunk that says so.
                self.assertEqual(set(finishes) - {None, "error"}, set())


class OverChat(Chat, Case):
    provider = "oai"
    seed = 7


class OverMessages(Chat, Case):
    provider = "ant"
    # The wire has none.
    seed = None


class OverResponses(Chat, Case):
    provider = "res"
    seed = None


class Gateway(Case):
    def test_echo(self):
        answer = client().chat.complete(model="demo", messages=HI)
        self.assertIn("Say hello.", answer.choices[0].message.content)

    def test_wrong_key(self):
        with self.assertRaises(errors.SDKError) as caught:
            client("sdk:wrong").chat.complete(model="demo", messages=HI)
        self.assertEqual(caught.exception.status_code, 401)

    def test_unknown_model(self):
        with self.assertRaises(errors.SDKError) as caught:
            client().chat.complete(model="no-such-model", messages=HI)
        self.assertEqual(caught.exception.status_code, 404)


if __name__ == "__main__":
    run(__name__)
