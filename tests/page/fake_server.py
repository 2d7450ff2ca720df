"""What `slmrec serve` answers, as far as the page asks it, over a model that can be reckoned by hand."""

from typing import Any
from urllib.parse import unquote

FILMS = [
    ("1", "Toy Story (1995) | Animation, Children's, Comedy", 0),
    ("2", "Aladdin (1992) | Animation, Children's, Musical", 0),
    ("3", "Lion King, The (1994) | Animation, Children's, Musical", 0),
    ("4", "Babe (1995) | Children's, Comedy, Drama", 0),
    ("5", "Pinocchio (1940) | Animation, Children's", 0),
    ("6", "Star Wars (1977) | Action, Adventure, Sci-Fi", 1),
    ("7", "Alien (1979) | Action, Horror, Sci-Fi", 1),
    ("8", "Empire Strikes Back, The (1980) | Action, Adventure, Sci-Fi", 1),
    ("9", "Blade Runner (1982) | Film-Noir, Sci-Fi", 1),
    ("10", "Stargate (1994) | Action, Adventure, Sci-Fi", 1),
    ("11", "Godfather, The (1972) | Action, Crime, Drama", 2),
    ("12", "Pulp Fiction (1994) | Crime, Drama", 2),
    ("13", "Fargo (1996) | Crime, Drama, Thriller", 2),
    ("14", "GoodFellas (1990) | Crime, Drama", 2),
    ("15", "Amélie <b>& co</b> (2001) | Comedy, Romance", 2),
    ("16", "Sense and Sensibility (1995) | Drama, Romance", 3),
    ("17", "Emma (1996) | Drama, Romance", 3),
    ("18", "Sabrina (1995) | Comedy, Romance", 3),
]
"""Id, text and group. The fake model likes what shares a group with the newest choices."""
DECAY = 0.7


class FakeModel:
    """score(history, item) = Σ over events, newest first, of DECAY^age, where event and item share a group; and a
    little for the item itself, so that no two scores are equal. What an event adds follows from its definition."""

    def __init__(self, films: list[tuple[str, str, int]], decay: float = DECAY) -> None:
        self.films, self.decay = {item: (text, group) for item, text, group in films}, decay

    def score(self, history: list[str], item: str) -> float:
        """The score of an item after a history, oldest first."""
        group = self.films[item][1]
        events = enumerate(reversed(history))
        own = list(self.films).index(item) * 0.001
        return sum(self.decay**age for age, event in events if self.films[event][1] == group) - own

    def recommend(self, history: list[str], k: int, deny: list[str], genres: list[str] | None) -> list[dict[str, Any]]:
        """Items, best first."""
        out = {*history, *deny}
        fit = [
            item
            for item, (text, _) in self.films.items()
            if item not in out and (genres is None or set(genres) & set(text.split(" | ")[-1].split(", ")))
        ]
        ranked = sorted(fit, key=lambda item: -self.score(history, item))[:k]
        return [self.shown(item) | {"score": self.score(history, item), "rank": i + 1} for i, item in enumerate(ranked)]

    def contributions(self, history: list[str], item: str) -> list[dict[str, Any]]:
        """Leave-one-out, by the definition."""
        whole = self.score(history, item)
        return [
            self.shown(event) | {"place": i, "contribution": whole - self.score(history[:i] + history[i + 1 :], item)}
            for i, event in enumerate(history)
        ]

    def shown(self, item: str) -> dict[str, Any]:
        """An item as the API gives it."""
        return {"item_id": item, "text": self.films[item][0]}


class FakeServer:
    """What `slmrec serve` answers, as far as the page asks it; the models are `FakeModel`s."""

    def __init__(self) -> None:
        self.models = {"student": FakeModel(FILMS), "teacher": FakeModel(FILMS, 0.9), "sasrec": FakeModel(FILMS, 0.3)}
        self.key: str | None = None
        self.trouble: tuple[int, str] | None = None
        """Status and message of every answer to `recommend`, where set."""
        self.asked: list[tuple[str, str, Any]] = []
        """Method, path and body of each request to the API."""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON."""
        first = self.models.get("student", FakeModel([]))
        match (method, *(unquote(part) for part in path.strip("/").split("/"))):
            case ("GET", "models"):
                facts = [
                    {
                        "name": name,
                        "kind": "slmrec",
                        "layers": layers,
                        "parameters": 3_540_000 * layers,
                        "items": len(FILMS),
                    }
                    | {"precision": "fp32", "adds_items": True, "milliseconds": layers * 0.8}
                    for name, layers in zip(self.models, (4, 8, 2), strict=False)
                ]
                return 200, {"models": facts, "default": next(iter(self.models), None)}
            case ("GET", "attributes"):
                genres = sorted(
                    {genre for text, _ in first.films.values() for genre in text.split(" | ")[-1].split(", ")}
                )
                return 200, {"attributes": [{"name": "genre", "values": [{"value": genre} for genre in genres]}]}
            case ("GET", "items"):
                words = query.get("query", "").lower()
                found = [first.shown(item) for item in first.films if words in first.films[item][0].lower()]
                return 200, {"items": found[: int(query["limit"])]}
            case ("GET", "items", item) if item in first.films:
                return 200, first.shown(item)
            case ("GET", "items", item, "similar") if item in first.films:
                alike = [
                    other for other in first.films if first.films[other][1] == first.films[item][1] and other != item
                ]
                return 200, {"items": [first.shown(other) | {"score": 0.9} for other in alike[: int(query["k"])]]}
            case ("POST", "items"):
                for item in body["items"]:
                    for model in self.models.values():
                        model.films[item["item_id"]] = (item["text"], 1)
                return 200, {"added": len(body["items"])}
            case ("GET", "items", _, "audience"):
                return 200, {
                    "users": [{"user": "u7", "rank": 1, "score": 2.5}, {"user": "u2", "rank": 4, "score": 1.25}]
                }
            case ("DELETE", "items", item):
                for model in self.models.values():
                    model.films.pop(item)
                return 200, {"withdrawn": item}
            case ("POST", "recommend"):
                if self.trouble:
                    return self.trouble[0], {"error": {"code": "trouble", "message": self.trouble[1], "where": "model"}}
                model, history = self.models[body["model"]], body["history"]
                items = model.recommend(history, body["k"], body["deny"], body.get("filters", {}).get("genre"))
                if body.get("explain"):
                    for item in items:
                        given = model.contributions(history, item["item_id"])
                        item["because"] = sorted(given, key=lambda one: -one["contribution"])
                return 200, {
                    "model": body["model"],
                    "items": items,
                    "history_length": len(history),
                    "milliseconds": 1.5,
                }
            case ("POST", "explain"):
                model, history, item = self.models[body["model"]], body["history"], body["item_id"]
                given = model.contributions(history, item)
                return 200, {"item_id": item, "score": model.score(history, item), "contributions": given}
        return 404, {"error": {"code": "not_found", "message": f"there is no {path}", "where": "path"}}
