"""Uses a client that was generated from the document that an edge serves.

It prints as JSON what it got. ``python client.py URL USER…``
"""

import json
import sys
from importlib import import_module

PACKAGE = "stacks_feed_over_http_client"


def call(name, url, *, detailed=False, **asked):
    """Call one operation of the generated client."""
    client = import_module(PACKAGE).Client(base_url=url)
    operation = import_module(f"{PACKAGE}.api.{name}")
    run = operation.sync_detailed if detailed else operation.sync
    return run(client=client, **asked)


def main(url, *users):
    """Call the operations that a client uses."""
    whole = call("prices.get_prices", url, detailed=True)
    cursor, tag = whole.headers["Feed-Cursor"], whole.headers["ETag"]
    since = call("prices.get_prices", url, since=cursor)
    wrong = call("prices.get_prices", url, since="nonsense")
    held = call("balances.get_balances", url, users=list(users))
    some = call("prices.get_prices", url, tokens=["stx", ".stx"])
    kept = call("prices.get_prices", url, if_none_match=tag, detailed=True)
    found = {
        "whole": type(whole.parsed).__name__,
        "since": type(since).__name__,
        "recovered": since.recovered,
        "removed": since.removed,
        "goes_on": since.cursor == cursor,
        "some": [price.contract_id for price in some.prices],
        "error": f"{wrong.error}",
        "users": sorted({balance.user_id for balance in held.balances}),
        "held_since": type(call("balances.get_balances", url, since=cursor)).__name__,
        "kept": int(kept.status_code),
        "refreshed": call("prices.refresh_prices", url).status,
        "room": call("balances.get_balances_room", url, room="a b").party,
        "ready": call("about.is_ready", url).ready,
        "live": call("about.is_live", url),
    }
    print(json.dumps(found))


main(*sys.argv[1:])
