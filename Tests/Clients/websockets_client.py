"""Python's websockets against an example: websockets_client.py echo|chat URL CERTIFICATE"""

import asyncio
import ssl
import sys

import websockets

what, url, certificate = sys.argv[1:]
options = {"ssl": ssl.create_default_context(cafile=certificate)} if url.startswith("wss:") else {}
options |= {"max_size": 4 << 20, "open_timeout": 20, "close_timeout": 20}


def equal(value, expected):
    if value != expected:
        raise AssertionError(f"{value!r:.200} instead of {expected!r:.200}")


async def receive(socket):
    return await asyncio.wait_for(socket.recv(), 20)


async def until(socket, text):
    while await receive(socket) != text:
        pass


async def echo():
    for compression in "deflate", None:
        async with websockets.connect(url, compression=compression, **options) as socket:
            extensions = [extension.name for extension in socket.extensions]
            equal(extensions, ["permessage-deflate"] if compression else [])
            for message in "hello", "", b"", bytes(range(256)), "grüße 🦀", "a" * 125, "b" * 126, "c" * 70_000, \
                    b"d" * (1 << 20):
                await socket.send(message)
                equal(await receive(socket), message)
            # Fragments, with a ping in between.
            await socket.send(["one ", "two ", "three"])
            equal(await receive(socket), "one two three")
            await asyncio.wait_for(await socket.ping(b"payload"), 20)
            # Several messages in flight, in order.
            for number in range(100):
                await socket.send(f"message {number}")
            for number in range(100):
                equal(await receive(socket), f"message {number}")
            await socket.close(4001, "done")
            # The server repeats the code alone.
            equal((socket.close_code, socket.close_reason), (4001, ""))
    # Larger than the server accepts.
    async with websockets.connect(url, compression=None, **options) as socket:
        await socket.send("x" * ((1 << 20) + 1))
        try:
            await receive(socket)
            raise AssertionError("a message that is too large was answered")
        except websockets.ConnectionClosed:
            equal(socket.close_code, 1009)
    async with websockets.connect(f"{url}broadcast", **options) as one, \
            websockets.connect(f"{url}broadcast", **options) as two:
        # A handshake may be answered before `onOpen` has run: a connection is subscribed when its own message has come
        # back. Clients that test beside this one broadcast, too.
        for number, socket in enumerate((one, two)):
            await socket.send(f"Python's {number} is ready")
            await until(socket, f"Python's {number} is ready")
        await one.send("from Python to all")
        for socket in one, two:
            await until(socket, "from Python to all")


async def chat():
    async with websockets.connect(url, **options) as one, websockets.connect(url, **options) as two:
        for socket in one, two:
            while not (await receive(socket)).split("\n", 1)[1].startswith("welcome\n"):
                pass
        await one.send("all\nhello from Python")
        for socket in one, two:
            while (await receive(socket)).split("\n", 1)[1] != "hello from Python":
                pass


asyncio.run({"echo": echo, "chat": chat}[what]())
