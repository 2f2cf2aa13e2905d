r"""Voltronic's QS-hex: an answer whose words are bytes, made into one whose words are decimal.

    > QS\r
    < #\x6C\x01 \x35 \x6C\x01 \x35 \x03 \x51\x9A \x28\x02\x12\xD0 \xE6 \x1E \x09\r
       input           output          load frequency                 battery     status bits (and ratings in protocol T)

A voltage is the product of its two words by 51 and 256, the frequency the quotient of its words, the battery's voltage
the product of its words by 510. Source: NUT nutdrv_qx, voltronic-qs-hex.
"""

_ESCAPED = {0: 0x0D, 1: 0x11, 2: 0x13, 3: 0x0A, 4: 0x20}
"""What stands after 0x28 for a byte that the line could not carry."""
_LENGTHS = (2, 1, 2, 1, 1, 2, 3, 1, 1, 1)


def decoded(line: bytes) -> str:
    """Write an answer in decimal words: `#112.2 112.2 3 59.8 13.53 00001001`; empty when it is none."""
    at = line.rfind(b"#")
    words = [_unescaped(word) for word in line[at + 1 :].split(b" ")] if at >= 0 else []
    if tuple(map(len, words[:10])) != _LENGTHS or len(words) > 11 or any(len(word) != 1 for word in words[10:]):
        return ""
    n = [int.from_bytes(word) for word in words]
    if not n[5]:
        return ""
    told = (
        f"#{n[0] * n[1] // 51 / 256:.1f} {n[2] * n[3] // 51 / 256:.1f} {n[4]} {n[6] / n[5]:.1f} {n[7] * n[8] / 510:.2f}"
    )
    return " ".join([told, *(f"{word:08b}" for word in n[9:])])


def _unescaped(word: bytes) -> bytes:
    found = bytearray()
    at = 0
    while at < len(word):
        if word[at] == 0x28 and at + 1 < len(word) and word[at + 1] in _ESCAPED:
            found.append(_ESCAPED[word[at + 1]])
            at += 1
        else:
            found.append(word[at])
        at += 1
    return bytes(found)


__all__ = ["decoded"]
