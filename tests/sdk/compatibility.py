"""Writes what a run found into `docs/compatibility.md`: each command has its own part of that page, and leaves the others alone."""

import collections
import datetime
import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
# Where no provider is led to.
ITSELF = "the gateway itself"
HEAD = """# What was driven through it

Made by `tests/sdk/run --record`, `tests/sdk/run --more --record` and `tests/agents/run --record`, each of which writes its part; a part that was made otherwise says so. Each row is one client on one wire of this gateway, led to
scripted providers that refuse what the real services refuse, over each of the wires named. A case is one thing that users of that client do:
an answer whole or streamed, a tool's whole loop, structured output, an error, a stream that breaks. [From your tools](clients.md)
says how to set each of them up. What services really answer is another matter: [conformance](conformance.md) is measured with recordings.
"""
PARTS = {
    "sdk": ("Official SDKs", "tests/sdk/run --record"),
    "more": ("Frameworks and further SDKs", "tests/sdk/run --more --record"),
    "agents": ("Coding agents", "tests/agents/run --record"),
}


class Row:
    """What is known of a client on a wire."""

    def __init__(self):
        self.wires = collections.Counter()
        self.failed = []
        self.passed = 0

    def add(self, wire, case, good):
        self.wires[wire] += 1
        if good:
            self.passed += 1
        else:
            self.failed.append(case)


def part(name, rows):
    """The text of a part; rows are Row by client, version and surface."""
    title, command = PARTS[name]
    today = datetime.datetime.now(datetime.timezone.utc).date()
    passed, failed = sum(row.passed for row in rows.values()), sum(len(row.failed) for row in rows.values())
    lines = [
        f"## {title}", "", f"`{command}`, {today}: {passed} cases passed, {failed} failed.", "",
        "| client | version | speaks | cases by the provider's wire | passed | failed |", "| --- | --- | --- | --- | --- | --- |",
    ]
    for (client, version, surface), row in rows.items():
        own_last = sorted(row.wires.items(), key=lambda item: (item[0] == ITSELF, item[0]))
        wires = ", ".join(f"{wire} {count}" for wire, count in own_last)
        lines.append(f"| {client} | {version} | {surface} | {wires} | {row.passed} | {len(row.failed)} |")
    failures = [f"- {client}, {surface}: `{case}`" for (client, _, surface), row in rows.items() for case in row.failed]
    if failures:
        lines += ["", "Failed:", "", *failures]
    return "\n".join(lines) + "\n"


def write(name, rows, page=PAGE):
    """Puts a part into the page."""
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    pieces = [HEAD]
    for each, (title, _) in PARTS.items():
        found = re.search(rf"^## {title}\n.*?(?=^## |\Z)", old, re.MULTILINE | re.DOTALL)
        if each == name:
            pieces.append(part(name, rows))
        elif found:
            pieces.append(found[0].rstrip() + "\n")
    page.write_text("\n".join(pieces), encoding="utf-8")


def versions(file):
    """Versions by environment and package."""
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {(environment, package): version for environment, _, package, version in lines}
