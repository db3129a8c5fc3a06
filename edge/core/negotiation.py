"""What a client would rather have, by the headers it asks with (RFC 9110, 12.4 and 12.5)."""

import re
from collections.abc import Iterator

_WEIGHT = re.compile(r"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_JSON, _EVENTS = "application/json", "text/event-stream"


def prefers_events(accept: str | None) -> bool:
    """Tell whether a stream of events is asked for, rather than JSON.

    Of what a client likes equally it gets JSON, and also if it likes neither: clients
    that say nothing of use about it are older than the stream.
    """
    weights = dict(_weights(accept or ""))
    events = _media_weight(weights, _EVENTS)
    return events > 0 and events > _media_weight(weights, _JSON)


def prefers_gzip(accept_encoding: str | None) -> bool:
    """Tell whether a client wants what is compressed with gzip, or as gladly as not."""
    weights = dict(_weights(accept_encoding or ""))
    anything = weights.get("*", 0.0)
    named = weights.get("gzip", weights.get("x-gzip", anything))
    return named > 0 and named >= weights.get("identity", 0.0)


def _media_weight(weights: dict[str, float], media: str) -> float:
    """Return the weight of the most specific range that a media type is in."""
    kind = media.split("/", maxsplit=1)[0]
    found = (weights.get(each) for each in (media, f"{kind}/*", "*/*"))
    return next((weight for weight in found if weight is not None), 0.0)


def _weights(header: str) -> Iterator[tuple[str, float]]:
    """Yield what a header lists, in lower case; an unreadable weight counts as none."""
    for entry in header.split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name:
            said = (p for p in parameters if p[:2].lower() == "q=")
            yield name.lower(), _weight(next(said, "q=1"))


def _weight(said: str) -> float:
    found = _WEIGHT.fullmatch(said)
    return float(found[1]) if found else 0.0
