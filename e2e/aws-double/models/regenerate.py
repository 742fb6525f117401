"""Writes AWS's service models, as the installed botocore carries them, without their prose.

`python regenerate.py` writes the files beside this script; with `--check` it compares instead, and fails on a difference.
Run it with the botocore that ../conformance/requirements.txt pins, then put its version into NOTICE.
"""

import gzip
import json
import pathlib
import sys

import botocore

MODELS = {"cloudwatch": "cloudwatch/2010-08-01", "sts": "sts/2011-06-15"}
HERE = pathlib.Path(__file__).parent


def without_prose(node):
    if isinstance(node, dict):
        # A member may itself be called "documentation"; prose is always a string.
        return {k: without_prose(v) for k, v in node.items() if not (k == "documentation" and isinstance(v, str))}
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    return node


def main():
    data = pathlib.Path(botocore.__file__).parent / "data"
    stale = []
    for name, folder in MODELS.items():
        with gzip.open(data / folder / "service-2.json.gz") as source:
            text = json.dumps(without_prose(json.load(source)), indent=1) + "\n"
        target = HERE / f"{name}.json"
        if "--check" not in sys.argv:
            target.write_text(text)
        elif target.read_text() != text:
            stale.append(target.name)
    if f"botocore {botocore.__version__}" not in (HERE / "NOTICE").read_text():
        stale.append("NOTICE")
    if stale:
        sys.exit(f"not what botocore {botocore.__version__} carries: {', '.join(stale)}; run {__file__}")


main()
