"""What goes in and out, as the OpenAPI document tells it. Unknown keys are refused, so a misspelt one is noticed."""

from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

K = 1000
HISTORY = 1000
LISTED = 10_000
BATCH = 64
EVENTS = 1000
ITEMS = 1000
ID = 256
TEXT = 4000
VALUES = 200
YEAR_2100 = 4_102_444_800

_Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=ID, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Number = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Id = _Text | _Number
"""An id; an integer and its decimal spelling are the same."""
Value = Annotated[str, StringConstraints(strict=True, max_length=TEXT)] | _Number | Annotated[bool, Field(strict=True)]
"""What an attribute can be compared with."""


def _unescaped(escaped: Any) -> Any:
    """A part of a path as it was meant; routes see it escaped, so that an id may hold a slash."""
    try:
        return unquote(escaped, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


PathId = Annotated[_Text, BeforeValidator(_unescaped)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64)]


class _Sent(BaseModel):
    """What is sent."""

    model_config = ConfigDict(extra="forbid")


class EventBody(_Sent):
    """A user chose an item."""

    event_id: Id = Field(description="names the event among the user's; sent again, it is kept once")
    item_id: Id
    timestamp: float | None = Field(
        None, strict=True, ge=0, le=YEAR_2100, allow_inf_nan=False, description="seconds since 1970; left out: now"
    )


class RecommendBody(_Sent):
    """One list that is asked for, for a history or for a known user."""

    model: str | None = Field(None, max_length=64, description="a served model; the default where it is left out")
    history: list[Id] | None = Field(None, max_length=HISTORY, description="item ids, oldest first")
    user: Id | None = Field(None, description="a user whose events are known, instead of a history")
    events: list[EventBody] | None = Field(
        None,
        min_length=1,
        max_length=EVENTS,
        description="new events of the user, kept first, as POST /users/{user}/events keeps them",
    )
    k: int = Field(10, strict=True, ge=1, le=K, description="items; fewer come back where fewer are left")
    exclude_seen: bool = Field(True, strict=True, description="leave out the items of the history")
    allow: list[Id] | None = Field(None, max_length=LISTED, description="only these items")
    deny: list[Id] | None = Field(None, max_length=LISTED, description="not these items")
    filters: dict[Annotated[str, Field(max_length=ID)], Annotated[list[Value], Field(min_length=1, max_length=100)]] = (
        Field({}, max_length=16, description="for each attribute, the values of which an item has to have one")
    )
    diversity: float = Field(
        0.0, strict=True, ge=0, le=1, allow_inf_nan=False, description="0: best first; towards 1: unlike each other"
    )
    explain: bool = Field(False, strict=True, description="tell for each item the events that speak most for it")
    unknown: Literal["error", "skip"] = Field("error", description="what to do with unknown items of the history")

    @model_validator(mode="after")
    def _whose(self) -> "RecommendBody":
        if (self.history is None) == (self.user is None):
            raise ValueError("give either a history or a user")
        if self.events is not None and self.user is None:
            raise ValueError("events are kept of a user; give one instead of a history")
        return self


class BatchBody(_Sent):
    """Several lists at once; one that cannot be given refuses all."""

    requests: list[RecommendBody] = Field(min_length=1, max_length=BATCH)


class ExplainBody(_Sent):
    """An item to be explained."""

    model: str | None = Field(None, max_length=64)
    history: list[Id] = Field(min_length=1, max_length=HISTORY, description="item ids, oldest first")
    item_id: Id


class EventsBody(_Sent):
    """Events to be kept."""

    events: list[EventBody] = Field(min_length=1, max_length=EVENTS)


