"""Streams of WebSocket frames, sound ones and spoilt ones, from a seed."""

import random
import zlib
from collections.abc import Callable

from tests.fuzz.texts import sound_text, text
from tests.support.raw_ws import BINARY, CLOSE, PING, PONG, TEXT, deflated, frame

_CODES = (
    0,
    1,
    999,
    *range(1_000, 1_017),
    2_999,
    3_000,
    3_999,
    4_000,
    4_999,
    5_000,
    65_535,
)
_NOT_UTF_8 = (
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\xc0\xaf",
)


def texts(dice: random.Random) -> list[bytes]:
    """Return sound frames of messages that are more or less spoilt."""
    return [
        frame(TEXT, text(dice), mask=_mask(dice)) for _ in range(dice.randint(1, 12))
    ]


def frames(dice: random.Random) -> list[bytes]:
    """Return some sound frames, and some that are not, wherever among them."""
    found: list[bytes] = []
    for _ in range(dice.randint(0, 4)):
        found += dice.choice(_SOUND)(dice)
    at = dice.randint(0, len(found))
    found[at:at] = dice.choice(_SPOILT)(dice)
    if dice.random() < 0.2:
        found = [_flipped(b"".join(found), dice)]
    return found


def _mask(dice: random.Random) -> bytes:
    return dice.randbytes(4)


def _one_text(dice: random.Random) -> list[bytes]:
    return [frame(TEXT, sound_text(dice), mask=_mask(dice))]


def _in_parts(dice: random.Random) -> list[bytes]:
    """A message in fragments, control frames in between."""
    whole = sound_text(dice)
    cuts = sorted(dice.sample(range(len(whole) + 1), dice.randint(1, 3)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = []
    for number, part in enumerate(parts):
        opcode = 0 if number else TEXT
        last = number == len(parts) - 1
        found.append(frame(opcode, part, mask=_mask(dice), fin=last))
        if dice.random() < 0.3 and not last:
            found.append(frame(dice.choice((PING, PONG)), b"between", mask=_mask(dice)))
    return found


def _control(dice: random.Random) -> list[bytes]:
    payload = dice.randbytes(dice.choice((0, 1, 60, 125)))
    return [frame(dice.choice((PING, PONG)), payload, mask=_mask(dice))]


def _binary(dice: random.Random) -> list[bytes]:
    payload = dice.choice((b"", b"{}", sound_text(dice), dice.randbytes(300)))
    return [frame(BINARY, payload, mask=_mask(dice))]


_SOUND: list[Callable[[random.Random], list[bytes]]] = [
    _one_text,
    _one_text,
    _in_parts,
    _control,
    _binary,
]


def _bits(dice: random.Random) -> list[bytes]:
    """Reserved bits, or an opcode that there is not."""
    (sound,) = _one_text(dice)
    bit = dice.choice((0x10, 0x20, 0x40, 0x70, 0x03, 0x06, 0x0E))
    return [bytes((sound[0] | bit,)) + sound[1:]]


def _long_control(dice: random.Random) -> list[bytes]:
    size = dice.choice((126, 127, 500, 65_535, 65_536))
    return [frame(dice.choice((PING, PONG, CLOSE)), dice.randbytes(size))]


def _cut_control(dice: random.Random) -> list[bytes]:
    return [frame(dice.choice((PING, PONG, CLOSE)), b"x", fin=False)]


def _unmasked(dice: random.Random) -> list[bytes]:
    whole = sound_text(dice)[:125]
    return [bytes((0x81, len(whole))) + whole]


def _length(dice: random.Random) -> list[bytes]:
    """A length that is not that of what follows, or one that nobody may send."""
    sizes = (
        b"\xfe\x00\x05",
        b"\xff" + (5).to_bytes(8, "big"),
        b"\xff" + (65_536).to_bytes(8, "big"),
        b"\xff" + (65_537).to_bytes(8, "big"),
        b"\xff" + (2**31).to_bytes(8, "big"),
        b"\xff" + (2**63 - 1).to_bytes(8, "big"),
        b"\xff" + (2**63).to_bytes(8, "big"),
        b"\xff" * 9,
    )
    return [bytes((0x81,)) + dice.choice(sizes) + _mask(dice) + b"short"]


def _never_ended(dice: random.Random) -> list[bytes]:
    """Fragments without an end, perhaps more of them than a message may have."""
    opened = [frame(TEXT, b"x" * 100, fin=False)]
    count = dice.choice((0, 1, 5, 70))
    return opened + [frame(0, b"y" * 1_000, fin=False) for _ in range(count)]


def _no_beginning(dice: random.Random) -> list[bytes]:
    return [frame(0, dice.choice((b"", b"x")), fin=dice.random() < 0.5)]


def _begun_twice(dice: random.Random) -> list[bytes]:
    first = dice.choice((b"", b'{"type":'))
    return [frame(TEXT, first, fin=False), *_one_text(dice)]


def _no_text(dice: random.Random) -> list[bytes]:
    return [frame(TEXT, b'{"type":"' + dice.choice(_NOT_UTF_8) + b'"}')]


def _no_text_in_parts(dice: random.Random) -> list[bytes]:
    spoilt = dice.choice((*_NOT_UTF_8, "💥".encode()))
    return [frame(TEXT, spoilt[:1], fin=False), frame(0, spoilt[1:])]


def _close(dice: random.Random) -> list[bytes]:
    code = dice.choice(_CODES).to_bytes(2, "big")
    reason = dice.choice((b"", b"bye", b"x" * 123, *_NOT_UTF_8))
    payload = dice.choice((b"", b"\x03", code + reason, code + reason))
    return [frame(CLOSE, payload, mask=_mask(dice))]


def _too_big(dice: random.Random) -> list[bytes]:
    size = dice.choice((65_535, 65_536, 65_537, 100_000))
    return [frame(dice.choice((TEXT, BINARY)), b"7".ljust(size))]


def _cut_off(dice: random.Random) -> list[bytes]:
    whole = b"".join(dice.choice(_SOUND)(dice))
    return [whole[: dice.randrange(1, len(whole))]]


def _noise(dice: random.Random) -> list[bytes]:
    return [dice.randbytes(dice.randint(1, 200))]


def _http(dice: random.Random) -> list[bytes]:
    return [b"GET /prices HTTP/1.1\r\nHost: x\r\n\r\n"]


def _flipped(stream: bytes, dice: random.Random) -> bytes:
    spoilt = bytearray(stream)
    for _ in range(dice.randint(1, 3)):
        spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


_SPOILT: list[Callable[[random.Random], list[bytes]]] = [
    _bits,
    _long_control,
    _cut_control,
    _unmasked,
    _length,
    _never_ended,
    _no_beginning,
    _begun_twice,
    _no_text,
    _no_text_in_parts,
    _close,
    _too_big,
    _cut_off,
    _noise,
    _http,
]


def packed(dice: random.Random) -> list[bytes]:
    """Return frames of which some are compressed, rightly or not."""
    found: list[bytes] = []
    for _ in range(dice.randint(1, 5)):
        found += dice.choice(_PACKED)(dice)
    return found


def _sound_packed(dice: random.Random) -> list[bytes]:
    mode = dice.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_FINISH))
    payload = deflated(sound_text(dice), mode=mode)
    return [frame(TEXT, payload, mask=_mask(dice), packed=True)]


