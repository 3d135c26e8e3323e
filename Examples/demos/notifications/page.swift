let page = """
    <!doctype html>
    <meta charset="utf-8">
    <link rel="icon" href="data:,">
    <title>Notifications</title>
    <p>You are user <b id="user"></b>, <span id="state">connecting</span>.</p>
    <form>Notify user <input id="to" value="2" size="4"> <input id="text" value="hello"> <button>Notify</button></form>
    <ul id="notifications"></ul>
    <script>
    "use strict";
    const user = new URLSearchParams(location.search).get("uid") ?? "";
    let socket, delay = 500;
    document.getElementById("user").textContent = user;
    function state(text) { document.getElementById("state").textContent = text; }

    function again(why) {
        state(why + ", next attempt in " + delay / 1000 + " s");
        setTimeout(connect, delay);
        delay = Math.min(delay * 2, 10000);
    }

    async function connect() {
        let token;
        try {
            token = await (await fetch("token?uid=" + encodeURIComponent(user))).text();
        } catch (error) { return again("no server"); }
        const query = new URLSearchParams({ uid: user, token });
        socket = new WebSocket(location.origin.replace("http", "ws") + "/?" + query);
        socket.onopen = () => { state("connected"); };
        socket.onmessage = event => {
            delay = 500;
            const message = JSON.parse(event.data);     // parsed, not evaluated
            if (message.event !== "alertTip") return;
            const item = document.createElement("li");
            item.textContent = message.msg;             // text, never HTML
            document.getElementById("notifications").append(item);
        };
        socket.onclose = event => again("closed: " + (event.reason || event.code));
    }

    document.querySelector("form").onsubmit = event => {
        event.preventDefault();
        socket.send(JSON.stringify({
            event: "alertTip",
            toUid: document.getElementById("to").value,
            msg: document.getElementById("text").value,
        }));
    };
    connect();
    </script>
    """
