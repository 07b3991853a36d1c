"""Starts the scripted providers and the gateway, runs every suite against them, and adds up.

    python3 drive.py LLMLEAF ENVIRONMENTS [--more] [--record]

SUITE=name runs one suite, SDK_CASES=text the cases whose names hold it. `--more` runs the suites that are no part of CI, `--record`
writes what a run of all cases found into docs/compatibility.md.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import compatibility
from suites import EVERY, MORE, driven, processes, wire

HERE = pathlib.Path(__file__).resolve().parent
# Seconds that the suites of one process may take.
PROCESS_TIMEOUT = 240
# Nothing else of the caller's environment reaches a process: no real key, no proxy, no SDK setting.
CLEAN = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}

CONFIG = """
[server]
listen = "127.0.0.1:0"
workers = 2
batch_id_secret = "a secret of the suites"
state_dir = "state"

[[providers]]
name = "fake-openai"
kind = "openai"
endpoint = "{upstream}/v1"
credential = "env:FAKE_OPENAI_KEY"
prefix = "oai"
# It refuses on demand, case after case: none of that says how the next one will do.
health = false
# What it plays of its wires.
settings = {{ chat_api = "chat_completions" }}

[[providers]]
name = "fake-responses"
kind = "openai"
endpoint = "{upstream}/v1"
credential = "env:FAKE_OPENAI_KEY"
prefix = "res"
health = false
settings = {{ chat_api = "responses" }}

[[providers]]
name = "fake-anthropic"
kind = "anthropic"
endpoint = "{upstream}"
credential = "env:FAKE_ANTHROPIC_KEY"
prefix = "ant"
health = false

[[providers]]
name = "fake-cohere"
kind = "cohere"
endpoint = "{upstream}"
credential = "env:FAKE_COHERE_KEY"
prefix = "coh"
health = false

[[providers]]
name = "nobody"
kind = "openai-compatible"
endpoint = "http://127.0.0.1:{closed}/v1"

[[providers]]
name = "echo"
kind = "echo"

[[routes]]
model = "demo"
targets = [{{ provider = "echo" }}]

# Its own sound and its own words for one.
[[routes]]
model = "talk"
targets = [{{ provider = "echo" }}]
realtime = {{ transcription = "demo", speech = "demo" }}

[[routes]]
model = "nowhere"
targets = [{{ provider = "nobody" }}]

# Both failures are new in every exchange: no target is passed over for having failed a moment ago.
[[routes]]
model = "backed-up"
targets = [
    {{ provider = "nobody" }},
    {{ provider = "fake-anthropic", model = "refuse-503--fallback" }},
    {{ provider = "fake-openai", model = "text--fallback" }},
]

[[keys]]
id = "sdk"
pw_hash = "{hash}"

