"""Writes AWS's service models, as the installed botocore carries them, without their prose.

`python regenerate.py` writes the files beside this script; with `--check` it compares instead, and fails on a difference.
Run it with the botocore that ../conformance/requirements.txt pins, then put its version into NOTICE.
"""

import gzip
import json
import pathlib
import sys

import botocore

# Where botocore has each model, and the operations to keep; none keeps them all.
MODELS = {
    "cloudwatch": ("cloudwatch/2010-08-01", None),
    "sts": ("sts/2011-06-15", None),
    "synthetics": ("synthetics/2017-10-11", None),
    "logs": ("logs/2014-03-28", {"DescribeLogGroups", "DeleteLogGroup"}),
}
HERE = pathlib.Path(__file__).parent


def without_prose(node):
    if isinstance(node, dict):
        # A member may itself be called "documentation"; prose is always a string.
        return {k: without_prose(v) for k, v in node.items() if not (k == "documentation" and isinstance(v, str))}
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    return node


def references(node):
    """The names of the shapes that a node of the model refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("shape"), str):
            yield node["shape"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def reduced(model, keep):
    """The model with some operations, and the shapes that they reach."""
    operations = {name: it for name, it in model["operations"].items() if name in keep}
    reached, waiting = set(), set(references(operations))
    while waiting:
        shape = waiting.pop()
        reached.add(shape)
        waiting |= set(references(model["shapes"][shape])) - reached
    shapes = {name: it for name, it in model["shapes"].items() if name in reached}
    return {**model, "operations": operations, "shapes": shapes}


def main():
    data = pathlib.Path(botocore.__file__).parent / "data"
    stale = []
    for name, (folder, keep) in MODELS.items():
        with gzip.open(data / folder / "service-2.json.gz") as source:
            model = without_prose(json.load(source))
        text = json.dumps(reduced(model, keep) if keep else model, indent=1) + "\n"
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