class ItemBody(BaseModel):
    """A new item; further keys are its attributes."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Value | Annotated[float, Field(allow_inf_nan=False)] | None]

    item_id: Id
    text: str | None = Field(None, max_length=TEXT, description="what the item is known by")
    vector: list[Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]] | None = Field(
        None, max_length=8192, description="instead, where the model's text vectors were the user's own"
    )

    @model_validator(mode="after")
    def _few(self) -> "ItemBody":
        if len(self.__pydantic_extra__) > 32:
            raise ValueError("an item has at most 32 attributes")
        return self


class ItemsBody(_Sent):
    """New items."""

    items: list[ItemBody] = Field(min_length=1, max_length=ITEMS)


class ModelBody(_Sent):
    """A model to be served."""

    path: str = Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$", description="its folder, on the server")


class ModelQuery(_Sent):
    """Which model is asked."""

    model: str | None = Field(None, max_length=64, description="a served model; the default where it is left out")


class SimilarQuery(ModelQuery):
    """How many items like one are asked for."""

    k: int = Field(10, ge=1, le=K, description="items")


class AudienceQuery(ModelQuery):
    """How many users whom an item suits are asked for."""

    k: int = Field(10, ge=1, le=100, description="users")


class SearchQuery(_Sent):
    """Words to find items by."""

    query: str = Field("", max_length=200, description="words that an item's text holds, or its id")
    limit: int = Field(20, ge=1, le=100, description="items; fewer come back where fewer are found")


# -- answers ----------------------------------------------------------------------------------------------------


class Error(BaseModel):
    """Why not."""

    code: str
    message: str
    where: str


class ErrorAnswer(BaseModel):
    """A request that was refused."""

    error: Error


class Reason(BaseModel):
    """An event that speaks for an item."""

    item_id: str | int
    text: str
    contribution: float


class Recommended(BaseModel):
    """An item of a list."""

    item_id: str | int
    text: str
    score: float
    rank: int
    because: list[Reason] | None = None


class RecommendAnswer(BaseModel):
    """A list, best first; empty where nothing is left to recommend."""

    model: str
    items: list[Recommended]
    history_length: int
    milliseconds: float
    accepted: int | None = Field(None, description="events that were new, where some were sent")
    duplicates: int | None = None


class BatchAnswer(BaseModel):
    """The lists, in the order asked for."""

    results: list[RecommendAnswer]


class Contribution(Reason):
    """What an event contributes; `place` counts from 0 in the history that was sent."""

    place: int


class ExplainAnswer(BaseModel):
    """An item's score and what each event contributes to it: the score with all events minus that without this one."""

    item_id: str | int
    score: float
    contributions: list[Contribution]


class EventsAnswer(BaseModel):
    """What became of the events; they are on the disk."""

    accepted: int
    duplicates: int


class KeptEvent(BaseModel):
    """An event that is kept."""

    event_id: str
    item_id: str
    timestamp: float


class HistoryAnswer(BaseModel):
    """A user's events, oldest first; none for a user who is not known."""

    user: str
    events: list[KeptEvent]


class ForgottenAnswer(BaseModel):
    """How many events there were."""

    user: str
    deleted: int


class ItemAnswer(BaseModel):
    """An item."""

    item_id: str | int
    text: str


class ItemsAnswer(BaseModel):
    """Items."""

    items: list[ItemAnswer]


class WholeItemAnswer(ItemAnswer):
    """All that is known of an item."""

    attributes: dict[str, Any]
    withdrawn: bool
    models: list[str]


class SimilarItem(ItemAnswer):
    """An item like another."""

    score: float
    rank: int


class SimilarAnswer(BaseModel):
    """Items like another, the most alike first."""

    model: str
    items: list[SimilarItem]


class ValueAnswer(BaseModel):
    """A value and how many items have it."""

    value: str
    count: int


class AttributeAnswer(BaseModel):
    """An attribute and its values, the most common first."""

    name: str
    values: list[ValueAnswer]


class AttributesAnswer(BaseModel):
    """What items can be filtered by; attributes of more than 200 values are left out, as titles are."""

    attributes: list[AttributeAnswer]


class AddedAnswer(BaseModel):
    """New items, those that came back after being withdrawn, those that were there, and who takes new ones."""

    added: int
    restored: int
    known: int
    models: list[str]


class WithdrawnAnswer(BaseModel):
    """An item that no list holds any more."""

    item_id: str
    withdrawn: bool


class AudienceMember(BaseModel):
    """A user and the item's place in that user's list."""

    user: str
    rank: int
    score: float


class AudienceAnswer(BaseModel):
    """Users to whom an item ranks highest, among those who were active last and have not chosen it."""

    model: str
    users: list[AudienceMember]
    considered: int


class ModelAnswer(BaseModel):
    """A served model."""

    name: str
    kind: str
    layers: int | None
    parameters: int
    items: int
    precision: str
    adds_items: bool
    milliseconds: float


class ModelsAnswer(BaseModel):
    """All served models."""

    models: list[ModelAnswer]
    default: str


class StatusAnswer(BaseModel):
    """How it is."""

    status: str
