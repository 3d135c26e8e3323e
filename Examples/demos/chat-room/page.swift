let page = """
    <!doctype html>
    <meta charset="utf-8">
    <link rel="icon" href="data:,">
    <title>Chat room</title>
    <h1>Echo</h1>
    <form id="echo"><input value="hello"> <button>Send</button> <output></output></form>
    <h1>Chat</h1>
    <p id="state">connecting</p>
    <form id="chat"><textarea></textarea> <button>Send to all</button></form>
    <ul id="messages"></ul>
    <script src="client.js"></script>
    """

let script = """
    "use strict";

    // A WebSocket that connects again when it loses the connection, after 0.5, 1, 2 ... 10 seconds.
    function reconnecting(path, onText, onState) {
        let socket, delay = 500;
        function connect() {
            socket = new WebSocket(location.origin.replace("http", "ws") + path);
            socket.onopen = () => { delay = 500; onState("connected"); };
            socket.onmessage = event => onText(event.data);
            socket.onclose = () => {
                onState("disconnected, next attempt in " + delay / 1000 + " s");
                setTimeout(connect, delay);
                delay = Math.min(delay * 2, 10000);
            };
        }
        connect();
        const send = text => { if (socket.readyState === WebSocket.OPEN) socket.send(text); };
        setInterval(() => send(""), 30000);     // the server closes connections that are silent for 62 seconds
        return send;
    }

    function onSubmit(id, action) {
        document.getElementById(id).onsubmit = event => { event.preventDefault(); action(event.target); };
    }

    const echo = reconnecting("/echo", text => {
        document.querySelector("#echo output").textContent = text;
    }, () => {});
    onSubmit("echo", form => echo("echo:" + form.querySelector("input").value));

    const chat = reconnecting("/chat", text => {
        const item = document.createElement("li");
        item.textContent = text;                // text, never HTML
        document.getElementById("messages").append(item);
    }, state => { document.getElementById("state").textContent = state; });
    onSubmit("chat", form => {
        chat(form.querySelector("textarea").value);
        form.querySelector("textarea").value = "";
    });
    """
