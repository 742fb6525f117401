"""The constraints of AWS's models, one after the other, as the installed botocore states them.

For each operation that the double serves, and for each member that its request may have: a request that breaks one
constraint (a required member, a length, a range, a pattern, an enum, a union), which must be refused for that member
with the error that the operation models, and requests at the edge of it, which must not be. A next token that
nobody gave is refused too. Nothing is listed by hand, so that a constraint that the double doesn't know is found, also
one that a newer botocore brings.
"""

import itertools
import re
import sys

from botocore.exceptions import ClientError

# Texts of which one satisfies each pattern of the models.
TEXTS = [
    "a",
    "1",
    "ab",
    "Average",
    "default",
    "123456789012",
    "index.handler",
    "eu-west-1",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "1,1,1,1",
    "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a",
    "arn:aws:iam::123456789012:role/a",
    "arn:aws:kms:eu-west-1:123456789012:key/a",
    "arn:aws:synthetics:eu-west-1:123456789012:canary:a",
]
# Texts of which one breaks each pattern that can be broken.
UNFIT = ["\u0007", "é", "a b", ":a", "a\nb", "aws:a"]
# Python knows no classes of Unicode; enough of them for TEXTS and UNFIT.
CLASSES = {"L": "a-zA-Zà-ÿ", "M": "", "N": "0-9", "P": r"!-/:-@\[-`{-~", "S": "$+<>^|~", "Z": " ", "Zs": " "}
# What a refusal says if a member of the request is why.
OF_A_MEMBER = re.compile(r"Member must|Exactly one member|is required|must not be null")
INTEGERS = ("integer", "long")
NUMBERS = (*INTEGERS, "double", "float")


def pattern_of(shape):
    text = shape.metadata.get("pattern")
    if text is None:
        return None
    for name, letters in CLASSES.items():
        text = text.replace(f"\\p{{{name}}}", letters)
    return re.compile(text, re.ASCII)


def fits(shape, text):
    """Whether a text satisfies its shape."""
    pattern, enum = pattern_of(shape), shape.metadata.get("enum")
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", len(text))
    return least <= len(text) <= most and (not pattern or pattern.fullmatch(text)) and (not enum or text in enum)


def lengthened(text, length):
    return text + text[-1] * (length - len(text))


def text_of(shape, length=None):
    """A text of the shape, of that length if it is given; none if no such text is known."""
    if "enum" in shape.metadata:
        return shape.metadata["enum"][0]
    least = length if length is not None else shape.metadata.get("min", 0)
    for text in TEXTS:
        # A length beyond the shape's own: only the pattern counts.
        text = lengthened(text, least)
        pattern = pattern_of(shape)
        if (length is None and fits(shape, text)) or (len(text) == length and (not pattern or pattern.fullmatch(text))):
            return text
    if length is None:
        sys.exit(f"no text is known that satisfies {shape.name} {shape.metadata}: add one to TEXTS")
    return None


def sample(shape, above=()):
    """The least value of a shape."""
    kind = shape.type_name
    if kind == "structure":
        if shape.name in above:
            return {}
        names = list(shape.required_members)
        if not names and (above or getattr(shape, "is_tagged_union", False)):
            # The query protocol can't send a structure without members.
            names = list(shape.members)[:1]
        return {name: sample(shape.members[name], (*above, shape.name)) for name in names}
    if kind == "list":
        return items(shape, shape.metadata.get("min", 0), above)
    if kind == "map":
        return entries(shape, shape.metadata.get("min", 0), above)
    if kind == "string":
        return text_of(shape)
    if kind in NUMBERS:
        return max(shape.metadata.get("min", 1), min(1, shape.metadata.get("max", 1)))
    return {"boolean": True, "blob": b"a" * shape.metadata.get("min", 1), "timestamp": 1_763_863_200}[kind]


