"""OpenAI's SDK for Python through the gateway: to a provider of its own wire, of the other wire, and to echo."""

import asyncio
import base64
import json
import struct
import time

import openai
from case import (
    ERRORS_LATE, GATEWAY, KEY, NARROW_KEY, PDF, PDF64, PERSON, PNG, PNG64, TEXT, WEATHER, Case, run,
)
from pydantic import BaseModel

WEATHER_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}}
TIME_TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
HI = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]


class Person(BaseModel):
    name: str
    age: int


def client(key=KEY, **more):
    return openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=key, **{"max_retries": 0, "timeout": 20, **more})


def calls_of(message):
    return [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls]


class Chat:
    """What must hold whichever wire the provider speaks."""

    @classmethod
    def setUpClass(cls):
        cls.client = client()
        cls.addClassCleanup(cls.client.close)

    def test_completions_of_a_chat_model(self):
        answer = self.client.completions.create(model=self.model("text"), prompt="Say hello.")
        self.assertEqual((answer.choices[0].text, answer.usage.total_tokens), (TEXT, 18))
        stream = self.client.completions.create(model=self.model("text"), prompt="Say hello.", stream=True)
        self.assertEqual("".join(chunk.choices[0].text for chunk in stream), TEXT)

    def ask(self, scenario, messages=HI, **more):
        return self.client.chat.completions.create(model=self.model(scenario), messages=messages, **more)

    def collect(self, scenario, messages=HI, **more):
        """A streamed answer, collected by the SDK's own helper."""
        with self.client.chat.completions.stream(model=self.model(scenario), messages=messages, **more) as stream:
            events = list(stream)
            return events, stream.get_final_completion()

    def test_unary(self):
        answer = self.ask("text", temperature=0.5, max_completion_tokens=50)
        self.assertEqual(answer.object, "chat.completion")
        self.assertTrue(answer.id)
        self.assertEqual(answer.choices[0].message.role, "assistant")
        self.assertEqual(answer.choices[0].message.content, TEXT)
        self.assertIsNone(answer.choices[0].message.tool_calls)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        usage = answer.usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (11, 7, 18))
        body = self.request_seen(self.model("text"))
        self.assertEqual(body["temperature"], 0.5)
        self.assertNotIn(body.get("stream"), [True])

    def test_headers(self):
        # With a cap on the output: a wire that demands one would be sent a cap of ours, and say so.
        raw = self.client.chat.completions.with_raw_response.create(model=self.model("text"), messages=HI, max_tokens=99)
        self.assertTrue(raw.request_id)
        self.assertEqual(raw.headers["content-type"], "application/json")
        self.assertNotIn("x-llmleaf-loss", raw.headers)
        self.assertEqual(raw.parse().choices[0].message.content, TEXT)

    def test_cached_tokens(self):
        usage = self.ask("cached").usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (100, 7, 107))
        self.assertEqual(usage.prompt_tokens_details.cached_tokens, 64)

    def test_length(self):
        choice = self.ask("length", max_tokens=16).choices[0]
        self.assertEqual((choice.message.content, choice.finish_reason), ("Hello from", "length"))

    def test_stream(self):
        chunks = list(self.ask("text", stream=True))
        self.assertEqual({chunk.object for chunk in chunks}, {"chat.completion.chunk"})
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)
        self.assertEqual(chunks[0].choices[0].delta.role, "assistant")
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks), TEXT)
        finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason]
        self.assertEqual(finishes, ["stop"])
        # Usage was not asked for: no chunk without choices, no counts.
        self.assertEqual([chunk.usage for chunk in chunks if chunk.usage], [])

    def test_stream_with_usage(self):
        chunks = list(self.ask("text", stream=True, stream_options={"include_usage": True}))
        self.assertEqual(chunks[-1].choices, [])
        usage = chunks[-1].usage
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), (11, 7, 18))
        self.assertEqual([chunk.usage for chunk in chunks[:-1] if chunk.usage], [])

    def test_stream_helper(self):
        events, final = self.collect("text")
        self.assertIn("content.done", {event.type for event in events})
        self.assertEqual(final.choices[0].message.content, TEXT)
        self.assertEqual(final.choices[0].finish_reason, "stop")

    def test_stream_ends_with_done(self):
        model = self.model("text")
        create = self.client.chat.completions.with_streaming_response.create
        with create(model=model, messages=HI, stream=True) as raw:
            self.assertTrue(raw.headers["content-type"].startswith("text/event-stream"))
            lines = [line for line in raw.iter_lines() if line]
        self.assertEqual(lines[-1], "data: [DONE]")

    def test_async_stream(self):
        async def ask():
            async with openai.AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0, timeout=20) as client:
                stream = await client.chat.completions.create(model=self.model("text"), messages=HI, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        self.assertEqual(asyncio.run(ask()), TEXT)

    def test_tool_call(self):
        choice = self.ask("tool", tools=[WEATHER_TOOL], tool_choice="auto").choices[0]
        self.assertEqual(choice.finish_reason, "tool_calls")
        self.assertIsNone(choice.message.content)
        self.assertEqual(choice.message.tool_calls[0].id, "call_paris_01")
        self.assertEqual(calls_of(choice.message), [("get_weather", {"city": "Paris"})])

    def test_parallel_calls(self):
        choice = self.ask("parallel", tools=[WEATHER_TOOL], parallel_tool_calls=True).choices[0]
        self.assertEqual(calls_of(choice.message), [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})])

    def test_no_parallel_calls(self):
        self.ask("tool", tools=[WEATHER_TOOL], parallel_tool_calls=False)
        body = self.request_seen(self.model("tool"))
        self.assertEqual(self.parallel_in(body), False)

    def test_forced_tool(self):
        wanted = {"type": "function", "function": {"name": "get_weather"}}
        self.ask("tool", tools=[WEATHER_TOOL, TIME_TOOL], tool_choice=wanted)
        self.assertEqual(self.forced_in(self.request_seen(self.model("tool"))), "get_weather")

    def test_streamed_calls(self):
        for scenario in ("parallel", "interleaved"):
            with self.subTest(scenario):
                _, final = self.collect(scenario, tools=[WEATHER_TOOL])
                choice = final.choices[0]
                self.assertEqual(choice.finish_reason, "tool_calls")
                self.assertEqual([call.id for call in choice.message.tool_calls], ["call_paris_01", "call_oslo_02"])
                wanted = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
                self.assertEqual(calls_of(choice.message), wanted)

    def test_streamed_call_without_arguments(self):
        _, final = self.collect("no-arguments", tools=[TIME_TOOL])
        self.assertEqual(calls_of(final.choices[0].message), [("get_time", {})])

    def test_streamed_text_then_call(self):
        _, final = self.collect("spoken-tool", tools=[WEATHER_TOOL])
        self.assertEqual(final.choices[0].message.content, "I shall look.")
        self.assertEqual(calls_of(final.choices[0].message), [("get_weather", {"city": "Paris"})])

    def loop(self, scenario, streamed):
        """Asks, plays the tools, hands the SDK's own message back, and returns the second answer."""
        messages, tools = [*HI], [WEATHER_TOOL]
        if streamed:
            message = self.collect(scenario, messages, tools=tools)[1].choices[0].message
        else:
            message = self.ask(scenario, messages, tools=tools).choices[0].message
        # `index` and `parsed_arguments` are the streaming helper's own additions.
        own = {"annotations": True, "tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments"}}}}
        messages.append(message.model_dump(exclude_none=True, exclude=own))
        for call in message.tool_calls:
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{city}: 21 degrees"})
        return self.ask(scenario, messages, tools=tools).choices[0]

    def test_tool_loop(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                choice = self.loop("parallel", streamed)
                self.assertEqual(choice.message.content, "The tools said: Paris: 21 degrees, Oslo: 21 degrees.")
                self.assertEqual(choice.finish_reason, "stop")

    def test_tool_loop_with_text(self):
        self.assertEqual(self.loop("spoken-tool", False).message.content, "The tools said: Paris: 21 degrees.")

    def test_structured_output(self):
        wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
        message = self.ask("json", response_format=wanted).choices[0].message
        self.assertEqual(json.loads(message.content), {"name": "Ada", "age": 36})
        self.assertEqual(self.schema_in(self.request_seen(self.model("json"))), PERSON)

    def test_parse_helper(self):
        answer = self.client.chat.completions.parse(model=self.model("json"), messages=HI, response_format=Person)
        self.assertEqual(answer.choices[0].message.parsed, Person(name="Ada", age=36))

    def test_streamed_parse_helper(self):
        _, final = self.collect("json", response_format=Person)
        self.assertEqual(final.choices[0].message.parsed, Person(name="Ada", age=36))

    def test_strict_tool_helper(self):
        class GetWeather(BaseModel):
            city: str

        tool = openai.pydantic_function_tool(GetWeather, name="get_weather")
        answer = self.client.chat.completions.parse(model=self.model("tool"), messages=HI, tools=[tool])
        self.assertEqual(answer.choices[0].message.tool_calls[0].function.parsed_arguments, GetWeather(city="Paris"))

    def test_images(self):
        content = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG64}", "detail": "auto"}},
            {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}},
        ]
        message = self.ask("media", [{"role": "user", "content": content}]).choices[0].message
        wanted = f"I see: image/png of {len(PNG)} bytes; image at https://images.example/cat.png"
        self.assertEqual(message.content, wanted)

    def test_pdf(self):
        file = {"filename": "paper.pdf", "file_data": f"data:application/pdf;base64,{PDF64}"}
        content = [{"type": "text", "text": "Summarise."}, {"type": "file", "file": file}]
        message = self.ask("media", [{"role": "user", "content": content}]).choices[0].message
        self.assertEqual(message.content, f"I see: application/pdf of {len(PDF)} bytes")

    def test_developer_role(self):
        messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
        self.assertEqual(self.ask("text", messages).choices[0].message.content, TEXT)

    def refusal(self, scenario, error, **more):
        with self.assertRaises(error) as caught:
            self.ask(scenario, **more)
        self.assertTrue(caught.exception.request_id)
        return caught.exception

    def test_rate_limit(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                error = self.refusal("refuse-429", openai.RateLimitError, stream=stream)
                self.assertEqual(error.status_code, 429)
                self.assertEqual(error.response.headers["retry-after"], "7")
                self.assertEqual(error.code, "rate_limit_exceeded")

    def test_sdk_retries_after_rate_limit(self):
        answer = client(max_retries=2).chat.completions.create(model=self.model("flaky"), messages=HI)
        self.assertEqual(answer.choices[0].message.content, TEXT)
        self.assertEqual(len(self.seen(self.model("flaky"))), 2)

    def test_bad_request(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                error = self.refusal("refuse-400", openai.BadRequestError, stream=stream)
                self.assertEqual(error.type, "invalid_request_error")
                self.assertIn("refused with 400", error.message)

    def test_bad_request_is_not_retried(self):
        with self.assertRaises(openai.BadRequestError):
            client(max_retries=2).chat.completions.create(model=self.model("refuse-400"), messages=HI)
        self.assertEqual(len(self.seen(self.model("refuse-400"))), 1)

    def test_too_large(self):
        self.assertEqual(self.refusal("refuse-413", openai.APIStatusError).status_code, 413)

    def test_model_unknown_upstream(self):
        self.assertEqual(self.refusal("no-such-scenario", openai.NotFoundError).status_code, 404)

    def test_credential_of_the_gateway_is_bad(self):
        # Not the consumer's fault, so not 401; and the provider's words stay with the operator.
        error = self.refusal("refuse-401", openai.InternalServerError)
        self.assertEqual(error.status_code, 502)
        self.assertNotIn("refused with 401", str(error))

    def test_server_errors(self):
        for scenario, stream in (("refuse-500", False), ("refuse-500", True), ("refuse-503", False), ("refuse-503", True)):
            with self.subTest(scenario, stream=stream):
                error = self.refusal(scenario, openai.InternalServerError, stream=stream)
                self.assertGreaterEqual(error.status_code, 500)
                self.assertTrue(error.body["message"])

    def test_stream_that_begins_with_an_error(self):
        # Nothing was said yet, so the status is still a true one.
        error = self.refusal("stillborn", openai.InternalServerError, stream=True)
        self.assertEqual(error.status_code, self.stillborn)

    def broken(self, scenario, **more):
        """The chunks up to the error that a stream ends with."""
        texts = []
        with self.assertRaises(openai.APIError) as caught:
            for chunk in self.ask(scenario, stream=True, **more):
                self.assertIsNone(chunk.choices[0].finish_reason)
                texts.append(chunk.choices[0].delta.content or "")
        return "".join(texts), caught.exception

    def test_error_in_stream(self):
        text, error = self.broken("mid-error")
        self.assertEqual(text, ERRORS_LATE)
        self.assertNotIsInstance(error, openai.APIConnectionError)
        self.assertTrue(error.body["message"])

    def test_truncated_stream(self):
        for scenario in ("truncate", "cut"):
            with self.subTest(scenario):
                text, error = self.broken(scenario)
                self.assertEqual(text, ERRORS_LATE)
                self.assertNotIsInstance(error, openai.APIConnectionError)

    def test_truncated_call(self):
        _, error = self.broken("cut-tool", tools=[WEATHER_TOOL])
        self.assertNotIsInstance(error, openai.APIConnectionError)

    def test_truncated_unary(self):
        self.assertEqual(self.refusal("cut", openai.InternalServerError).status_code, 502)

    def test_early_break_hangs_up(self):
        stream = self.ask("endless", stream=True)
        for number, chunk in enumerate(stream):
            if number == 3:
                self.assertEqual(chunk.choices[0].delta.content, "tick ")
                break
        stream.close()
        self.assert_hung_up(self.model("endless"))

    def test_cancelled_task_hangs_up(self):
        async def ask():
            async with openai.AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0) as client:
                call = asyncio.create_task(
                    client.chat.completions.create(model=self.model("silent"), messages=HI, stream=True)
                )
                while not await asyncio.to_thread(self.seen, self.model("silent")):
                    pass
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)

        asyncio.run(ask())
        self.assert_hung_up(self.model("silent"))

    def test_timeout_hangs_up(self):
        with self.assertRaises(openai.APITimeoutError):
            self.ask("silent", timeout=0.5)
        self.assert_hung_up(self.model("silent"))

    def test_long_prompt(self):
        prompt = "leaf " * 100_000
        answer = self.ask("text", [{"role": "user", "content": prompt}])
        self.assertEqual(answer.choices[0].message.content, TEXT)
        self.assertIn(prompt.strip(), json.dumps(self.request_seen(self.model("text"))))


