// The http2 module of Node.js against the fixture server: peers.js URL [CERTIFICATE]
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const http2 = require("node:http2");
const zlib = require("node:zlib");
const crypto = require("node:crypto");

const [url, certificate] = process.argv.slice(2);
const deadline = setTimeout(() => { throw new Error("the answers took too long"); }, 40000);
const session = http2.connect(url, certificate ? { ca: fs.readFileSync(certificate), servername: "localhost" } : {});
session.on("error", error => { throw error; });

/** The fields, the body and the trailers of a response. */
function ask(fields, body) {
    return new Promise((resolve, reject) => {
        const stream = session.request(fields, { endStream: body === undefined }), pieces = [];
        let head, trailers;
        stream.on("response", fields => { head = fields; });
        stream.on("trailers", fields => { trailers = fields; });
        stream.on("data", piece => pieces.push(piece));
        stream.on("end", () => resolve({ status: head[":status"], head, body: Buffer.concat(pieces), trailers }));
        stream.on("error", reject);
        if (body !== undefined) stream.end(body);
    });
}

async function requests() {
    const paths = [...Array(90).keys()].map(number => number % 3 ? "/" : "/large");
    const answers = await Promise.all(paths.map(path => ask({ ":path": path })));
    for (const [number, answer] of answers.entries()) {
        assert.strictEqual(answer.status, 200);
        assert.strictEqual(answer.body.length, number % 3 ? 6 : 300000);
    }
    assert.strictEqual(`${(await ask({ ":path": "/version" })).body}`, "2");
    const uploads = await Promise.all([0, 1, 70000, 900000].map(length =>
        ask({ ":path": "/length", ":method": "POST" }, Buffer.alloc(length, "x"))));
    assert.deepStrictEqual(uploads.map(answer => `${answer.body}`), ["0", "1", "70000", "900000"]);
    assert.strictEqual((await ask({ ":path": "/trailers", te: "trailers" })).trailers["x-sum"], "6");
    assert.strictEqual((await ask({ ":path": "/", ":method": "HEAD" })).body.length, 0);
    await new Promise((resolve, reject) => session.ping((error, time, payload) => error ? reject(error) : resolve()));
    // A request that is cancelled leaves the others alone.
    const cancelled = session.request({ ":path": "/held" });
    cancelled.close(http2.constants.NGHTTP2_CANCEL);
    assert.strictEqual((await ask({ ":path": "/" })).status, 200);
}

/** A WebSocket: frames of one message each, of less than 64 KiB. */
class Socket {
    constructor(path, compresses) {
        this.input = Buffer.alloc(0);
        this.messages = [];
        this.waiting = [];
        this.stream = session.request({
            ":method": "CONNECT", ":protocol": "websocket", ":path": path, "sec-websocket-version": "13",
            ...(compresses ? { "sec-websocket-extensions": "permessage-deflate; client_no_context_takeover" } : {}) });
        this.opened = new Promise((resolve, reject) => {
            this.stream.on("response", fields => {
                this.compresses = `${fields["sec-websocket-extensions"] ?? ""}`.startsWith("permessage-deflate");
                if (fields[":status"] === 200) resolve(); else reject(new Error(`status ${fields[":status"]}`));
            });
            this.stream.on("error", reject);
        });
        this.closed = new Promise(resolve => this.stream.on("close", resolve));
        this.stream.on("data", data => {
            this.input = Buffer.concat([this.input, data]);
            this.parse();
        });
        this.inflater = zlib.createInflateRaw({ finishFlush: zlib.constants.Z_SYNC_FLUSH });
    }

    parse() {
        while (this.input.length >= 2) {
            const short = this.input[1], at = short === 126 ? 4 : 2;
            if (this.input.length < at) return;
            const length = short === 126 ? this.input.readUInt16BE(2) : short;
            assert(short < 127);
            if (this.input.length < at + length) return;
            this.add({ first: this.input[0], payload: this.input.subarray(at, at + length) });
            this.input = this.input.subarray(at + length);
        }
    }

    add(frame) {
        const next = this.waiting.shift();
        if (next) next(frame); else this.messages.push(frame);
    }

    next() {
        if (this.messages.length) return Promise.resolve(this.messages.shift());
        return new Promise(done => this.waiting.push(done));
    }

    send(payload, opcode) {
        let first = 0x80 | opcode;
        if (this.compresses && opcode < 8) {
            first |= 0x40;
            payload = zlib.deflateRawSync(payload, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
        }
        const head = payload.length < 126 ? Buffer.from([first, 0x80 | payload.length]) :
            Buffer.from([first, 0xFE, payload.length >> 8, payload.length & 255]);
        const mask = crypto.randomBytes(4), bytes = Buffer.from(payload);
        for (let at = 0; at < bytes.length; at++) bytes[at] ^= mask[at % 4];
        this.stream.write(Buffer.concat([head, mask, bytes]));
    }

    /** The server compresses with the context of earlier messages. */
    inflate(payload) {
        return new Promise((resolve, reject) => {
            const pieces = [], collect = piece => pieces.push(piece);
            this.inflater.on("data", collect);
            this.inflater.once("error", reject);
            this.inflater.write(Buffer.concat([payload, Buffer.from([0, 0, 0xFF, 0xFF])]));
            this.inflater.flush(() => {
                this.inflater.off("data", collect);
                resolve(Buffer.concat(pieces));
            });
        });
    }

    async echo(message) {
        this.send(message, 2);
        const frame = await this.next();
        const isCompressed = (frame.first & 0x40) !== 0;
        assert.strictEqual(frame.first & 15, 2);
        assert.deepStrictEqual(isCompressed ? await this.inflate(frame.payload) : frame.payload, message);
        return isCompressed;
    }
}

async function webSockets() {
    assert.strictEqual(session.remoteSettings.enableConnectProtocol, true);
    const sockets = [...Array(20).keys()].map(number => new Socket("/echo", number % 2 === 1));
    await Promise.all(sockets.map(socket => socket.opened));
    for (const length of [0, 5, 125, 126, 40000]) {
        const message = Buffer.alloc(length, "text ");
        const compressed = await Promise.all(sockets.map(socket => socket.echo(message)));
        if (length === 40000) assert.deepStrictEqual(compressed, sockets.map((_, number) => number % 2 === 1));
    }
    const version = new Socket("/version", false);
    assert.strictEqual(`${(await version.next()).payload}`, "2");
    for (const socket of [version, ...sockets]) {
        socket.send(Buffer.from([0x03, 0xE8]), 8);
        assert.strictEqual((await socket.next()).first, 0x88);
        socket.stream.end();
        await socket.closed;
        assert.strictEqual(socket.stream.rstCode, 0);
    }
    // One that disappears leaves the others alone.
    const [lost, other] = [new Socket("/", false), new Socket("/", false)];
    await Promise.all([lost.opened, other.opened]);
    lost.stream.close(http2.constants.NGHTTP2_CANCEL);
    await other.echo(Buffer.from("still here"));
    other.stream.close();
}

async function main() {
    await new Promise(resolve => session.once("remoteSettings", resolve));
    await requests();
    await webSockets();
    await new Promise(resolve => session.close(resolve));
    clearTimeout(deadline);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
