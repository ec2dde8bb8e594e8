"""Every list takes `limit` and `cursor`; every path that answers GET answers HEAD."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.gateway import Gateway


async def items_of(gateway: Gateway, path: str, limit: int) -> tuple[list[dict[str, Any]], list[int]]:
    """All items, page by page, and the sizes of the pages."""
    found: list[dict[str, Any]] = []
    sizes: list[int] = []
    cursor = ""
    while True:
        answer = await gateway.operate("GET", f"{path}?limit={limit}{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        sizes.append(len(page["items"]))
        if page["next_cursor"] is None:
            return found, sizes
        cursor = f"&cursor={page['next_cursor']}"


async def fill(gateway: Gateway) -> dict[str, str]:
    """Five items in each of the operator's lists; their paths."""
    base = f"tenants/{gateway.city.id}"
    account = {"connection_id": f"con_{gateway.connection.id}", "holder": "x"}
    profile = {"smtp": {"host": "h"}, "domains": ["de-mail.de"]}
    for number in range(4):
        address = f"amt{number}@stadt-elbtal.de-mail.de"
        owner = {"account_id": f"acc_{gateway.city.account.id}"}
        for path, body in (
            (f"{base}/accounts", account),
            (f"{base}/addresses", {"address": address, **owner}),
            (f"{base}/clients", {"name": "x", "scopes": ["messages:send"]}),
            (f"{base}/keys", {}),
            ("connections", {"name": f"c{number}", "auth_level": "high", "profile": profile}),
        ):
            assert (await gateway.operate("POST", path, json=body)).status_code == 201
        sender = f"{base}/senders/{gateway.city.client_id}/{address}"
        assert (await gateway.operate("PUT", sender, json={})).status_code == 200
    assert (await gateway.operate("POST", f"{base}/keys", json={})).status_code == 201
    lists = ("accounts", "addresses", "clients", "senders", "keys")
    return {**{name: f"{base}/{name}" for name in lists}, "connections": "connections"}


async def test_every_list_of_the_operator_is_paged_without_loss(gateway: Gateway) -> None:
    for path in (await fill(gateway)).values():
        whole, sizes = await items_of(gateway, path, 200)
        paged, pages = await items_of(gateway, path, 2)
        assert (sizes, pages) == ([5], [2, 2, 1])
        assert paged == whole


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e1"])
async def test_a_limit_out_of_range_is_refused_by_every_list(gateway: Gateway, limit: str) -> None:
    message = (await gateway.send()).json()["id"]
    base = f"tenants/{gateway.city.id}"
    lists = [f"{base}/{name}" for name in ("accounts", "addresses", "clients", "senders", "keys")]
    for path in (*lists, "connections", "tenants", "journal"):
        assert (await gateway.operate("GET", f"{path}?limit={limit}")).status_code == 422, path
    for path in ("messages", "inbox", f"messages/{message}/events", f"messages/{message}/evidence"):
        assert (await gateway.call("GET", f"{path}?limit={limit}")).status_code == 422, path


async def test_a_cursor_is_bound_to_its_list(gateway: Gateway) -> None:
    paths = await fill(gateway)
    cursor = (await gateway.operate("GET", f"{paths['clients']}?limit=2")).json()["next_cursor"]
    other = f"tenants/{gateway.firm.id}/clients"
    for path, given in ((paths["keys"], cursor), (other, cursor), (paths["clients"], f"{cursor}A"), (other, "W10")):
        answer = await gateway.operate("GET", f"{path}?cursor={given}")
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor-invalid")


async def test_a_page_goes_on_behind_an_item_that_has_gone(gateway: Gateway) -> None:
    path = (await fill(gateway))["senders"]
    whole, _ = await items_of(gateway, path, 200)
    first = (await gateway.operate("GET", f"{path}?limit=2")).json()
    gone = first["items"][1]
    await gateway.operate("DELETE", f"{path}/{gone['client_id']}/{gone['address']}")
    second = (await gateway.operate("GET", f"{path}?limit=200&cursor={first['next_cursor']}")).json()
    assert second["items"] == whole[2:]


async def test_history_is_paged(gateway: Gateway) -> None:
    path = f"messages/{(await gateway.send()).json()['id']}/events"
    await gateway.call("POST", path.replace("events", "cancel"))
    page = (await gateway.call("GET", f"{path}?limit=1")).json()
    assert len(page["items"]) == 1


async def test_the_document_names_limit_and_cursor_of_every_list(gateway: Gateway) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    lists = 0
    for path, operations in document["paths"].items():
        content = operations.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        shape = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        if shape.endswith("List"):
            lists += 1
            names = {each.get("name") for each in operations["get"]["parameters"]}
            assert {"limit", "cursor"} <= names, path
    assert lists >= 12


async def test_head_is_get_without_content(gateway: Gateway) -> None:
    message = (await gateway.send()).json()["id"]
    for path in ("messages", f"messages/{message}", f"messages/{message}/evidence.zip", f"messages/msg_{message}"):
        got, head = [await gateway.call(method, path) for method in ("GET", "HEAD")]
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    got, head = [await gateway.call(method, f"messages/{message}") for method in ("GET", "HEAD")]
    assert head.headers["content-length"] == str(len(got.content))
    assert (await gateway.http.head("/livez")).status_code == 200


async def test_what_has_no_get_has_no_head(gateway: Gateway) -> None:
    answer = await gateway.http.head("/oauth2/token")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    put = await gateway.http.put("/livez")
    assert (put.status_code, put.headers["allow"]) == (405, "GET, HEAD")


async def test_a_fault_of_form_has_no_rule(gateway: Gateway) -> None:
    answer = await gateway.operate("POST", "tenants", json={"slug": 1})
    assert {each["rule"] for each in answer.json()["errors"]} == {None}
