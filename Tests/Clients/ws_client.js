// ws of Node.js against an example: ws_client.js echo|chat URL CERTIFICATE direct|nginx|http2
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const WebSocket = require("ws");

const [what, url, certificate, via] = process.argv.slice(2);
const deadline = setTimeout(() => { throw new Error("the answers took too long"); }, 40000);

/** A connection with the messages, pongs and the close that it has received, in order. */
class Client {
    constructor(path = "", options = {}) {
        this.events = [];
        this.waiting = [];
        this.socket = new WebSocket(url + path, { ca: fs.readFileSync(certificate), ...options });
        this.opened = new Promise((resolve, reject) => {
            this.socket.on("open", resolve);
            this.socket.on("error", reject);
        });
        this.socket.on("message", (data, isBinary) => this.add(isBinary ? data : data.toString()));
        this.socket.on("pong", data => this.add({ pong: data.toString() }));
        this.socket.on("close", (code, reason) => this.add({ close: code, reason: reason.toString() }));
    }

    add(event) {
        const next = this.waiting.shift();
        if (next) next(event); else this.events.push(event);
    }

    next() {
        return this.events.length ? Promise.resolve(this.events.shift()) : new Promise(resolve => this.waiting.push(resolve));
    }
}

async function echo() {
    for (const perMessageDeflate of [true, false]) {
        const client = new Client("", { perMessageDeflate });
        await client.opened;
        assert.strictEqual(client.socket.extensions.includes("permessage-deflate"), perMessageDeflate);
        const messages = ["hello", "", Buffer.alloc(0), Buffer.from([...Array(256).keys()]), "grüße 🦀", "a".repeat(125),
            "b".repeat(126), "c".repeat(70000), Buffer.alloc(1 << 20, "d")];
        for (const message of messages) {
            client.socket.send(message);
            assert.deepStrictEqual(await client.next(), message);
        }
        client.socket.send("one ", { fin: false });
        client.socket.send("two ", { fin: false });
        client.socket.ping("payload");
        client.socket.send("three", { fin: true });
        const events = [await client.next(), await client.next()];
        assert(events.includes("one two three") && events.some(event => event.pong === "payload"), `${events}`);
        for (let number = 0; number < 100; number++) client.socket.send(`message ${number}`);
        for (let number = 0; number < 100; number++) assert.strictEqual(await client.next(), `message ${number}`);
        client.socket.close(4001, "done");
        // The server repeats the code alone.
        assert.deepStrictEqual(await client.next(), { close: 4001, reason: "" });
    }
    // A proxy whose server has closed may close with input that it has not read; its reset can overtake the close frame.
    let code = 1006;
    for (let tries = 0; tries < (via === "nginx" ? 3 : 1) && code === 1006; tries++) {
        const large = new Client("", { perMessageDeflate: false });
        await large.opened;
        large.socket.on("error", () => {});
        large.socket.send("x".repeat((1 << 20) + 1));
        code = (await large.next()).close;
    }
    assert.strictEqual(code, 1009);

    // A handshake may be answered before `onOpen` has run: a connection is subscribed when its own message has come back.
    // Clients that test beside this one broadcast, too.
    const until = async (client, text) => { while (await client.next() !== text) ; };
    const talkers = [new Client("broadcast"), new Client("broadcast")];
    await Promise.all(talkers.map(client => client.opened));
    for (const [number, client] of talkers.entries()) {
        client.socket.send(`Node's ${number} is ready`);
        await until(client, `Node's ${number} is ready`);
    }
    talkers[0].socket.send("from Node to all");
    for (const client of talkers) await until(client, "from Node to all");
    for (const client of talkers) client.socket.terminate();
}

async function chat() {
    const clients = [new Client(), new Client()];
    const until = async (client, condition) => { while (!condition((await client.next()).split("\n").slice(1))) ; };
    for (const client of clients) await until(client, lines => lines[0] === "welcome");
    clients[0].socket.send("all\nhello from Node");
    for (const client of clients) await until(client, lines => lines[0] === "hello from Node");
    for (const client of clients) {
        client.socket.close();
        let event;
        while (typeof (event = await client.next()) !== "object") ;
        assert.strictEqual(event.close, 1005);
    }
}

({ echo, chat })[what]().then(() => clearTimeout(deadline), error => {
    console.error(error);
    process.exit(1);
});
