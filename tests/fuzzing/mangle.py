"""Makes hostile things out of sound ones, and out of nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.strategies import HOSTILE

BYTES: tuple[bytes, ...] = (
    b"",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"=",
    b"\\",
    b"\\u0000",
    b":",
)
BYTES += (b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"<<<<<<< ", b"1e999", b"-0", b"0x", b"nan", b"'''", b"#")
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 0.0, -0.0, 1.5, 1e308)
DATES: tuple[str, ...] = (
    "2026-11-22T07:25:00Z",
    "2026-02-30T00:00:00Z",
    "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:60Z",
)
DATES += (
    "2026-11-22",
    "2026-11-22 07:25:00",
    "2026-11-22T24:00:00Z",
    "2026-11-22T07:25:00.1234567Z",
    "٢٠٢٦-11-22T07:25:00Z",
)
STRINGS = (*HOSTILE, *DATES, "\ud800", "a" * 5000, "%s" * 50, "../" * 30, "1.0", "1.0.0", "emilie/prod", ":team", "*")


def havoc(random: Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Change some bytes, here and there."""
    for _ in range(random.choice([1, 1, 2, 4, 16])):
        at = random.randrange(len(data) + 1)
        until = min(len(data), at + random.choice([0, 1, 2, 8, 64, 1000]))
        match random.randrange(7):
            case 0:
                data = data[:at] + random.randbytes(random.randrange(9)) + data[until:]
            case 1:
                data = data[:at] + random.choice(BYTES) + data[until:]
            case 2:
                data = data[:at] + data[until:]
            case 3:
                data = data[:at] + data[at:until] * random.choice([2, 3, 50]) + data[until:]
            case 4 if others:
                other = random.choice(others)
                data = data[:at] + other[random.randrange(len(other) + 1) :]
            case 5:
                data = data[:at]
            case _:
                data = bytes(byte ^ (1 << random.randrange(8)) if n == at else byte for n, byte in enumerate(data))
    return data


def value(random: Random, depth: int = 3) -> Any:
    """Return a value as JSON has them, of any kind."""
    match random.randrange(8 if depth else 5):
        case 0:
            return random.choice([None, True, False])
        case 1:
            return random.choice(NUMBERS)
        case 2:
            return random.randrange(10 ** random.randrange(1, 20))
        case 3 | 4:
            return random.choice(STRINGS)
        case 5:
            return [value(random, depth - 1) for _ in range(random.randrange(4))]
        case _:
            return {random.choice(STRINGS): value(random, depth - 1) for _ in range(random.randrange(4))}


def mutate(random: Random, document: Any) -> Any:
    """Change something in a document: replace it, drop it, double it, or put something into it."""
    if isinstance(document, dict) and document and random.random() < 0.85:
        found = dict(document)
        key = random.choice(list(found))
        match random.randrange(8):
            case 0:
                del found[key]
            case 1:
                found[random.choice([*found, *STRINGS])] = found.pop(key)
            case 2:
                found[random.choice(STRINGS)] = value(random)
            case 3:
                found[key] = value(random)
            case _:
                found[key] = mutate(random, found[key])
        return found
    if isinstance(document, list) and document and random.random() < 0.85:
        items = list(document)
        at = random.randrange(len(items))
        match random.randrange(5):
            case 0:
                del items[at]
            case 1:
                items.insert(at, items[at])
            case 2:
                items.insert(at, value(random))
            case _:
                items[at] = mutate(random, items[at])
        return items
    return value(random)


def json_bytes(random: Random, data: bytes) -> bytes:
    """Return what becomes of a manifest."""
    try:
        document = json.loads(data)
    except ValueError:
        return havoc(random, data)
    for _ in range(random.choice([1, 1, 1, 3])):
        document = mutate(random, document)
    text = json.dumps(document, indent=random.choice([None, 2]), ensure_ascii=random.random() < 0.5)
    text = random.choice(JSON_TRICKS)(random, text)
    return text.encode("utf-8", random.choice(["surrogatepass", "replace"]))


JSON_TRICKS: Sequence[Callable[[Random, str], str]] = (
    lambda _, text: text,
    lambda _, text: text,
    lambda random, text: text.replace('"sha256"', f'"sha256": {json.dumps(value(random))}, "sha256"', 1),
    lambda random, text: text.replace("{", "{" + f"{json.dumps(random.choice(STRINGS))}: 1, " * 2, 1),
    lambda random, text: text.replace("[", "[" * random.choice([2, 100, 100_000]), 1),
    lambda random, text: text.replace("{", '{"a":' * random.choice([2, 100, 50_000]), 1),
    lambda random, text: text.replace("1", "1" * random.choice([20, 400, 5000, 100_000]), 1),
    lambda random, text: text.replace("1", "1." + "0" * random.choice([20, 5000, 500_000]) + "1", 1),
    lambda random, text: text.replace("1", f"1e{random.choice(['400', '-400', '9' * 1000])}", 1),
    lambda random, text: text + " " * random.choice([1, 1_048_576]),
    lambda random, text: text.replace('"name"', random.choice(['"n\\u0061me"', '"name" ', "'name'", '"name\\ud800"'])),
    lambda random, text: text.replace(" ", random.choice(["\t", "\x0b", "\x0c", "\u00a0", "/* */", "\0"])),
    lambda random, text: '"' + "\\u0041" * random.choice([10, 170_000]) + '"' + text,
)