def _packed_in_parts(dice: random.Random) -> list[bytes]:
    """A compressed message in two fragments; the second must not say that it is."""
    payload = deflated(sound_text(dice))
    cut = dice.randrange(len(payload) + 1)
    again = dice.random() < 0.2
    return [
        frame(TEXT, payload[:cut], mask=_mask(dice), fin=False, packed=True),
        frame(0, payload[cut:], mask=_mask(dice), packed=again),
    ]


def _spoilt_packed(dice: random.Random) -> list[bytes]:
    """What is cut off, changed, or was never compressed."""
    sound = deflated(sound_text(dice))
    payload = dice.choice(
        (
            b"",
            sound[: dice.randrange(len(sound))],
            _flipped(sound, dice),
            sound_text(dice),
            dice.randbytes(dice.randint(1, 300)),
            deflated(dice.choice(_NOT_UTF_8)),
        )
    )
    opcode = dice.choice((TEXT, TEXT, BINARY))
    return [frame(opcode, payload, mask=_mask(dice), packed=True)]


def _bomb(dice: random.Random) -> list[bytes]:
    size = dice.choice((65_536, 65_537, 65_538, 1_000_000, 30_000_000))
    return [frame(TEXT, deflated(b"7".ljust(size)), packed=True)]


def _packed_control(dice: random.Random) -> list[bytes]:
    return [frame(dice.choice((PING, PONG)), b"bit", mask=_mask(dice), packed=True)]


_PACKED: list[Callable[[random.Random], list[bytes]]] = [
    _sound_packed,
    _sound_packed,
    _sound_packed,
    _one_text,
    _packed_in_parts,
    _spoilt_packed,
    _bomb,
    _packed_control,
]
