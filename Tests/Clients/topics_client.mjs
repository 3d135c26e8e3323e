// The browser client of topics against a server that the test controls: topics_client.mjs
import assert from "node:assert";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Older versions of Node.js do not take a .js file for a module.
const source = readFileSync(new URL("../../Clients/browser/swiftserver-topics.js", import.meta.url));
const { PROTOCOL, Topics } = await import(`data:text/javascript;base64,${source.toString("base64")}`);
const { WebSocketServer, WebSocket } = createRequire(import.meta.url)("ws");
const EPOCH = "00000000000000aa";
const deadline = setTimeout(() => { throw new Error("the test took too long"); }, 30000);

/** A server of which each connection is a list of received messages, and answers what the test says. */
class Server {
    constructor(protocols = [PROTOCOL]) {
        this.protocols = protocols;
        this.connections = [];
    }

    async start(port = 0) {
        this.server = new WebSocketServer({
            port, host: "127.0.0.1", handleProtocols: offered => this.protocols.find(name => offered.has(name)) ?? false,
        });
        this.server.on("connection", socket => {
            const connection = { socket, received: [] };
            this.connections.push(connection);
            socket.on("message", data => connection.received.push(data.toString()));
        });
        await new Promise(resolve => this.server.on("listening", resolve));
        this.port = this.server.address().port;
        return this;
    }

    async connection(index) {
        await until(() => this.connections[index]);
        return this.connections[index];
    }

    /** The message of a connection, with its data. */
    async message(connection, index) {
        await until(() => connection.received.length > index);
        const [head, ...data] = connection.received[index].split("\n");
        return { ...JSON.parse(head), ...(data.length && { data: data.join("\n") }) };
    }

    stop() {
        for (const { socket } of this.connections) socket.terminate();
        this.server.close();
    }
}

async function until(condition) {
    while (!condition()) await new Promise(resolve => setTimeout(resolve, 2));
}

function open(server, options = {}) {
    const events = [];
    const topics = new Topics(`ws://127.0.0.1:${server.port}/`, {
        WebSocket, minDelay: 5, maxDelay: 20, onState: state => events.push(state), ...options,
    });
    return { topics, events };
}

const message = (offset, data, topic = "a") => `{"topic":"${topic}","position":"${offset}:${EPOCH}"}\n${data}`;
const answer = (type, members) => JSON.stringify({ type, ...members });

async function subscriptionsContinue() {
    const server = await new Server().start();
    const { topics, events } = open(server);
    const seen = [], ends = [];
    topics.subscribe("a", {
        onMessage: (data, position) => seen.push([data, position]),
        onSubscribed: end => ends.push(end),
        onLost: position => ends.push(`lost ${position}`),
    });
    assert.throws(() => topics.subscribe("a"));
    const first = await server.connection(0);
    const asked = await server.message(first, 0);
    assert.deepEqual(asked, { type: "subscribe", id: asked.id, topic: "a" });
    first.socket.send(message(4, "four\nlines"));
    first.socket.send(answer("subscribed", { id: asked.id, topic: "a", position: `3:${EPOCH}`, recovery: "none" }));
    first.socket.send(Buffer.concat([Buffer.from(message(5, "")), Buffer.from([0, 255])]));
    await until(() => seen.length === 2);
    assert.deepEqual(seen[0], ["four\nlines", `4:${EPOCH}`]);
    assert.deepEqual([...seen[1][0]], [0, 255]);

    // The server dies and comes back: from the last message on, of which none is shown twice.
    const { port } = server;
    server.stop();
    await until(() => events.includes("waiting"));
    const successor = await new Server().start(port);
    const second = await successor.connection(0);
    const again = await successor.message(second, 0);
    assert.deepEqual(again, { type: "subscribe", id: again.id, topic: "a", position: `5:${EPOCH}` });
    for (const offset of [4, 5, 6, 7]) second.socket.send(message(offset, `${offset}`));
    second.socket.send(
        answer("subscribed", { id: again.id, topic: "a", position: `7:${EPOCH}`, recovery: "complete", count: 2 }));
    await until(() => ends.length === 2);
    assert.deepEqual(seen.slice(2).map(([data]) => data), ["6", "7"]);
    assert.deepEqual(ends.map(end => end.recovery), ["none", "complete"]);
    assert.deepEqual([events.slice(0, 3), events.at(-1)], [["connecting", "connected", "waiting"], "connected"]);

    // Another history: the position begins again.
    second.socket.terminate();
    const third = await successor.connection(1);
    const last = await successor.message(third, 0);
    assert.equal(last.position, `7:${EPOCH}`);
    third.socket.send(answer("subscribed", { id: last.id, topic: "a", position: "0:bb00000000000000", recovery: "lost" }));
    third.socket.send('{"topic":"a","position":"1:bb00000000000000"}\nnew');
    await until(() => seen.length === 5);
    assert.equal(ends[2], "lost 0:bb00000000000000");

    // The same history after a loss of its end: its numbers are given again.
    third.socket.send('{"topic":"a","position":"9:bb00000000000000"}\nnine');
    await until(() => seen.length === 6);
    third.socket.terminate();
    const fourth = await successor.connection(2);
    const { id, position } = await successor.message(fourth, 0);
    assert.equal(position, "9:bb00000000000000");
    fourth.socket.send('{"topic":"a","position":"5:bb00000000000000"}\nfive'); // behind the answer, which comes later
    fourth.socket.send(answer("subscribed", { id, topic: "a", position: "4:bb00000000000000", recovery: "lost" }));
    fourth.socket.send('{"topic":"a","position":"6:bb00000000000000"}\nsix');
    await until(() => seen.length === 8);
    assert.deepEqual(seen.slice(6).map(([data]) => data), ["five", "six"]);
    topics.close();
    assert.equal(events.at(-1), "closed");
    successor.stop();
}

