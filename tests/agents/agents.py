"""Real coding agents, headless, through the gateway to the scripted providers of `tests/sdk`.

    python3 agents.py LLMLEAF ENVIRONMENT [--record]      AGENT=name runs one agent, CASE=text the cases whose names hold it

Each agent has an empty home and no environment of the caller's. It speaks its own dialect; the provider behind speaks Chat
Completions or Messages and refuses what the real service would refuse. So a case that passes says that the dialect was translated there and
back, in the agent's own judgement. Ends with `N passed, N failed`.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SDK = HERE.parent / "sdk"
sys.path.insert(0, str(SDK))

import compatibility  # noqa: E402  (it is beside, not installed)
import drive as sdk  # noqa: E402
from fake.scripts import EDIT, MARKER, TEXT  # noqa: E402

# base64 of `sdk:s3cret`.
KEY = "c2RrOnMzY3JldA=="
# Seconds that one run of an agent may take: most of it is its own start, and the pauses between its tries (OpenCode makes seven).
LIMIT = 400
# The wires behind: the prefix of the models' names.
WIRES = {"chat": "oai", "messages": "ant"}
PROMPT = "Do what you are told."


def claude(home, url, model, prompt):
    settings = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": KEY, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "ANTHROPIC_DEFAULT_HAIKU_MODEL": model, "DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_MAX_RETRIES": "2", "IS_SANDBOX": "1"}
    return ["claude", "-p", "--model", model, "--output-format", "json", "--allowedTools", "Bash"], settings, prompt


def codex(home, url, model, prompt, sockets=False):
    folder = home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "leaf"\napproval_policy = "never"\nsandbox_mode = "danger-full-access"\n'
        f'[model_providers.leaf]\nname = "leaf"\nbase_url = "{url}/v1"\nenv_key = "LEAF_KEY"\nwire_api = "responses"\n'
        f'supports_websockets = {str(sockets).lower()}\n', encoding="utf-8")
    return ["codex", "exec", "--skip-git-repo-check", "-"], {"LEAF_KEY": KEY}, prompt


def codex_socket(home, url, model, prompt):
    return codex(home, url, model, prompt, sockets=True)


def gemini(home, url, model, prompt):
    folder = home / ".gemini"
    folder.mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    environment = {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": url}
    return ["gemini", "-m", model, "-o", "json", "--skip-trust", "--yolo"], environment, prompt


def opencode(home, url, model, prompt):
    provider = {
        "npm": "@ai-sdk/openai-compatible", "name": "leaf",
        "options": {"baseURL": f"{url}/v1", "apiKey": KEY},
        "models": {model: {"name": model, "limit": {"context": 1_000_000, "output": 8192}}},
    }
    (home / "opencode.json").write_text(json.dumps({
        "$schema": "https://opencode.ai/config.json", "provider": {"leaf": provider}, "autoupdate": False,
        "small_model": f"leaf/{model}", "permission": {"bash": "allow"},
    }), encoding="utf-8")
    return ["opencode", "run", "-m", f"leaf/{model}"], {}, prompt


def aider(home, url, model, prompt, provider="openai", base="/v1"):
    (home / EDIT.file).write_text(EDIT.before, encoding="utf-8")
    (home / "prompt.txt").write_text(prompt, encoding="utf-8")
    settings = {f"{provider.upper()}_API_BASE": f"{url}{base}", f"{provider.upper()}_API_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    arguments = ["aider", "--model", f"{provider}/{model}", "--weak-model", f"{provider}/{model}", "--edit-format", "diff", "--message-file",
                 "prompt.txt", "--no-git", "--yes-always", "--no-check-update", "--no-show-model-warnings", "--analytics-disable",
                 "--no-detect-urls", "--no-pretty", "--no-fancy-input", EDIT.file]
    return arguments, settings, ""


def aider_messages(home, url, model, prompt):
    return aider(home, url, model, prompt, provider="anthropic", base="")


AGENTS = {"claude": claude, "codex": codex, "codex-socket": codex_socket, "gemini": gemini, "opencode": opencode,
          "aider": aider, "aider-messages": aider_messages}
# Whose program each is, and which wire it speaks.
DRIVES = {
    "claude": ("Claude Code", "@anthropic-ai/claude-code", "Messages"), "codex": ("Codex", "@openai/codex", "Responses"),
    "codex-socket": ("Codex", "@openai/codex", "Responses over a WebSocket"), "gemini": ("Gemini CLI", "@google/gemini-cli", "Gemini"),
    "opencode": ("OpenCode", "opencode-ai", "Chat Completions"), "aider": ("aider", "aider-chat", "Chat Completions"),
    "aider-messages": ("aider", "aider-chat", "Messages"),
}
# They have no tools that a model calls: it writes what is to be changed into its answer.
EDITORS = ("aider", "aider-messages")


class Run:
    """One run of an agent, and what the provider saw of it."""

    def __init__(self, agent, wire, case, scenario, urls, environment, prompt=PROMPT):
        # No two runs share a model's name, so none sees another's requests.
        self.model = f"{scenario}--{agent}-{wire}-{case}"
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            arguments, extra, given = AGENTS[agent](home, urls["LLMLEAF_URL"], f"{WIRES[wire]}/{self.model}", prompt)
            path = f"{environment / 'node_modules' / '.bin'}:{environment / 'python' / 'bin'}:{sdk.CLEAN['PATH']}"
            began = time.monotonic()
            try:
                done = subprocess.run(
                    arguments, cwd=home, input=given.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT,
                    check=False, env={**sdk.CLEAN, **extra, "PATH": path, "HOME": str(home), "NO_COLOR": "1", "CI": "1"},
                )
                self.status, self.said = done.returncode, done.stdout.decode(errors="replace")
            except subprocess.TimeoutExpired as late:
                self.status, self.said = "too late", (late.stdout or b"").decode(errors="replace")
            self.took = time.monotonic() - began
            edited = home / EDIT.file
            self.file = edited.read_text(encoding="utf-8") if edited.exists() else None
        query = urllib.parse.urlencode({"model": self.model})
        with urllib.request.urlopen(f"{urls['UPSTREAM_URL']}/-/seen?{query}") as answer:
            self.seen = json.load(answer)

    def need(self, true, what):
        if not true:
            rejected = [entry["rejected"] for entry in self.seen if "rejected" in entry]
            ends = [entry.get("ended") for entry in self.seen]
            raise AssertionError(f"{what}\n  status {self.status}, upstream {ends} {rejected}\n  said: {self.said[-1500:]}")

    def succeeded(self, text):
        self.need(self.status == 0, "it does not end well")
        self.need(not any("rejected" in entry for entry in self.seen), "the provider would refuse a request")
        self.need(plain(text) in plain(self.said), f"it does not say {text!r}")


def plain(text):
    """Without what agents wrap: JSON escapes and line breaks."""
    if "\\u" in text or "\\n" in text:
        text = text.encode().decode("unicode_escape", errors="ignore").encode("latin-1", errors="ignore").decode(errors="ignore")
    return "".join(text.split())


def text(run):
    """An answer is what the provider said."""
    run("text").succeeded(TEXT.split(":")[0])


def tool(run):
    """It calls the tool that the model asks for, and the model gets what that said."""
    if run.agent in EDITORS:
        done = run("edit")
        done.succeeded(TEXT.split(":")[0])
        done.need(done.file == EDIT.after, f"the file is not what the model made of it: {done.file!r}")
        return
    done = run("shell")
    done.succeeded(MARKER)
    told = [entry for entry in done.seen if MARKER in entry["text"].split('"tools"')[0]]
    done.need(told, "the provider never got what the tool said")


def flaky(run):
    """A 429 with a wait is waited for."""
    done = run("flaky")
    done.succeeded(TEXT.split(":")[0])
    done.need(len(done.seen) >= 2, "it did not ask again")


def cut(run):
    """A stream that breaks is not taken for an answer, and nothing hangs."""
    done = run("cut")
    done.need(done.status != "too late", "it hangs")
    done.need(done.seen, "the provider was never asked")
    if run.agent in EDITORS:
        # It ends well whatever happens, and says what did.
        done.need("Error" in done.said and done.file == EDIT.before, "it takes the broken answer for a whole one")
    else:
        done.need(done.status != 0, "it takes the broken answer for a whole one")


def large(run):
    """A prompt of half a million bytes arrives whole."""
    words = " ".join(f"word{number}" for number in range(50_000))
    done = run("text", prompt=f"{words} the-very-end")
    done.succeeded(TEXT.split(":")[0])
    whole = any("word0 word1 " in entry["text"] and "word49999 the-very-end" in entry["text"] for entry in done.seen)
    done.need(whole, "the prompt did not arrive whole")


CASES = {case.__name__: case for case in (text, tool, flaky, cut, large)}


class Asked:
    """A case's way to run its agent."""

    def __init__(self, agent, wire, case, urls, environment):
        self.agent, self.about = agent, (agent, wire, case)
        self.where = urls, environment

    def __call__(self, scenario, **more):
        return Run(*self.about, scenario, *self.where, **more)


