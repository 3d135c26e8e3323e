#!/usr/bin/env python3
"""A proxy between a server and its Redis, both at Unix sockets, that interrupts what goes through it.

  Tests/Chaos/proxy.py SOCKET REDIS

Lines on standard input are commands: "hold" delays all bytes, "cut" ends all connections and refuses new ones, "open" lets
everything through again. It ends with its input.
"""

import asyncio
import os
import sys


class Proxy:
    def __init__(self, redis):
        self.redis = redis
        self.flows = asyncio.Event()
        self.flows.set()
        self.refuses = False
        self.writers = set()

    async def pump(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def serve(self, reader, writer):
        try:
            if self.refuses:
                raise OSError
            # As with a connection over a network, its beginning is delayed, too.
            await self.flows.wait()
            redis_reader, redis_writer = await asyncio.open_unix_connection(self.redis)
        except OSError:
            writer.close()
            return
        both = {writer, redis_writer}
        self.writers |= both
        await asyncio.gather(self.pump(reader, redis_writer), self.pump(redis_reader, writer))
        self.writers -= both

    def obey(self, command):
        self.refuses = command == "cut"
        if command == "hold":
            self.flows.clear()
        else:
            self.flows.set()
        if command == "cut":
            for writer in self.writers:
                writer.transport.abort()


async def main():
    path, redis = sys.argv[1:]
    proxy = Proxy(redis)
    server = await asyncio.start_unix_server(proxy.serve, path)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while line := await commands.readline():
        proxy.obey(line.decode().strip())
    server.close()
    os._exit(0)  # without waiting for connections


asyncio.run(main())
