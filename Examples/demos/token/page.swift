let page = """
    <!doctype html>
    <meta charset="utf-8">
    <link rel="icon" href="data:,">
    <title>Token</title>
    <p id="state">connecting</p>
    <ul id="log"></ul>
    <script>
    "use strict";
    const user = new URLSearchParams(location.search).get("uid") ?? "";
    let delay = 500;

    function show(text) {
        const item = document.createElement("li");
        item.textContent = text;
        document.getElementById("log").append(item);
    }
    function state(text) { document.getElementById("state").textContent = text; }

    function again(why) {
        state(why + ", next attempt in " + delay / 1000 + " s");
        setTimeout(connect, delay);
        delay = Math.min(delay * 2, 10000);
    }

    async function connect() {
        let token;
        try {
            // A new one each time: the old one may have expired, or the server may have another key.
            token = await (await fetch("token?uid=" + encodeURIComponent(user))).text();
        } catch (error) { return again("no server"); }
        const query = new URLSearchParams({ uid: user, token });
        const socket = new WebSocket(location.origin.replace("http", "ws") + "/?" + query);
        socket.onmessage = event => { delay = 500; state("connected"); show(event.data); };
        socket.onclose = event => again("closed with code " + event.code);
    }
    connect();
    </script>
    """
