"""OpenAI's SDK for Python and batches: by files and in the body, to providers of both forms, and run by the gateway."""

import io
import json
import time

import openai
from case import GATEWAY, KEY, NARROW_KEY, TEXT, Case, run


def client(key=KEY):
    return openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=key, max_retries=0, timeout=20)


class Batches:
    """What must hold whoever runs the batch."""

    models = ("text", "refuse-400")

    @classmethod
    def setUpClass(cls):
        cls.client = client()
        cls.addClassCleanup(cls.client.close)

    def requests(self, model):
        body = {"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "Say hello."}]}
        return [
            {"custom_id": f"ask-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body} for number in range(3)
        ]

    def ended(self, batch):
        until = time.monotonic() + 20
        while batch.status not in ("completed", "failed", "expired", "cancelled"):
            self.assertLess(time.monotonic(), until, batch)
            batch = self.client.batches.retrieve(batch.id)
        self.assertEqual(batch.status, "completed")
        return batch

    def judge(self, lines):
        self.assertEqual(sorted(line["custom_id"] for line in lines), ["ask-0", "ask-1", "ask-2"])
        for line in lines:
            self.assertIsNone(line["error"])
            self.assertEqual(line["response"]["status_code"], 200)
            message = line["response"]["body"]["choices"][0]["message"]
            self.assertIn(self.text, message["content"])

    def test_requests_in_the_body(self):
        requests = self.requests(self.model("text"))
        batch = self.client.post("/batches", body={"requests": requests}, cast_to=openai.types.Batch)
        self.assertEqual((batch.object, batch.endpoint), ("batch", "/v1/chat/completions"))
        batch = self.ended(batch)
        self.assertEqual((batch.request_counts.total, batch.request_counts.completed), (3, 3))
        content = self.client.files.content(batch.output_file_id).text
        self.judge([json.loads(line) for line in content.splitlines()])
        results = self.client.get(f"/batches/{batch.id}/results", cast_to=str)
        self.judge([json.loads(line) for line in results.splitlines()])

    def test_a_batch_is_its_own_keys(self):
        requests = self.requests(self.model("text"))
        batch = self.client.post("/batches", body={"requests": requests}, cast_to=openai.types.Batch)
        with client(NARROW_KEY) as other, self.assertRaises(openai.NotFoundError):
            other.batches.retrieve(batch.id)
        stopped = self.client.batches.cancel(batch.id)
        self.assertEqual(stopped.id, batch.id)

    def test_what_is_wrong_is_told_by_line(self):
        requests = self.requests(self.model("text"))
        requests[2]["custom_id"] = "ask-0"
        with self.assertRaisesRegex(openai.BadRequestError, "request 3"):
            self.client.post("/batches", body={"requests": requests}, cast_to=openai.types.Batch)


class ByFiles(Batches, Case):
    provider = "oai"
    text = TEXT

    def test_files(self):
        lines = "\n".join(json.dumps(line) for line in self.requests(self.model("text")))
        file = self.client.files.create(file=("asks.jsonl", io.BytesIO(lines.encode())), purpose="batch")
        self.assertEqual((file.object, file.purpose), ("file", "batch"))
        batch = self.client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"mine": "1"}
        )
        self.assertEqual((batch.input_file_id, batch.metadata), (file.id, {"mine": "1"}))
        batch = self.ended(batch)
        content = self.client.files.content(batch.output_file_id).text
        self.judge([json.loads(line) for line in content.splitlines()])
        self.assertIn(batch.id, [listed.id for listed in self.client.batches.list(limit=100)])
        self.assertEqual(self.client.files.retrieve(file.id).id, file.id)
        self.assertTrue(self.client.files.delete(file.id).deleted)

    def test_refusals_stand_in_the_file_of_errors(self):
        requests = self.requests(self.model("refuse-400"))
        batch = self.ended(self.client.post("/batches", body={"requests": requests}, cast_to=openai.types.Batch))
        self.assertIsNone(batch.output_file_id)
        lines = self.client.files.content(batch.error_file_id).text.splitlines()
        self.assertEqual([json.loads(line)["response"]["status_code"] for line in lines], [400] * 3)


class Across(Batches, Case):
    provider = "ant"
    text = TEXT


class RunHere(Batches, Case):
    text = "Say hello."

    def model(self, _):
        return "demo"

    def test_files(self):
        lines = "\n".join(json.dumps(line) for line in self.requests("demo"))
        file = self.client.files.create(file=("asks.jsonl", io.BytesIO(lines.encode())), purpose="batch")
        batch = self.client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = self.ended(batch)
        content = self.client.files.content(batch.output_file_id).text
        self.judge([json.loads(line) for line in content.splitlines()])


if __name__ == "__main__":
    run(__name__)
