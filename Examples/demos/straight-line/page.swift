let page = """
    <!doctype html>
    <meta charset="utf-8">
    <link rel="icon" href="data:,">
    <title>Straight-line handler</title>
    <h1>Straight-line handler</h1>
    <form><input id="text" value="world" autofocus> <button>Send</button></form>
    <ul id="log"></ul>
    <script>
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/websocket");
    function show(text) {
        const item = document.createElement("li");
        item.textContent = text;                    // text, never HTML
        document.getElementById("log").append(item);
    }
    socket.onmessage = event => show(event.data);
    socket.onclose = event => show("closed: " + event.code);
    document.querySelector("form").onsubmit = event => {
        event.preventDefault();
        socket.send(document.getElementById("text").value);
    };
    </script>
    """
