from itertools import pairwise

import pytest
from tests.api import route_table as table

from earshot.api.rights import ACTIONS, ROLES, rights_of, who_may

CALLS = table.calls()


def test_every_route_asks_for_one_right_of_the_table_or_is_named_as_public():
    for path, route in table.api_routes():
        for method in route.methods:
            right = table.right_of(route)
            if right is None:
                assert (method, path) in table.PUBLIC, f"{method} {path} asks for no right"
            else:
                assert right in ACTIONS, f"{method} {path} asks for the unknown {right}"


def test_every_right_is_asked_for_somewhere():
    asked = {table.right_of(route) for _, route in table.api_routes()}
    assert set(ACTIONS) - asked == {"metrics:read"}  # asked for by its own hand


@pytest.mark.parametrize(("weaker", "stronger"), list(pairwise(ROLES)))
def test_a_stronger_role_may_all_that_a_weaker_one_may(weaker, stronger):
    assert rights_of(weaker) < rights_of(stronger)


def test_an_unknown_role_may_nothing():
    assert rights_of("king") == frozenset()


@pytest.mark.parametrize("role", [None, *ROLES])
def test_each_role_may_exactly_what_the_table_says(world, role):
    client = world.client(role)
    for method, path, right in CALLS:
        if right is None or path.endswith("/sessions/current"):
            continue
        answer = client.request(method, path)
        if role is None:
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        elif right in rights_of(role):
            assert answer.status_code not in {401, 403}, (method, path, answer.text)
        else:
            assert answer.status_code == 403, (method, path)
            assert right in answer.json()["detail"]
            assert who_may(right)[0] in answer.json()["detail"]


@pytest.mark.parametrize("scope", ["posts:read", "rules:write", "audit:read"])
def test_a_token_may_what_both_its_scopes_and_its_owner_may(world, scope):
    token = world.token("editor", scope)
    client = world.client(Authorization=f"Bearer {token}")
    for method, path, right in CALLS:
        if right is None:
            continue
        allowed = right == scope and scope in rights_of("editor")
        answer = client.request(method, path)
        assert (answer.status_code != 403) == allowed, (method, path, answer.text)


def test_me_tells_the_rights_that_count(world):
    assert world.client("viewer").get("/api/v1/me").json()["rights"] == sorted(rights_of("viewer"))
    token = world.token("admin", "me:read", "posts:read")
    said = world.client(Authorization=f"Bearer {token}").get("/api/v1/me").json()
    assert (said["rights"], said["via"]) == (["me:read", "posts:read"], "token")
