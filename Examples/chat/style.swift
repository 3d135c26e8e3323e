let style = #"""
    :root {
      color-scheme: light dark;
      --page: #f3f4f7; --card: #fff; --line: #dfe2e8; --ink: #1a1d23; --soft: #5a6270;
      --bubble: #eff1f5; --mine: #fde9e1;
      --accent: #c83c17; --on-accent: #fff; --good: #1a7f42; --wait: #9a6200; --bad: #b3261e; --light: 42%;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --page: #121418; --card: #1b1e24; --line: #31363f; --ink: #e8eaee; --soft: #a0a8b5;
        --bubble: #272b33; --mine: #46291e;
        --accent: #ff8a65; --on-accent: #2a0f06; --good: #5fd48a; --wait: #f0b955; --bad: #ff8f88; --light: 68%;
      }
    }
    * { box-sizing: border-box; margin: 0; }
    body {
      display: flex; flex-direction: column; height: 100dvh; max-width: 66rem; margin: auto; padding: 0 1rem 1rem;
      background: var(--page); color: var(--ink); font: 1rem/1.45 system-ui, sans-serif;
    }
    :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

    header {
      display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .3rem 1rem;
      padding: .9rem 0;
    }
    h1 { font-size: 1.25rem; letter-spacing: -.01em; }
    h1 span { color: var(--accent); }
    h2 { margin-bottom: .6rem; font-size: .8rem; letter-spacing: .05em; text-transform: uppercase; color: var(--soft); }
    #state { display: flex; align-items: center; gap: .5rem; font-size: .9rem; color: var(--wait); }
    #state::before { content: ""; width: .6rem; height: .6rem; border-radius: 50%; background: currentColor; }
    #state[data-state=connected] { color: var(--good); }
    #state[data-state=disconnected] { color: var(--bad); }

    main { display: grid; grid-template-columns: minmax(0, 1fr) 18rem; gap: 1rem; flex: 1; min-height: 0; }
    .talk, aside section { background: var(--card); border: 1px solid var(--line); border-radius: .9rem; }
    .talk { display: flex; flex-direction: column; min-height: 0; overflow: hidden; }
    aside { display: flex; flex-direction: column; gap: 1rem; min-height: 0; }
    aside section { padding: 1rem; }
    aside section:first-child { overflow-y: auto; }

    #messages {
      display: flex; flex-direction: column; gap: .7rem; flex: 1; overflow-y: auto; padding: 1rem; outline-offset: -4px;
      scrollbar-width: thin; scrollbar-color: var(--line) transparent;
    }
    #messages > :first-child { margin-top: auto; }
    article { max-width: min(34rem, 85%); align-self: flex-start; }
    article.mine { align-self: flex-end; }
    article h3 { font-size: .85rem; font-weight: 600; }
    article.mine h3 { text-align: right; }
    article p {
      margin: .15rem 0; padding: .5rem .8rem; overflow-wrap: anywhere; white-space: pre-wrap;
      background: var(--bubble); border-radius: .3rem .9rem .9rem;
    }
    article.mine p { background: var(--mine); border-radius: .9rem .3rem .9rem .9rem; }
    article footer { font-size: .75rem; color: var(--soft); font-variant-numeric: tabular-nums; }
    article.mine footer { text-align: right; }
    .notice { align-self: center; font-size: .8rem; color: var(--soft); text-align: center; }
    .dot {
      display: inline-block; width: .55rem; height: .55rem; margin-right: .35rem; border-radius: 50%;
      background: hsl(var(--hue, 0) 70% var(--light));
    }

    form { display: flex; align-items: end; gap: .6rem; padding: .8rem; border-top: 1px solid var(--line); }
    label { display: flex; flex-direction: column; gap: .2rem; min-width: 0; font-size: .75rem; color: var(--soft); }
    .name { flex: 0 1 9rem; }
    .text { flex: 1; }
    input, button { min-height: 2.5rem; padding: .4rem .8rem; border-radius: .6rem; font: inherit; font-size: 1rem; }
    input { width: 100%; min-width: 0; border: 1px solid var(--line); background: var(--page); color: var(--ink); }
    input:focus-visible { outline-offset: -1px; }
    button {
      border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent);
      font-weight: 600; cursor: pointer;
    }
    button:disabled { opacity: .5; cursor: default; }
    #crash { width: 100%; padding: .4rem; background: none; color: var(--accent); font-size: .9rem; text-wrap: balance; }

    .badge { padding: 0 .45rem; border-radius: 1rem; background: var(--page); color: var(--ink); }
    #people { display: grid; gap: .3rem; padding: 0; list-style: none; }
    #people li { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    #people li.me { font-weight: 600; }
    dl { display: grid; gap: .25rem; }
    dl div { display: flex; justify-content: space-between; gap: .5rem; }
    dt { color: var(--soft); }
    dd { font-variant-numeric: tabular-nums; }
    .note { margin: .8rem 0; font-size: .85rem; color: var(--soft); }

    @media (max-width: 46rem) {
      body { padding: 0 .6rem .6rem; }
      main { grid-template-columns: minmax(0, 1fr); grid-template-rows: auto minmax(0, 1fr); gap: .6rem; }
      aside { order: -1; gap: .6rem; }
      aside section { padding: .6rem .8rem; }
      aside h2 { margin-bottom: .3rem; }
      #people { display: flex; flex-wrap: wrap; gap: .1rem .8rem; max-height: 3.2rem; }
      #people li { max-width: 10rem; }
      dl { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin-bottom: .5rem; font-size: .9rem; }
      .note { display: none; }
      form { display: grid; grid-template-columns: 1fr auto; gap: .4rem .6rem; padding: .6rem; }
      .name { grid-column: 1 / -1; flex-direction: row; align-items: center; gap: .6rem; }
      .name input { max-width: 12rem; min-height: 2rem; }
      .text span { position: absolute; clip-path: inset(50%); }
    }

    """#
