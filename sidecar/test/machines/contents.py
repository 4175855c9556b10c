"""What the actors write: bytes that say who wrote them, which version they replace, how long they are, and their checksum."""
import json, zlib

HEADER = 160  # bytes, padded with blanks and ended by a line break


class Torn(Exception):
    """Bytes that nobody wrote like this."""


def make(id, length, parent=None):
    """`length` bytes of version `id`."""
    filler = (id.encode() + b";") * ((length - HEADER) // (len(id) + 1) + 1)
    filler = filler[: length - HEADER]
    header = json.dumps({"id": id, "parent": parent, "length": length, "crc": zlib.crc32(filler)})
    return header.ljust(HEADER - 1).encode() + b"\n" + filler


def identify(data):
    """The id of the version these bytes are, all of it and nothing else."""
    try:
        header = json.loads(data[:HEADER])
        whole = header["length"] == len(data) and header["crc"] == zlib.crc32(data[HEADER:])
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise Torn(f"{len(data)} bytes that begin with {data[:HEADER]!r} and end with {data[-40:]!r}")
    return header["id"]


def line(id):
    """A line of a log."""
    body = f"{id} {'=' * (40 + hash_of(id) % 60)}"
    return f"{body} {zlib.crc32(body.encode()):08x}\n".encode()


def lines(data):
    """The ids of a log's lines but for those that were there from the beginning."""
    ids = []
    for each in data.splitlines(keepends=True):
        id = each.split(b" ", 1)[0].decode(errors="replace")
        if line(id) != each:
            raise Torn(f"a line of a log: {each[:200]!r}")
        if not id.startswith("initial-"):
            ids.append(id)
    return ids


def hash_of(id):
    return zlib.crc32(id.encode())