def one(agent, wire, name, urls, environment):
    began = time.monotonic()
    try:
        CASES[name](Asked(agent, wire, name, urls, environment))
        outcome = "ok"
    except AssertionError as problem:
        outcome = f"FAILED: {problem}"
    except Exception:  # a case that breaks is a failed one, and the others still run
        outcome = f"FAILED: {traceback.format_exc()}"
    print(f"{agent} {wire} {name} ... {outcome} ({time.monotonic() - began:.1f} s)", flush=True)
    return outcome == "ok"


def record(jobs, outcomes):
    """Tells the page of compatibility what came out of a whole run."""
    if os.environ.get("AGENT") or os.environ.get("CASE"):
        raise SystemExit("a page is made of whole runs: without AGENT and CASE")
    versions = {package: version for (_, package), version in compatibility.versions(HERE / "versions.txt").items()}
    rows = {}
    for (agent, wire, case), good in zip(jobs, outcomes):
        name, package, surface = DRIVES[agent]
        row = rows.setdefault((name, versions[package], surface), compatibility.Row())
        row.add({"chat": "Chat Completions", "messages": "Messages"}[wire], f"{wire} {case}", good)
    compatibility.write("agents", rows)


def main():
    binary, environment = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
    agents = [name for name in AGENTS if os.environ.get("AGENT", name) == name]
    cases = [name for name in CASES if os.environ.get("CASE", "") in name]
    jobs = [(agent, wire, case) for agent in agents for wire in WIRES for case in cases]
    with sdk.stage(binary) as (urls, _), concurrent.futures.ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda job: one(*job, urls, environment), jobs))
    if "--record" in sys.argv:
        record(jobs, outcomes)
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    sys.exit(not all(outcomes))


if __name__ == "__main__":
    main()
