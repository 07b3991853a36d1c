"""What the Python suites share: where the gateway is, what the provider saw, and one line of output a case."""

import base64
import json
import os
import sys
import unittest
import urllib.parse
import urllib.request

GATEWAY = os.environ["LLMLEAF_URL"]
UPSTREAM = os.environ["UPSTREAM_URL"]
# May use every model.
KEY = "sdk:s3cret"
# May use the model `demo` only.
NARROW_KEY = "narrow:s3cret"

# What the provider's scripts say (`fake/scripts.py`).
TEXT = "Hello from the provider: äöü 🍃."
SIGNATURE = "c2lnbmF0dXJlLW9mLXRoZS1mYWtlLXByb3ZpZGVy"
THOUGHT = "The user wants the weather."
ERRORS_LATE = "Hello from the provider: "

# One transparent dot.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
PNG64 = base64.b64encode(PNG).decode()
PDF64 = base64.b64encode(PDF).decode()

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


class Case(unittest.TestCase):
    # The prefix of the provider whose wire the gateway must speak.
    provider = None
    maxDiff = None

    def model(self, scenario):
        """A name that chooses the scenario and that no other case uses, nor another suite."""
        return f"{self.provider}/{scenario}--{suite()}.{name(self)}"

    def seen(self, model, ended=False):
        """The requests that the provider had for this model; with `ended`, once they are all over."""
        name = urllib.parse.quote(model.split("/", 1)[1])
        kind = "ended" if ended else "seen"
        with urllib.request.urlopen(f"{UPSTREAM}/-/{kind}?model={name}", timeout=20) as response:
            return json.load(response)

    def request_seen(self, model):
        """The one request that the provider had; nothing of the consumer's credential or SDK may be in it."""
        requests = self.seen(model)
        self.assertEqual(len(requests), 1)
        request = requests[0]
        self.assertNotIn("rejected", request)
        everything = json.dumps(request["headers"]) + request["text"]
        for secret in ("s3cret", base64.b64encode(KEY.encode()).decode(), "x-stainless"):
            self.assertNotIn(secret, everything.lower() if secret.islower() else everything)
        return request["body"]

    def assert_hung_up(self, model):
        """The gateway closed the provider's connection, and did not wait for its patience to end."""
        requests = self.seen(model, ended=True)
        self.assertEqual([request.get("ended") for request in requests], ["hung up"])


def suite():
    return os.environ["SUITE"]


def name(test):
    """A case's name, without its module's."""
    return test.id().partition(".")[2]


class Lines(unittest.TestResult):
    """One line a case; a case whose parts fail is one failed case."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.broken = set()

    def line(self, word, test):
        print(f"{word} {suite()} {name(test)}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self.line("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.tell(test, subtest, err)

    def tell(self, test, part, err):
        self.broken.add(test.id())
        self.line("FAILED", part)
        print(self._exc_info_to_string(err, test), flush=True)


def run(module):
    """Runs the module's cases; the last line is `N passed, N failed`, which says how it went."""
    pattern = os.environ.get("SDK_CASES")
    loader = unittest.TestLoader()
    if pattern:
        loader.testNamePatterns = [f"*{pattern}*"]
    result = Lines()
    loader.loadTestsFromModule(sys.modules[module]).run(result)
    print(f"{result.passed} passed, {len(result.broken)} failed", flush=True)
