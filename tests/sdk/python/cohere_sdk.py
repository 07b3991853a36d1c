"""Cohere's SDK for Python (ClientV2), to providers of its own, of the chat and of the messages wire, and to echo."""

import json

import cohere
from case import ERRORS_LATE, GATEWAY, KEY, NARROW_KEY, PERSON, PNG, PNG64, TEXT, THOUGHT, WEATHER, Case, run
from cohere.core.request_options import RequestOptions

WEATHER_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}}
DOCUMENTS = ["The first one.", {"id": "doc:1", "data": {"title": "Second", "text": "Hello is a greeting."}}]
# The SDK tries again by itself: twice, and slowly.
ONCE = RequestOptions(max_retries=0, timeout_in_seconds=20)


def client(key=KEY, base=GATEWAY):
    return cohere.ClientV2(api_key=key, base_url=base, client_name="llmleaf-tests")


def text_of(answer):
    return "".join(item.text for item in answer.message.content or [] if item.type == "text")


def calls_of(message):
    return [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]


class Chat:
    """What must hold whichever wire the provider speaks."""

    @classmethod
    def setUpClass(cls):
        cls.client = client()

    def ask(self, scenario, messages="Say hello.", **more):
        return self.client.chat(model=self.model(scenario), messages=self.turns(messages), request_options=ONCE, **more)

    def events(self, scenario, messages="Say hello.", **more):
        turns = self.turns(messages)
        return self.client.chat_stream(model=self.model(scenario), messages=turns, request_options=ONCE, **more)

    def turns(self, messages):
        return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages

    def collect(self, scenario, messages, **more):
        """A streamed answer as the vendor's guide collects one: pieces are added to the last call."""
        turn = {"role": "assistant", "tool_plan": "", "tool_calls": [], "content": []}
        for event in self.events(scenario, messages, **more):
            message = getattr(getattr(event, "delta", None), "message", None)
            if event.type == "tool-plan-delta":
                turn["tool_plan"] += message.tool_plan
            elif event.type == "tool-call-start":
                turn["tool_calls"].append(message.tool_calls.model_dump(exclude_none=True))
            elif event.type == "tool-call-delta":
                turn["tool_calls"][-1]["function"]["arguments"] += message.tool_calls.function.arguments
        return {name: value for name, value in turn.items() if value}

    def test_whole(self):
        answer = self.ask("text", temperature=0.5, max_tokens=50)
        self.assertEqual((text_of(answer), answer.finish_reason, answer.message.role), (TEXT, "COMPLETE", "assistant"))
        self.assertTrue(answer.id)
        billed = answer.usage.billed_units
        self.assertEqual((billed.input_tokens, billed.output_tokens), (11, 7))

    def test_stream(self):
        events = list(self.events("text"))
        names = [event.type for event in events]
        self.assertEqual((names[0], names[1], names[-2:]), ("message-start", "content-start", ["content-end", "message-end"]))
        words = [event.delta.message.content.text for event in events if event.type == "content-delta"]
        self.assertEqual("".join(words), TEXT)
        self.assertEqual(events[-1].delta.finish_reason, "COMPLETE")
        self.assertEqual(events[-1].delta.usage.billed_units.output_tokens, 7)

    def test_length(self):
        self.assertEqual(self.ask("length", max_tokens=16).finish_reason, "MAX_TOKENS")

    def test_tool_loop(self):
        for streamed in (False, True):
            for scenario in ("parallel", "interleaved"):
                with self.subTest(scenario, streamed=streamed):
                    turns, tools = self.turns("Weather?"), [WEATHER_TOOL]
                    if streamed:
                        turn = self.collect(scenario, turns, tools=tools)
                        calls = turn["tool_calls"]
                    else:
                        answer = self.ask(scenario, turns, tools=tools)
                        self.assertEqual(answer.finish_reason, "TOOL_CALL")
                        self.assertEqual([city["city"] for _, city in calls_of(answer.message)], ["Paris", "Oslo"])
                        # As the vendor's guide does it.
                        turn, calls = answer.message, [call.model_dump() for call in answer.message.tool_calls]
                    turns.append(turn)
                    for call in calls:
                        city = json.loads(call["function"]["arguments"])["city"]
                        document = {"type": "document", "document": {"data": {"text": f"{city}: 21 degrees"}}}
                        turns.append({"role": "tool", "tool_call_id": call["id"], "content": [document]})
                    said = text_of(self.ask(scenario, turns, tools=tools))
                    for city in ("Paris", "Oslo"):
                        self.assertIn(self.seen_of(f"{city}: 21 degrees"), said)

    def seen_of(self, result):
        """What the provider says of a result that came as a document."""
        return result

    def test_call_without_arguments(self):
        answer = self.ask("no-arguments", tools=[WEATHER_TOOL])
        self.assertEqual(calls_of(answer.message), [("get_time", {})])

    def test_forced_tool(self):
        self.ask("tool", tools=[WEATHER_TOOL], tool_choice="REQUIRED")
        self.assertEqual(self.request_seen(self.model("tool"))["tool_choice"], self.required)

    def test_structured_output(self):
        wanted = {"type": "json_object", "json_schema": PERSON}
        self.assertEqual(json.loads(text_of(self.ask("json", response_format=wanted)))["name"], "Ada")

    def test_image(self):
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG64}"}}
        answer = self.ask("media", [{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}])
        self.assertEqual(text_of(answer), f"I see: image/png of {len(PNG)} bytes")

    def test_errors(self):
        errors = cohere.errors
        for scenario, error, status in (
            ("refuse-400", errors.BadRequestError, 400), ("refuse-429", errors.TooManyRequestsError, 429),
            ("no-such-scenario", errors.NotFoundError, 404), ("refuse-401", cohere.core.ApiError, 502),
        ):
            for streamed in (False, True):
                with self.subTest(scenario, streamed=streamed), self.assertRaises(error) as caught:
                    answer = self.events(scenario) if streamed else self.ask(scenario)
                    list(answer)
                self.assertEqual(caught.exception.status_code, status)
                self.assertTrue(caught.exception.body["message"] and caught.exception.body["id"])

    def test_broken_streams(self):
        for scenario in ("mid-error", "truncate", "cut"):
            with self.subTest(scenario):
                text, last = "", None
                with self.assertRaises(Exception):
                    for last in self.events(scenario):
                        text += last.delta.message.content.text or "" if last.type == "content-delta" else ""
                    # What ends well must not have been an answer.
                    self.assertNotEqual(last.delta.finish_reason, "ERROR")
                self.assertEqual(text, ERRORS_LATE)
                self.assertEqual((last.type, last.delta.finish_reason), ("message-end", "ERROR"))
                self.assertTrue(last.delta.error)


