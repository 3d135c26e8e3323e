let page = """
    <!doctype html>
    <meta charset="utf-8">
    <title>echo</title>
    <p>Type to be echoed: <input autofocus></p>
    <ol></ol>
    <script>
      const socket = new WebSocket(`ws${location.protocol === "https:" ? "s" : ""}://${location.host}/`), list = document.querySelector("ol");
      socket.onmessage = event => list.append(Object.assign(document.createElement("li"), { textContent: event.data }));
      document.querySelector("input").onchange = event => { socket.send(event.target.value); event.target.value = ""; };
    </script>

    """
