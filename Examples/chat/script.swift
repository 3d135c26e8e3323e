let script = #"""
    const byID = id => document.getElementById(id);
    const people = new Map();  // the number of each connection and the name it gave, "" until it did
    const gone = new Set();    // numbers are never used twice, so what is gone stays gone
    // In sight of tests and of the curious: try `chat` in the console.
    const chat = window.chat =
      { state: "connecting", id: null, worker: null, pid: null, reconnects: 0, closeCode: null };

    // ---- the connection ----

    let socket, timer, attempts = 0, opened = 0;

    function connect() {
      clearTimeout(timer);
      socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/`);
      socket.onopen = () => {
        attempts = 0;
        chat.reconnects = opened++;
        chat.closeCode = null;
        show("connected", "Connected");
      };
      socket.onmessage = event => receive(event.data);
      socket.onclose = event => {
        // Failed attempts have a code, too; the one to show is that of the connection that there was.
        if (chat.state !== "disconnected") chat.closeCode = event.code;
        show("disconnected", `Disconnected (${chat.closeCode}), trying again`);
        // From a quarter of a second to eight, and not all pages at the same moment.
        const longest = Math.min(8000, 250 * 2 ** attempts++);
        timer = setTimeout(connect, longest * (0.5 + Math.random() / 2));
      };
    }

    function reconnectNow() {
      if (!document.hidden && socket.readyState === WebSocket.CLOSED) connect();
    }

    function send(...lines) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(lines.join("\n"));
      return true;
    }

    // ---- what comes in ----

    function receive(data) {
      const [head, kind, first = "", ...rest] = data.split("\n");
      const [worker, pid, from] = head.split(" ");
      if (from === "0") {
        fromServer(kind, first, rest[0], worker, pid);
      } else {
        fromPage(kind, first.slice(0, 24), rest.join("\n"), worker, pid, from);
      }
    }

    function fromServer(kind, first, id, worker, pid) {
      if (kind === "welcome") {
        Object.assign(chat, { id, worker, pid });
        people.clear();
        setPeople(first);
        send("all", "hello", byID("name").value);
      } else if (kind === "worker") {
        notice(`Worker ${worker} is a new process: ${pid}`);
        if (worker === chat.worker) chat.pid = pid;
        setPeople(first);
      } else if (kind === "left") {
        const name = people.get(first);
        people.delete(first);
        gone.add(first);
        if (name) notice(`${name} left`);
      }
      show();
    }

    function fromPage(kind, name, text, worker, pid, from) {
      const known = people.get(from);
      people.set(from, name);
      if (from === chat.id) Object.assign(chat, { worker, pid });
      if (kind === "hello" && from !== chat.id && !known) {
        notice(`${name} is here`);
        send(from, "here", byID("name").value);
      } else if (kind === "say") {
        message(name, text, worker, pid, from === chat.id);
      }
      show();
    }

    function setPeople(list) {
      const now = new Set(list.split(" ").filter(id => id && !gone.has(id)));
      for (const id of people.keys()) if (!now.has(id)) people.delete(id);
      for (const id of now) if (!people.has(id)) people.set(id, "");
    }

    // ---- what is to be seen ----

    // Everything that others wrote becomes text, never HTML.
    function element(name, text = "", className = "") {
      return Object.assign(document.createElement(name), { textContent: text, className });
    }

    function add(item) {
      const log = byID("messages");
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
      log.append(item);
      while (log.childElementCount > 500) log.firstElementChild.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
    }

    function notice(text) { add(element("p", text, "notice")); }

    function message(name, text, worker, pid, mine) {
      const item = element("article", "", mine ? "mine" : ""), footer = element("footer");
      const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
      footer.append(element("i", "", "dot"), `worker ${worker} · pid ${pid} · ${time}`);
      item.style.setProperty("--hue", hue(worker));
      item.append(element("h3", name), element("p", text), footer);
      add(item);
    }

    function hue(worker) { return (210 + worker * 137) % 360; }

    function show(state = chat.state, text = byID("state").textContent) {
      chat.state = state;
      byID("state").dataset.state = state;
      if (byID("state").textContent !== text) byID("state").textContent = text;
      byID("send").disabled = byID("crash").disabled = state !== "connected";
      byID("worker").textContent = chat.worker ?? "–";
      byID("worker").parentElement.style.setProperty("--hue", hue(chat.worker ?? 0));
      byID("pid").textContent = chat.pid ?? "–";
      byID("reconnects").textContent = chat.reconnects;
      byID("count").textContent = people.size;
      const mineFirst = [...people].sort(([a], [b]) => (b === chat.id) - (a === chat.id) || a - b);
      byID("people").replaceChildren(...mineFirst.map(([id, name]) =>
        id === chat.id ? element("li", `${byID("name").value} (you)`, "me") : element("li", name || "…")));
    }

    // ---- what the user does ----

    byID("form").onsubmit = event => {
      event.preventDefault();
      const text = byID("text").value.trim();
      if (text && send("all", "say", byID("name").value, text)) byID("text").value = "";
    };

    byID("name").onchange = () => {
      if (!byID("name").value.trim()) byID("name").value = someName();
      sessionStorage.name = byID("name").value;
      send("all", "hello", sessionStorage.name);
      show();
    };

    byID("crash").onclick = () => send("crash");

    function someName() {
      const names = ["Badger", "Crane", "Fox", "Hare", "Heron", "Lynx", "Marten", "Otter", "Owl", "Swift", "Wren"];
      return `${names[Math.floor(Math.random() * names.length)]} ${Math.floor(Math.random() * 90 + 10)}`;
    }

    // Of the tab, so that two tabs are two people.
    byID("name").value = sessionStorage.name ??= someName();
    addEventListener("online", reconnectNow);
    document.addEventListener("visibilitychange", reconnectNow);
    connect();

    """#
