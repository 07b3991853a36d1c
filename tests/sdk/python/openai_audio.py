"""OpenAI's SDK for Python and sound: said and written down by a provider of its own wire, and by echo."""

import base64
import io
import json
import math
import struct
import wave

import openai
from case import GATEWAY, KEY, Case, run

SAID = "The sun was setting."
SOUND = bytes(range(256)) * 40


def client():
    return openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=KEY, max_retries=0, timeout=20)


def recording(seconds=1.5, rate=16000):
    """A tone as a WAV file, which has a name as open files have."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = (int(8000 * math.sin(at * 440 * math.tau / rate)) for at in range(int(seconds * rate)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    out.seek(0)
    out.name = "tone.wav"
    return out


class Sound(Case):
    @classmethod
    def setUpClass(cls):
        cls.client = client()
        cls.addClassCleanup(cls.client.close)

    def test_speech_in_every_format(self):
        kinds = {"mp3": "mpeg", "opus": "opus", "aac": "aac", "flac": "flac", "wav": "wav", "pcm": "pcm"}
        for kind, mime in kinds.items():
            answer = self.client.audio.speech.create(model="oai/tts", input="Hello", voice="alloy", response_format=kind, speed=1.5)
            self.assertEqual(answer.read(), SOUND)
            self.assertEqual(answer.response.headers["content-type"], f"audio/{mime}")

    def test_speech_streams(self):
        create = self.client.audio.speech.with_streaming_response.create
        with create(model="oai/tts", input="Hello", voice="alloy", instructions="softly") as answer:
            self.assertEqual(b"".join(answer.iter_bytes()), SOUND)

    def test_speech_as_events(self):
        create = self.client.audio.speech.with_streaming_response.create
        for model, kind in (("oai/tts", "mp3"), ("demo", "wav")):
            with create(model=model, input="Hello", voice="alloy", response_format=kind, stream_format="sse") as answer:
                lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
            events = [json.loads(line) for line in lines]
            self.assertEqual(events[-1]["type"], "speech.audio.done")
            sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
            self.assertEqual(sound[:4], SOUND[:4] if model == "oai/tts" else b"RIFF")

    def test_echo_says_a_tone(self):
        answer = self.client.audio.speech.create(model="demo", input="Hello you", voice="echo", response_format="wav")
        with wave.open(io.BytesIO(answer.read())) as file:
            self.assertEqual((file.getframerate(), file.getnchannels(), file.getsampwidth()), (24000, 1, 2))
            self.assertAlmostEqual(file.getnframes() / 24000, 0.45, places=2)
        with self.assertRaises(openai.APIStatusError) as caught:
            self.client.audio.speech.create(model="demo", input="Hello", voice="echo", response_format="mp3")
        self.assertIn("wav", str(caught.exception))

    def test_transcriptions(self):
        create = self.client.audio.transcriptions.create
        answer = create(model="oai/stt", file=recording(), language="en", prompt="a sunset")
        self.assertEqual((answer.text, answer.usage.total_tokens), (SAID, 70))
        self.assertEqual(create(model="oai/stt", file=recording(), response_format="text").strip(), SAID)
        self.assertIn("00:00:00,000 --> 00:00:01,500", create(model="oai/stt", file=recording(), response_format="srt"))
        self.assertIn("WEBVTT", create(model="oai/stt", file=recording(), response_format="vtt"))
        verbose = create(model="oai/stt", file=recording(), response_format="verbose_json", timestamp_granularities=["word", "segment"])
        self.assertEqual((verbose.duration, verbose.segments[0].text, verbose.words[1].word), (1.5, SAID, "sun"))
        diarized = create(model="oai/stt", file=recording(), response_format="diarized_json", chunking_strategy="auto")
        self.assertEqual(diarized.segments[0].speaker, "A")

    def test_transcription_streams(self):
        for model, said in (("oai/stt", SAID), ("demo", "a sound of 1500 milliseconds")):
            stream = self.client.audio.transcriptions.create(model=model, file=recording(), stream=True)
            events = list(stream)
            self.assertEqual("".join(event.delta for event in events if event.type == "transcript.text.delta"), said)
            self.assertEqual((events[-1].type, events[-1].text), ("transcript.text.done", said))

    def test_translation(self):
        answer = self.client.audio.translations.create(model="oai/stt", file=recording())
        self.assertEqual(answer.text, SAID)

    def test_a_long_file(self):
        answer = self.client.audio.transcriptions.create(model="demo", file=recording(seconds=120))
        self.assertEqual(answer.text, "a sound of 120000 milliseconds")

    def test_echo_in_every_format(self):
        create = self.client.audio.transcriptions.create
        self.assertIn("-->", create(model="demo", file=recording(), response_format="srt"))
        verbose = create(model="demo", file=recording(), response_format="verbose_json", timestamp_granularities=["word"])
        self.assertEqual((verbose.duration, verbose.words[0].word), (1.5, "a"))

    def test_errors(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.audio.transcriptions.create(model="oai/stt", file=("a.wav", b"no sound"))
        self.assertIn("Invalid file format", str(caught.exception))
        with self.assertRaises(openai.NotFoundError):
            self.client.audio.transcriptions.create(model="unheard-of", file=recording())


if __name__ == "__main__":
    run(__name__)
