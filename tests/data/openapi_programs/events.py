"""Reads a stream of events with httpx-sse, each event as JSON; prints the types of two."""

import json
import sys

import httpx
import httpx_sse

with (
    httpx.Client() as client,
    httpx_sse.connect_sse(client, "GET", sys.argv[1]) as source,
):
    events = source.iter_sse()
    print(json.dumps([json.loads(next(events).data)["type"] for _ in range(2)]))
