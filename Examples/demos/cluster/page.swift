/// A page with a connection to each server.
func page(_ port: Int, _ other: Int) -> String {
    """
    <!doctype html>
    <title>Two servers, one room</title>
    <h1>Two servers, one room</h1>
    <section data-port="\(port)"><h2>server \(port): <span>connecting</span></h2>
    <form><input autocomplete="off"><button>send</button></form><ol></ol></section>
    <section data-port="\(other)"><h2>server \(other): <span>connecting</span></h2>
    <form><input autocomplete="off"><button>send</button></form><ol></ol></section>
    <script src="/client.js"></script>
    """
}

let script = """
    for (const part of document.querySelectorAll("section")) {
        const [state, form, input, list] = ["span", "form", "input", "ol"].map(name => part.querySelector(name));
        let socket;
        const connect = () => {
            socket = new WebSocket(`ws://${location.hostname}:${part.dataset.port}/`);
            socket.onopen = () => state.textContent = "connected";
            socket.onmessage = event => list.append(Object.assign(document.createElement("li"), { textContent: event.data }));
            socket.onclose = () => { state.textContent = "not connected"; setTimeout(connect, 1000); };
        };
        form.onsubmit = event => {
            event.preventDefault();
            if (socket.readyState === WebSocket.OPEN) socket.send(input.value);
            input.value = "";
        };
        connect();
    }

    """
