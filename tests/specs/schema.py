"""Says where a JSON value is not what a schema of an OpenAPI or a discovery document describes.

It reads what those documents use of JSON Schema, and is stricter in one place: an object whose fields are listed has no others, unless
the schema says that it may. Services differ in whether they refuse such a field; none of them documents it.
"""

import re

ANY = object()
TYPES = {
    "string": str, "boolean": bool, "array": list, "object": dict, "null": type(None), "number": (int, float), "integer": int,
}


def typed(value, name):
    if name == "any":
        return True
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[name])


class Document:
    """The schemas of one document."""

    def __init__(self, root):
        self.root = root

    def resolved(self, schema):
        seen = 0
        while isinstance(schema, dict) and "$ref" in schema and seen < 50:
            seen += 1
            name = schema["$ref"]
            if not name.startswith("#/"):
                # A discovery document names a schema of its own.
                schema = self.root["schemas"][name]
                continue
            found = self.root
            for step in name[2:].split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            schema = found
        return schema

    def errors(self, schema, value, at=""):
        """What is wrong, as texts that begin with the place."""
        wrong, known = self.look(schema, value, at)
        return wrong + unknown(value, known, at)

    def look(self, schema, value, at):
        """What is wrong, and the fields that the schema knows; `ANY` where it knows of no bounds."""
        schema = self.resolved(schema)
        if schema is True or not schema:
            return [], ANY
        if value is None and (schema.get("nullable") or schema.get("x-nullable")):
            return [], ANY
        wrong = scalars(schema, value, at)
        if wrong:
            return wrong, ANY
        # A tag of branches need not be listed in them.
        tag = (schema.get("discriminator") or {}).get("propertyName")
        known = {tag} if tag else set()
        free = not ({"properties", "allOf", "anyOf", "oneOf"} & set(schema))
        if isinstance(value, dict):
            wrong, listed = self.fields(schema, value, at)
            known = ANY if listed is ANY else known | listed
        elif isinstance(value, list):
            wrong = self.items(schema, value, at)
        for part in schema.get("allOf", []):
            more, names = self.look(part, value, at)
            wrong += more
            known = ANY if known is ANY or names is ANY and "properties" not in schema and len(schema["allOf"]) == 1 else known | (set() if names is ANY else names)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                more, names = self.one_of(schema, word, value, at, known)
                wrong += more
                known = ANY if names is ANY or known is ANY else known | names
        return wrong, ANY if free and known is not ANY and not known and schema.get("additionalProperties") is not False else known

    def fields(self, schema, value, at):
        wrong, listed = [], schema.get("properties") or {}
        for name in schema.get("required", []):
            if name not in value:
                wrong.append(f"{at}: no `{name}`")
        for name, inner in value.items():
            if name in listed:
                wrong += self.errors(listed[name], inner, f"{at}.{name}")
        more = schema.get("additionalProperties")
        if more is None or more is False:
            return wrong, set(listed)
        for name, inner in value.items():
            if name not in listed and isinstance(more, dict):
                wrong += self.errors(more, inner, f"{at}.{name}")
        return wrong, ANY

    def items(self, schema, value, at):
        wrong = []
        low, high = schema.get("minItems", 0), schema.get("maxItems")
        if len(value) < low or high is not None and len(value) > high:
            wrong.append(f"{at}: {len(value)} items")
        for number, inner in enumerate(value):
            if "items" in schema:
                wrong += self.errors(schema["items"], inner, f"{at}[{number}]")
        return wrong

    def one_of(self, schema, word, value, at, known):
        """The branch that fits, or what is wrong with the one that fits best."""
        best = None
        tag = (schema.get("discriminator") or {}).get("propertyName")
        for branch in schema[word]:
            more, names = self.look(branch, value, at)
            whole = ANY if names is ANY or known is ANY else known | names
            count = len(more) + len(unknown(value, whole, at))
            # Whoever says a tag means the branch that has it.
            count += 100 * self.another(branch, value, tag)
            if best is None or count < best[0]:
                best = count, more, names
            if count == 0:
                break
        return (best[1], best[2]) if best else ([], ANY)

    def another(self, branch, value, named=None):
        """True where a tag of the value is another than that of the branch, or the branch is of another type."""
        branch = self.resolved(branch)
        if not isinstance(branch, dict):
            return False
        if scalars(branch, value, ""):
            return True
        if not isinstance(value, dict):
            return False
        for name in {"type", "role", "kind", named} - {None}:
            tag = self.resolved((branch.get("properties") or {}).get(name) or {})
            if tag and name in value and scalars(tag, value[name], ""):
                return True
        return any(self.another(part, value, named) for part in branch.get("allOf", []))


def unknown(value, known, at):
    if not isinstance(value, dict) or known is ANY:
        return []
    return [f"{at}.{name}: unknown" for name in value if name not in known]


def scalars(schema, value, at):
    """What can be said of a value without its fields and items."""
    kinds = schema.get("type")
    if kinds is not None:
        kinds = kinds if isinstance(kinds, list) else [kinds]
        # Protocol buffers write such numbers as texts, and read both.
        both = schema.get("format") in ("int64", "uint64") and isinstance(value, int) and not isinstance(value, bool)
        if not both and not any(typed(value, kind) for kind in kinds):
            return [f"{at}: {type(value).__name__} is not {'/'.join(kinds)}"]
    if "const" in schema and value != schema["const"]:
        return [f"{at}: {value!r} is not {schema['const']!r}"]
    if schema.get("enum") is not None and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {len(schema['enum'])} words"]
    if isinstance(value, str):
        return text(schema, value, at)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(schema, value, at)
    return []


def text(schema, value, at):
    low, high, pattern = schema.get("minLength", 0), schema.get("maxLength"), schema.get("pattern")
    if len(value) < low or high is not None and len(value) > high:
        return [f"{at}: {len(value)} characters"]
    # An image in base64 against a pattern takes seconds, and says nothing.
    if pattern and len(value) < 1000 and not re.search(pattern, value):
        return [f"{at}: not like {pattern}"]
    return []


def number(schema, value, at):
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    bad = low is not None and (value < low or above is True and value == low)
    bad = bad or high is not None and (value > high or below is True and value == high)
    bad = bad or isinstance(above, (int, float)) and not isinstance(above, bool) and value <= above
    bad = bad or isinstance(below, (int, float)) and not isinstance(below, bool) and value >= below
    return [f"{at}: {value} is out of bounds"] if bad else []
