"""OpenAI's SDK for Python in realtime sessions: with a provider that holds them, and with echo, which only chats."""

import asyncio
import base64
import json
import urllib.request

import openai
from case import GATEWAY, KEY, NARROW_KEY, WEATHER, Case, run

TOOL = {"type": "function", "name": "get_weather", "description": "Weather.", "parameters": WEATHER}


def client(key=KEY):
    return openai.AsyncOpenAI(base_url=f"{GATEWAY}/v1", api_key=key, max_retries=0, timeout=20)


async def until(connection, kind):
    """The events up to one of that kind."""
    events = []
    async for event in connection:
        events.append(event)
        if event.type == "error":
            raise AssertionError(event.error)
        if event.type == kind:
            return events


async def ask(connection, text, **response):
    await connection.conversation.item.create(item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
    await connection.response.create(**({"response": response} if response else {}))
    return await until(connection, "response.done")


class Sessions:
    def go(self, steps, model=None, key=KEY):
        async def session():
            async with client(key) as openai_client, openai_client.realtime.connect(model=model or self.realtime) as connection:
                await until(connection, "session.created")
                await steps(connection)

        asyncio.run(asyncio.wait_for(session(), 20))

    def test_text(self):
        async def steps(connection):
            await connection.session.update(session={"type": "realtime", "output_modalities": ["text"], "instructions": "Be brief."})
            updated = (await until(connection, "session.updated"))[-1]
            self.assertEqual(updated.session.instructions, "Be brief.")
            for text in ("say this back", "and this"):
                events = await ask(connection, text)
                said = [event.delta for event in events if event.type == "response.output_text.delta"]
                self.assertEqual("".join(said).replace(" ", ""), text.replace(" ", ""))
                done = events[-1].response
                self.assertEqual((done.status, done.output[0].content[0].text), ("completed", text))
                self.assertGreater(done.usage.total_tokens, 0)

        self.go(steps)

    def test_tools(self):
        async def steps(connection):
            await connection.session.update(session={"type": "realtime", "output_modalities": ["text"], "tools": [TOOL]})
            await until(connection, "session.updated")
            done = (await ask(connection, self.calls))[-1].response
            call = done.output[-1]
            self.assertEqual((call.type, call.name), ("function_call", "get_weather"))
            self.assertIn("Paris", json.loads(call.arguments)["city"])
            output = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
            await connection.conversation.item.create(item=output)
            await connection.response.create()
            self.assertEqual((await until(connection, "response.done"))[-1].response.status, "completed")

        self.go(steps)

    def test_another_model(self):
        async def steps(connection):
            await connection.session.update(session={"type": "realtime", "model": "gpt-none"})
            async for event in connection:
                self.assertEqual((event.type, event.error.code), ("error", "model_fixed"))
                return

        self.go(steps)

    def test_refused(self):
        for key, status in (("sdk:wrong", 401), (NARROW_KEY, 403)):
            with self.assertRaises(Exception) as caught:
                self.go(None, model="oai/gpt-realtime", key=key)
            self.assertEqual(caught.exception.response.status_code, status)


class Relayed(Sessions, Case):
    realtime, calls = "oai/gpt-realtime", "call get_weather"

    def test_speech(self):
        async def steps(connection):
            await connection.input_audio_buffer.append(audio="AAAA")
            events = await ask(connection, "say this")
            kinds = [event.type for event in events]
            self.assertIn("response.output_audio.delta", kinds)
            self.assertEqual(events[-1].response.usage.output_token_details.audio_tokens, 6)

        self.go(steps)

    def test_secret(self):
        """A page in a browser is given a secret, and opens a session with that."""
        body = {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": {"type": "realtime", "model": self.realtime, "instructions": "Be brief."}}
        secret = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0).realtime.client_secrets.create(**body)
        self.assertTrue(secret.value.startswith("ek_"))
        self.assertEqual(secret.session.instructions, "Be brief.")

        async def steps(connection):
            updated = (await until(connection, "session.updated"))[-1]
            self.assertEqual(updated.session.instructions, "Be brief.")

        self.go(steps, key=secret.value)
        # It opens nothing else.
        request = urllib.request.Request(f"{GATEWAY}/v1/models", headers={"authorization": f"Bearer {secret.value}"})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        self.assertEqual(caught.exception.code, 401)


class Bridged(Sessions, Case):
    realtime, calls = "demo", "/echo tool get_weather {\"city\": \"Paris\"}"


class Spoken(Sessions, Case):
    """In speech too: echo hears how long something is in base64, says that back, and sings it."""

    realtime, calls = "talk", "/echo tool get_weather {\"city\": \"Paris\"}"

    def test_speech(self):
        async def steps(connection):
            loud = b"".join(level.to_bytes(2, "little", signed=True) for level in (6000, -6000) for _ in range(40)) * 240
            for sound in (bytes(48 * 400), loud, bytes(48 * 700)):
                await connection.input_audio_buffer.append(audio=base64.b64encode(sound).decode())
            events = await until(connection, "response.done")
            kinds = [event.type for event in events]
            self.assertLess(kinds.index("input_audio_buffer.speech_started"), kinds.index("input_audio_buffer.committed"))
            said = "".join(event.delta for event in events if event.type == "response.output_audio_transcript.delta")
            self.assertRegex(said, "^a sound of [0-9]+ bytes$")
            sound = b"".join(base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta")
            # Twenty characters a second.
            self.assertEqual(len(sound), len(said) * 2400)
            done = events[-1].response
            self.assertEqual((done.status, done.output[0].content[0].transcript), ("completed", said))
            await connection.conversation.item.truncate(item_id=done.output[0].id, content_index=0, audio_end_ms=400)
            self.assertEqual((await until(connection, "conversation.item.truncated"))[-1].audio_end_ms, 400)

        self.go(steps)


if __name__ == "__main__":
    run(__name__)
