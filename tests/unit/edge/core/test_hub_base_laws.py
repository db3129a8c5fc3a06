"""A client of the base protocol cannot tell that others speak more than it does."""

from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from edge.core.hub import ClientId, Hub, Rules
from schemas.extras import FEATURES
from schemas.wire import Party
from tests.support.edge_table import ANNE, CHA, NOW_MS, messages
from tests.support.edge_worlds import RULES, TOKENS, USERS, Edge, Log, subnet

Step: TypeAlias = tuple[Any, ...]
BASE: dict[ClientId, Party] = {ClientId(1): "prices", ClientId(2): "balances"}
OTHERS: dict[ClientId, Party] = {ClientId(3): "prices", ClientId(4): "balances"}
SAID = {
    "prices": f'"SUBSCRIBE","contractIds":["{CHA}","stx"],"since":"1.2.3.4"',
    "balances": f'"SUBSCRIBE","userIds":["{ANNE}"],"since":"?"',
}
HELLO = (
    '{"type":"HELLO","features":["ack","seq","resume","heartbeat","exact","shutdown"]}'
)


def say(hub: Hub, client: ClientId, text: str) -> list[bytes]:
    frames = hub.receive(client, text, now_ms=NOW_MS).frames
    return messages(b"".join(frames))


class Heard:
    """Everything that the base clients of one edge were sent."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.of: dict[ClientId, list[bytes]] = {client: [] for client in BASE}
        for client, party in BASE.items():
            frames = edge.hub.connect(client, party, now_ms=NOW_MS).frames
            self.of[client] += messages(b"".join(frames))

    def do(self, step: Step) -> None:
        hub = self.edge.hub
        match step:
            case "read", part, count:
                for write in self.edge.read(part, count):
                    for client in BASE.keys() & set(write.clients):
                        self.of[client] += messages(write.frames)
            case "say", client, said:
                self.of[client] += say(hub, client, f'{{"type":{said}}}')
            case "hold", client:
                hub.hold(client)
            case _:
                self.of[step[1]] += messages(hub.pull(step[1], now_ms=NOW_MS))


clients = st.sampled_from(list(BASE))
steps = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(TOKENS), st.sampled_from(USERS)),
    st.tuples(st.just("read"), st.integers(0, 1), st.integers(1, 4)),
    st.tuples(st.sampled_from(["hold", "pull"]), clients),
    clients.flatmap(
        lambda client: st.tuples(
            st.just("say"),
            st.just(client),
            st.sampled_from(
                [SAID[BASE[client]], '"SUBSCRIBE"', '"UNSUBSCRIBE"', '"PING"', '"X"']
            ),
        )
    ),
)


@given(st.lists(steps, max_size=30))
def test_base_clients_get_the_same_bytes_whoever_else_is_there(
    taken: list[Step],
) -> None:
    log = Log()
    log.put(subnet(CHA))
    plain = Heard(Edge(log, Rules(piece_bytes=RULES.piece_bytes)))
    full = Heard(Edge(log, RULES))
    for client, party in OTHERS.items():
        list(full.edge.hub.connect(client, party, now_ms=NOW_MS).frames)
        (welcome,) = say(full.edge.hub, client, HELLO)
        assert all(f'"{each}"'.encode() in welcome for each in FEATURES)
        say(full.edge.hub, client, f'{{"type":{SAID[party]}}}')
        say(full.edge.hub, client, '{"type":"SUBSCRIBE"}')
    for step in taken:
        if step[0] == "publish":
            _, contract, user = step
            log.price(contract)
            log.balance(user, contract)
        else:
            plain.do(step)
            full.do(step)
    assert plain.of == full.of