def items(shape, count, above=()):
    item = shape.member
    if item.type_name == "string" and "enum" not in item.metadata:
        different = (text_of(item, length) for length in itertools.count(max(1, item.metadata.get("min", 1))))
        return [text if text and fits(item, text) else text_of(item) for text in itertools.islice(different, count)]
    return [sample(item, (*above, shape.name)) for _ in range(count)]


def entries(shape, count, above=()):
    # Names from the third letter on, so that a shorter or longer one that is put beside them is another one.
    names = (text_of(shape.key, length) for length in itertools.count(max(3, shape.key.metadata.get("min", 1))))
    return {name: sample(shape.value, (*above, shape.name)) for name in itertools.islice(names, count)}


def broken(shape):
    """Values each of which breaks one constraint of a shape, with that constraint's name."""
    kind, least, most = shape.type_name, shape.metadata.get("min"), shape.metadata.get("max")
    if kind == "structure":
        whole = sample(shape)
        for name in shape.required_members:
            yield f"without {name}", {member: value for member, value in whole.items() if member != name}
        if getattr(shape, "is_tagged_union", False):
            yield "no member of the union", {}
            yield "two members of the union", {name: sample(shape.members[name]) for name in list(shape.members)[:2]}
    elif kind == "string":
        if least:
            yield f"shorter than {least}", text_of(shape, least - 1) if least > 1 else ""
        if most is not None and "enum" not in shape.metadata:
            yield f"longer than {most}", text_of(shape, most + 1)
        if "enum" in shape.metadata:
            yield "not of the enum", "None-Of-These"
        if pattern := pattern_of(shape):
            for text in UNFIT:
                text = lengthened(text, least or 0)
                if not pattern.fullmatch(text) and len(text) <= (most or len(text)):
                    yield f"not of the pattern {pattern.pattern!r}", text
    elif kind == "list":
        if least:
            yield f"fewer than {least}", items(shape, least - 1)
        if most is not None:
            yield f"more than {most}", items(shape, most + 1)
    elif kind == "map":
        if least:
            yield f"fewer than {least}", entries(shape, least - 1)
        if most is not None:
            yield f"more than {most}", entries(shape, most + 1)
    elif kind in NUMBERS:
        if least is not None:
            yield f"less than {least}", least - 1
        if most is not None:
            yield f"more than {most}", most + 1
        elif kind == "integer":
            yield "more than 32 bits", 2**31
    elif kind == "blob":
        if least:
            yield f"shorter than {least}", b"a" * (least - 1)
        if most is not None:
            yield f"longer than {most}", b"a" * (most + 1)


def edges(shape):
    """Values at the edge of a shape's constraints."""
    kind, least, most = shape.type_name, shape.metadata.get("min"), shape.metadata.get("max")
    bounds = [bound for bound in (least, most) if bound is not None]
    if kind == "string":
        yield from (text for text in map(lambda bound: text_of(shape, bound), bounds) if text is not None and fits(shape, text))
        yield from shape.metadata.get("enum", [])
    elif kind in NUMBERS:
        yield from bounds
    elif kind == "list":
        yield from (items(shape, bound) for bound in bounds)
    elif kind == "map":
        yield from (entries(shape, bound) for bound in bounds)
    elif kind == "blob":
        yield from (b"a" * bound for bound in bounds)


def places(shape, path=(), above=()):
    """Every shape within a request, and how to put a value there into the least request that has one."""
    yield path, shape, lambda value: value
    if shape.type_name == "structure" and shape.name not in above:
        whole, union = sample(shape), getattr(shape, "is_tagged_union", False)
        for name, member in shape.members.items():
            base = {} if union else whole
            for inner, found, put in places(member, (*path, name), (*above, shape.name)):
                yield inner, found, lambda value, base=base, name=name, put=put: {**base, name: put(value)}
    elif shape.type_name == "list":
        rest = sample(shape)[1:]
        for inner, found, put in places(shape.member, (*path, "1", "member"), above):
            yield inner, found, lambda value, rest=rest, put=put: [put(value), *rest]
    elif shape.type_name == "map":
        [key, *others] = entries(shape, max(1, shape.metadata.get("min", 0)))
        rest, value = {other: sample(shape.value) for other in others}, sample(shape.value)
        for inner, found, put in places(shape.value, (*path, key), above):
            yield inner, found, lambda value, rest=rest, key=key, put=put: {key: put(value), **rest}
        yield (*path, ""), shape.key, lambda key, rest=rest, value=value: {**rest, key: value}


