"""Ollama's SDK for Python through the gateway: to providers of the chat and of the messages wire, and to echo."""

import asyncio
import json

import ollama
from case import ERRORS_LATE, GATEWAY, KEY, NARROW_KEY, PERSON, PNG, TEXT, THOUGHT, WEATHER, Case, run

WEATHER_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}}
HI = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]


def bearer(key):
    return {"host": GATEWAY, "headers": {"Authorization": f"Bearer {key}"}, "timeout": 20}


def client(key=KEY):
    return ollama.Client(**bearer(key))


def calls_of(message):
    return [(call.function.name, dict(call.function.arguments)) for call in message.tool_calls or []]


class Chat:
    """What must hold whichever wire the provider speaks."""

    @classmethod
    def setUpClass(cls):
        cls.client = client()

    def ask(self, scenario, messages=HI, **more):
        return self.client.chat(model=self.model(scenario), messages=messages, **more)

    def test_whole(self):
        answer = self.ask("text", options={"temperature": 0.5, "num_predict": 50})
        self.assertEqual((answer.message.role, answer.message.content), ("assistant", TEXT))
        self.assertEqual((answer.done, answer.done_reason), (True, "stop"))
        self.assertEqual((answer.prompt_eval_count, answer.eval_count), (11, 7))
        self.assertTrue(answer.created_at.endswith("Z"))
        body = self.request_seen(self.model("text"))
        self.assertEqual(body["temperature"], 0.5)
        self.assertNotIn("options", body)

    def test_stream(self):
        lines = list(self.ask("text", stream=True))
        self.assertEqual("".join(line.message.content for line in lines), TEXT)
        self.assertGreater(len(lines), 3)
        self.assertEqual([line.done for line in lines], [False] * (len(lines) - 1) + [True])
        self.assertEqual((lines[-1].done_reason, lines[-1].prompt_eval_count, lines[-1].eval_count), ("stop", 11, 7))

    def test_async_stream(self):
        async def ask():
            answer = await ollama.AsyncClient(**bearer(KEY)).chat(model=self.model("text"), messages=HI, stream=True)
            return "".join([line.message.content async for line in answer])

        self.assertEqual(asyncio.run(ask()), TEXT)

    def test_generate(self):
        answer = self.client.generate(model=self.model("text"), prompt="Say hello.", system="Be brief.")
        self.assertEqual((answer.response, answer.done, answer.eval_count), (TEXT, True, 7))
        lines = list(self.client.generate(model=self.model("text"), prompt="Say hello.", stream=True))
        self.assertEqual("".join(line.response for line in lines), TEXT)
        self.assertTrue(lines[-1].done)

    def test_raw_prompts_need_a_service_of_their_wire(self):
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.generate(model=self.model("text"), prompt="[INST] hi [/INST]", raw=True)
        self.assertEqual(caught.exception.status_code, 400)
        self.assertEqual(self.seen(self.model("text")), [])

    def test_length(self):
        answer = self.ask("length", options={"num_predict": 16})
        self.assertEqual((answer.message.content, answer.done_reason), ("Hello from", "length"))

    def test_tool_loop(self):
        """The SDK knows no ids of calls: results find theirs by the tool's name and their order."""
        for streamed in (False, True):
            for scenario in ("parallel", "interleaved"):
                with self.subTest(scenario, streamed=streamed):
                    messages = [{"role": "user", "content": "Weather?"}]
                    if streamed:
                        lines = list(self.ask(scenario, messages, tools=[WEATHER_TOOL], stream=True))
                        calls = [call for line in lines for call in line.message.tool_calls or []]
                        messages.append({"role": "assistant", "content": "", "tool_calls": calls})
                    else:
                        messages.append(self.ask(scenario, messages, tools=[WEATHER_TOOL]).message)
                        calls = messages[-1].tool_calls
                    found = [(call.function.name, dict(call.function.arguments)) for call in calls]
                    self.assertEqual(found, [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})])
                    for call in calls:
                        city = call.function.arguments["city"]
                        messages.append({"role": "tool", "tool_name": "get_weather", "content": f"{city}: 21 degrees"})
                    answer = self.ask(scenario, messages, tools=[WEATHER_TOOL])
                    self.assertEqual(answer.message.content, "The tools said: Paris: 21 degrees, Oslo: 21 degrees.")

    def test_text_then_call(self):
        answer = self.ask("spoken-tool", tools=[WEATHER_TOOL])
        self.assertEqual(answer.message.content, "I shall look.")
        self.assertEqual(calls_of(answer.message), [("get_weather", {"city": "Paris"})])

    def test_a_function_is_a_tool(self):
        def get_weather(city: str) -> str:
            """Weather.

            Args:
              city: The city.
            """
            return city

        answer = self.ask("tool", tools=[get_weather])
        self.assertEqual(calls_of(answer.message), [("get_weather", {"city": "Paris"})])
        self.assertIn("get_weather", json.dumps(self.request_seen(self.model("tool"))["tools"]))

    def test_structured_output(self):
        answer = self.ask("json", format=PERSON)
        self.assertEqual(json.loads(answer.message.content), {"name": "Ada", "age": 36})
        self.assertEqual(self.schema_in(self.request_seen(self.model("json")))["required"], PERSON["required"])

    def test_images(self):
        answer = self.ask("media", [{"role": "user", "content": "What is this?", "images": [PNG]}])
        self.assertEqual(answer.message.content, f"I see: image/png of {len(PNG)} bytes")

    def refusal(self, scenario, **more):
        with self.assertRaises(ollama.ResponseError) as caught:
            answer = self.ask(scenario, **more)
            list(answer if more.get("stream") else [])
        self.assertTrue(caught.exception.error)
        return caught.exception.status_code

    def test_errors(self):
        statuses = {"refuse-429": 429, "refuse-400": 400, "refuse-401": 502, "refuse-404": 404, "refuse-500": 502, "refuse-503": 503}
        for scenario, status in statuses.items():
            for stream in (False, True):
                with self.subTest(scenario, stream=stream):
                    self.assertEqual(self.refusal(scenario, stream=stream), status)

    def test_broken_streams(self):
        for scenario in ("mid-error", "truncate", "cut"):
            with self.subTest(scenario):
                text = ""
                with self.assertRaises(ollama.ResponseError) as caught:
                    for line in self.ask(scenario, stream=True):
                        self.assertFalse(line.done)
                        text += line.message.content
                self.assertTrue(caught.exception.error)
                self.assertEqual(text, ERRORS_LATE)


