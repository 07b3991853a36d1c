"""OpenAI's SDK for Python on the Responses wire, to providers of that, the chat and the messages wire, and to echo."""

import asyncio
import json

import openai
from case import ERRORS_LATE, GATEWAY, KEY, NARROW_KEY, PDF, PDF64, PERSON, PNG, PNG64, SIGNATURE, TEXT, THOUGHT, WEATHER, Case, run
from pydantic import BaseModel

WEATHER_TOOL = {"type": "function", "name": "get_weather", "description": "Weather.", "parameters": WEATHER, "strict": False}
PATCH_TOOL = {"type": "custom", "name": "patch", "description": "Edits."}
GROUP = {"type": "namespace", "name": "sky", "description": "Sky.", "tools": [WEATHER_TOOL]}


class Person(BaseModel):
    name: str
    age: int


def client(key=KEY, **more):
    return openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=key, **{"max_retries": 0, "timeout": 20, **more})


def calls_of(response):
    return [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"]


class Responses:
    """What must hold whichever wire the provider speaks."""

    @classmethod
    def setUpClass(cls):
        cls.client = client()
        cls.addClassCleanup(cls.client.close)

    def ask(self, scenario, input="Say hello.", **more):
        return self.client.responses.create(model=self.model(scenario), input=input, **more)

    def collect(self, scenario, input="Say hello.", **more):
        """A streamed answer, collected by the SDK's own helper."""
        with self.client.responses.stream(model=self.model(scenario), input=input, **more) as stream:
            events = list(stream)
            return events, stream.get_final_response()

    def test_unary(self):
        answer = self.ask("text", instructions="Be brief.", temperature=0.5, max_output_tokens=50)
        self.assertEqual((answer.object, answer.status), ("response", "completed"))
        self.assertEqual(answer.output_text, TEXT)
        self.assertEqual((answer.instructions, answer.temperature, answer.tools), ("Be brief.", 0.5, []))
        usage = answer.usage
        self.assertEqual((usage.input_tokens, usage.output_tokens, usage.total_tokens), (11, 7, 18))

    def test_cached_tokens(self):
        usage = self.ask("cached").usage
        self.assertEqual((usage.input_tokens, usage.input_tokens_details.cached_tokens), (100, 64))

    def test_length(self):
        answer = self.ask("length", max_output_tokens=16)
        self.assertEqual((answer.status, answer.incomplete_details.reason), ("incomplete", "max_output_tokens"))
        self.assertEqual(answer.output_text, "Hello from")

    def test_stream(self):
        events = list(self.ask("text", stream=True))
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        names = [event.type for event in events]
        self.assertEqual(names[:3], ["response.created", "response.in_progress", "response.output_item.added"])
        self.assertEqual(names[-2:], ["response.output_item.done", "response.completed"])
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"), TEXT)
        self.assertEqual(events[-1].response.output_text, TEXT)
        self.assertEqual(events[-1].response.usage.total_tokens, 18)

    def test_stream_helper(self):
        _, final = self.collect("text")
        self.assertEqual(final.output_text, TEXT)

    def test_tool_loop(self):
        for streamed in (False, True):
            for scenario in ("parallel", "interleaved"):
                with self.subTest(scenario, streamed=streamed):
                    items, tools = [{"role": "user", "content": "Weather?"}], [WEATHER_TOOL]
                    if streamed:
                        answer = self.collect(scenario, items, tools=tools)[1]
                    else:
                        answer = self.ask(scenario, items, tools=tools)
                    self.assertEqual(calls_of(answer), [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})])
                    for item in answer.output:
                        items.append(item.model_dump(exclude_none=True, exclude={"parsed_arguments"}))
                    for item in answer.output:
                        city = json.loads(item.arguments)["city"]
                        items.append({"type": "function_call_output", "call_id": item.call_id, "output": f"{city}: 21 degrees"})
                    answer = self.ask(scenario, items, tools=tools)
                    self.assertEqual(answer.output_text, "The tools said: Paris: 21 degrees, Oslo: 21 degrees.")

    def test_text_then_call(self):
        _, final = self.collect("spoken-tool", tools=[WEATHER_TOOL])
        self.assertEqual([item.type for item in final.output], ["message", "function_call"])
        self.assertEqual(final.output_text, "I shall look.")

    def test_forced_tool(self):
        self.ask("tool", tools=[WEATHER_TOOL], tool_choice={"type": "function", "name": "get_weather"})
        self.assertEqual(self.forced_in(self.request_seen(self.model("tool"))), "get_weather")

    def test_groups_of_tools(self):
        self.ask("text", tools=[GROUP])
        self.assertIn("sky__get_weather", json.dumps(self.request_seen(self.model("text"))["tools"]))

    def test_structured_output(self):
        answer = self.client.responses.parse(model=self.model("json"), input="Who?", text_format=Person)
        self.assertEqual(answer.output_parsed, Person(name="Ada", age=36))
        self.assertEqual(self.schema_in(self.request_seen(self.model("json")))["required"], PERSON["required"])

    def test_streamed_structured_output(self):
        _, final = self.collect("json", text_format=Person)
        self.assertEqual(final.output_parsed, Person(name="Ada", age=36))

    def test_media(self):
        content = [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG64}", "detail": "auto"},
            {"type": "input_file", "filename": "paper.pdf", "file_data": f"data:application/pdf;base64,{PDF64}"},
        ]
        answer = self.ask("media", [{"role": "user", "content": content}])
        wanted = f"I see: image/png of {len(PNG)} bytes; application/pdf of {len(PDF)} bytes"
        self.assertEqual(answer.output_text, wanted)

    def refusal(self, scenario, error, **more):
        with self.assertRaises(error) as caught:
            self.ask(scenario, **more)
        self.assertTrue(caught.exception.request_id)
        return caught.exception

    def test_errors(self):
        for scenario, error in (
            ("refuse-429", openai.RateLimitError), ("refuse-400", openai.BadRequestError),
            ("refuse-500", openai.InternalServerError), ("no-such-scenario", openai.NotFoundError),
        ):
            for stream in (False, True):
                with self.subTest(scenario, stream=stream):
                    self.refusal(scenario, error, stream=stream)

    def broken(self, scenario):
        """The text up to the error that a stream ends with."""
        text = ""
        with self.assertRaises(openai.APIError) as caught:
            for event in self.ask(scenario, stream=True):
                self.assertNotEqual(event.type, "response.completed")
                text += event.delta if event.type == "response.output_text.delta" else ""
        self.assertNotIsInstance(caught.exception, openai.APIConnectionError)
        return text

    def test_broken_streams(self):
        for scenario in ("mid-error", "truncate", "cut"):
            with self.subTest(scenario):
                self.assertEqual(self.broken(scenario), ERRORS_LATE)


