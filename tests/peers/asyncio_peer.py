"""A client or a server of the asyncio APIs of the Python library `websockets`.

    asyncio_peer.py newest|legacy client URL
    asyncio_peer.py newest|legacy server [NAME PASSWORD]
    asyncio_peer.py newest|legacy tls-server CERTIFICATE KEY

A server with a name and a password requires Basic authentication with them. Each line of stdin is
an action, each line of stdout an event, both as JSON; see scripted_peer.rs. The program exits when
the connection ends.
"""

import asyncio
import json
import ssl
import sys
from contextlib import suppress

from websockets.exceptions import ConnectionClosed, InvalidHandshake

API, ROLE, *ARGUMENTS = sys.argv[1:]
if API == "newest":
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import basic_auth, serve

    def basic_auth_options(*credentials):
        return {"process_request": basic_auth("peer", credentials)}
else:
    from websockets.legacy.auth import basic_auth_protocol_factory
    from websockets.legacy.client import connect
    from websockets.legacy.server import serve

    def basic_auth_options(*credentials):
        return {"create_protocol": basic_auth_protocol_factory("peer", credentials)}

# The maximum length of messages and lines. The echo of 1 MiB exceeds the default of `websockets`.
LIMIT = 16 * 1024 * 1024


def emit(event):
    print(json.dumps(event), flush=True)


async def run_actions(connection):
    lines = asyncio.StreamReader(limit=LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    with suppress(ConnectionClosed):
        async for line in lines:
            [(action, value)] = json.loads(line).items()
            if action == "text":
                await connection.send(value)
            elif action == "binary":
                await connection.send(bytes(value))
            elif action == "close":
                await connection.close(*value)


async def run_connection(connection):
    emit("opened")
    actions = asyncio.create_task(run_actions(connection))
    try:
        while True:
            message = await connection.recv()
            if isinstance(message, str):
                emit({"text": message})
            else:
                emit({"binary": list(message)})
    except ConnectionClosed as closed:
        emit({"closed": [closed.rcvd.code, closed.rcvd.reason] if closed.rcvd else [1006, ""]})
    if actions.done():
        actions.result()
    actions.cancel()


async def client(url):
    try:
        connection = await connect(url, max_size=LIMIT)
    except InvalidHandshake as refusal:
        response = refusal if API == "legacy" else refusal.response
        emit({"refused": response.status_code})
    else:
        await run_connection(connection)


async def server(*credentials):
    await serve_one("ws", **basic_auth_options(*credentials) if credentials else {})


async def tls_server(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    await serve_one("wss", ssl=context)


async def serve_one(scheme, **options):
    done = asyncio.get_running_loop().create_future()

    async def handle(connection):
        await run_connection(connection)
        done.set_result(None)

    async with serve(handle, "127.0.0.1", 0, max_size=LIMIT, **options) as listening:
        host, port = listening.sockets[0].getsockname()
        emit({"listening": f"{scheme}://{host}:{port}"})
        await done


ROLES = {"client": client, "server": server, "tls-server": tls_server}
asyncio.run(ROLES[ROLE](*ARGUMENTS))
