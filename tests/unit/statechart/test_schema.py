"""Schemas: reading, replacing and writing values of the three kinds, and what a class says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec
import pydantic
import pytest

from perdure.errors import EventFailed
from perdure.json_value import decode_json, encode_json
from perdure.statechart.schema import EventSchema, Misfit, Schema, event_type_of, is_schema_type, plain, typed_event

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DataItem:
    name: str
    price: float = 1.0


@dataclass(frozen=True)
class DataCart:
    items: list[DataItem] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        if self.total == 13:
            raise ValueError("thirteen")


class StructItem(msgspec.Struct, frozen=True):
    name: str
    price: float = 1.0


class StructCart(msgspec.Struct, frozen=True, rename="camel"):
    items: list[StructItem] = []
    total: float = 0.0

    def __post_init__(self) -> None:
        if self.total == 13:
            raise ValueError("thirteen")


class ModelItem(pydantic.BaseModel, frozen=True):
    name: str
    price: float = 1.0


class ModelCart(pydantic.BaseModel, frozen=True):
    items: list[ModelItem] = []
    total: float = pydantic.Field(default=0.0, alias="sum")

    @pydantic.field_validator("total")
    @classmethod
    def check_total(cls, total: float) -> float:
        if total == 13:
            raise ValueError("thirteen")
        return total

    @pydantic.computed_field
    def count(self) -> int:
        return len(self.items)


class Nested(msgspec.Struct, frozen=True):
    model: ModelItem


every_kind = pytest.mark.parametrize("kind", [DataCart, StructCart, ModelCart])


@every_kind
def test_a_value_is_read_from_plain_data_with_its_parts_and_written_as_the_same_data(kind: Any) -> None:
    cart = Schema(kind).decoded({"items": [{"name": "book", "price": 2}]})
    assert type(cart) is kind
    assert (cart.items[0].name, cart.items[0].price, cart.total) == ("book", 2.0, 0.0)
    assert Schema(kind).decoded(plain(cart)) == cart


@every_kind
@pytest.mark.parametrize(
    ("wrong", "where"),
    [({"items": [{}]}, "items"), ({"items": 5}, "items"), ({"items": [{"name": 5}]}, "name"), (5, ""), ([], "")],
)
def test_plain_data_that_does_not_fit_is_refused_with_its_place(kind: Any, wrong: Any, where: str) -> None:
    with pytest.raises(Misfit, match=rf"it is no {kind.__name__}: .*{where}"):
        Schema(kind).decoded(wrong)


@every_kind
def test_what_json_cannot_say_does_not_fit(kind: Any) -> None:
    with pytest.raises(Misfit, match="unsupported"):
        Schema(kind).decoded({"items": object()})


@every_kind
def test_a_replaced_value_is_a_new_one_and_its_parts_are_copies(kind: Any) -> None:
    schema = Schema(kind)
    cart = schema.decoded({"items": [{"name": "book"}]})
    changed = schema.replaced(cart, {"total": 5})
    assert (cart.total, changed.total, changed.items) == (0.0, 5.0, cart.items)
    assert changed.items is not cart.items


@every_kind
def test_plain_data_may_replace_a_part(kind: Any) -> None:
    schema = Schema(kind)
    changed = schema.replaced(schema.decoded({}), {"items": [{"name": "pen"}]})
    assert changed.items[0].name == "pen"


@every_kind
def test_a_field_that_is_not_there_is_refused_with_a_suggestion(kind: Any) -> None:
    schema = Schema(kind)
    with pytest.raises(Misfit, match=rf"{kind.__name__} has no field 'totl'\. Did you mean 'total'\?"):
        schema.replaced(schema.decoded({}), {"totl": 5})


@every_kind
@pytest.mark.parametrize("wrong", ["much", None, float("nan")])
def test_a_replaced_value_is_checked(kind: Any, wrong: Any) -> None:
    schema = Schema(kind)
    with pytest.raises(Misfit, match=f"it is no {kind.__name__}"):
        schema.replaced(schema.decoded({}), {"total": wrong})


@every_kind
def test_the_users_own_validation_refuses(kind: Any) -> None:
    schema = Schema(kind)
    with pytest.raises(Misfit, match="thirteen"):
        schema.replaced(schema.decoded({}), {"total": 13})


def test_a_model_that_takes_more_fields_gets_them() -> None:
    class Open(pydantic.BaseModel, extra="allow"):
        n: int = 0

    changed: Any = Schema(Open).replaced(Open(), {"more": 5})
    assert changed.more == 5


def test_models_name_the_place_of_each_defect() -> None:
    with pytest.raises(Misfit, match=r"Field required - at `\$\.items\.0\.name`; .* - at `\$\.sum`"):
        Schema(ModelCart).decoded({"items": [{}], "sum": "much"})


def test_a_model_within_a_struct_is_read_and_written() -> None:
    nested = Schema(Nested).decoded({"model": {"name": "book"}})
    assert nested == Nested(ModelItem(name="book"))
    assert plain(nested) == {"model": {"name": "book", "price": 1.0}}
    with pytest.raises(Misfit, match="name"):
        Schema(Nested).decoded({"model": {}})


def test_a_generic_model_within_a_struct_is_read() -> None:
    class Box(pydantic.BaseModel, Generic[T]):
        content: T

    read: Any = Schema(msgspec.defstruct("Holder", [("box", Box[int])])).decoded({"box": {"content": 5}})
    assert read.box.content == 5


def test_a_field_of_another_class_does_not_fit() -> None:
    class Other:
        pass

    holder = msgspec.defstruct("Holder", [("other", Other)])
    with pytest.raises(Misfit, match="objects of type Other"):
        Schema(holder).decoded({"other": {}})


@pytest.mark.parametrize("wrong", [int, dict, 5, "Cart", DataCart()])
def test_only_classes_of_the_three_kinds_are_schemas(wrong: Any) -> None:
    assert not is_schema_type(wrong)
    with pytest.raises(TypeError, match="no dataclass, msgspec Struct or pydantic model"):
        Schema(wrong)


def test_a_class_that_cannot_be_read_is_refused() -> None:
    @dataclass
    class Unknown:
        n: Nowhere  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match=r"Unknown cannot be read from JSON: .*Nowhere"):
        Schema(Unknown)


# -- plain data ------------------------------------------------------------------------------------


def test_plain_data_of_a_model_has_its_aliases_and_nothing_computed() -> None:
    assert plain(ModelCart(items=[ModelItem(name="book")])) == {"items": [{"name": "book", "price": 1.0}], "sum": 0.0}


@pytest.mark.parametrize("value", [None, True, 5, 1.5, "text"])
def test_plain_values_stay_what_they_are(value: Any) -> None:
    assert plain(value) is value


def test_values_within_plain_data_are_made_plain_and_tuples_lists() -> None:
    assert plain({"a": (DataItem("book"), StructItem("pen"))}) == {
        "a": [{"name": "book", "price": 1.0}, {"name": "pen", "price": 1.0}]
    }


def test_what_is_not_json_fails_the_event() -> None:
    with pytest.raises(EventFailed, match="is not JSON: Encoding objects of type object is unsupported"):
        plain({"a": object()})


def test_json_is_the_same_for_the_three_kinds() -> None:
    items = [DataItem("book"), StructItem("book"), ModelItem(name="book")]
    assert {encode_json(item) for item in items} == {b'{"name":"book","price":1.0}'}
    assert decode_json(encode_json(items[0])) == plain(items[2])


# -- events ----------------------------------------------------------------------------------------


@dataclass
class ByClass:
    type: ClassVar[str] = "by"
    n: int


@dataclass(slots=True)
class ByField:
    n: int
    type: Literal["by"] = "by"


class ByModel(pydantic.BaseModel, extra="forbid"):
    type: Literal["by"] = "by"
    n: int


class ByModelClass(pydantic.BaseModel, extra="forbid"):
    type: ClassVar[str] = "by"
    n: int


class ByTag(msgspec.Struct, tag="by", forbid_unknown_fields=True):
    n: int


class ByStructClass(msgspec.Struct, forbid_unknown_fields=True):
    type: ClassVar[str] = "by"
    n: int


class ByStructField(msgspec.Struct, forbid_unknown_fields=True):
    n: int
    type: Literal["by"] = "by"


class Silent(msgspec.Struct, forbid_unknown_fields=True):
    n: int


EVENTS: list[Any] = [ByClass, ByField, ByModel, ByModelClass, ByTag, ByStructClass, ByStructField]


@pytest.mark.parametrize("kind", EVENTS)
def test_a_class_says_its_event_type(kind: Any) -> None:
    assert event_type_of(kind) == "by"
    assert typed_event(kind(n=1)) == {"type": "by", "n": 1}
    read = EventSchema("by", kind).decoded({"type": "by", "n": 1})
    assert read == kind(n=1)


def test_a_class_that_is_silent_about_its_type_can_be_of_any() -> None:
    assert event_type_of(Silent) is None
    assert typed_event(Silent(1)) is None
    assert EventSchema("any", Silent).decoded({"type": "any", "n": 1}) == Silent(1)


@pytest.mark.parametrize("kind", EVENTS)
def test_a_class_cannot_be_of_another_type_than_it_says(kind: Any) -> None:
    with pytest.raises(TypeError, match="says that its type is 'by', not 'other'"):
        EventSchema("other", kind)


def test_no_type_is_said_by_what_is_no_class_for_events_or_says_nothing_useful() -> None:
    class Numbered(msgspec.Struct, tag=5, tag_field="type"):
        pass

    class OtherTag(msgspec.Struct, tag="by", tag_field="kind"):
        pass

    @dataclass
    class Needed:
        type: str

    assert [event_type_of(kind) for kind in (int, Numbered, OtherTag, Needed)] == [None] * 4


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_that_does_not_fit_is_refused(kind: Any) -> None:
    with pytest.raises(Misfit, match="it is no By"):
        EventSchema("by", kind).decoded({"type": "by", "n": "many"})


# -- defaults of dataclasses -----------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    n: int = 1


@dataclass(frozen=True, slots=True)
class SlottedLeaf:
    n: int = 1


class Branch(msgspec.Struct, frozen=True):
    leaf: Leaf
    others: tuple[Leaf, ...] = ()


@dataclass(frozen=True)
class Tree:
    listed: list[Leaf]
    named: dict[str, Leaf]
    chosen: frozenset[Leaf]
    branch: Branch
    slotted: SlottedLeaf
    above: Tree | None = None


def test_defaults_of_dataclasses_are_written_wherever_they_are() -> None:
    branch: dict[str, Any] = {"leaf": {}, "others": [{}]}
    below: dict[str, Any] = {"listed": [{}], "named": {"a": {}}, "chosen": [{}], "branch": branch, "slotted": {}}
    tree = Schema(Tree).decoded({**below, "above": below})
    full: dict[str, Any] = {
        "listed": [{"n": 1}],
        "named": {"a": {"n": 1}},
        "chosen": [{"n": 1}],
        "branch": {"leaf": {"n": 1}, "others": [{"n": 1}]},
        "slotted": {"n": 1},
        "above": None,
    }
    assert plain(tree) == {**full, "above": full}


def test_a_struct_writes_the_defaults_of_the_dataclasses_in_it() -> None:
    assert plain(Schema(Branch).decoded({"leaf": {}})) == {"leaf": {"n": 1}, "others": []}