class Translated(Responses):
    """What must hold where the provider knows no responses."""

    def test_earlier_responses_are_not_held(self):
        error = self.refusal("text", openai.BadRequestError, previous_response_id="resp_1")
        self.assertEqual(error.param, "previous_response_id")
        error = self.refusal("text", openai.BadRequestError, input=[{"type": "item_reference", "id": "msg_1"}])
        self.assertEqual(error.param, "input[0]")
        self.assertEqual(self.seen(self.model("text")), [])


    def test_counted_tokens_are_estimated(self):
        raw = self.client.responses.input_tokens.with_raw_response.count(model=self.model("text"), input="Say hello.")
        self.assertGreater(raw.parse().input_tokens, 0)
        self.assertEqual(raw.headers["x-llmleaf-estimate"], "true")
        self.assertEqual(self.seen(self.model("text")), [])


class OverChat(Translated, Case):
    provider = "oai"

    def forced_in(self, body):
        return body["tool_choice"]["function"]["name"]

    def schema_in(self, body):
        return body["response_format"]["json_schema"]["schema"]


class OverMessages(Translated, Case):
    provider = "ant"

    def forced_in(self, body):
        return body["tool_choice"]["name"]

    def schema_in(self, body):
        return body["output_config"]["format"]["schema"]

    def test_signed_reasoning_goes_round(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                more = {
                    "tools": [WEATHER_TOOL], "reasoning": {"effort": "low"}, "max_output_tokens": 9000,
                    "include": ["reasoning.encrypted_content"], "store": False,
                }
                items = [{"role": "user", "content": "Weather?"}]
                if streamed:
                    answer = self.collect("thinking-tool", items, **more)[1]
                else:
                    answer = self.ask("thinking-tool", items, **more)
                self.assertEqual([item.type for item in answer.output], ["reasoning", "function_call"])
                self.assertEqual(answer.output[0].content[0].text, THOUGHT)
                for item in answer.output:
                    # A client that keeps what most keep: the summary and the encrypted content.
                    items.append(item.model_dump(exclude_none=True, exclude={"content", "parsed_arguments"}))
                call = answer.output[1].call_id
                items.append({"type": "function_call_output", "call_id": call, "output": "21 degrees"})
                self.assertEqual(self.ask("thinking-tool", items, **more).output_text, "Sunny: 21 degrees")


class SameWire(Responses, Case):
    provider = "res"

    def forced_in(self, body):
        return body["tool_choice"]["name"]

    def schema_in(self, body):
        return body["text"]["format"]["schema"]

    def test_groups_of_tools(self):
        self.ask("text", tools=[GROUP])
        self.assertEqual(self.request_seen(self.model("text"))["tools"], [GROUP])

    def test_counted_tokens(self):
        count = self.client.responses.input_tokens.count(model=self.model("text"), input="Say hello.", instructions="Be brief.")
        self.assertEqual((count.object, count.input_tokens), ("response.input_tokens", 1234))
        self.request_seen(self.model("text"))


class Kept(Case):
    """What becomes of an answer that its provider keeps."""

    provider = "res"

    @classmethod
    def setUpClass(cls):
        cls.responses = client().responses

    def ask(self, scenario="text", input="Say hello.", **more):
        return self.responses.create(model=self.model(scenario), input=input, **more)

    def gone(self, identity, responses=None):
        with self.assertRaises(openai.NotFoundError) as caught:
            (responses or self.responses).retrieve(identity)
        self.assertTrue(caught.exception.request_id)
        return caught.exception

    def test_retrieve_and_delete(self):
        made = self.ask(metadata={"of": "a test"})
        self.assertTrue(made.id.startswith("resp_"))
        # The provider's own name for it is nobody else's.
        self.assertNotIn("fake", made.id)
        found = self.responses.retrieve(made.id)
        self.assertEqual(found.to_dict(), made.to_dict())
        self.assertEqual((found.output_text, found.metadata), (TEXT, {"of": "a test"}))
        self.gone(made.id, client(NARROW_KEY).responses)
        self.assertIsNone(self.responses.delete(made.id))
        self.gone(made.id)

    def test_what_was_not_to_be_kept(self):
        made = self.ask(store=False)
        self.assertEqual((made.store, made.output_text), (False, TEXT))
        self.gone(made.id)

    def test_names_that_nobody_gave(self):
        for identity in ("resp_1", "resp_fake0001", "resp_" + "A" * 64):
            self.assertEqual(self.gone(identity).code, "response_not_found")

    def test_input_items(self):
        words = [{"role": "user", "content": f"Word {number}."} for number in range(3)]
        made = self.ask(input=words)
        told = [item.content[0].text for item in self.responses.input_items.list(made.id, order="asc")]
        self.assertEqual(told, ["Word 0.", "Word 1.", "Word 2."])
        # Page by page, the latest first, as the SDK goes on by itself.
        page = self.responses.input_items.list(made.id, limit=1)
        self.assertTrue(page.has_more)
        self.assertEqual([item.content[0].text for item in page], ["Word 2.", "Word 1.", "Word 0."])

    def test_going_on(self):
        for streamed in (False, True):
            with self.subTest(streamed=streamed):
                first = self.turn(streamed, input="Weather?", tools=[WEATHER_TOOL])
                results = [{"type": "function_call_output", "call_id": item.call_id, "output": f"{json.loads(item.arguments)['city']}: 21"}
                           for item in first.output]
                second = self.turn(streamed, input=results, tools=[WEATHER_TOOL], previous_response_id=first.id)
                self.assertEqual(second.output_text, "The tools said: Paris: 21, Oslo: 21.")
                self.assertEqual(second.previous_response_id, first.id)
                self.assertNotEqual(second.id, first.id)
                sent = self.seen(self.model("parallel"))[-1]
                self.assertNotIn("rejected", sent)
                self.assertTrue(sent["body"]["previous_response_id"].startswith("resp_fake"))
                told = [item.type for item in self.responses.input_items.list(second.id, order="asc")]
                self.assertEqual(told, ["message", "function_call", "function_call", "function_call_output", "function_call_output"])

    def turn(self, streamed, **more):
        if not streamed:
            return self.ask("parallel", **more)
        with self.responses.stream(model=self.model("parallel"), **more) as stream:
            return stream.get_final_response()

    def test_going_on_from_nothing(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.ask(previous_response_id="resp_1")
        error = caught.exception
        self.assertEqual((error.code, error.param), ("previous_response_not_found", "previous_response_id"))

    def test_thoughts_that_the_provider_keeps(self):
        more = {"tools": [WEATHER_TOOL], "reasoning": {"effort": "low", "summary": "auto"}}
        for sealed in (False, True):
            with self.subTest(sealed=sealed):
                include = {"include": ["reasoning.encrypted_content"]} if sealed else {}
                items = [{"role": "user", "content": "Weather?"}]
                answer = self.ask("thinking-tool", items, **more, **include)
                thought, call = answer.output
                self.assertEqual(thought.summary[0].text, THOUGHT)
                self.assertEqual(thought.encrypted_content, SIGNATURE if sealed else None)
                items += [item.to_dict() for item in answer.output]
                items.append({"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"})
                self.assertEqual(self.ask("thinking-tool", items, **more, **include).output_text, "Sunny: 21 degrees")

    def test_in_the_background(self):
        made = self.ask(background=True)
        states = [made.status]
        while states[-1] in ("queued", "in_progress"):
            found = self.responses.retrieve(made.id)
            self.assertEqual(found.id, made.id)
            states.append(found.status)
        self.assertEqual((states, found.output_text), (["queued", "in_progress", "completed"], TEXT))

    def test_cancelling(self):
        made = self.ask("silent", background=True)
        for _ in range(2):
            cancelled = self.responses.cancel(made.id)
            self.assertEqual((cancelled.id, cancelled.status), (made.id, "cancelled"))
        self.assertEqual(self.responses.retrieve(made.id).status, "cancelled")
        whole = self.ask()
        with self.assertRaises(openai.BadRequestError) as caught:
            self.responses.cancel(whole.id)
        self.assertIn("synchronous", str(caught.exception))

    def test_a_stream_is_taken_up(self):
        whole = list(self.ask(stream=True, background=True))
        identity, events = whole[0].response.id, [event.to_dict() for event in whole]
        self.assertEqual([whole[0].type, whole[1].type, whole[-1].type], ["response.created", "response.queued", "response.completed"])
        self.assertEqual(whole[-1].response.id, identity)
        again = [event.to_dict() for event in self.responses.retrieve(identity, stream=True)]
        self.assertEqual(again, events)
        rest = [event.to_dict() for event in self.responses.retrieve(identity, stream=True, starting_after=4, include_obfuscation=False)]
        self.assertEqual(rest, events[5:])
        with self.responses.stream(response_id=identity) as stream:
            self.assertEqual(stream.get_final_response().output_text, TEXT)

    def test_a_broken_stream_is_taken_up(self):
        seen = []
        with self.assertRaises(openai.APIError):
            for event in self.ask("cut", stream=True, background=True):
                self.assertNotEqual(event.type, "response.completed")
                seen.append(event)
        identity, last = seen[0].response.id, seen[-1].sequence_number
        seen += self.responses.retrieve(identity, stream=True, starting_after=last)
        self.assertEqual([event.sequence_number for event in seen], list(range(len(seen))))
        self.assertEqual(seen[-1].type, "response.completed")
        self.assertEqual(seen[-1].response.output_text, ERRORS_LATE)

    def test_a_stream_that_was_never_one(self):
        made = self.ask()
        with self.assertRaises(openai.BadRequestError):
            list(self.responses.retrieve(made.id, stream=True))

    def test_structured_output_is_found_again(self):
        made = self.responses.parse(model=self.model("json"), input="Who?", text_format=Person)
        self.assertEqual(json.loads(self.responses.retrieve(made.id).output_text), {"name": "Ada", "age": 36})

    def test_async(self):
        async def live():
            async with openai.AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0, timeout=20) as own:
                made = await own.responses.create(model=self.model("silent"), input="Hi.", background=True)
                cancelled = await own.responses.cancel(made.id)
                items = [item async for item in own.responses.input_items.list(made.id)]
                await own.responses.delete(made.id)
                with self.assertRaises(openai.NotFoundError):
                    await own.responses.retrieve(made.id)
                return cancelled.status, len(items)

        self.assertEqual(asyncio.run(live()), ("cancelled", 1))


class Echo(Case):
    def test_echo(self):
        with client() as own:
            answer = own.responses.create(model="demo", input="Say hello.")
            self.assertIn("Say hello.", answer.output_text)


if __name__ == "__main__":
    run(__name__)
