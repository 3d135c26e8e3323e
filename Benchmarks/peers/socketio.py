#!/usr/bin/env python3
"""Socket.IO by python-socketio: an event "m" goes to all clients, of all servers at one Redis.

The adapter of Socket.IO for Node.js is in no package of Debian. This has the same protocol towards clients and the same way
through Redis, a message of one channel for each event, but another language: its CPU time is not that one's.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent / "socketio-packages")

import socketio
import uvloop
from aiohttp import web


async def serve(options):
    manager = socketio.AsyncRedisManager(options.cluster.replace("unix:", "unix://")) if options.cluster else None
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=manager, transports=["websocket"])

    @server.event
    async def connect(sid, environ):
        await server.enter_room(sid, "all")

    @server.on("m")
    async def publish(sid, text):
        await server.emit("m", text, room="all")

    application = web.Application()
    server.attach(application)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port).start()
    print(f"ready {runner.addresses[0][1]} {os.getpid()}", flush=True)
    await asyncio.Event().wait()


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--cluster", metavar="URL")
parser.add_argument("--history", help="ignored: there is none")
uvloop.run(serve(parser.parse_args()))
