#!/usr/bin/env python3
"""Reads what `xive save` has written, by the description in Saved-State.md and nothing else.

A second reader keeps the description and the first one honest. It checks all that a file says of itself and
prints it, a JSON object in a line; otherwise one line on standard error and exit status 1.
"""
import json
import struct
import sys
import zlib

HEADER = struct.Struct("<8sIIQIIIIIIIIIIQQQQQQ")
VP = struct.Struct("<IIQQ")
END = struct.Struct("<II8I")
SOURCE = struct.Struct("<QQ")
MASKED = 1 << 32


class Refused(Exception):
    pass


def require(is_met, words):
    if not is_met:
        raise Refused(words)


def read(data):
    require(data[:8] == b"XIVESAVE", "magic")
    require(len(data) >= HEADER.size + 4, "too short")
    (_, version, header, size, sources, page_shift, esb_pages, flags, max_vcpus, nr_sources, nr_servers,
     zero0, zero1, zero2, vps_at, vps, ends_at, ends, sources_at, source_count) = HEADER.unpack_from(data)
    require(version == 1, "version")
    require(header == HEADER.size == 112, "header size")
    require(size == len(data), "file size")
    require(zlib.crc32(data[:-4]) == struct.unpack("<I", data[-4:])[0], "checksum")
    require((zero0, zero1, zero2) == (0, 0, 0) and flags <= 1, "reserved")
    require(page_shift in (12, 16) and esb_pages in (1, 2), "geometry")
    require(1 <= nr_sources <= sources <= 1 << 20 and 1 <= nr_servers <= max_vcpus <= 16384, "sizes")
    require(vps_at == 112, "vCPUs: offset")
    require(ends_at == vps_at + VP.size * vps, "ENDs: offset")
    require(sources_at == ends_at + END.size * ends, "sources: offset")
    require(sources_at + SOURCE.size * source_count + 4 == len(data), "sources: end")
    require(source_count == nr_sources, "sources: count")
    return {
        "geometry": {"sources": sources, "pageShift": page_shift, "esbPages": esb_pages,
                     "storeEOI": flags == 1, "maxVCPUs": max_vcpus},
        "servers": nr_servers,
        "vcpus": read_vps(data[vps_at:ends_at], nr_servers),
        "ends": read_ends(data[ends_at:sources_at], max_vcpus),
        "sources": read_sources(data[sources_at:-4], max_vcpus),
    }


def read_vps(data, nr_servers):
    result = []
    for server, zero, _, unused in VP.iter_unpack(data):
        require(server < nr_servers and zero == 0 and unused == 0, f"vCPU {server}")
        require(not result or server > result[-1]["server"], f"vCPU {server}: order")
        # The register is big-endian, whatever the rest is.
        start = len(result) * VP.size + 8
        result.append({"server": server, "ring": data[start:start + 8].hex()})
    return result


def read_ends(data, max_vcpus):
    result = []
    for index, zero, *words in END.iter_unpack(data):
        require(index < 8 * max_vcpus and zero == 0, f"END {index}")
        require(not result or index > result[-1]["index"], f"END {index}: order")
        require(words[0] >> 31 == 1, f"END {index}: not valid")
        require(not words[6] & 1 << 23 and not words[7] >> 31, f"END {index}: target")
        if words[0] & 1 << 30:
            shift = 12 + (words[0] >> 16 & 15)
            address = (words[2] & 0xfffffff) << 32 | words[3]
            require(shift <= 24 and address % (1 << shift) == 0, f"END {index}: queue")
            require(words[1] & 0x3fffff < 1 << shift - 2, f"END {index}: next entry")
        result.append({"index": index, "words": words})
    return result


def read_sources(data, max_vcpus):
    result = {}
    for lisn, (config, flags) in enumerate(SOURCE.iter_unpack(data)):
        if (config, flags) == (0, 0):
            continue
        require(flags & ~0x3ffffff000000ff == 0 and flags & 0x10, f"source {lisn}: flags")
        require(flags & 0x80 or not flags >> 32, f"source {lisn}: hardware")
        require(flags & 4 or not flags & 8, f"source {lisn}: line")
        if config & MASKED:
            require(config == MASKED, f"source {lisn}: masked")
        else:
            require((config & 0xffffffff) >> 3 < max_vcpus and config & 7 < 7, f"source {lisn}: route")
        result[lisn] = [config, flags]
    return result


def main():
    if len(sys.argv) != 2:
        print("usage: read_state.py FILE", file=sys.stderr)
        return 64
    try:
        with open(sys.argv[1], "rb") as file:
            print(json.dumps(read(file.read()), sort_keys=True))
    except (OSError, Refused) as error:
        print(f"read_state.py: {sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
