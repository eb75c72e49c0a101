"use strict";
// The softphone. What is shown are text nodes only: a caller's name is chosen by the caller.
(() => {
  const KEY = "crmsync-softphone-token", LARGEST = 4096;
  const by = (id) => document.getElementById(id);
  const allowed = new Set(document.body.dataset.origins.split(" ").filter(Boolean));
  const calls = new Map();
  let host = null;  // origin of the page around us, once it has said hello
  let stream = null, pause = 1000, first = false, can = new Set();

  // ── The page around us ───────────────────────────────────────────────────────────────────────────────────

  function tell(message) {
    if (host !== null) window.parent.postMessage({ crmsync: 1, ...message }, host);
  }

  window.addEventListener("message", (event) => {
    if (window.parent === window || event.source !== window.parent || !allowed.has(event.origin)) return;
    const message = event.data;
    if (typeof message !== "object" || message === null || message.crmsync !== 1) return;
    if (JSON.stringify(message).length > LARGEST) return;
    if (message.type === "hello") {
      host = event.origin;
      tell({ type: "ready", paired: token() !== null });
      for (const call of calls.values()) tell({ type: "call", call: brief(call) });
    } else if (message.type === "dial" && typeof message.number === "string" && message.number.length <= 40) {
      by("number").value = message.number;
      post("act", { what: "dial", number: message.number });
    }
  });

  function brief(call) {
    const { key, phase, direction, number, name, disposition, chosen, people } = call;
    return { key, phase, direction, number, name, disposition, chosen, matches: people.length };
  }

  // ── The service ──────────────────────────────────────────────────────────────────────────────────────────

  function token() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }

  function keep(value) {
    try { value === null ? localStorage.removeItem(KEY) : localStorage.setItem(KEY, value); } catch { /* this once */ }
  }

  async function post(path, said) {
    const headers = { "Content-Type": "application/json" };
    if (token() !== null) headers.Authorization = "Bearer " + token();
    let answer;
    try {
      const body = JSON.stringify(said);  // kept alive: notes are saved while the page goes away
      answer = await fetch("/softphone/" + path, { method: "POST", headers, body, keepalive: body.length < 60000 });
    } catch {
      say("The service does not answer.");
      return null;
    }
    if (answer.ok) { say(""); return answer.status === 204 ? {} : answer.json(); }
    const told = await answer.json().catch(() => ({}));
    say(told.sentence ?? "That did not work.");
    return null;
  }

  function say(sentence) { put(by("said"), sentence); }

  async function listen() {
    const mine = new AbortController();
    stream?.abort();
    stream = mine;
    while (token() !== null && stream === mine) {
      try {
        const headers = { Authorization: "Bearer " + token() };
        const answer = await fetch("/softphone/events", { headers, signal: mine.signal });
        if (answer.status === 401) { keep(null); break; }
        if (answer.ok) await read(answer.body.getReader());
      } catch { /* the service restarts, or the network sleeps */ }
      if (stream !== mine || token() === null) break;
      put(by("line"), "The service does not answer. Trying again …");
      await new Promise((done) => setTimeout(done, pause));
      pause = Math.min(2 * pause, 15000);
    }
    show();
  }

  async function read(reader) {
    const decoder = new TextDecoder();
    let held = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held += decoder.decode(value, { stream: true });
      for (let end; (end = held.indexOf("\n\n")) >= 0; held = held.slice(end + 2)) heard(held.slice(0, end));
    }
  }

  function heard(block) {
    let name = "", data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      if (line.startsWith("data: ")) data = line.slice(6);
    }
    if (!name) return;
    const told = JSON.parse(data);
    pause = 1000;
    if (name === "all") {
      put(by("account"), "Calls of " + told.account);
      line(told.line);
      for (const key of [...calls.keys()]) if (!told.calls.some((call) => call.key === key)) gone(key);
      told.calls.forEach(update);
    } else if (name === "call") update(told);
    else if (name === "gone") gone(told.key);
    else if (name === "line") line(told);
    else if (name === "over") { keep(null); for (const key of [...calls.keys()]) gone(key); show(); }
  }

  // ── What is seen ─────────────────────────────────────────────────────────────────────────────────────────

  function put(element, text) { if (element.textContent !== text) element.textContent = text; }

  function line(told) {
    put(by("line"), told.trouble === null ? "" : told.trouble || "Connecting to the telephone …");
    can = new Set(told.can ?? []);
    by("dial").hidden = !can.has("dial");
    by("elsewhere").hidden = can.size === 0 || can.has("answer");
    calls.forEach(buttons);
  }

  function show() {
    const paired = token() !== null;
    by("pairing").hidden = paired;
    by("paired").hidden = !paired;
    if (!paired) put(by("line"), "");
  }

  const STATES = { offered: "Calling …", ringing: "Ringing", talking: "Talking", held: "On hold", ended: "Over" };

  function element(key) {
    return [...by("calls").children].find((one) => one.dataset.key === key);
  }

  function update(call) {
    const before = calls.get(call.key);
    calls.set(call.key, call);
    let item = element(call.key);
    if (item === undefined) {
      item = by("call").content.firstElementChild.cloneNode(true);
      item.dataset.key = call.key;
      by("calls").prepend(item);
      wire(item);
    }
    item.dataset.phase = call.phase;
    const known = call.people.find((person) => person.id === call.chosen);
    const field = (name) => item.querySelector(`[data-field=${name}]`);
    put(field("title"), known?.name || call.name || call.number || "Unknown number");
    const inbound = call.direction === "inbound";
    const state = call.phase === "ended" ? call.disposition.replace("_", " ") : STATES[call.phase];
    put(field("state"), `${inbound ? "Incoming" : "Outgoing"}: ${state}`);
    put(field("number"), call.number);
    buttons(call);
    const notes = field("notes");
    if (document.activeElement !== notes && notes.value !== call.notes) notes.value = call.notes;
    if (before === undefined || JSON.stringify([before.people, before.chosen, before.sought])
        !== JSON.stringify([call.people, call.chosen, call.sought])) people(field("people"), call);
    by("none").hidden = true;
    ring();
    tell({ type: "call", call: brief(call) });
  }

  // What the call allows, and the telephone can be told to do from here.
  function buttons(call) {
    const item = element(call.key), talks = call.phase === "talking" || call.phase === "held";
    const offers = {
      answer: call.direction === "inbound" && (call.phase === "offered" || call.phase === "ringing"),
      hang_up: call.phase !== "ended",
      hold: call.phase === "talking",
      resume: call.phase === "held",
    };
    for (const [name, offered] of Object.entries(offers))
      item.querySelector(`[data-act=${name}]`).hidden = !(offered && can.has(name));
    item.querySelector("form").hidden = !(talks && can.has("transfer"));
  }

  function gone(key) {
    calls.delete(key);
    element(key)?.remove();
    by("none").hidden = calls.size > 0;
    tell({ type: "gone", key });
  }

  function make(tag, text, name) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (name) made.className = name;
    return made;
  }

  function button(text, act) {
    const made = make("button", text, "quiet");
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  function people(place, call) {
    place.replaceChildren(...call.people.map((person) => card(call, person)));
    if (call.people.length === 0 && call.sought) {
      place.append(make("span", "Nobody with this number is in the CRM. ", "note"));
      if (host !== null || window.parent !== window) place.append(button("Create", () =>
        tell({ type: "create", number: call.number, name: call.name })));
    }
  }

  function card(call, person) {
    const made = make("div", "", "person");
    made.dataset.person = person.id;
    made.dataset.chosen = String(person.id === call.chosen);
    const head = make("p");
    head.append(make("strong", person.name));
    const more = [person.kind === "lead" ? "Lead" : "", person.title, person.company, person.location];
    head.append(document.createTextNode(" " + more.filter(Boolean).join(" · ") + " "));
    head.append(button("Open", () => tell({ type: "open", record: person.id, kind: person.kind })));
    if (call.people.length > 1 && person.id !== call.chosen)
      head.append(button("It is them", () => post("choose", { call: call.key, person: person.id })));
    made.append(head);
    for (const [title, name] of [["Open cases", "cases"], ["Open activities", "open"], ["Last contacts", "past"],
      ["Closed cases", "incidents"]]) {
      if (person[name].length === 0) continue;
      const list = make("ul");
      for (const one of person[name])
        list.append(make("li", [one.at, one.what === "case" ? "" : one.what, one.text, one.detail]
          .filter(Boolean).join(" · ")));
      made.append(make("span", title, "note"), list);
    }
    return made;
  }

  // ── What is done ─────────────────────────────────────────────────────────────────────────────────────────

  function wire(item) {
    const call = item.dataset.key;
    for (const one of item.querySelectorAll("[data-act]"))
      one.addEventListener("click", () => post("act", { what: one.dataset.act, call }));
    item.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      post("act", { what: "transfer", call, number: item.querySelector("form input").value });
    });
    const notes = item.querySelector("[data-field=notes]");
    let later = 0;
    const save = () => { clearTimeout(later); later = 0; post("note", { call, notes: notes.value }); };
    notes.addEventListener("input", () => { clearTimeout(later); later = setTimeout(save, 800); });
    notes.addEventListener("blur", () => { if (later) save(); });
    window.addEventListener("pagehide", () => { if (later) save(); });
  }

  by("dial").addEventListener("submit", (event) => {
    event.preventDefault();
    post("act", { what: "dial", number: by("number").value });
  });
  by("pairing").addEventListener("submit", async (event) => {
    event.preventDefault();
    const got = await post("pair", { code: by("code").value });
    if (got === null) return;
    by("code").value = "";
    keep(got.token);
    start();
    tell({ type: "ready", paired: true });
  });
  by("unpair").addEventListener("click", async () => {
    await post("unpair", {});
    keep(null);
    stream?.abort();
    for (const key of [...calls.keys()]) gone(key);
    show();
  });
  window.addEventListener("storage", (event) => { if (event.key === KEY) start(); });

  // Of several tabs one rings: the one that got the lock, until it is closed.
  function ring() {
    const rings = [...calls.values()].some((call) => call.direction === "inbound"
      && (call.phase === "offered" || call.phase === "ringing"));
    document.title = (rings && first ? "☎ " : "") + "Softphone – crmsync";
    document.body.dataset.rings = String(rings && first);
    if (rings && first) tell({ type: "ring" });
  }
  navigator.locks?.request("crmsync-softphone", () => { first = true; ring(); return new Promise(() => {}); });

  function start() { show(); if (token() !== null) listen(); else stream?.abort(); }
  start();
})();
