// Topics of a SwiftServer in a browser: subscriptions that continue after a lost connection. One file, no dependency.
//
//   import { Topics } from "./swiftserver-topics.js";
//   const topics = new Topics("wss://example.org/topics", { onState: state => console.log(state) });
//   topics.subscribe("chat:lobby", {
//       onMessage: (data, position) => show(data),
//       onLost: () => location.reload(),   // messages were missed that the server does not have any more
//   });
//
// The server calls `ws.serveTopics`. The wire format is described in docs/topics-protocol.md.

/** The subprotocol, which the server must choose. */
export const PROTOCOL = "swiftserver.topics";

/**
 * A connection with the topics of a server. It is opened at once, and again after each loss.
 *
 * States, reported to `onState`: "connecting", "connected", "waiting" (for the next attempt), "unsupported" (the server
 * does not have the subprotocol; final), "closed" (by `close`; final).
 */
export class Topics {
    /**
     * @param {string} url with ws: or wss:
     * @param {object} options `onState(state)`; in milliseconds `minDelay` and `maxDelay` between attempts,
     *     `pingInterval` of silence before a ping, `pongTimeout`, and `answerTimeout` of the answer to a subscription,
     *     after which the client connects again, or to a publication; `WebSocket`, the class of connections.
     */
    constructor(url, options = {}) {
        this.url = url;
        this.options = {
            onState() {}, minDelay: 250, maxDelay: 10000, pingInterval: 20000, pongTimeout: 10000,
            answerTimeout: 10000,
            WebSocket: globalThis.WebSocket, ...options,
        };
        this.state = undefined;
        this.subscriptions = new Map();
        this.publications = new Map();
        this.lastID = 0;
        this.attempts = 0;
        this.wasConnected = false;
        this.wake = () => { if (this.state === "waiting") this.connect(); };
        globalThis.addEventListener?.("online", this.wake);
        this.connect();
    }

    /**
     * Subscribes to a topic.
     * @param {object} handlers all optional: `onMessage(data, position)`, with text or a Uint8Array;
     *     `onSubscribed({position, recovery, count})` after each connection, where `recovery` is "none", "complete" or
     *     "lost"; `onLost(position)`; `onRefused(reason)`, which ends the subscription; and `position`, of the last
     *     message that the page has.
     * @returns {{topic: string, position: ?string, unsubscribe: function}}
     */
    subscribe(topic, handlers = {}) {
        if (this.subscriptions.has(topic)) throw new Error(`subscribed to ${topic} already`);
        const subscription = {
            topic, handlers, position: handlers.position ?? null, id: 0, asked: null, early: [],
            unsubscribe: () => this.unsubscribe(subscription),
        };
        this.subscriptions.set(topic, subscription);
        if (this.state === "connected") this.ask(subscription);
        return subscription;
    }

    /** Publishes text. Rejected when the server refuses it, and when there is no answer: it may have been published. */
    publish(topic, text) {
        if (this.state !== "connected") return Promise.reject(new Error("not connected"));
        const id = ++this.lastID;
        this.send({ type: "publish", id, topic }, text);
        return new Promise((resolve, reject) => {
            // The process that had the message in hand has died.
            const timer = setTimeout(() => {
                this.publications.delete(id);
                reject(new Error("no answer: the message may have been published"));
            }, this.options.answerTimeout);
            this.publications.set(id, { resolve, reject, timer });
        });
    }

    /** Ends all subscriptions and the connection. */
    close() {
        this.end("closed");
    }

    // ---- the connection ----

    enter(state) {
        if (this.state === state) return;
        this.state = state;
        this.options.onState(state);
    }

    connect() {
        clearTimeout(this.timer);
        this.enter("connecting");
        const socket = this.socket = new this.options.WebSocket(this.url, PROTOCOL);
        socket.binaryType = "arraybuffer";
        socket.onopen = () => {
            if (socket.protocol !== PROTOCOL) return this.end("unsupported");
            this.wasConnected = true;
            this.enter("connected");
            this.listen();
            for (const subscription of this.subscriptions.values()) this.ask(subscription);
        };
        socket.onmessage = event => {
            this.listen();
            this.receive(event.data);
        };
        socket.onerror = () => {};
        socket.onclose = () => this.lost(socket);
    }

    lost(socket) {
        if (socket !== this.socket) return;
        this.release();
        if (!this.wasConnected && !this.hasProbed) return this.probe();
        const delay = Math.min(this.options.maxDelay, this.options.minDelay * 2 ** this.attempts++);
        this.timer = setTimeout(this.wake, delay * (0.5 + Math.random() / 2));
        this.enter("waiting");
    }

    /** Browsers report a server without the subprotocol like one that cannot be reached: one attempt without it tells. */
    probe() {
        this.hasProbed = true;
        const socket = this.socket = new this.options.WebSocket(this.url);
        socket.onopen = () => this.end("unsupported");
        socket.onerror = () => {};
        socket.onclose = () => this.lost(socket);
    }

