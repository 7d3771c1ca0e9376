"""Replays the recorded sequences of router-sequences.json on either side."""

import json

from powernv import QUEUES, SERVERS
from router_operations import (
    OS_RING, PRIORITIES, ConfigureQueue, ConfigureSource, Watched, acknowledge, esb_load,
    fresh_context, register, set_cppr, set_pending, trigger,
)

QUEUE_SIZE = 64 << 10
QUEUE_COUNT = 14
SET_PQ_00 = 0xC00
AGE = 0xFF00  # reads ff in the recording, and nothing in the HW view


def load(path):
    with open(path, encoding="ascii") as file:
        return json.load(file)


def watched_by(sequence):
    servers = SERVERS[:2]
    ends = tuple(_end(queue) for queue in sequence["queues"])
    sources = tuple(source["lisn"] for source in sequence["sources"])
    return Watched(servers, sources, ends, QUEUE_COUNT * QUEUE_SIZE)


def replay(make_side, sequence):
    """Yields (what, expected, seen) for all that the recording knows."""
    side = make_side(watched_by(sequence))
    side.clear_queues()
    for operation in _setup(sequence):
        side.perform(operation)
    for number, step in enumerate(sequence["steps"]):
        operation = _operation(step["op"])
        what = f"step {number}, {operation}"
        yield f"{what}: loaded value", step["result"], side.perform(operation)
        state = side.observe()
        for server, ring in zip(SERVERS, step["rings"]):
            # What each server's own software sees of its ring.
            seen = state[register(server, OS_RING)] | AGE
            yield f"{what}: ring of {server}", int(ring, 16) | AGE, seen
    state = side.observe()
    pq = [state[f"PQ of source {source['lisn']:#x}"] for source in sequence["sources"]]
    yield "last PQ", sequence["finalPQ"], pq
    for number, queue in enumerate(sequence["finalQueues"]):
        word = state[f"END {_end(queue)}"][1]
        place = (word >> 22 & 1, word & 0x3FFFFF)
        yield f"queue {number}: place", (queue["toggle"], queue["index"]), place
        start = number * QUEUE_SIZE
        entries = _entries(state["queues"][start:start + QUEUE_SIZE])
        yield f"queue {number}: entries", queue["entries"], entries


def _setup(sequence):
    for server in SERVERS:
        yield from fresh_context(server)
    for number, queue in enumerate(sequence["queues"]):
        yield ConfigureQueue(
            SERVERS[queue["server"]], queue["priority"], QUEUES + number * QUEUE_SIZE,
            queue["toggle"], queue["index"])
    for source in sequence["sources"]:
        yield ConfigureSource(source["lisn"], _end(source), source["eisn"], source["masked"])
        yield esb_load(source["lisn"], SET_PQ_00)


def _end(where):
    return SERVERS[where["server"]] * PRIORITIES + where["priority"]


def _operation(recorded):
    name, *arguments = recorded
    if name == "load":
        return esb_load(*arguments)
    if name == "trigger":
        return trigger(*arguments)
    server = SERVERS[arguments[0]]
    kinds = {"ack": acknowledge, "setCPPR": set_cppr, "setPending": set_pending}
    return kinds[name](server, *arguments[1:], own=True)


def _entries(memory):
    words = (int.from_bytes(memory[i:i + 4], "big") for i in range(0, len(memory), 4))
    return {str(index): word for index, word in enumerate(words) if word}
