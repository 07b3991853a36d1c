"""Anthropic's SDK for Python through the gateway: to a provider of its own wire, of the other wire, and to echo.

Runs with either major line: the one that sends `x-api-key`, and from 2.0 the one that sends a bearer token.
"""

import asyncio
import json
import time

import anthropic
from case import (
    ERRORS_LATE, GATEWAY, KEY, NARROW_KEY, PDF, PDF64, PERSON, PNG, PNG64, SIGNATURE, TEXT, THOUGHT, WEATHER, Case, run,
)
from pydantic import BaseModel

MAJOR = int(anthropic.__version__.split(".")[0])
WEATHER_TOOL = {"name": "get_weather", "description": "Weather.", "input_schema": WEATHER}
TIME_TOOL = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}
HI = [{"role": "user", "content": "Say hello."}]
THINKING = {"type": "enabled", "budget_tokens": 2000}


class Person(BaseModel):
    name: str
    age: int


def client(key=KEY, **more):
    return anthropic.Anthropic(**{"base_url": GATEWAY, "api_key": key, "max_retries": 0, "timeout": 20, **more})


def calls_of(message):
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


class Messages:
    """What must hold whichever wire the provider speaks."""

    @classmethod
    def setUpClass(cls):
        cls.client = client()
        cls.addClassCleanup(cls.client.close)

    def ask(self, scenario, messages=HI, **more):
        return self.client.messages.create(**{"model": self.model(scenario), "messages": messages, "max_tokens": 4000, **more})

    def test_a_batch(self):
        model = self.model("text")
        params = {"model": model, "max_tokens": 4000, "messages": HI}
        requests = [{"custom_id": name, "params": params} for name in ("one", "two")]
        batch = self.client.messages.batches.create(requests=requests)
        self.assertEqual(batch.type, "message_batch")
        until = time.monotonic() + 20
        while batch.processing_status != "ended":
            self.assertLess(time.monotonic(), until, batch)
            batch = self.client.messages.batches.retrieve(batch.id)
        self.assertEqual(batch.request_counts.succeeded, 2)
        results = list(self.client.messages.batches.results(batch.id))
        self.assertEqual(sorted(line.custom_id for line in results), ["one", "two"])
        for line in results:
            self.assertEqual(line.result.type, "succeeded")
            self.assertIn("ello", text_of(line.result.message))
        self.assertEqual(self.client.messages.batches.cancel(batch.id).id, batch.id)
        with client(NARROW_KEY) as other, self.assertRaises(anthropic.NotFoundError):
            other.messages.batches.retrieve(batch.id)

    def collect(self, scenario, messages=HI, **more):
        """A streamed answer, collected by the SDK's own helper."""
        arguments = {"model": self.model(scenario), "messages": messages, "max_tokens": 4000, **more}
        with self.client.messages.stream(**arguments) as stream:
            events = list(stream)
            return events, stream.get_final_message()

    def test_unary(self):
        answer = self.ask("text", system="Be brief.", extra_body={"temperature": 0.5})
        self.assertEqual((answer.type, answer.role), ("message", "assistant"))
        self.assertTrue(answer.id)
        self.assertEqual([block.type for block in answer.content], ["text"])
        self.assertEqual(answer.content[0].text, TEXT)
        self.assertEqual((answer.stop_reason, answer.stop_sequence), ("end_turn", None))
        self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (11, 7))
        self.assertTrue(answer._request_id)
        body = self.request_seen(self.model("text"))
        self.assertEqual(body["temperature"], 0.5)

    def test_cached_tokens(self):
        usage = self.ask("cached").usage
        self.assertEqual((usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens), (36, 64, 7))

    def test_max_tokens(self):
        answer = self.ask("length", max_tokens=16)
        self.assertEqual((text_of(answer), answer.stop_reason), ("Hello from", "max_tokens"))

    def test_stream_events(self):
        events = list(self.ask("text", stream=True))
        kinds = [event.type for event in events if event.type != "ping"]
        self.assertEqual(kinds[:2], ["message_start", "content_block_start"])
        self.assertEqual(kinds[-3:], ["content_block_stop", "message_delta", "message_stop"])
        self.assertEqual(set(kinds[2:-3]), {"content_block_delta"})
        self.assertIsInstance(events[0].message.usage.input_tokens, int)
        deltas = [event for event in events if event.type == "content_block_delta"]
        self.assertEqual("".join(event.delta.text for event in deltas), TEXT)
        last = [event for event in events if event.type == "message_delta"]
        self.assertEqual([event.delta.stop_reason for event in last], ["end_turn"])
        self.assertEqual(last[0].usage.output_tokens, 7)

    def test_stream_helper(self):
        for scenario, wanted in (("text", (11, 0, 7)), ("cached", (36, 64, 7))):
            with self.subTest(scenario):
                events, final = self.collect(scenario)
                self.assertIn("text", {event.type for event in events})
                self.assertEqual((text_of(final), final.stop_reason), (TEXT, "end_turn"))
                usage = final.usage
                counted = (usage.input_tokens, usage.cache_read_input_tokens or 0, usage.output_tokens)
                self.assertEqual(counted, wanted)

    def test_async_stream(self):
        async def ask():
            async with anthropic.AsyncAnthropic(base_url=GATEWAY, api_key=KEY, max_retries=0, timeout=20) as client:
                async with client.messages.stream(model=self.model("text"), messages=HI, max_tokens=99) as stream:
                    return "".join([text async for text in stream.text_stream])

        self.assertEqual(asyncio.run(ask()), TEXT)

    def test_tool_use(self):
        answer = self.ask("tool", tools=[WEATHER_TOOL], tool_choice={"type": "auto"})
        self.assertEqual(answer.stop_reason, "tool_use")
        self.assertEqual([block.type for block in answer.content], ["tool_use"])
        self.assertEqual(answer.content[0].id, "call_paris_01")
        self.assertEqual(calls_of(answer), [("get_weather", {"city": "Paris"})])

    def test_parallel_calls(self):
        answer = self.ask("parallel", tools=[WEATHER_TOOL])
        self.assertEqual(calls_of(answer), [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})])

    def test_tool_choice(self):
        self.ask("tool", tools=[WEATHER_TOOL, TIME_TOOL],
                 tool_choice={"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True})
        self.assertEqual(self.forced_in(self.request_seen(self.model("tool"))), ("get_weather", False))

    def test_streamed_calls(self):
        for scenario in ("parallel", "interleaved"):
            with self.subTest(scenario):
                events, final = self.collect(scenario, tools=[WEATHER_TOOL])
                self.assertEqual(final.stop_reason, "tool_use")
                self.assertEqual([block.id for block in final.content], ["call_paris_01", "call_oslo_02"])
                wanted = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
                self.assertEqual(calls_of(final), wanted)
                # One block at a time, in order: clients build on it.
                edges = [(event.type, event.index) for event in events
                         if event.type in ("content_block_start", "content_block_stop")]
                names = ("content_block_start", "content_block_stop")
                self.assertEqual(edges, [(name, index) for index in (0, 1) for name in names])

    def test_streamed_call_without_arguments(self):
        _, final = self.collect("no-arguments", tools=[TIME_TOOL])
        self.assertEqual(calls_of(final), [("get_time", {})])

    def test_streamed_text_then_call(self):
        _, final = self.collect("spoken-tool", tools=[WEATHER_TOOL])
        self.assertEqual([block.type for block in final.content], ["text", "tool_use"])
        self.assertEqual(text_of(final), "I shall look.")

    def loop(self, scenario, streamed, results, **more):
        """Asks, plays the tools, hands the SDK's own content back, and returns the second answer."""
        more = {"tools": [WEATHER_TOOL], **more}
        message = self.collect(scenario, **more)[1] if streamed else self.ask(scenario, **more)
        calls = [block for block in message.content if block.type == "tool_use"]
        content = [{"type": "tool_result", "tool_use_id": call.id, "content": result} for call, result in zip(calls, results)]
        return self.ask(scenario, [*HI, {"role": "assistant", "content": message.content}, {"role": "user", "content": content}],
                        **more)

    def test_tool_loop(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                answer = self.loop("parallel", streamed, ["Paris: 21", [{"type": "text", "text": "Oslo: 4"}]])
                self.assertEqual(text_of(answer), "The tools said: Paris: 21, Oslo: 4.")
                self.assertEqual(answer.stop_reason, "end_turn")

    def test_tool_loop_with_text(self):
        self.assertEqual(text_of(self.loop("spoken-tool", True, ["21"])), "The tools said: 21.")

    def test_tool_result_and_more_text(self):
        turn = [
            {"type": "tool_result", "tool_use_id": "toolu_x", "content": "hot", "is_error": False},
            {"type": "text", "text": "What is this?"},
        ]
        call = {"type": "tool_use", "id": "toolu_x", "name": "get_weather", "input": {"city": "Rome"}}
        messages = [*HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": turn}]
        self.assertTrue(text_of(self.ask("text", messages, tools=[WEATHER_TOOL])))
        self.request_seen(self.model("text"))

    def test_tool_runner(self):
        seen = []

        @anthropic.beta_tool
        def get_weather(city: str) -> str:
            """Weather.

            Args:
                city: Where.
            """
            seen.append(city)
            return f"{city}: 21"

        runner = self.client.beta.messages.tool_runner(
            model=self.model("parallel"), messages=HI, max_tokens=4000, tools=[get_weather]
        )
        self.assertEqual(text_of(runner.until_done()), "The tools said: Paris: 21, Oslo: 21.")
        self.assertEqual(seen, ["Paris", "Oslo"])

    def test_structured_output(self):
        answer = self.ask("json", output_config={"format": {"type": "json_schema", "schema": PERSON}})
        self.assertEqual(json.loads(text_of(answer)), {"name": "Ada", "age": 36})
        self.assertEqual(self.schema_in(self.request_seen(self.model("json"))), PERSON)

    def test_parse_helper(self):
        answer = self.client.messages.parse(model=self.model("json"), messages=HI, max_tokens=99, output_format=Person)
        self.assertEqual(answer.parsed_output, Person(name="Ada", age=36))

    def test_streamed_parse_helper(self):
        _, final = self.collect("json", output_format=Person)
        self.assertEqual(final.parsed_output, Person(name="Ada", age=36))

    def test_images(self):
        content = [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG64}},
            {"type": "image", "source": {"type": "url", "url": "https://images.example/cat.png"}},
            {"type": "text", "text": "What is this?"},
        ]
        answer = self.ask("media", [{"role": "user", "content": content}])
        wanted = f"I see: image/png of {len(PNG)} bytes; image at https://images.example/cat.png"
        self.assertEqual(text_of(answer), wanted)

    def test_pdf(self):
        source = {"type": "base64", "media_type": "application/pdf", "data": PDF64}
        content = [{"type": "document", "source": source}, {"type": "text", "text": "Summarise."}]
        answer = self.ask("media", [{"role": "user", "content": content}])
        self.assertEqual(text_of(answer), f"I see: application/pdf of {len(PDF)} bytes")

    def test_system_blocks_and_cache_marks(self):
        mark = {"type": "ephemeral"}
        self.ask("text", [{"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": mark}]}],
                 system=[{"type": "text", "text": "Be brief.", "cache_control": mark}], metadata={"user_id": "u1"})
        self.assertIn("Be brief.", json.dumps(self.request_seen(self.model("text"))))

    def refusal(self, scenario, error, **more):
        with self.assertRaises(error) as caught:
            self.ask(scenario, **more)
        body = caught.exception.body
        self.assertEqual(body["type"], "error")
        self.assertEqual(caught.exception.request_id, body["request_id"])
        return caught.exception

    def kind(self, error):
        return error.body["error"]["type"]

    def test_rate_limit(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                error = self.refusal("refuse-429", anthropic.RateLimitError, stream=stream)
                self.assertEqual(self.kind(error), "rate_limit_error")
                self.assertEqual(error.response.headers["retry-after"], "7")

    def test_sdk_retries_after_rate_limit(self):
        answer = client(max_retries=2).messages.create(model=self.model("flaky"), messages=HI, max_tokens=99)
        self.assertEqual(text_of(answer), TEXT)
        self.assertEqual(len(self.seen(self.model("flaky"))), 2)

    def test_bad_request(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                with self.assertRaises(anthropic.BadRequestError) as caught:
                    self.ask("refuse-400", stream=stream)
                self.assertEqual(self.kind(caught.exception), "invalid_request_error")
                self.assertIn("refused with 400", str(caught.exception))

    def test_model_unknown_upstream(self):
        with self.assertRaises(anthropic.NotFoundError) as caught:
            self.ask("no-such-scenario")
        self.assertEqual(self.kind(caught.exception), "not_found_error")

    def test_credential_of_the_gateway_is_bad(self):
        error = self.refusal("refuse-401", anthropic.InternalServerError)
        self.assertEqual((error.status_code, self.kind(error)), (502, "api_error"))
        self.assertNotIn("refused with 401", str(error))

    def test_server_errors(self):
        for scenario, stream in (("refuse-500", False), ("refuse-500", True), ("refuse-503", False), ("refuse-503", True)):
            with self.subTest(scenario, stream=stream):
                error = self.refusal(scenario, anthropic.APIStatusError, stream=stream)
                self.assertGreaterEqual(error.status_code, 500)
                self.assertIn(self.kind(error), ("api_error", "overloaded_error"))

    def test_stream_that_begins_with_an_error(self):
        error = self.refusal("stillborn", anthropic.APIStatusError, stream=True)
        self.assertEqual((error.status_code, self.kind(error)), self.stillborn)

    def broken(self, scenario, **more):
        """The text up to the error that a stream ends with."""
        texts = []
        with self.assertRaises(anthropic.APIStatusError) as caught:
            for event in self.ask(scenario, stream=True, **more):
                self.assertNotIn(event.type, ("message_delta", "message_stop"))
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    texts.append(event.delta.text)
        return "".join(texts), caught.exception

    def test_error_in_stream(self):
        text, error = self.broken("mid-error")
        self.assertEqual((text, self.kind(error)), (ERRORS_LATE, self.stillborn[1]))

    def test_truncated_stream(self):
        for scenario in ("truncate", "cut"):
            with self.subTest(scenario):
                text, error = self.broken(scenario)
                self.assertEqual((text, self.kind(error)), (ERRORS_LATE, "api_error"))

    def test_truncated_call(self):
        _, error = self.broken("cut-tool", tools=[WEATHER_TOOL])
        self.assertEqual(self.kind(error), "api_error")

    def test_truncated_unary(self):
        self.assertEqual(self.refusal("cut", anthropic.InternalServerError).status_code, 502)

    def test_early_break_hangs_up(self):
        with self.client.messages.stream(model=self.model("endless"), messages=HI, max_tokens=99) as stream:
            self.assertEqual(next(iter(stream.text_stream)), "tick ")
        self.assert_hung_up(self.model("endless"))

    def test_cancelled_task_hangs_up(self):
        async def ask():
            async with anthropic.AsyncAnthropic(base_url=GATEWAY, api_key=KEY, max_retries=0) as client:
                call = asyncio.create_task(client.messages.create(model=self.model("silent"), messages=HI, max_tokens=9))
                while not await asyncio.to_thread(self.seen, self.model("silent")):
                    pass
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)

        asyncio.run(ask())
        self.assert_hung_up(self.model("silent"))

    def test_timeout_hangs_up(self):
        with self.assertRaises(anthropic.APITimeoutError):
            self.ask("silent", timeout=0.5)
        self.assert_hung_up(self.model("silent"))


class SameWire(Messages, Case):
    provider = "ant"
    stillborn = (529, "overloaded_error")

    def forced_in(self, body):
        return body["tool_choice"]["name"], not body["tool_choice"]["disable_parallel_tool_use"]

    def schema_in(self, body):
        return body["output_config"]["format"]["schema"]

    def test_bytes_go_through(self):
        messages = [{"role": "user", "content": [{"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}]}]
        more = {
            "max_tokens": 77, "metadata": {"user_id": "u1"}, "stop_sequences": ["END"],
            "service_tier": "standard_only", "system": [{"type": "text", "text": "Be brief."}],
        }
        self.ask("text", messages, **more, extra_body={"top_k": 5})
        body = self.request_seen(self.model("text"))
        self.assertEqual(body, {"model": self.model("text").split("/", 1)[1], "messages": messages, **more, "top_k": 5})

    def test_version_and_betas_reach_the_provider(self):
        self.ask("text", extra_headers={"anthropic-beta": "a-2026-01-01,b-2026-02-02"})
        headers = self.seen(self.model("text"))[0]["headers"]
        self.assertEqual(headers["anthropic-beta"], "a-2026-01-01,b-2026-02-02")
        self.assertEqual(headers["anthropic-version"], "2026-10-21" if MAJOR >= 2 else "2023-06-01")

    def test_unknown_field_reaches_the_provider(self):
        with self.assertRaises(anthropic.BadRequestError) as caught:
            self.ask("text", extra_body={"no_such_field": 1})
        self.assertIn("no_such_field: Extra inputs are not permitted", str(caught.exception))

    def test_thinking(self):
        events, final = self.collect("thinking", thinking=THINKING)
        self.assertIn("signature", {event.type for event in events})
        for answer in (final, self.ask("thinking", thinking=THINKING)):
            self.assertEqual([block.type for block in answer.content], ["thinking", "text"])
            self.assertEqual((answer.content[0].thinking, answer.content[0].signature), (THOUGHT, SIGNATURE))

    def test_thinking_loop(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                answer = self.loop("thinking-tool", streamed, ["21"], thinking=THINKING)
                self.assertEqual(text_of(answer), "Sunny: 21")

    def test_count_tokens(self):
        count = self.client.messages.count_tokens(model=self.model("text"), messages=HI, system="Be brief.", tools=[WEATHER_TOOL])
        self.assertEqual(count.input_tokens, 1234)
        self.request_seen(self.model("text"))

    def test_document_of_text(self):
        source = {"type": "text", "media_type": "text/plain", "data": "Once upon a time."}
        content = [{"type": "document", "source": source, "title": "Tale"}, {"type": "text", "text": "Summarise."}]
        answer = self.ask("media", [{"role": "user", "content": content}])
        self.assertEqual(text_of(answer), "I see: text/plain of 17 characters")


class OtherWire(Messages, Case):
    provider = "oai"
    # The provider's frame says no more than `server_error`.
    stillborn = (502, "api_error")

    def forced_in(self, body):
        return body["tool_choice"]["function"]["name"], body["parallel_tool_calls"]

    def schema_in(self, body):
        return body["response_format"]["json_schema"]["schema"]

    def test_losses_are_told(self):
        raw = self.client.messages.with_raw_response.create(
            model=self.model("text"), messages=HI, max_tokens=9, stop_sequences=["END"], extra_body={"top_k": 5}
        )
        self.assertIn("top_k", raw.headers["x-llmleaf-loss"])
        self.assertNotIn("stop", raw.headers["x-llmleaf-loss"].replace("top_k", ""))
        body = self.request_seen(self.model("text"))
        self.assertEqual(body["stop"] if isinstance(body["stop"], str) else body["stop"][0], "END")

    def test_count_tokens_is_estimated(self):
        raw = self.client.messages.with_raw_response.count_tokens(model=self.model("text"), messages=HI)
        self.assertGreater(raw.parse().input_tokens, 0)
        self.assertEqual(raw.headers["x-llmleaf-estimate"], "true")
        self.assertEqual(self.seen(self.model("text")), [])

    def test_thinking_asks_for_effort(self):
        self.ask("text", thinking=THINKING)
        self.assertIn(self.request_seen(self.model("text"))["reasoning_effort"], ("low", "medium", "high"))

    def test_document_of_text(self):
        source = {"type": "text", "media_type": "text/plain", "data": "Once upon a time."}
        content = [{"type": "document", "source": source, "title": "Tale"}, {"type": "text", "text": "Summarise."}]
        self.ask("text", [{"role": "user", "content": content}])
        self.assertIn("Once upon a time.", json.dumps(self.request_seen(self.model("text"))))

    def test_image_in_tool_result(self):
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG64}}
        result = {"type": "tool_result", "tool_use_id": "toolu_x", "content": [{"type": "text", "text": "see"}, image]}
        call = {"type": "tool_use", "id": "toolu_x", "name": "get_weather", "input": {"city": "Rome"}}
        messages = [*HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        self.assertEqual(text_of(self.ask("tool", messages, tools=[WEATHER_TOOL])), "The tools said: see.")
        self.assertIn(PNG64, json.dumps(self.request_seen(self.model("tool"))))


class Echo(Case):
    @classmethod
    def setUpClass(cls):
        cls.client = client()
        cls.addClassCleanup(cls.client.close)

    def ask(self, text, **more):
        return self.client.messages.create(
            **{"model": "demo", "max_tokens": 4000, "messages": [{"role": "user", "content": text}], **more}
        )

    def test_unary_and_stream(self):
        self.assertEqual(text_of(self.ask("Good morning")), "Good morning")
        with self.client.messages.stream(model="demo", max_tokens=9, messages=[{"role": "user", "content": "Good day"}]) as stream:
            self.assertEqual(text_of(stream.get_final_message()), "Good day")

    def test_tools(self):
        text = '/echo tool get_weather {"city": "Paris"}\n/echo tool get_weather {"city": "Oslo"}'
        wanted = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
        self.assertEqual(calls_of(self.ask(text)), wanted)

    def test_thinking(self):
        answer = self.ask("Seven.\n/echo reasoning Three and four.", thinking=THINKING)
        self.assertEqual([block.type for block in answer.content], ["thinking", "text"])
        self.assertTrue(answer.content[0].signature)

    def test_failures(self):
        with self.assertRaises(anthropic.RateLimitError) as caught:
            self.ask("/echo error rate_limit_exceeded retry-after=3")
        self.assertEqual(caught.exception.response.headers["retry-after"], "3")
        with self.assertRaises(anthropic.APIStatusError):
            list(self.ask("one two three\n/echo cut after=2", stream=True))

    def test_count_tokens(self):
        count = self.client.messages.count_tokens(model="demo", messages=[{"role": "user", "content": "one two three"}])
        self.assertGreater(count.input_tokens, 0)


class Surface(Case):
    def test_wrong_key(self):
        for key in ("sdk:wrong", "nobody:s3cret", "rubbish"):
            with self.subTest(key), self.assertRaises(anthropic.AuthenticationError) as caught:
                client(key).messages.create(model="demo", messages=HI, max_tokens=9)
            self.assertEqual(caught.exception.body["error"]["type"], "authentication_error")

    def test_bearer_token(self):
        other = anthropic.Anthropic(base_url=GATEWAY, auth_token=KEY, max_retries=0)
        self.assertEqual(text_of(other.messages.create(model="demo", messages=HI, max_tokens=9)), "Say hello.")

    def test_model_not_allowed(self):
        with self.assertRaises(anthropic.PermissionDeniedError) as caught:
            client(NARROW_KEY).messages.create(model="ant/text--never", messages=HI, max_tokens=9)
        self.assertEqual(caught.exception.body["error"]["type"], "permission_error")

    def test_unknown_model(self):
        for stream in (False, True):
            with self.subTest(stream=stream), self.assertRaises(anthropic.NotFoundError) as caught:
                client().messages.create(model="demmo", messages=HI, max_tokens=9, stream=stream)
            self.assertEqual(caught.exception.body["error"]["type"], "not_found_error")

    def test_invalid_request(self):
        with self.assertRaises(anthropic.BadRequestError) as caught:
            client().messages.create(model="demo", messages="not a list", max_tokens=9)
        self.assertEqual(caught.exception.body["error"]["type"], "invalid_request_error")

    def test_models(self):
        names = {model.id for model in client().models.list()}
        self.assertIn("demo", names)
        self.assertEqual([model.id for model in client(NARROW_KEY).models.list()], ["demo"])
        model = client().models.retrieve("demo")
        self.assertEqual((model.id, model.type), ("demo", "model"))
        self.assertTrue(model.display_name)
        with self.assertRaises(anthropic.NotFoundError) as caught:
            client().models.retrieve("no-such-model")
        self.assertEqual(caught.exception.body["error"]["type"], "not_found_error")

    def test_models_by_pages(self):
        names = [model.id for model in client().models.list(limit=1)]
        self.assertEqual(names, [model.id for model in client().models.list()])
        self.assertGreater(len(names), 1)

    def test_prefixed_base_url(self):
        other = client(base_url=f"{GATEWAY}/anthropic")
        self.assertEqual(text_of(other.messages.create(model="demo", messages=HI, max_tokens=9)), "Say hello.")


if __name__ == "__main__":
    run(__name__)
