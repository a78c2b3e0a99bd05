"""A client made of the API for threads of the Python library `websockets`.

    sync_peer.py client URL

Each line of its input is something to do, each line of its output something that happened, both in
JSON; see puppet.rs. It ends when its input does.
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


def tell(event):
    print(json.dumps(event), flush=True)


def listen(connection):
    try:
        while True:
            message = connection.recv()
            if isinstance(message, str):
                tell({"text": message})
            else:
                tell({"binary": list(message)})
    except ConnectionClosed as closed:
        tell({"closed": [closed.rcvd.code, closed.rcvd.reason] if closed.rcvd else [1006, ""]})


def obey(connection):
    with suppress(ConnectionClosed):
        for line in sys.stdin:
            [(deed, value)] = json.loads(line).items()
            if deed == "text":
                connection.send(value)
            elif deed == "binary":
                connection.send(bytes(value))
            elif deed == "close":
                connection.close(*value)


try:
    with connect(URL, max_size=LIMIT) as connection:
        tell("opened")
        listener = Thread(target=listen, args=[connection])
        listener.start()
        obey(connection)
        listener.join()
except InvalidStatus as refusal:
    tell({"refused": refusal.response.status_code})
