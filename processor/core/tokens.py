"""How what several sources say of a token becomes its published metadata."""

from hashlib import sha256
from typing import Any, Final, NamedTuple

from schemas.base import canonical
from schemas.ids import ContractId
from schemas.journal import Decision
from schemas.latest import token_key
from schemas.states import MAX_SOURCES, Moment
from schemas.tokens import TokenFields, TokenObserved
from schemas.topics import TOKENS_RAW

from .observations import Seen
from .rules import CONFLICT, FULL, Outcome, Refused, Rules

_DUPLICATE: Final = Outcome((Decision.DUPLICATE,))
_STALE: Final = Outcome((Decision.STALE,))
_UNCHANGED: Final = Outcome((Decision.UNCHANGED,))

Fields = dict[str, Any]
# By their names in JSON, all of them, each ``None``.
_UNKNOWN: Final[Fields] = TokenFields().model_dump(mode="json", by_alias=True)


class TokenWord(NamedTuple):
    """What one source said, its fields by their names in JSON."""

    moment: Moment
    fields: Fields
    offset: int


class TokenMetadata:
    """The last word of each source on one token, and the hash of what was published."""

    __slots__ = ("contract_id", "published", "touched", "version", "words")

    def __init__(self, contract_id: str) -> None:
        self.contract_id = contract_id
        self.words: dict[str, TokenWord] = {}
        self.published = ""
        self.version = 0
        self.touched: set[str] = set()

    def copy(self) -> "TokenMetadata":
        """Return the same as something not yet changed."""
        copied = TokenMetadata(self.contract_id)
        copied.words, copied.published = self.words.copy(), self.published
        copied.version = self.version
        return copied

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was."""
        return bool(self.touched)


def fold(token: TokenMetadata, seen: Seen, rules: Rules) -> Outcome | Refused:
    """Fold what a source said into what is known of its token."""
    said: TokenObserved = seen.said
    fields = said.fields.model_dump(mode="json", by_alias=True)
    word = TokenWord(Moment(said.observed_at, said.sequence), fields, seen.offset)
    last = token.words.get(said.source)
    if last is None:
        if len(token.words) >= MAX_SOURCES:
            return FULL
    elif word.moment < last.moment:
        return _STALE
    elif word.moment == last.moment:
        return _DUPLICATE if fields == last.fields else CONFLICT
    token.words[said.source] = word
    token.touched.add(said.source)
    return _publish(token, rules)


def _publish(token: TokenMetadata, rules: Rules) -> Outcome:
    fields = merged(token, rules)
    digest = sha256(canonical(fields)).hexdigest()
    if digest == token.published:
        return _UNCHANGED
    token.published = digest
    token.version += 1
    key = token_key(ContractId(token.contract_id))
    value = _value(token, fields, shard=rules.shard)
    return Outcome((Decision.PUBLISHED,), ((key, value),))


def merged(token: TokenMetadata, rules: Rules) -> Fields:
    """Return of each field the first word that is not ``None``."""
    words = [token.words[source].fields for source in rules.ranked(token.words)]
    fields = _UNKNOWN.copy()
    for word in reversed(words):
        fields |= {name: said for name, said in word.items() if said is not None}
    return fields


def _value(token: TokenMetadata, fields: Fields, *, shard: int) -> bytes:
    """Return the canonical bytes of the ``Token``."""
    words = [word for _, word in sorted(token.words.items())]
    return canonical(
        {
            "schema": "token/1",
            "contractId": token.contract_id,
            "fields": fields,
            "version": token.version,
            "observedAt": max(word.moment.observed_at for word in words),
            "origins": [[TOKENS_RAW, shard, word.offset] for word in words],
        }
    )
