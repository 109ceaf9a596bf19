#!/usr/bin/env python3
"""Makes bundles that no agent should be hurt by: `make.py DIRECTORY` writes one file for each.

Headers are written byte by byte: the libraries refuse to make most of this. What happens to each bundle is said in
`tests/it/hostile.rs`. The same bytes come out every time.
"""

import binascii
import gzip
import io
import random
import struct
import sys
import zlib
from pathlib import Path

BUNDLES = {}
TIME = 1_500_000_000


def bundle(name):
    """Registers a function that returns the bytes of the bundle of this name."""

    def register(make):
        BUNDLES[name] = make
        return make

    return register


# --- tar -----------------------------------------------------------------------------------------------------------

FILE, HARD, LINK, CHAR, BLOCK, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"


def number(value, size):
    """A number field; what octal cannot hold is written in the binary form of GNU."""
    if isinstance(value, bytes):
        return value.ljust(size, b"\0")
    if 0 <= value < 8 ** (size - 1):
        return b"%0*o\0" % (size - 1, value)
    return (value & ((1 << (8 * size)) - 1) | 1 << (8 * size - 1)).to_bytes(size, "big")


def member(name, content=b"x", kind=FILE, target=b"", mode=0o644, uid=0, size=None, mtime=TIME, checksum=None, tail=b""):
    """One header with its content, padded."""
    name = name if isinstance(name, bytes) else name.encode()
    target = target if isinstance(target, bytes) else target.encode()
    if kind != FILE and content == b"x":
        content = b""
    head = b"".join([
        name[:100].ljust(100, b"\0"), number(mode, 8), number(uid, 8), number(0, 8),
        number(len(content) if size is None else size, 12), number(mtime, 12), b" " * 8, kind,
        target[:100].ljust(100, b"\0"), b"ustar\0" + b"00", b"\0" * 32, b"\0" * 32, number(0, 8), number(0, 8), tail,
    ]).ljust(512, b"\0")
    total = sum(head) if checksum is None else checksum
    head = head[:148] + b"%06o\0 " % total + head[156:]
    return head + content + b"\0" * (-len(content) % 512)


def link(name, target):
    return member(name, b"", LINK, target, 0o777)


def hard(name, target):
    return member(name, b"", HARD, target)


def directory(name, **more):
    return member(name, b"", DIRECTORY, mode=0o755, **more)


def long_name(name):
    """GNU's way to write a name of any length."""
    return member("././@LongLink", name + b"\0", b"L")


def pax(kind=b"x", **records):
    """POSIX's way."""
    body = b""
    for key, value in records.items():
        value = value if isinstance(value, bytes) else value.encode()
        rest = b" " + key.encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(b"%d" % length) + len(rest) != length:
            length += 1
        body += b"%d" % length + rest
    return member("pax", body, kind)


APPSPEC = member("appspec.yml", b"version: 0.0\nos: linux\n")
END = b"\0" * 1024


def tar(*members):
    return APPSPEC + b"".join(members) + END


def tgz(data, level=9):
    return gzip.compress(data, level, mtime=0)


@bundle("traversal.tar")
def _():
    return tar(member("../escaped"))


@bundle("traversal-from-inside.tar")
def _():
    return tar(member("a/b/../../../escaped"))


@bundle("traversal-absolute.tar")
def _():
    return tar(member("/tmp/slipway-hostile-escaped"))


@bundle("traversal-double-slash.tar")
def _():
    return tar(member("//tmp/slipway-hostile-escaped"))


@bundle("traversal-long-name.tar")
def _():
    return tar(long_name(b"../" * 60 + b"tmp/slipway-hostile-escaped"), member("harmless"))


@bundle("traversal-pax.tgz")
def _():
    return tgz(tar(pax(path="../escaped"), member("harmless")))


@bundle("traversal-pax-global.tar")
def _():
    return tar(pax(b"g", path="../escaped"), member("harmless"))


@bundle("traversal-prefix.tar")
def _():
    head = bytearray(member("escaped"))
    head[345:345 + 2] = b".."
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])
    return tar(bytes(head))


@bundle("link-absolute.tar")
def _():
    return tar(link("l", "/etc/passwd"))


@bundle("link-out.tar")
def _():
    return tar(directory("a/"), link("a/l", "../../victim"))


@bundle("link-chain-out.tar")
def _():
    return tar(link("one", "two"), link("two", "three"), link("three", ".."))


