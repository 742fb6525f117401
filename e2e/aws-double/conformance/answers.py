"""What AWS's models say about answers, held against every answer that a client gets."""

import constraints

# Errors that an operation gives without modelling them, with who says so.
UNMODELLED = {
    # The handler of AWS::Synthetics::Canary in CloudFormation waits for it.
    ("GetCanary", "ResourceNotFoundException"),
    # Nobody says how a second canary of a name is refused: see docs/aws-double.md.
    ("CreateCanary", "ConflictException"),
}


# "Common Errors" of the API references: any operation may give them.
COMMON = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAction",
    "InternalFailure",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestEntityTooLargeException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
    "UnknownOperationException",
    "ValidationError",
}


class UnlikeTheModel(Exception):
    pass


def hold(api):
    """From now on each answer that the client gets must be one that the operation's model has."""
    api.meta.events.register("after-call", check)
    return api


def check(parsed, model, http_response, **_):
    if http_response.status_code >= 300:
        wrong = list(wrong_error(model, parsed["Error"]["Code"], http_response.status_code))
    else:
        wrong = list(violations(model.output_shape, parsed, ())) if model.output_shape else []
    if wrong:
        raise UnlikeTheModel(f"{model.name} answered {http_response.status_code} {parsed}: {'; '.join(wrong)}")


def wrong_error(operation, code, status):
    """Every error is one that the operation models, with that one's status, or one that all may give."""
    ours = {shape.error_code: shape for shape in operation.error_shapes}
    known = {shape.error_code: shape for shape in operation.service_model.error_shapes}
    shape = ours.get(code, known.get(code))
    modelled = shape.metadata.get("error", {}).get("httpStatusCode", status) if shape else status
    if status != modelled:
        yield f"{code} has status {modelled}"
    if code not in ours and code not in COMMON and (operation.name, code) not in UNMODELLED:
        yield f"it doesn't model {code}"


def violations(shape, value, path):
    """What is wrong with a value of an answer."""
    where, kind = ".".join(path), shape.type_name
    size = value if kind in constraints.NUMBERS else len(value) if kind in ("list", "map", "blob") else None
    if kind == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{where} has no {name}"
        for name, member in shape.members.items():
            if name in value:
                yield from violations(member, value[name], (*path, name))
    elif kind == "string":
        if not constraints.fits(shape, value):
            yield f"{where} is {value!r}, no {shape.name} {shape.metadata}"
    elif size is not None and value not in ([], {}):
        # What is empty stands for what is absent.
        if not shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size):
            yield f"{where} is {value!r}, no {shape.name} {shape.metadata}"
    if kind == "list":
        for item in value:
            yield from violations(shape.member, item, (*path, "member"))
    elif kind == "map":
        for name, item in value.items():
            yield from violations(shape.key, name, path)
            yield from violations(shape.value, item, (*path, name))