def toml_bytes(random: Random, data: bytes) -> bytes:
    """Return what becomes of a TOML document: lines of it changed, doubled, moved, and others put between."""
    lines = data.decode("utf-8", "replace").split("\n")
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(len(lines) + 1)
        match random.randrange(6):
            case 0 if lines:
                del lines[at : at + 1]
            case 1 if lines:
                lines.insert(at, random.choice(lines))
            case 2:
                random.shuffle(lines)
            case 3 if at < len(lines) and "=" in lines[at]:
                lines[at] = f"{lines[at].partition('=')[0]}= {toml_value(random)}"
            case _:
                lines.insert(at, random.choice(TOML_TRICKS)(random))
    text = random.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines)
    return text.encode("utf-8", random.choice(["surrogatepass", "replace"]))


def toml_value(random: Random, depth: int = 2) -> str:
    """Return a value as TOML has them, or nearly."""
    match random.randrange(9 if depth else 6):
        case 0:
            return random.choice(["true", "false", "nan", "-inf", "0x" + "f" * 5000, "0b1", "0o7", "1_0", "07", "+1"])
        case 1:
            return str(random.choice(NUMBERS))
        case 2:
            return random.choice(DATES)
        case 3:
            return json.dumps(random.choice(STRINGS))
        case 4:
            return f"'{random.choice(STRINGS)}'"
        case 5:
            quotes = random.choice(["'''", '"""'])
            return f"{quotes}{random.choice(STRINGS)}{quotes}"
        case 6 | 7:
            return f"[{', '.join(toml_value(random, depth - 1) for _ in range(random.randrange(4)))}]"
        case _:
            inner = (f"k{n} = {toml_value(random, depth - 1)}" for n in range(random.randrange(4)))
            return f"{{{', '.join(inner)}}}"


TOML_KEYS: tuple[str, ...] = (
    "volatile",
    "type",
    "bases",
    "title",
    "format",
    "yanked",
    "status",
    "admin",
    "identities",
    "acl_upload",
    "x",
)
TOML_KEYS += (
    "site.url",
    "policy.ignore",
    "policy",
    "storage.url",
    '"quoted key"',
    "''",
    "a.b.c",
    "names.reserved",
    "groups.x",
)
TOML_TRICKS: Sequence[Callable[[Random], str]] = (
    lambda random: f"{random.choice(TOML_KEYS)} = {toml_value(random)}",
    lambda random: f"{random.choice(TOML_KEYS)} = {toml_value(random)}",
    lambda random: f"[{random.choice(TOML_KEYS)}]",
    lambda random: f"[[{random.choice(TOML_KEYS)}]]\n" * random.choice([1, 3, 3000]),
    lambda random: "x = " + "{a=" * random.choice([3, 100, 20_000]),
    lambda random: "x = " + "[" * random.choice([3, 100, 100_000]) + "]" * 3,
    lambda random: ".".join(["a"] * random.choice([3, 49, 51, 20_000])) + " = 1",
    lambda random: "[" + ".".join(["a"] * random.choice([3, 49, 51, 20_000])) + "]",
    lambda random: "\n".join(f"k{n} = {{ a = 1, b = [1, 2] }}" for n in range(random.choice([3, 3000]))),
    lambda random: "\n".join(f"a.b.c.d.e.f.k{n} = 1" for n in range(random.choice([3, 3000]))),
    lambda random: "\n".join(f"[t.a.b.c.d{n}]" for n in range(random.choice([3, 3000]))),
    lambda random: "x = [" + "1, " * random.choice([3, 100_000]) + "]",
    lambda random: 'x = "' + "\\u0041" * random.choice([3, 100_000]) + '"',
    lambda random: "x = 1" + "_1" * random.choice([3, 2000, 200_000]),
    lambda random: "x = 1." + "1" * random.choice([3, 2000, 500_000]),
    lambda random: "#" + random.choice(STRINGS),
    lambda random: "x = '''" + "\n" * random.choice([3, 100_000]),
    lambda random: random.choice(["\ufeff", "\0", "\x7f", "=", "[", "]]", "x", "x =", '"', "'''", "x = {", "x.y"]),
)


def document(random: Random, path: str, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return what becomes of a document."""
    match random.randrange(10):
        case 0:
            return random.randbytes(random.choice([0, 1, 10, 1000]))
        case 1 | 2:
            return havoc(random, data, others)
        case 3:
            return random.choice([*others, b""])
        case _:
            return json_bytes(random, data) if path.endswith(".json") else toml_bytes(random, data)