def sendable(operation, path, value, why):
    """Whether botocore can send it: a path of a URL has all its parts, and a structure in a query has members."""
    metadata = operation.service_model.metadata
    bound = [name for name, member in operation.input_shape.members.items() if member.serialization.get("location") == "uri"]
    if metadata["protocol"] == "query" and path:
        inner = value.values() if "union" in why else ()
        return value != {} and {} not in inner
    if path == ():
        return not any(why == f"without {name}" for name in bound)
    return not (path[0] in bound and value == "")


def expected_code(operation, missing):
    """The code and status of a refusal by the model: the error that the operation itself models."""
    modelled = {shape.name: shape for shape in operation.error_shapes}
    wanted = ["MissingRequiredParameterException"] * missing + [
        "InvalidParameterValueException",
        "InvalidParameterException",
        "ValidationException",
        "BadRequestException",
    ]
    for name in wanted:
        if name in modelled:
            error = modelled[name].metadata.get("error", {})
            return modelled[name].error_code, error.get("httpStatusCode", 400)
    query = operation.service_model.metadata["protocol"] == "query" or "awsQueryCompatible" in operation.service_model.metadata
    return "ValidationError" if query else "ValidationException", 400


def call(api, operation, request):
    """None if it was accepted, else code, status and message."""
    try:
        api._make_api_call(operation.name, request)
    except ClientError as error:
        told = error.response["Error"]
        return told["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"], told["Message"]
    return None


def names(message, path, why):
    """Whether a refusal is for this member; AWS writes members as its Java programs know them."""
    steps = [*path, *([why.removeprefix("without ")] if why.startswith("without ") else [])]
    wanted = ".".join(steps).lower()
    return bool(OF_A_MEMBER.search(message)) and wanted.rstrip(".") in message.lower()


def serves(api, operation):
    request = sample(operation.input_shape) if operation.input_shape else {}
    refusal = call(api, operation, request)
    return refusal is None or refusal[0] not in ("UnknownOperationException", "InvalidAction")


def hold(api, wanted=lambda name: True):
    """Tries every constraint; tells the operations that are served, and how often a constraint was broken."""
    model, wrong, tried, served = api.meta.service_model, [], 0, []
    for name in model.operation_names:
        operation = model.operation_model(name)
        if not wanted(name) or not serves(api, operation):
            continue
        served.append(name)
        for path, shape, put in places(operation.input_shape) if operation.input_shape else []:
            for value in edges(shape):
                refusal = call(api, operation, put(value)) if sendable(operation, path, value, "") else None
                if refusal and "Member must" in refusal[2]:
                    wrong.append(f"{name} {'.'.join(path)}: refused at its edge: {refusal}")
            for why, value in broken(shape):
                if value is None or not sendable(operation, path, value, why):
                    continue
                tried += 1
                refusal = call(api, operation, put(value))
                code, status = expected_code(operation, missing=why.startswith("without "))
                if not refusal or refusal[:2] != (code, status) or not names(refusal[2], path, why):
                    wrong.append(f"{name} {'.'.join(path)}: {why}: {refusal and (*refusal[:2], refusal[2][:300])}, expected {code} {status}")
        for token in [name for name in operation.input_shape.members if name.lower() == "nexttoken"] if operation.input_shape else []:
            refusal = call(api, operation, {**sample(operation.input_shape), token: "never-given"})
            if not refusal:
                wrong.append(f"{name} takes a token that nobody gave")
    if wrong:
        sys.exit("\n".join(wrong))
    return served, tried
