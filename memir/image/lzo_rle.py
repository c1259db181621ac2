# SPDX-License-Identifier: Apache-2.0
"""LZO1X with runs of zeros ("lzo-rle"), as Linux has written it since 5.1 and zram by default.

Documentation/staging/lzo.rst of Linux tells the format. A stream that begins with 17 and a version other than 0 has
an instruction more: 16..31 with 0xFFFC in its distance is a run of zeros and no match. Other decoders of LZO refuse it.
"""

from __future__ import annotations

_MARK = 17  # a stream with a version begins so
_RUN = 0xFFFC  # distance bits of a run of zeros
_SHORTEST_RUN = 4
_M2, _M3, _M4 = 64, 32, 16  # first instruction of each class of matches
_FAR = 0x4000  # of class M4: matches lie further back than this
_NEAR = 0x800  # of a short match behind a run of literals


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that were packed, of either format. ValueError if the stream is none of them."""
    try:
        out = _decode(data, size)
    except IndexError as error:
        raise ValueError("the stream ends too early") from error
    if len(out) != size:
        raise ValueError(f"the stream has {len(out)} bytes, not {size}")
    return bytes(out)


def _decode(data: bytes, size: int) -> bytearray:
    out = bytearray()
    here, version = 0, 0
    if len(data) >= 5 and data[0] == _MARK:
        version, here = data[1], 2
    # literals that were just copied: 0 to 3 behind a match, 4 for a run of its own, which decide what < 16 means
    state = 0
    if data[here] > _MARK:
        count = data[here] - _MARK
        out += data[here + 1 : here + 1 + count]
        here += 1 + count
        state = min(count, 4)
    while True:
        code = data[here]
        here += 1
        if code < _M4:
            if state == 0:
                count = code
                if not count:
                    extra, here = _long(data, here)
                    count = extra + 15
                count += 3
                out += data[here : here + count]
                here += count
                state = 4
                _bounded(out, size)
                continue
            distance = (code >> 2) + (data[here] << 2) + 1
            length, following = 2, code & 3
            if state == 4:
                distance, length = distance + _NEAR, 3
            here += 1
        elif code >= _M2:
            distance, length, following = (code >> 2 & 7) + (data[here] << 3) + 1, (code >> 5) + 1, code & 3
            here += 1
        else:
            word = data[here] | data[here + 1] << 8
            if code < _M3 and version and word & _RUN == _RUN and code & 0xF8 == 0x18:
                out += bytes((code & 7 | data[here + 2] << 3) + _SHORTEST_RUN)
                here += 3
                distance, length, following = 0, 0, word & 3
            else:
                mask = 31 if code >= _M3 else 7
                length = (code & mask) + 2
                if not code & mask:
                    extra, here = _long(data, here)
                    length += extra + mask
                    word = data[here] | data[here + 1] << 8
                here += 2
                distance, following = (word >> 2) + 1, word & 3
                if code < _M3:
                    distance += ((code & 8) << 11) + _FAR - 1
                    if distance == _FAR:
                        return out
        if distance > len(out):
            raise ValueError("a match lies before the start")
        _copy(out, distance, length)
        if following:
            out += data[here : here + following]
            here += following
        state = following
        _bounded(out, size)


def _long(data: bytes, here: int) -> tuple[int, int]:
    """(length that zero bytes and one other byte add up to, where the stream goes on)."""
    start = here
    while not data[here]:
        here += 1
    return (here - start) * 255 + data[here], here + 1


def _copy(out: bytearray, distance: int, length: int) -> None:
    start = len(out) - distance
    if distance >= length:
        out += out[start : start + length]
    elif length:  # it goes on into what it makes
        piece = bytes(out[start:])
        out += (piece * (length // distance + 1))[:length]


def _bounded(out: bytearray, size: int) -> None:
    if len(out) > size:
        raise ValueError(f"the stream has more than {size} bytes")