class OverOwn(Chat, Case):
    provider = "coh"
    required = "REQUIRED"

    def test_documents_are_cited(self):
        answer = self.ask("text", documents=DOCUMENTS, citation_options={"mode": "FAST"}, safety_mode="STRICT")
        cited = answer.message.citations[0]
        self.assertEqual((cited.text, cited.start, cited.end, cited.sources[0].id), ("Hello", 0, 5, "doc:0"))
        seen = self.request_seen(self.model("text"))
        self.assertEqual((seen["documents"], seen["safety_mode"]), (DOCUMENTS, "STRICT"))
        events = [event.type for event in self.events("text", documents=DOCUMENTS)]
        self.assertEqual([name for name in events if name.startswith("citation")], ["citation-start", "citation-end"])

    def test_plan(self):
        message = self.ask("spoken-tool", tools=[WEATHER_TOOL]).message
        self.assertEqual((message.tool_plan, message.content), ("I shall look.", None))
        self.assertEqual(self.collect("spoken-tool", "Weather?", tools=[WEATHER_TOOL])["tool_plan"], "I shall look.")

    def test_project_name_goes_on(self):
        self.ask("text")
        self.assertEqual(self.seen(self.model("text"))[0]["headers"].get("x-client-name"), "llmleaf-tests")


class OverChat(Chat, Case):
    provider = "oai"
    required = "required"

    def test_documents_go_as_text(self):
        self.ask("text", documents=DOCUMENTS)
        content = self.request_seen(self.model("text"))["messages"][0]["content"]
        self.assertEqual([part["text"] for part in content], ["The first one.", "Hello is a greeting.", "Say hello."])


