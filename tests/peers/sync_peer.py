"""A client made of the API for threads of the Python library `websockets`.

    sync_peer.py client URL

Each line of its input is something to do, each line of its output something that happened, both in
JSON; see scripted_peer.rs. It ends when its input does.
"""

import json
import sys
from contextlib import suppress
from threading import Thread

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

_, ROLE, URL = sys.argv
assert ROLE == "client"

# An answer to 1 MiB is longer than what `websockets` takes by itself.
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
