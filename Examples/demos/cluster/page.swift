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
    <script type="module" src="/page.js"></script>
    """
}

/// Each part of the page continues behind its last message, whatever ended meanwhile.
let script = """
    import { Topics } from "/swiftserver-topics.js";
    for (const part of document.querySelectorAll("section")) {
        const [state, form, input, list] = ["span", "form", "input", "ol"].map(name => part.querySelector(name));
        const add = text => list.append(Object.assign(document.createElement("li"), { textContent: text }));
        const topics = new Topics(`ws://${location.hostname}:${part.dataset.port}/topics`, {
            onState: name => state.textContent = name,
        });
        topics.subscribe("room", {
            onMessage: add,
            onLost: () => add("Messages were missed that are no longer available."),
            onSubscribed: ({ recovery, count }) => part.dataset.recovery = `${recovery} ${count}`,
        });
        form.onsubmit = event => {
            event.preventDefault();
            topics.publish("room", input.value).catch(error => add(`not published: ${error.message}`));
            input.value = "";
        };
    }

    """

/// The path of the client for browsers in this repository.
let client =
    "\(#filePath.dropLast("Examples/demos/cluster/page.swift".count))Clients/browser/swiftserver-topics.js"