[[keys]]
id = "narrow"
pw_hash = "{hash}"
allowed_models = ["demo"]
"""
# bcrypt of `s3cret`.
HASH = "$2y$04$IcVq6nhz5Tf85lBpWclgKeDjWxWMHlIXLE696.T7m9Eg12HekWFJO"


class Started:
    """A child process that ends with this program."""

    def __init__(self, arguments, **options):
        self.process = subprocess.Popen(arguments, **options)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def command(environments, suites):
    first = next(iter(suites.values()))
    if first.language == "Node":
        return ["node", *first.arguments]
    python = environments / first.environment / "bin" / "python"
    return [str(python), "python/together.py", *(f"{name}={suite.arguments[0]}" for name, suite in suites.items())]


def run_suites(environments, suites, urls):
    """The numbers of the last line of each and what they printed; a suite without that line has failed."""
    start = time.monotonic()
    environment = next(iter(suites.values())).environment
    try:
        done = subprocess.run(
            command(environments, suites),
            cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PROCESS_TIMEOUT, check=False,
            env={
                **CLEAN, **urls, "SUITE": next(iter(suites)), "HOME": str(environments), "SDK_CASES": os.environ.get("SDK_CASES", ""),
                "SDK_NODE_MODULES": str(environments / environment / "node_modules"),
                # What an installation compiled serves here, and nothing is left among the sources.
                "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(environments / "compiled"),
            },
        )
    except subprocess.TimeoutExpired as late:
        done = late
    log = (done.stdout or b"").decode(errors="replace")
    sums = re.findall(r"^(\d+) passed, (\d+) failed$", log, re.MULTILINE)
    # The runner's own sum must stay the only one.
    text = re.sub(r"^\d+ passed, \d+ failed\n", "", log, flags=re.MULTILINE)
    unended = len(suites) - len(sums)
    passed, failed = sum(int(good) for good, _ in sums), sum(int(bad) for _, bad in sums) + unended
    took = time.monotonic() - start
    ended = f", {unended} ended without a sum" if unended else ""
    return passed, failed, f"{text}-- {environment}: {passed} ok, {failed} not, {took:.1f} s{ended}\n"


@contextlib.contextmanager
def stage(binary):
    """The scripted providers and the gateway in front of them; gives their addresses and the gateway's log."""
    with tempfile.TemporaryDirectory() as scratch, Started(
        [sys.executable, "-B", str(HERE / "upstream.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CLEAN
    ) as upstream:
        upstream_url = upstream.stdout.readline().decode().strip()
        config = pathlib.Path(scratch, "llmleaf.toml")
        config.write_text(CONFIG.format(upstream=upstream_url, closed=closed_port(), hash=HASH), encoding="utf-8")
        log = pathlib.Path(scratch, "llmleaf.log")
        keys = {
            "FAKE_OPENAI_KEY": "upstream-openai-key", "FAKE_ANTHROPIC_KEY": "upstream-anthropic-key",
            "FAKE_COHERE_KEY": "upstream-cohere-key",
        }
        with log.open("wb") as sink, Started(
            [binary, str(config)], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=scratch, env={**CLEAN, **keys}
        ) as gateway:
            yield {"LLMLEAF_URL": wait_url(log, gateway), "UPSTREAM_URL": upstream_url}, log


def main():
    binary, environments, flags = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    suites = MORE if "--more" in flags else EVERY
    passed = failed = 0
    logs = []
    chosen = processes({name: suite for name, suite in suites.items() if os.environ.get("SUITE", name) == name})
    # Side by side: they mostly wait. No case shares a model's name with another, so none sees another's requests.
    with stage(binary) as (urls, log), concurrent.futures.ThreadPoolExecutor() as pool:
        for good, bad, text in pool.map(lambda one: run_suites(environments, one, urls), chosen):
            logs.append(text)
            print(text, end="", flush=True)
            passed, failed = passed + good, failed + bad
        if failed and os.environ.get("SDK_LOG"):
            print(log.read_text(encoding="utf-8", errors="replace"))
    if "--record" in flags:
        record("more" if suites is MORE else "sdk", suites, "".join(logs))
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))


def record(part, suites, log):
    """Tells the page of compatibility what came out of a whole run."""
    if os.environ.get("SUITE") or os.environ.get("SDK_CASES"):
        raise SystemExit("a page is made of whole runs: without SUITE and SDK_CASES")
    versions = compatibility.versions(HERE / ("more.txt" if suites is MORE else "versions.txt"))
    rows = {}
    for name, suite in suites.items():
        # A case whose parts failed has a line for each.
        cases = {case: word == "ok" for word, case in re.findall(rf"^(ok|FAILED) {name} (\S+)", log, re.MULTILINE)}
        for case, good in cases.items():
            package, surface = driven(suite, case)
            row = f"{package}, {suite.language}", versions.get((suite.environment, package), "?"), surface
            rows.setdefault(row, compatibility.Row()).add(wire(surface, case), case, good)
    compatibility.write(part, rows)


def wait_url(log, gateway):
    """Where the gateway listens, as its log says."""
    until = time.monotonic() + 20
    while time.monotonic() < until and gateway.poll() is None:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            found = re.search(r"127\.0\.0\.1:[1-9][0-9]*", line)
            if "listening" in line and found:
                return f"http://{found[0]}"
        time.sleep(0.02)
    raise SystemExit(f"llmleaf does not listen; it wrote:\n{log.read_text(encoding='utf-8', errors='replace')}")


if __name__ == "__main__":
    main()
