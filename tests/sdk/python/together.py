"""Runs the suites of an environment in one process, one after another: most of what a start costs is what they import.

    python together.py SUITE=MODULE ...      without arguments for the suites: `--import MODULE ...` only imports them
"""

import importlib
import os
import sys
import time


def main():
    if sys.argv[1] == "--import":
        # As the suites find it, so that what they need is compiled.
        os.environ |= {"LLMLEAF_URL": "http://127.0.0.1:9", "UPSTREAM_URL": "http://127.0.0.1:9", "SUITE": ""}
        for module in sys.argv[2:]:
            importlib.import_module(module)
        return
    import case

    for argument in sys.argv[1:]:
        os.environ["SUITE"], module = argument.split("=")
        start = time.monotonic()
        importlib.import_module(module)
        case.run(module)
        print(f"-- {os.environ['SUITE']}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