class OverChat(Chat, Case):
    provider = "oai"

    def schema_in(self, body):
        return body["response_format"]["json_schema"]["schema"]


class OverMessages(Chat, Case):
    provider = "ant"

    def schema_in(self, body):
        return body["output_config"]["format"]["schema"]

    def test_thinking(self):
        for think in (True, "low"):
            with self.subTest(think=think):
                answer = self.ask("thinking", think=think, options={"num_predict": 9000})
                self.assertEqual((answer.message.thinking, answer.message.content), (THOUGHT, TEXT))
        lines = list(self.ask("thinking", think=True, stream=True, options={"num_predict": 9000}))
        self.assertEqual("".join(line.message.thinking or "" for line in lines), THOUGHT)
        self.assertEqual("".join(line.message.content for line in lines), TEXT)
        answer = self.ask("thinking", think=False)
        self.assertEqual((answer.message.thinking, answer.message.content), (None, TEXT))


class Own(Case):
    """What needs no provider of the wire: who may ask, and what there is."""

    def test_echo(self):
        answer = client().chat(model="demo", messages=HI)
        self.assertIn("Say hello.", answer.message.content)

    def test_embed(self):
        answer = client().embed(model="demo", input=["hello there", "you"], dimensions=8)
        self.assertEqual([len(vector) for vector in answer.embeddings], [8, 8])
        self.assertEqual(answer.prompt_eval_count, 3)
        older = client().embeddings(model="demo", prompt="hello there")
        self.assertEqual(len(older.embedding), 256)

    def test_models(self):
        names = [model.model for model in client().list().models]
        self.assertIn("demo", names)
        self.assertEqual([model.model for model in client(NARROW_KEY).list().models], ["demo"])
        shown = client().show("demo")
        self.assertIn("tools", shown.capabilities)
        self.assertEqual(list(client().ps().models), [])

    def test_an_unknown_model_is_not_found(self):
        for ask in (lambda own: own.chat(model="no-such", messages=HI), lambda own: own.show("no-such")):
            with self.assertRaises(ollama.ResponseError) as caught:
                ask(client())
            self.assertEqual(caught.exception.status_code, 404)

    def test_who_may_ask(self):
        for own, status in ((ollama.Client(host=GATEWAY), 401), (client("sdk:wrong"), 401), (client(NARROW_KEY), 403)):
            with self.assertRaises(ollama.ResponseError) as caught:
                own.chat(model="backed-up", messages=HI)
            self.assertEqual(caught.exception.status_code, status)

    def test_models_are_not_kept_here(self):
        with self.assertRaises(ollama.ResponseError) as caught:
            client().pull("demo")
        self.assertEqual(caught.exception.status_code, 404)
        self.assertIn("/api/chat", caught.exception.error)


if __name__ == "__main__":
    run(__name__)