async function refusalsAndPublications() {
    const server = await new Server().start();
    const { topics } = open(server);
    const reasons = [];
    const connection = await server.connection(0);
    await until(() => topics.state === "connected");
    topics.subscribe("secret", { onRefused: reason => reasons.push(reason) });
    const asked = await server.message(connection, 0);
    connection.socket.send(answer("refused", { id: asked.id, topic: "secret", reason: "forbidden" }));
    await until(() => reasons.length);
    assert.deepEqual(reasons, ["forbidden"]);
    topics.subscribe("secret").unsubscribe();
    assert.deepEqual(await server.message(connection, 2), { type: "unsubscribe", topic: "secret" });

    const good = topics.publish("a", "two\nlines");
    const published = await server.message(connection, 3);
    assert.deepEqual(published, { type: "publish", id: published.id, topic: "a", data: "two\nlines" });
    connection.socket.send(answer("published", { id: published.id, topic: "a" }));
    await good;
    const bad = topics.publish("a", "x");
    const refused = await server.message(connection, 4);
    connection.socket.send(answer("refused", { id: refused.id, topic: "a", reason: "unavailable" }));
    await assert.rejects(bad, /unavailable/);
    const lost = topics.publish("a", "y");
    connection.socket.terminate();
    await assert.rejects(lost, /may have been published/);
    topics.close();
    await assert.rejects(topics.publish("a", "z"), /not connected/);
    server.stop();
}

async function unansweredMessagesEnd() {
    const server = await new Server().start();
    const { topics } = open(server, { answerTimeout: 500 });
    const connection = await server.connection(0);
    await until(() => topics.state === "connected");
    await assert.rejects(topics.publish("a", "x"), /no answer/);
    topics.subscribe("a");
    const again = await server.message(await server.connection(1), 0);
    assert.deepEqual(again, { type: "subscribe", id: again.id, topic: "a" });
    server.connections[1].socket.send(answer("subscribed", { id: again.id, topic: "a", recovery: "none" }));
    await new Promise(resolve => setTimeout(resolve, 700));
    assert.equal(server.connections.length, 2);
    assert.notEqual(connection.socket.readyState, 1);
    topics.close();
    server.stop();
}

async function silentConnectionsEnd() {
    const server = await new Server().start();
    const { topics } = open(server, { pingInterval: 20, pongTimeout: 50 });
    const connection = await server.connection(0);
    assert.deepEqual(await server.message(connection, 0), { type: "ping" });
    connection.socket.send(answer("pong"));
    assert.deepEqual(await server.message(connection, 1), { type: "ping" });
    await server.connection(1); // it had no answer
    topics.close();
    server.stop();
}

async function otherServersAreUnsupported() {
    for (const protocols of [["other"], []]) {
        const server = await new Server(protocols).start();
        const { topics, events } = open(server);
        await until(() => topics.state === "unsupported");
        assert.deepEqual(events, ["connecting", "unsupported"]);
        server.stop();
    }
    const server = await new Server().start();
    const { topics } = open(server);
    (await server.connection(0)).socket.send("no JSON");
    await until(() => topics.state === "unsupported");
    server.stop();
}

for (const test of [
    subscriptionsContinue, refusalsAndPublications, unansweredMessagesEnd, silentConnectionsEnd, otherServersAreUnsupported,
]) {
    await test();
    console.log(`ok      ${test.name}`);
}
clearTimeout(deadline);
