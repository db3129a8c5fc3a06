"""Token metadata: Charisma's registry, Hiro's metadata, and the contracts themselves."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from ingest.core.normalize.body import MAX_ROWS
from ingest.core.normalize.calls import decimals
from ingest.core.normalize.tokens import TokenList, TokenSaid, charisma, hiro
from ingest.core.registry import STX_FIELDS, known_fields
from ingest.sources.client import Ask, UpstreamClient
from ingest.sources.subnets import call
from runtime.metrics import UPSTREAM_REJECTS
from schemas.base import encode
from schemas.ids import STX, ContractId, Network
from schemas.tokens import TokenFields, TokenObserved

CHARISMA, HIRO, CONTRACT, KNOWN = "charisma", "hiro", "contract", "known"
# Requests to Hiro's metadata are counted apart from those for accounts.
METADATA = "hiro-metadata"
_NO_TOKEN = "there is no token in the answer"
_PAGE_ROWS = 60
_MAX_PAGES = 500
# All pages of a list together.
_MAX_LIST_CHARS = 16 * 1_048_576
_MAX_WORDS = 50_000


async def read_charisma(
    client: UpstreamClient, network: Network
) -> list[TokenObserved]:
    """Read the whole registry, the only one with subnet tokens; raises ``SourceDown``."""
    ask = Ask(CHARISMA, "/api/v1/metadata", is_part=True)
    answer = await client.ask(ask, partial(charisma, network=network))
    found = answer.said or TokenList((), 0)
    UPSTREAM_REJECTS.labels(CHARISMA).inc(found.refused)
    if not found.tokens:
        raise client.reject(CHARISMA, _NO_TOKEN)
    make = partial(
        _observed, found.tokens, source=CHARISMA, observed_at=answer.observed_at
    )
    seen = client.derived(ask, make)
    client.confirm(CHARISMA)
    return seen


async def read_hiro(client: UpstreamClient, network: Network) -> list[TokenObserved]:
    """Read all pages of Hiro's metadata; raises ``SourceDown`` when one fails.

    An answer that has none though it says that there are some is a failure too.
    """
    seen: dict[ContractId, TokenObserved] = {}
    rows = total = chars = 0
    for _ in range(_MAX_PAGES):
        params = {"limit": str(_PAGE_ROWS), "offset": str(rows)}
        ask = Ask(METADATA, "/metadata/v1/ft", params, is_part=True)
        answer = await client.ask(ask, partial(hiro, network=network))
        page = answer.said or TokenList((), 0, 0)
        UPSTREAM_REJECTS.labels(METADATA).inc(page.refused)
        make = partial(
            _observed, page.tokens, source=HIRO, observed_at=answer.observed_at
        )
        for one in client.derived(ask, make):
            # A token that moved to a later page while we read stands once.
            seen.setdefault(one.contract_id, one)
            chars += _chars(one.fields)
        if len(seen) > MAX_ROWS or chars > _MAX_LIST_CHARS:
            raise client.reject(METADATA, "the list is longer than any of ours")
        count = len(page.tokens) + page.refused
        rows, total = rows + count, page.total or 0
        if not count or rows >= total:
            break
    if seen:
        client.confirm(METADATA)
    elif rows or total:
        raise client.reject(METADATA, _NO_TOKEN)
    else:
        client.note_empty(METADATA, _NO_TOKEN)
    return list(seen.values())


async def read_decimals(client: UpstreamClient, contract: ContractId) -> TokenObserved:
    """Ask the contract itself, whose word goes first; raises ``SourceDown``."""
    answer = await client.ask(call(CONTRACT, contract, "get-decimals"), decimals)
    return TokenObserved(
        contract_id=contract,
        source=CONTRACT,
        observed_at=answer.observed_at,
        fields=TokenFields(decimals=answer.said),
    )


def known(
    listed: Iterable[TokenObserved], *, network: Network, observed_at: int
) -> list[TokenObserved]:
    """Return what our own table adds: STX, and the bases that listed records lack."""
    said = [TokenSaid(STX, STX_FIELDS)]
    for one in listed if network is Network.MAINNET else ():
        fields = known_fields(one.contract_id, one.fields)
        if fields is not None:
            said.append(TokenSaid(one.contract_id, fields))
    return _observed(said, source=KNOWN, observed_at=observed_at)


def _observed(
    said: Iterable[TokenSaid], *, source: str, observed_at: int
) -> list[TokenObserved]:
    return [
        TokenObserved(
            contract_id=one.contract_id,
            source=source,
            observed_at=observed_at,
            fields=one.fields,
        )
        for one in said
    ]


def _chars(fields: TokenFields) -> int:
    return sum(len(said) for _, said in fields if isinstance(said, str))


def _dated(fields: TokenFields, last_updated: int | None) -> TokenFields:
    return fields.model_copy(update={"last_updated": last_updated})


def _digest(fields: TokenFields) -> bytes:
    return sha256(encode(_dated(fields, None))).digest()


class _Word(NamedTuple):
    """What a source said of a token: its fields without their date, and the date."""

    digest: bytes
    last_updated: int | None


@dataclass(slots=True)
class Said:
    """The last word of each source on each token, to write only what is new.

    It holds up to ``limit`` words, many times what all registries have. Tokens beyond it
    are not written: a registry that makes up new ones for ever fills no log.
    """

    limit: int = _MAX_WORDS
    # How many tokens the last list had beyond the limit.
    beyond: int = 0
    # The word that was written last stands last.
    _words: dict[tuple[str, ContractId], _Word] = field(default_factory=dict)

    def note(self, one: TokenObserved) -> None:
        """Take note of a word that is in the log."""
        at = one.source, one.contract_id
        self._words.pop(at, None)
        self._words[at] = _Word(_digest(one.fields), one.fields.last_updated)

    def news(self, seen: Iterable[TokenObserved]) -> list[TokenObserved]:
        """Return those that say something else than the last word of their source.

        A record that was only dated anew is no news: a registry may do so every minute.
        """
        news = []
        room, self.beyond = self.limit - len(self._words), 0
        for one in seen:
            word = self._words.get((one.source, one.contract_id))
            if word is None and room <= 0:
                self.beyond += 1
            elif word is None or word.digest != _digest(one.fields):
                room -= word is None
                news.append(one)
        return news

    def confirmation(self, seen: Iterable[TokenObserved]) -> TokenObserved | None:
        """Return the row that stands for a reading in which nothing is new.

        Without any record of it the log would not tell a registry that is read every
        minute and says the same from one that is not read at all. One row is enough: the
        one that was written longest ago, so that all are written again in turn. It keeps
        the date that it was written with, because a record that was only dated anew must
        not change what is published.
        """
        by_id = {(one.source, one.contract_id): one for one in seen}
        for at, word in self._words.items():
            one = by_id.get(at)
            if one is not None and word.digest == _digest(one.fields):
                fields = _dated(one.fields, word.last_updated)
                return one.model_copy(update={"fields": fields})
        return None

    def doubt(self) -> None:
        """Forget all but what contracts said, who would have to be asked again."""
        self._words = {at: w for at, w in self._words.items() if at[0] == CONTRACT}

    def asked(self, contract: ContractId) -> bool:
        """Tell whether the contract itself was asked for its decimals."""
        return (CONTRACT, contract) in self._words
