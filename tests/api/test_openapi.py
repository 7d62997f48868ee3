import msgspec
from tests.api import route_table as table
from tests.conftest import REPOSITORY

from earshot.api.openapi import text
from earshot.api.schemas.stream import EVENTS

API = msgspec.json.decode(text())


def test_the_committed_description_is_that_of_the_code():
    committed = (REPOSITORY / "web/openapi.json").read_text(encoding="utf-8")
    assert committed == text(), "run: python -m earshot.api.openapi"


def test_the_app_describes_itself_in_the_same_words(world, admin):
    assert admin.get("/api/v1/openapi.json").json() == API


def test_every_operation_has_a_name_a_sentence_and_tells_of_problems():
    seen = set()
    for path, operations in API["paths"].items():
        for method, operation in operations.items():
            noun, _, verb = operation["operationId"].partition("_")
            assert noun, (method, path)
            assert verb, (method, path)
            assert operation["description"], (method, path)
            problem = operation["responses"]["default"]["content"]
            assert list(problem) == ["application/problem+json"]
            assert "422" not in operation["responses"]
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "path":
                    assert parameter.get("description"), (method, path, parameter["name"])
            seen.add(operation["operationId"])
    assert len(seen) == sum(len(route.methods) for _, route in table.api_routes())


def test_every_field_is_described_and_has_an_example():
    for name, schema in API["components"]["schemas"].items():
        assert schema["description"], name
        for field, shape in schema.get("properties", {}).items():
            assert shape.get("description") or "$ref" in shape, (name, field)
            plain = "$ref" not in msgspec.json.encode(shape).decode()
            moment = "date-time" in msgspec.json.encode(shape).decode()
            assert not plain or moment or "examples" in shape or "const" in shape, (name, field)


def test_the_shapes_of_the_streams_events_are_in_it():
    assert {shape.__name__ for shape in EVENTS.values()} <= set(API["components"]["schemas"])
