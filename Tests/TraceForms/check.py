#!/usr/bin/env python3
"""Checks a trace in one of its forms: check.py json|chrome|chrome-real|perf FILE.

Prints the number of events. Exits with 1 and a line for the first thing that is wrong.
chrome-real demands besides what only a trace of real events has: slices of a track that nest.
Sources: RFC 8259; "Trace Event Format", Google, 2016; Linux tools/perf, builtin-script.c; FlameGraph,
stackcollapse-perf.pl (its two patterns).
"""
import json
import re
import sys

KEYS = {
    "sequence": int, "time_ns": int, "kind": str, "tid": int, "pid": int, "comm": str,
    "offset": int, "offset_hex": str, "region": str, "name": str, "lisn": int, "lisn_count": int,
    "half": str, "end": int, "server": int, "backing": str, "phb": int, "hwirq": int,
    "generation": int, "verb": str, "group": int, "request": int, "attribute": int,
    "result": str, "errno": int, "sigbus": bool, "cause": str, "queue_ns": int,
    "service_ns": int, "pq_before": str, "pq_after": str, "value": int, "value_hex": str,
    "size": int, "bytes": int, "pages": int, "msis": int, "lsis": int, "store_eoi": bool,
    "unmapped": int, "fenced": int, "lost": int, "error": str, "address": str,
    "ip": str, "symbol": str, "access": str, "protection": bool, "in_kernel": bool,
    "outcome": str, "fault_ns": int, "fault_queue_ns": int,
}


def need(condition, words):
    if not condition:
        sys.exit(words)


def unique(pairs):
    keys = [key for key, _ in pairs]
    need(len(set(keys)) == len(keys), f"a member twice: {keys}")
    return dict(pairs)


def check_members(event):
    for key, value in event.items():
        need(key in KEYS, f"member {key} is not documented: {event}")
        need(type(value) is KEYS[key], f"member {key} is no {KEYS[key].__name__}: {event}")
    for key in ("offset", "value"):
        if key in event:
            need(int(event[key + "_hex"], 16) == event[key], f"{key} and {key}_hex differ: {event}")


def check_json(text):
    count = 0
    for line in text.splitlines():
        event = json.loads(line, object_pairs_hook=unique)
        check_members(event)
        for key in ("time_ns", "kind"):
            need(key in event, f"no {key}: {line}")
        if event["kind"] != "gap":
            need("tid" in event and "pid" in event, f"no thread: {line}")
        count += 1
    return count


PHASES = {
    "X": {"name", "cat", "ts", "dur", "pid", "tid", "args"},
    "i": {"name", "cat", "ts", "s", "pid", "tid", "args"},
    "M": {"name", "pid", "tid", "args"},
    "s": {"name", "cat", "ts", "id", "pid", "tid"},
    "t": {"name", "cat", "ts", "id", "pid", "tid"},
    "f": {"name", "cat", "ts", "id", "pid", "tid", "bp"},
}


def check_chrome(text, is_real):
    trace = json.loads(text, object_pairs_hook=unique)
    need(trace["displayTimeUnit"] in ("ms", "ns"), "displayTimeUnit")
    need(isinstance(trace["otherData"], dict), "otherData")
    slices, flows, named, count = {}, {}, set(), 0
    for event in trace["traceEvents"]:
        phase = event.get("ph")
        need(phase in PHASES, f"phase: {event}")
        need(set(event) - {"ph"} == PHASES[phase], f"members of phase {phase}: {event}")
        for key in ("pid", "tid"):
            need(type(event[key]) is int, f"{key}: {event}")
        for key in ("ts", "dur"):
            need(key not in event or type(event[key]) is float and event[key] >= 0, f"{key}: {event}")
        track = (event["pid"], event["tid"])
        if phase == "M":
            need(event["name"] in ("process_name", "thread_name"), f"metadata: {event}")
            need(set(event["args"]) == {"name"} and event["args"]["name"], f"metadata: {event}")
            named.add((event["name"], track))
            continue
        need(("thread_name", track) in named, f"a track without a name: {event}")
        need(("process_name", track) in named, f"a process without a name: {event}")
        if phase in "Xi":
            check_members(event["args"])
            count += 1
        if phase == "X":
            need(event["dur"] > 0, f"no length: {event}")
            slices.setdefault(track, []).append((event["ts"], event["ts"] + event["dur"]))
        elif phase == "i":
            need(event["s"] in ("g", "p", "t"), f"scope: {event}")
        else:
            flows.setdefault(event["id"], []).append(event)
    for steps in flows.values():
        check_flow(steps, slices)
    if is_real:
        for track in slices.values():
            check_nesting(track)
    return count, len(flows)


def check_flow(steps, slices):
    phases = "".join(step["ph"] for step in steps)
    need(re.fullmatch("st*f", phases), f"a flow of phases {phases}: {steps}")
    times = [step["ts"] for step in steps]
    need(times == sorted(times), f"a flow against time: {steps}")
    for step in steps:
        track = slices.get((step["pid"], step["tid"]), [])
        need(any(a - 1e-6 <= step["ts"] <= b + 1e-6 for a, b in track), f"binds to no slice: {step}")


def check_nesting(slices):
    stack = []
    for start, end in sorted(slices, key=lambda it: (it[0], -it[1])):
        while stack and stack[-1] <= start + 1e-3:
            stack.pop()
        need(not stack or end <= stack[-1] + 1e-3, f"slices overlap at {start}")
        stack.append(end)


HEADER = re.compile(r"^(\S.*?) +(\d+)/(\d+) +\[(\d{3})\] +(\d+)\.(\d{9}): +(xive:[a-z-]+): (\S+=.*)$")
FRAME = re.compile(r"^\t *([0-9a-f]+) (\S+) \((\S+)\)$")
COLLAPSE_HEADER = re.compile(r"^(\S.+?)\s+(\d+)/*(\d+)*\s+")
COLLAPSE_FRAME = re.compile(r"^\s*(\w+)\s*(.+) \((.*)\)")


def check_perf(text):
    need(text == "" or text.endswith("\n\n"), "no empty line at the end")
    count = 0
    for block in text.split("\n\n")[:-1]:
        head, *frames = block.split("\n")
        match = HEADER.match(head)
        need(match, f"no line of perf script: {head}")
        for field in match[8].split(" "):
            need(re.fullmatch(r"\w+=\S*", field), f"field {field}: {head}")
        need(COLLAPSE_HEADER.match(head), f"stackcollapse would pass over: {head}")
        need(frames, f"no frames: {head}")
        for frame in frames:
            need(FRAME.match(frame), f"no frame: {frame!r}")
            need(COLLAPSE_FRAME.match(frame)[2] == FRAME.match(frame)[2], f"collapsed: {frame!r}")
        count += 1
    return count


def main():
    form, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if form == "json":
        print(check_json(text))
    elif form == "perf":
        print(check_perf(text))
    else:
        print(*check_chrome(text, form == "chrome-real"))


main()
