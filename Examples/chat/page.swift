/// What a browser may ask for.
let site: [String: (type: String, content: String)] = [
    "/": ("text/html", page),
    "/chat.css": ("text/css", style),
    "/chat.js": ("text/javascript", script),
]

private let page = #"""
    <!doctype html>
    <html lang="en">
    <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <title>SwiftServer chat</title>
      <link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E
        %3Cpath fill='%23d2451e' d='M2 2h12v10H7l-4 3v-3H2z'/%3E%3C/svg%3E">
      <link rel="stylesheet" href="/chat.css">
      <script type="module" src="/chat.js"></script>
    </head>
    <body>
      <header>
        <h1>SwiftServer <span>chat</span></h1>
        <p id="state" role="status" data-state="connecting">Connecting</p>
      </header>
      <main>
        <section class="talk" aria-label="Conversation">
          <div id="messages" role="log" aria-label="Messages" tabindex="0"></div>
          <form id="form">
            <label class="name"><span>Name</span>
              <input id="name" maxlength="24" autocomplete="nickname" required></label>
            <label class="text"><span>Message</span>
              <input id="text" maxlength="1000" autocomplete="off" placeholder="Say something" autofocus></label>
            <button id="send" disabled>Send</button>
          </form>
        </section>
        <aside>
          <section aria-labelledby="people-title">
            <h2 id="people-title">Here now <span id="count" class="badge">0</span></h2>
            <ul id="people"></ul>
          </section>
          <section aria-labelledby="worker-title">
            <h2 id="worker-title">Your worker</h2>
            <dl>
              <div><dt>Worker</dt><dd><i class="dot"></i><span id="worker">–</span></dd></div>
              <div><dt>Process</dt><dd id="pid">–</dd></div>
              <div><dt>Reconnects</dt><dd id="reconnects">0</dd></div>
            </dl>
            <p class="note">It handles what you send. In process mode your connection belongs to the master: it
              stays when the worker dies, and a new process takes over.</p>
            <button id="crash" type="button" disabled>Crash the worker that serves me</button>
          </section>
        </aside>
      </main>
    </body>
    </html>

    """#