class OverMessages(Chat, Case):
    provider = "ant"
    required = {"type": "any"}

    def seen_of(self, result):
        return f"text/plain of {len(result)} characters"

    def test_documents_ask_for_citations(self):
        self.ask("text", documents=DOCUMENTS)
        content = self.request_seen(self.model("text"))["messages"][0]["content"]
        self.assertEqual([block["type"] for block in content], ["document", "document", "text"])
        self.assertEqual((content[1]["title"], content[1]["citations"]), ("Second", {"enabled": True}))

    def test_thinking(self):
        more = {"thinking": {"type": "enabled", "token_budget": 2000}, "max_tokens": 9000}
        answer = self.ask("thinking", **more)
        self.assertEqual([item.type for item in answer.message.content], ["thinking", "text"])
        self.assertEqual(answer.message.content[0].thinking, THOUGHT)
        words = [e.delta.message.content.thinking or "" for e in self.events("thinking", **more) if e.type == "content-delta"]
        self.assertEqual("".join(words), THOUGHT)

    def test_signed_reasoning_goes_round(self):
        more = {"thinking": {"type": "enabled", "token_budget": 2000}, "max_tokens": 9000, "tools": [WEATHER_TOOL]}
        turns = self.turns("Weather?")
        message = self.ask("thinking-tool", turns, **more).message
        turns.append(message)
        turns.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21 degrees"})
        self.assertEqual(text_of(self.ask("thinking-tool", turns, **more)), "Sunny: 21 degrees")


class Gateway(Case):
    def test_echo(self):
        answer = client().chat(model="demo", messages=[{"role": "user", "content": "Say hello."}])
        self.assertIn("Say hello.", text_of(answer))

    def test_prefix(self):
        answer = client(base=f"{GATEWAY}/cohere").chat(model="demo", messages=[{"role": "user", "content": "Hi"}])
        self.assertEqual(answer.finish_reason, "COMPLETE")

    def test_embed(self):
        asked = {"model": "demo", "texts": ["hello there", "you"], "input_type": "search_document", "output_dimension": 8}
        answer = client().embed(embedding_types=["float", "base64"], **asked)
        self.assertEqual([len(vector) for vector in answer.embeddings.float_], [8, 8])
        self.assertEqual(len(answer.embeddings.base64), 2)
        self.assertTrue(answer.id)
        self.assertEqual(answer.meta.billed_units.input_tokens, 3)
        with self.assertRaises(cohere.core.ApiError) as caught:
            client().embed(embedding_types=["ubinary"], request_options=ONCE, **asked)
        self.assertIn("ubinary", caught.exception.body["message"])
        # The client of the first version gets a bare list where it names no types.
        first = cohere.Client(api_key=KEY, base_url=GATEWAY)
        answer = first.embed(model="demo", texts=["hello"], input_type="search_query")
        self.assertEqual([len(vector) for vector in answer.embeddings], [256])

    def test_rerank(self):
        documents = ["Carson City", "the capital is Washington", "capital letters"]
        answer = client().rerank(model="demo", query="the capital", documents=documents, top_n=2)
        self.assertEqual([(one.index, one.relevance_score) for one in answer.results], [(1, 1.0), (2, 0.5)])
        self.assertEqual(answer.meta.api_version.version, "2")
        first = cohere.Client(api_key=KEY, base_url=GATEWAY)
        documents[1] = {"text": documents[1], "id": "7"}
        answer = first.rerank(model="demo", query="the capital", documents=documents, top_n=1, return_documents=True)
        self.assertEqual(answer.results[0].document.text, "the capital is Washington")

    def test_keys(self):
        for key, model, error in (
            ("sdk:wrong", "demo", cohere.errors.UnauthorizedError), (NARROW_KEY, "oai/text--x", cohere.errors.ForbiddenError),
        ):
            with self.subTest(key), self.assertRaises(error) as caught:
                client(key).chat(model=model, messages=[{"role": "user", "content": "Hi"}], request_options=ONCE)
            self.assertTrue(caught.exception.body["message"])


if __name__ == "__main__":
    run(__name__)
