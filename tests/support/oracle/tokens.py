"""The fold of token metadata, as docs/fold.md says it."""

from typing import Any

from tests.support.oracle.outcome import MAX_SOURCES, Outcome, moment_of


class Tokens:
    """What is known of every token."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.words: dict[str, dict[str, dict[str, Any]]] = {}
        self.published: dict[str, tuple[dict[str, Any], int]] = {}

    def fold(self, seen: dict[str, Any], origin: list[Any]) -> Outcome:
        words = self.words.setdefault(seen["contractId"], {})
        held = words.get(seen["source"])
        if held and moment_of(held) == moment_of(seen):
            equal = held["fields"] == seen["fields"]
            return Outcome.one("duplicate") if equal else Outcome.refused("conflict")
        if held and moment_of(seen) < moment_of(held):
            return Outcome.one("stale")
        if not held and len(words) == MAX_SOURCES:
            return Outcome.refused("full")
        words[seen["source"]] = seen | {"origin": origin}
        return self.publish(seen["contractId"])

    def publish(self, token: str) -> Outcome:
        words = self.words[token]
        fields = self.merged(words)
        before, version = self.published.get(token, (None, 0))
        if fields == before:
            return Outcome.one("unchanged")
        self.published[token] = (fields, version + 1)
        value = {
            "schema": "token/1",
            "contractId": token,
            "fields": fields,
            "version": version + 1,
            "observedAt": max(word["observedAt"] for word in words.values()),
            "origins": [words[source]["origin"] for source in sorted(words)],
        }
        return Outcome.one("published", (f"token:{token}", value))

    def merged(self, words: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Return of each field the first word that there is."""
        first = [name for name in self.settings["tokenSources"] if name in words]
        order = first + sorted(set(words) - set(first))
        merged: dict[str, Any] = dict(words[order[0]]["fields"])
        for source in order[1:]:
            for name, said in words[source]["fields"].items():
                if merged.get(name) is None:
                    merged[name] = said
        return merged