@bundle("link-circle.tar")
def _():
    return tar(link("one", "two"), link("two", "one"))


@bundle("link-many-circles.tar")
def _():
    return tar(*[link(f"l{n}", f"l{n + 1}/l{n + 1}") for n in range(45)], link("l45", "."))


@bundle("link-empty.tar")
def _():
    return tar(link("l", ""))


@bundle("link-pax-target.tar")
def _():
    return tar(pax(linkpath="/etc/passwd"), link("l", "harmless"))


@bundle("link-write-through.tar")
def _():
    return tar(link("d", "/tmp"), member("d/slipway-hostile-escaped"))


@bundle("link-write-through-relative.tar")
def _():
    return tar(link("d", ".."), member("d/victim", b"overwritten"))


@bundle("link-write-through-inside.tar")
def _():
    return tar(directory("real/"), link("d", "real"), member("d/f"))


@bundle("link-write-through-twice.tar")
def _():
    return tar(directory("d/"), member("d/f"), link("d", ".."), member("d/victim", b"overwritten"))


@bundle("link-then-file.tar")
def _():
    return tar(link("l", "../victim"), member("l", b"mine"))


@bundle("link-after-its-directory-is-gone.tar")
def _():
    return tar(member("r/appspec.yml"), link("r/l", "../r/appspec.yml"))[len(APPSPEC):]


@bundle("hard-link-absolute.tar")
def _():
    return tar(hard("h", "/etc/passwd"))


@bundle("hard-link-out.tar")
def _():
    return tar(hard("h", "../victim"))


@bundle("hard-link-through-a-link.tar")
def _():
    return tar(link("d", ".."), hard("h", "d/victim"))


@bundle("hard-link-to-a-link.tar")
def _():
    return tar(link("l", "../victim"), hard("h", "l"), member("l", b"mine"))


@bundle("hard-link-to-itself.tar")
def _():
    return tar(hard("h", "h"))


@bundle("hard-link-to-a-directory.tar")
def _():
    return tar(directory("d/"), hard("h", "d"))


@bundle("hard-link-then-write.tar")
def _():
    return tar(member("a", b"first"), hard("b", "a"), member("b", b"second"))


@bundle("device-character.tar")
def _():
    return tar(member("null", kind=CHAR, mode=0o666))


@bundle("device-block.tar")
def _():
    return tar(member("disk", kind=BLOCK, mode=0o666))


@bundle("pipe.tar")
def _():
    return tar(member("pipe", kind=FIFO))


@bundle("pipe-as-appspec.tar")
def _():
    return member("appspec.yml", kind=FIFO) + END


@bundle("kind-unknown.tar")
def _():
    return tar(member("odd", b"odd", b"Z"))


@bundle("setuid.tar")
def _():
    return tar(member("su", b"#!/bin/sh\n", mode=0o6755))


@bundle("owner-beyond-all-numbers.tar")
def _():
    return tar(member("f", uid=1 << 40))


@bundle("time-beyond-all-numbers.tar")
def _():
    return tar(member("f", mtime=1 << 70))


@bundle("time-before-all-numbers.tar")
def _():
    return tar(pax(mtime="-99999999999999999999"), member("f"))


@bundle("size-negative.tar")
def _():
    return tar(member("f", size=-1))


@bundle("size-beyond-the-end.tar")
def _():
    return APPSPEC + member("f", size=1 << 33) + END


@bundle("size-pax-lies.tar")
def _():
    return tar(pax(size="18446744073709551615"), member("f"))


@bundle("size-no-number.tar")
def _():
    return tar(member("f", size=b"zzz"))


@bundle("bomb-size.tar")
def _():
    return tar(member("large", random.Random(1).randbytes(9 << 20)))


@bundle("bomb-ratio.tgz")
def _():
    return tgz(tar(member("zeros", b"\0" * (6 << 20))))


@bundle("bomb-members.tgz")
def _():
    return tgz(tar(*[member(f"f{n}", b"") for n in range(600)]))


@bundle("bomb-directories.tgz")
def _():
    deep = [long_name(b"%d/" % n + b"d/" * 150 + b"f") + member("deep", b"") for n in range(5)]
    return tgz(tar(*deep))


