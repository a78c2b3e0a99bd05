"""A client of the threading API of the Python library `websockets`.

    sync_peer.py client URL

Each line of stdin is an action, each line of stdout an event, both as JSON; see scripted_peer.rs.
The program exits at the end of stdin.
"""

import json
import sys
from contextlib import suppress
from threading import Thread

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

_, ROLE, URL = sys.argv
assert ROLE == "client"

# The echo of 1 MiB exceeds the default of `websockets`.
LIMIT = 16 * 1024 * 1024


def emit(event):
    print(json.dumps(event), flush=True)


def report_events(connection):
    try:
        while True:
            message = connection.recv()
            if isinstance(message, str):
                emit({"text": message})
            else:
                emit({"binary": list(message)})
    except ConnectionClosed as closed:
        emit({"closed": [closed.rcvd.code, closed.rcvd.reason] if closed.rcvd else [1006, ""]})


def run_actions(connection):
    with suppress(ConnectionClosed):
        for line in sys.stdin:
            [(action, value)] = json.loads(line).items()
            if action == "text":
                connection.send(value)
            elif action == "binary":
                connection.send(bytes(value))
            elif action == "close":
                connection.close(*value)


try:
    with connect(URL, max_size=LIMIT) as connection:
        emit("opened")
        listener = Thread(target=report_events, args=[connection])
        listener.start()
        run_actions(connection)
        listener.join()
except InvalidStatus as refusal:
    emit({"refused": refusal.response.status_code})
