"""What administrators see of parents and children, and what clients may not say."""

from __future__ import annotations

from perdure.durable.records import Address
from tests.server.world import ORG, World, problem

FAMILY = """
from perdure import create_machine, persistent

allow_read = allow_write = lambda request: True
machine = create_machine({
    "id": "house",
    "initial": "in",
    "states": {"in": {"invoke": {"id": "kid", "src": persistent("light", name="kid", detached=True)}}},
})
"""


async def deploy_house(world: World) -> None:
    await world.runtime.create_machine(ORG, "house")
    await world.runtime.deploy(ORG, "house", FAMILY, file_name="house.py")
    await world.runtime.create_instance(Address(ORG, "house", "home"))
    await world.runtime.idle()


async def test_administrators_see_the_children_of_a_parent_and_the_parents_of_a_child(world: World) -> None:
    await deploy_house(world)
    async with await world.client("instances.admin") as client:
        parent = (await client.get("/machines/house/i/home/admin")).json()
        child = (await client.get("/machines/light/i/kid/admin")).json()
    assert parent["children"] == [{"id": "kid", "machineName": "light", "machineInstanceName": "kid", "detached": True}]
    assert child["parents"] == [{"id": "kid", "machineName": "house", "machineInstanceName": "home", "detached": True}]
    assert "parents" not in parent
    assert "children" not in child


async def test_clients_may_not_say_what_only_the_runtime_says(world: World) -> None:
    await deploy_house(world)
    async with await world.client() as client:
        response = await client.post("/machines/house/i/home/events", json={"event": {"type": "done.invoke.kid"}})
    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "event"