@bundle("bomb-sparse.tar")
def _():
    # A hole of a TiB: magic of GNU, then the map at its own place.
    head = bytearray(member("sparse", b"", b"S"))
    head[257:265] = b"ustar  \0"
    head[386:410] = number(1 << 40, 12) + b"00000000000\0"
    head[483:495] = number(1 << 40, 12)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])
    return tar(bytes(head))


@bundle("bomb-sparse-pax.tar")
def _():
    return tar(pax(**{"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 40)}), member("sparse"))


@bundle("bomb-header.tgz")
def _():
    return tgz(APPSPEC + member("././@LongLink", b"a" * (32 << 20), b"L") + member("f") + END)


@bundle("bomb-pax-header.tgz")
def _():
    return tgz(tar(pax(comment="a" * (32 << 20)), member("f")))


@bundle("bomb-after-the-end.tgz")
def _():
    return tgz(tar() + b"\0" * (64 << 20))


@bundle("bomb-in-an-ignored-member.tgz")
def _():
    return tgz(tar(member("volume", b"\0" * (64 << 20), b"V"), member("f")))


@bundle("bomb-gzip-of-gzip.tgz")
def _():
    return tgz(tgz(b"\0" * (32 << 20)))


@bundle("bomb-many-gzip-members.tgz")
def _():
    return tgz(tar(member("f"))) + tgz(b"") * 200_000


@bundle("name-deep.tar")
def _():
    return tar(long_name(b"d/" * 1000 + b"f"), member("deep"))


@bundle("name-long.tar")
def _():
    return tar(long_name(b"n" * 300), member("long"))


@bundle("path-long.tar")
def _():
    return tar(long_name((b"n" * 200 + b"/") * 30), member("long"))


@bundle("name-with-nul.tar")
def _():
    return tar(pax(path=b"a\0b"), member("f"))


@bundle("name-empty.tar")
def _():
    return tar(member(""))


@bundle("name-dots.tar")
def _():
    return tar(member("./././a"), member("b//./c"), member("..."), member("d/.."))


@bundle("name-with-line-break.tar")
def _():
    return tar(member("a\nb"))


@bundle("name-for-terminals.tar")
def _():
    return tar(member("\x1b]0;owned\x07\x1b[2J../../x"))


@bundle("name-not-text.tar")
def _():
    return tar(member(b"\xff\xfe\x80"))


@bundle("name-of-windows.tar")
def _():
    return tar(member("..\\..\\escaped"), member("C:\\escaped"))


@bundle("name-as-an-option.tar")
def _():
    return tar(member("--checkpoint-action=exec=sh"), member("-rf"))


@bundle("name-case.tar")
def _():
    return tar(member("AppSpec.yml", b"other"), member("APPSPEC.YML", b"another"))


@bundle("name-composed.tar")
def _():
    return tar(member("caf\u00e9", b"1"), member("cafe\u0301", b"2"))


@bundle("name-of-the-agents-own.tar")
def _():
    return tar(member(".slipway-0000000000000000.new"), member(".slipway-removing-1"))


@bundle("duplicate-file.tar")
def _():
    return tar(member("f", b"first"), member("f", b"last"))


@bundle("duplicate-file-and-directory.tar")
def _():
    return tar(member("f"), directory("f/"), member("f/x"))


@bundle("duplicate-directory-and-file.tar")
def _():
    return tar(directory("f/"), member("f/x"), member("f"))


@bundle("truncated-content.tar")
def _():
    return tar(member("f", b"x" * 5000))[:3000]


@bundle("truncated-header.tar")
def _():
    return tar(member("f"))[:1300]


@bundle("truncated.tgz")
def _():
    data = tgz(tar(member("f", random.Random(2).randbytes(5000))))
    return data[:len(data) // 2]


@bundle("garbage-between-members.tar")
def _():
    return tar(member("a"), random.Random(3).randbytes(512), member("b"))


@bundle("garbage-after-the-end.tar")
def _():
    return tar(member("a")) + random.Random(4).randbytes(5000)


@bundle("members-after-the-end.tar")
def _():
    return tar(member("a")) + member("hidden") + END


@bundle("checksum-wrong.tar")
def _():
    return tar(member("a"), member("b", checksum=1))


@bundle("checksum-of-gzip-wrong.tgz")
def _():
    data = bytearray(tgz(tar(member("a"))))
    data[-6] ^= 1
    return bytes(data)


@bundle("empty.tar")
def _():
    return b""


@bundle("noise.tar")
def _():
    return random.Random(5).randbytes(20_000)


@bundle("noise.tgz")
def _():
    return b"\x1f\x8b\x08\0" + random.Random(6).randbytes(20_000)


# --- zip -----------------------------------------------------------------------------------------------------------


class Entry:
    """A member as its two headers tell it; whatever is not given is true."""

    def __init__(self, name, content=b"x", mode=0o100644, method=8, *, local_name=None, flags=0, crc=None, size=None,
                 packed=None, offset=None, extra=b"", local_extra=b"", data=None):
        encode = lambda text: text if isinstance(text, bytes) else text.encode()
        self.name, self.local_name = encode(name), encode(local_name if local_name is not None else name)
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.data = data if data is not None else squeeze.compress(content) + squeeze.flush() if method == 8 else content
        self.mode, self.method, self.flags, self.offset = mode, method, flags, offset
        self.crc = binascii.crc32(content) if crc is None else crc
        self.size = len(content) if size is None else size
        self.packed = len(self.data) if packed is None else packed
        self.extra, self.local_extra = extra, local_extra

    def sizes(self):
        return struct.pack("<III", self.crc, self.packed, self.size)

    def local(self):
        head = struct.pack("<4sHHHHH", b"PK\3\4", 20, self.flags, self.method, 0, 0x4AE1)
        lengths = struct.pack("<HH", len(self.local_name), len(self.local_extra))
        return head + self.sizes() + lengths + self.local_name + self.local_extra + self.data

    def central(self, offset):
        head = struct.pack("<4sHHHHHH", b"PK\1\2", 0x0314, 20, self.flags, self.method, 0, 0x4AE1)
        tail = struct.pack("<HHHHHII", len(self.name), len(self.extra), 0, 0, 0, self.mode << 16,
                           offset if self.offset is None else self.offset)
        return head + self.sizes() + tail + self.name + self.extra


def end(count, size, offset, comment=b""):
    return struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, size, offset, len(comment)) + comment


def zipped(*entries, count=None, comment=b"", prefix=b"", between=b""):
    entries = [Entry("appspec.yml", b"version: 0.0\nos: linux\n"), *entries]
    out, central = io.BytesIO(), b""
    for entry in entries:
        central += entry.central(out.tell())
        out.write(entry.local() + between)
    body = out.getvalue()
    return prefix + body + central + end(len(entries) if count is None else count, len(central), len(body), comment)


@bundle("traversal.zip")
def _():
    return zipped(Entry("../escaped"))


@bundle("traversal-from-inside.zip")
def _():
    return zipped(Entry("a/../../escaped"))


@bundle("traversal-absolute.zip")
def _():
    return zipped(Entry("/tmp/slipway-hostile-escaped"))


@bundle("traversal-of-windows.zip")
def _():
    return zipped(Entry("..\\..\\escaped"))


@bundle("traversal-in-the-local-header.zip")
def _():
    return zipped(Entry("good", local_name="../escaped"))


@bundle("traversal-in-the-unicode-field.zip")
def _():
    path = b"../escaped"
    field = struct.pack("<HHBI", 0x7075, 5 + len(path), 1, binascii.crc32(b"good")) + path
    return zipped(Entry("good", extra=field))


@bundle("link-absolute.zip")
def _():
    return zipped(Entry("l", b"/etc/passwd", 0o120777))


@bundle("link-out.zip")
def _():
    return zipped(Entry("a/l", b"../../victim", 0o120777))


@bundle("link-write-through.zip")
def _():
    return zipped(Entry("d", b"/tmp", 0o120777), Entry("d/slipway-hostile-escaped"))


@bundle("link-to-a-very-long-path.zip")
def _():
    return zipped(Entry("l", b"a/" * (1 << 20), 0o120777))


@bundle("link-with-nul.zip")
def _():
    return zipped(Entry("l", b"a\0/../../victim", 0o120777))


@bundle("device.zip")
def _():
    return zipped(Entry("null", b"", 0o020666))


@bundle("pipe.zip")
def _():
    return zipped(Entry("pipe", b"", 0o010644))


@bundle("setuid.zip")
def _():
    return zipped(Entry("su", b"#!/bin/sh\n", 0o106755))


@bundle("directory-with-content.zip")
def _():
    return zipped(Entry("d/", b"content", 0o040755), Entry("d/f"))


@bundle("duplicate-file.zip")
def _():
    return zipped(Entry("f", b"first"), Entry("f", b"last"))


@bundle("duplicate-file-and-directory.zip")
def _():
    return zipped(Entry("f"), Entry("f/", b"", 0o040755), Entry("f/x"))


@bundle("size-too-small.zip")
def _():
    return zipped(Entry("f", b"x" * 5000, size=1))


@bundle("size-too-large.zip")
def _():
    return zipped(Entry("f", b"x" * 5000, size=1 << 31))


@bundle("size-a-little-too-large.zip")
def _():
    return zipped(Entry("f", b"x" * 5000, size=5001))


@bundle("size-of-packed-too-large.zip")
def _():
    return zipped(Entry("f", b"x" * 5000, packed=1 << 31))


@bundle("checksum-wrong.zip")
def _():
    return zipped(Entry("f", crc=1))


@bundle("bomb-ratio.zip")
def _():
    return zipped(Entry("zeros", b"\0" * (6 << 20)))


@bundle("bomb-members.zip")
def _():
    return zipped(*[Entry(f"f{n}", b"", method=0) for n in range(600)])


@bundle("bomb-overlapping.zip")
def _():
    # All members are the same packed bytes.
    zeros = Entry("zeros", b"\0" * (1 << 20))
    first = len(Entry("appspec.yml", b"version: 0.0\nos: linux\n").local())
    copies = [Entry(f"copy{n}", b"\0" * (1 << 20), local_name="zeros", offset=first, data=b"") for n in range(100)]
    for copy in copies:
        copy.packed = zeros.packed
    return zipped(zeros, *copies)


@bundle("count-too-high.zip")
def _():
    return zipped(Entry("f"), count=60_000)


@bundle("count-too-low.zip")
def _():
    return zipped(Entry("hidden"), count=1)


def long_end(data, count):
    """Puts the long form of the end before the end of a zip archive."""
    at = data.rindex(b"PK\5\6")
    size, offset = struct.unpack("<II", data[at + 12:at + 20])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    return data[:at] + record + locator + end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


@bundle("zip64.zip")
def _():
    return long_end(zipped(Entry("f", b"long form")), 2)


@bundle("zip64-count.zip")
def _():
    return long_end(zipped(Entry("f")), 1 << 40)


@bundle("zip64-sizes-lie.zip")
def _():
    field = struct.pack("<HHQQ", 1, 16, 1 << 62, 1 << 62)
    return zipped(Entry("f", size=0xFFFFFFFF, packed=0xFFFFFFFF, extra=field, local_extra=field))


@bundle("encrypted.zip")
def _():
    return zipped(Entry("secret", b"x" * 12, flags=1))


@bundle("compression-unknown.zip")
def _():
    return zipped(Entry("f", method=99))


@bundle("compression-lies.zip")
def _():
    return zipped(Entry("f", b"not deflated at all", method=8, data=b"not deflated at all"))


@bundle("name-not-text.zip")
def _():
    return zipped(Entry(b"caf\x82"))


@bundle("name-with-nul.zip")
def _():
    return zipped(Entry(b"a\0b"))


@bundle("name-empty.zip")
def _():
    return zipped(Entry(""))


@bundle("name-deep.zip")
def _():
    return zipped(Entry("d/" * 300 + "f"))


@bundle("garbage-before.zip")
def _():
    return zipped(Entry("f"), prefix=b"#!/bin/sh\necho self-extracting\n")


@bundle("garbage-between-members.zip")
def _():
    return zipped(Entry("f"), between=random.Random(7).randbytes(300))


@bundle("comment-with-another-end.zip")
def _():
    return zipped(Entry("f"), comment=end(60_000, 10, 0) + b" not the end")


@bundle("truncated.zip")
def _():
    data = zipped(Entry("f", random.Random(8).randbytes(5000)))
    return data[:len(data) // 2]


@bundle("end-only.zip")
def _():
    return end(0, 0, 0)


@bundle("noise.zip")
def _():
    return b"PK\3\4" + random.Random(9).randbytes(20_000)


@bundle("a-tar-archive.zip")
def _():
    return tar(member("f"))


def main():
    directory = Path(sys.argv[1])
    for name, make in BUNDLES.items():
        (directory / name).write_bytes(make())


if __name__ == "__main__":
    main()