    /** Forgets the connection. */
    release() {
        const socket = this.socket;
        clearTimeout(this.timer);
        this.socket = undefined;
        if (socket) {
            socket.onopen = socket.onmessage = socket.onclose = null;
            if (socket.readyState < 2) socket.close();
        }
        for (const { timer } of this.subscriptions.values()) clearTimeout(timer);
        for (const { reject, timer } of this.publications.values()) {
            clearTimeout(timer);
            reject(new Error("the connection was lost: the message may have been published"));
        }
        this.publications.clear();
    }

    end(state) {
        globalThis.removeEventListener?.("online", this.wake);
        this.release();
        this.subscriptions.clear();
        this.enter(state);
    }

    /** Something was received: the connection is alive. After a silence it must answer a ping. */
    listen() {
        clearTimeout(this.timer);
        const socket = this.socket;
        this.timer = setTimeout(() => {
            this.send({ type: "ping" });
            this.timer = setTimeout(() => this.lost(socket), this.options.pongTimeout);
        }, this.options.pingInterval);
    }

    // ---- messages ----

    send(head, data) {
        const line = JSON.stringify(head);
        this.socket.send(data === undefined ? line : `${line}\n${data}`);
    }

    ask(subscription) {
        const { topic, position } = subscription;
        subscription.id = ++this.lastID;
        subscription.asked = position;
        subscription.early = [];
        subscription.isAnswered = false;
        this.send({ type: "subscribe", id: subscription.id, topic, ...(position && { position }) });
        const socket = this.socket; // the process that had the message in hand may die
        subscription.timer = setTimeout(() => this.lost(socket), this.options.answerTimeout);
    }

    unsubscribe(subscription) {
        if (this.subscriptions.get(subscription.topic) !== subscription) return;
        this.subscriptions.delete(subscription.topic);
        clearTimeout(subscription.timer);
        if (this.state === "connected") this.send({ type: "unsubscribe", topic: subscription.topic });
    }

    receive(message) {
        const { head, data } = split(message) ?? {};
        if (!head) return this.end("unsupported");
        if (data !== undefined) return this.deliver(head, data);
        this.attempts = 0; // not earlier: a server that has no time closes what it has accepted
        const subscription = this.subscriptions.get(head.topic);
        const publication = this.publications.get(head.id);
        if (publication) {
            this.publications.delete(head.id);
            clearTimeout(publication.timer);
            if (head.type === "published") publication.resolve(); else publication.reject(new Error(head.reason));
        } else if (!subscription || subscription.id !== head.id) {
            return; // of a subscription that was ended meanwhile
        } else if (head.type === "refused") {
            clearTimeout(subscription.timer);
            this.subscriptions.delete(head.topic);
            subscription.handlers.onRefused?.(head.reason);
        } else if (head.type === "subscribed") {
            clearTimeout(subscription.timer);
            const { position = null, recovery, count = 0 } = head;
            // Live messages may be faster. A history whose end was lost gives its numbers again.
            const isBehind = recovery === "lost" && subscription.position === subscription.asked;
            if (isBehind || !isOld(position, subscription.position)) subscription.position = position;
            subscription.isAnswered = true;
            if (recovery === "lost") subscription.handlers.onLost?.(position);
            subscription.handlers.onSubscribed?.({ position, recovery, count });
            const early = subscription.early.splice(0);
            if (isBehind) for (const [head, data] of early) this.deliver(head, data);
        }
    }

    deliver({ topic, position = null }, data) {
        const subscription = this.subscriptions.get(topic);
        if (!subscription) return;
        if (isOld(position, subscription.position)) {
            if (!subscription.isAnswered) subscription.early.push([{ topic, position }, data]);
            return;
        }
        if (position) subscription.position = position;
        subscription.handlers.onMessage?.(data, position);
    }
}

/** A message is a line of JSON and, behind a line end, the data of a topic; an answer is the line only. */
function split(message) {
    try {
        if (typeof message === "string") {
            const end = message.indexOf("\n");
            if (end < 0) return { head: JSON.parse(message) };
            return { head: JSON.parse(message.slice(0, end)), data: message.slice(end + 1) };
        }
        const bytes = new Uint8Array(message);
        const end = bytes.indexOf(10);
        return { head: JSON.parse(new TextDecoder().decode(bytes.subarray(0, end))), data: bytes.subarray(end + 1) };
    } catch {
        return undefined;
    }
}

/** Whether a message is known: of the same history, and not behind the last one. */
function isOld(position, last) {
    if (!position || !last) return false;
    const [[offset, epoch], [lastOffset, lastEpoch]] = [position.split(":"), last.split(":")];
    return epoch === lastEpoch && Number(offset) <= Number(lastOffset);
}