class SameWire(Chat, Case):
    provider = "oai"
    # The provider's frame says no more than `server_error`.
    stillborn = 502

    def parallel_in(self, body):
        return body["parallel_tool_calls"]

    def forced_in(self, body):
        return body["tool_choice"]["function"]["name"]

    def schema_in(self, body):
        return body["response_format"]["json_schema"]["schema"]

    def test_bytes_go_through(self):
        messages = [{"role": "user", "content": "Hello", "name": "ada"}]
        self.ask("text", messages, seed=7, store=False, metadata={"a": "b"}, logit_bias={"50256": -100}, service_tier="auto")
        body = self.request_seen(self.model("text"))
        wanted = {
            "model": self.model("text").split("/", 1)[1], "messages": messages, "seed": 7, "store": False,
            "metadata": {"a": "b"}, "logit_bias": {"50256": -100}, "service_tier": "auto",
        }
        self.assertEqual(body, wanted)

    def test_unknown_field_reaches_the_provider(self):
        # Which refuses it: the gateway takes nobody's side.
        error = self.refusal("text", openai.BadRequestError, extra_body={"no_such_field": 1})
        self.assertIn("Unrecognized request argument supplied: no_such_field", error.message)


class OtherWire(Chat, Case):
    provider = "ant"
    # `overloaded_error`
    stillborn = 503

    def parallel_in(self, body):
        return not body["tool_choice"]["disable_parallel_tool_use"]

    def forced_in(self, body):
        self.assertEqual(body["tool_choice"]["type"], "tool")
        return body["tool_choice"]["name"]

    def schema_in(self, body):
        return body["output_config"]["format"]["schema"]

    def test_losses_are_told(self):
        raw = self.client.chat.completions.with_raw_response.create(
            model=self.model("text"), messages=HI, seed=7, logit_bias={"50256": -100}
        )
        self.assertIn("seed", raw.headers["x-llmleaf-loss"])
        self.assertIn("logit_bias", raw.headers["x-llmleaf-loss"])
        body = self.request_seen(self.model("text"))
        self.assertEqual(body["system"] if isinstance(body["system"], str) else body["system"][0]["text"], "Be brief.")
        self.assertGreater(body["max_tokens"], 0)

    def test_image_in_tool_result_free_text(self):
        # Parts instead of one string.
        messages = [
            *HI,
            {"role": "assistant", "tool_calls": [
                {"id": "call_x", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Rome\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "call_x", "content": [{"type": "text", "text": "hot"}]},
        ]
        answer = self.ask("tool", messages, tools=[WEATHER_TOOL])
        self.assertEqual(answer.choices[0].message.content, "The tools said: hot.")

    def test_reasoning_goes_round_with_the_message(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                more = {"tools": [WEATHER_TOOL], "reasoning_effort": "low", "max_completion_tokens": 9000}
                if streamed:
                    message = self.collect("thinking-tool", **more)[1].choices[0].message
                else:
                    message = self.ask("thinking-tool", **more).choices[0].message
                # The SDK keeps fields that it does not know.
                own = {"tool_calls": {"__all__": {"index": True, "function": {"parsed_arguments"}}}}
                said = message.model_dump(exclude_none=True, exclude=own)
                result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21 degrees"}
                answer = self.ask("thinking-tool", [*HI, said, result], **more)
                self.assertEqual(answer.choices[0].message.content, "Sunny: 21 degrees")

    def test_reasoning_survives_a_client_that_knows_none(self):
        # The provider refuses a turn with tool calls whose signed thinking is not there.
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                more = {"tools": [WEATHER_TOOL], "reasoning_effort": "low", "max_completion_tokens": 9000}
                if streamed:
                    message = self.collect("thinking-tool", **more)[1].choices[0].message
                else:
                    message = self.ask("thinking-tool", **more).choices[0].message
                call = message.tool_calls[0]
                # Only what this SDK's types have.
                said = {"role": "assistant", "tool_calls": [
                    {"id": call.id, "type": "function",
                     "function": {"name": call.function.name, "arguments": call.function.arguments}},
                ]}
                result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
                answer = self.ask("thinking-tool", [*HI, said, result], **more)
                self.assertEqual(answer.choices[0].message.content, "Sunny: 21 degrees")


class Echo(Case):
    @classmethod
    def setUpClass(cls):
        cls.client = client()
        cls.addClassCleanup(cls.client.close)

    def ask(self, text, **more):
        return self.client.chat.completions.create(model="demo", messages=[{"role": "user", "content": text}], **more)

    def test_unary_and_stream(self):
        self.assertEqual(self.ask("Good morning").choices[0].message.content, "Good morning")
        chunks = list(self.ask("Good morning", stream=True))
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in chunks), "Good morning")

    def test_tools(self):
        text = '/echo tool get_weather {"city": "Paris"}\n/echo tool get_weather {"city": "Oslo"}'
        wanted = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
        self.assertEqual(calls_of(self.ask(text).choices[0].message), wanted)

    def test_parse(self):
        messages = [{"role": "user", "content": "Ada"}]
        answer = self.client.chat.completions.parse(model="demo", messages=messages, response_format=Person)
        self.assertIsInstance(answer.choices[0].message.parsed, Person)

    def test_failures(self):
        with self.assertRaises(openai.RateLimitError) as caught:
            self.ask("/echo error rate_limit_exceeded retry-after=3")
        self.assertEqual(caught.exception.response.headers["retry-after"], "3")
        with self.assertRaises(openai.APIError):
            list(self.ask("one two three\n/echo cut after=2", stream=True))


class Surface(Case):
    def test_wrong_key(self):
        for key in ("sdk:wrong", "nobody:s3cret", "rubbish"):
            with self.subTest(key), self.assertRaises(openai.AuthenticationError) as caught:
                client(key).models.list()
            self.assertEqual(caught.exception.status_code, 401)
            self.assertEqual(caught.exception.code, "invalid_api_key")

    def test_key_in_base64(self):
        key = base64.b64encode(KEY.encode()).decode()
        self.assertTrue(list(client(key).models.list()))

    def test_model_not_allowed(self):
        with self.assertRaises(openai.PermissionDeniedError):
            client(NARROW_KEY).chat.completions.create(model="oai/text--never", messages=HI)

    def test_unknown_model(self):
        for stream in (False, True):
            with self.subTest(stream=stream), self.assertRaises(openai.NotFoundError) as caught:
                client().chat.completions.create(model="demmo", messages=HI, stream=stream)
            self.assertEqual(caught.exception.code, "model_not_found")
            self.assertIn("demo", caught.exception.message)

    def test_invalid_request(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client().chat.completions.create(model="demo", messages="not a list")
        self.assertEqual(caught.exception.type, "invalid_request_error")

    def test_models(self):
        names = {model.id for model in client().models.list()}
        self.assertIn("demo", names)
        self.assertEqual([model.id for model in client(NARROW_KEY).models.list()], ["demo"])
        model = client().models.retrieve("demo")
        self.assertEqual((model.id, model.object), ("demo", "model"))
        with self.assertRaises(openai.NotFoundError):
            client().models.retrieve("no-such-model")

    def test_other_base_urls(self):
        for base in ("/openai/v1", "/api/v1"):
            with self.subTest(base):
                other = openai.OpenAI(base_url=GATEWAY + base, api_key=KEY, max_retries=0)
                answer = other.chat.completions.create(model="demo", messages=HI)
                self.assertEqual(answer.choices[0].message.content, "Say hello.")

    def test_embeddings(self):
        own = client()
        # Where the caller names no encoding, this SDK asks for base64 and decodes it.
        answer = own.embeddings.create(model="demo", input=["hello there", "you"], dimensions=8)
        numbers = own.embeddings.create(model="demo", input=["hello there", "you"], dimensions=8, encoding_format="float")
        self.assertEqual([len(one.embedding) for one in answer.data], [8, 8])
        for decoded, written in zip(answer.data, numbers.data, strict=True):
            for a, b in zip(decoded.embedding, written.embedding, strict=True):
                self.assertAlmostEqual(a, b, places=6)
        self.assertEqual(answer.usage.prompt_tokens, 3)
        with self.assertRaises(openai.BadRequestError) as caught:
            own.embeddings.create(model="demo", input=[])
        self.assertEqual(caught.exception.param, "input")

    def test_embeddings_of_a_provider(self):
        own = client()
        texts = ["hello there", "you"]
        wanted = [[(sum(text.encode()) % 97 - at) / 64 for at in range(8)] for text in texts]
        for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
            answer = own.embeddings.create(model="oai/vectors", input=texts, **more)
            got = [one.embedding for one in answer.data]
            if more.get("encoding_format") == "base64":
                # Asked for by name it is not decoded.
                got = [list(struct.unpack("<8f", base64.b64decode(one))) for one in got]
            self.assertEqual(got, wanted)
            self.assertEqual((answer.object, answer.usage.total_tokens), ("list", 3))
        tokens = own.embeddings.create(model="oai/vectors", input=[[1, 2, 3], [4]], dimensions=4)
        self.assertEqual([one.embedding[0] for one in tokens.data], [6 / 64, 4 / 64])
        self.assertEqual([len(one.embedding) for one in tokens.data], [4, 4])
        with self.assertRaises(openai.BadRequestError):
            own.embeddings.create(model="oai/vectors", input=[""])

    def test_completions(self):
        own = client()
        answer = own.completions.create(model="demo", prompt="Once upon a time", max_tokens=50)
        self.assertEqual((answer.object, answer.choices[0].text), ("text_completion", "Once upon a time"))
        self.assertEqual((answer.choices[0].finish_reason, answer.usage.prompt_tokens), ("stop", 4))
        stream = own.completions.create(model="demo", prompt=["one two"], stream=True, stream_options={"include_usage": True})
        chunks = list(stream)
        said = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
        self.assertEqual((said, chunks[-1].usage.completion_tokens), ("one two", 2))
        with self.assertRaises(openai.BadRequestError) as caught:
            own.completions.create(model="demo", prompt=["a", "b"])
        self.assertEqual(caught.exception.param, "prompt")

    def test_moderations(self):
        answer = client().moderations.create(model="demo", input=["good day", "/echo flag"])
        self.assertEqual([one.flagged for one in answer.results], [False, True])
        self.assertTrue(answer.results[1].categories.violence)

    def test_images(self):
        own = client()
        answer = own.images.generate(model="demo", prompt="a red door", n=2)
        pictures = [base64.b64decode(one.b64_json) for one in answer.data]
        self.assertEqual([picture[:8] for picture in pictures], [PNG[:8]] * 2)
        self.assertEqual((answer.output_format, answer.usage.output_tokens), ("png", 2))
        # The SDK sends a form; two images are a list in it.
        edit = own.images.edit(model="demo", prompt="a hat", image=[("a.png", PNG), ("b.png", PNG)], mask=PNG)
        self.assertEqual(edit.usage.input_tokens_details.image_tokens, 2)
        self.assertTrue(own.images.create_variation(model="demo", image=PNG).data[0].b64_json)
        for stream, name in (
            (own.images.generate(model="demo", prompt="a door", stream=True, partial_images=1), "image_generation.completed"),
            (own.images.edit(model="demo", prompt="a hat", image=PNG, stream=True), "image_edit.completed"),
        ):
            [event] = list(stream)
            self.assertEqual(event.type, name)
            self.assertEqual(base64.b64decode(event.b64_json)[:8], PNG[:8])
            self.assertEqual(event.usage.output_tokens, 1)
        with self.assertRaises(openai.BadRequestError) as caught:
            own.images.generate(model="demo", prompt="a door", n=99)
        self.assertEqual(caught.exception.param, "n")

    def test_images_of_a_provider(self):
        images = client().images
        answer = images.generate(model="oai/pictures", prompt="a red door", n=2, size="1536x1024")
        self.assertEqual([base64.b64decode(one.b64_json)[:8] for one in answer.data], [PNG[:8]] * 2)
        self.assertEqual((answer.size, answer.usage.output_tokens), ("1536x1024", 400))
        edit = images.edit(model="oai/pictures", prompt="a hat", image=[("a.png", PNG), ("b.png", PNG)], mask=PNG)
        self.assertEqual(edit.usage.input_tokens_details.image_tokens, 20)
        self.assertEqual(len(images.create_variation(model="oai/pictures", image=PNG, n=3).data), 3)
        for stream, name in (
            (images.generate(model="oai/pictures", prompt="a door", stream=True, partial_images=2), "image_generation"),
            (images.edit(model="oai/pictures", prompt="a hat", image=PNG, stream=True, partial_images=2), "image_edit"),
        ):
            events = list(stream)
            self.assertEqual([event.type for event in events], [f"{name}.partial_image"] * 2 + [f"{name}.completed"])
            self.assertEqual(base64.b64decode(events[-1].b64_json)[:8], PNG[:8])
            self.assertEqual(events[-1].usage.output_tokens, 200)
        with self.assertRaises(openai.BadRequestError):
            images.generate(model="oai/pictures", prompt="a door", size="7x7")

    def test_nobody_listens_at_the_providers_address(self):
        start = time.monotonic()
        with self.assertRaises(openai.InternalServerError) as caught:
            client().chat.completions.create(model="nowhere", messages=HI)
        self.assertEqual(caught.exception.status_code, 502)
        self.assertNotIn("127.0.0.1", str(caught.exception))
        self.assertLess(time.monotonic() - start, 5)

    def test_fallback(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                raw = client().chat.completions.with_raw_response.create(model="backed-up", messages=HI, stream=stream)
                # The third target's answer, after a refused connection and a 503.
                self.assertEqual(raw.headers["x-llmleaf-attempts"], "3")
                answer = raw.parse()
                if stream:
                    said = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
                else:
                    said = answer.choices[0].message.content
                self.assertEqual(said, TEXT)


if __name__ == "__main__":
    run(__name__)
