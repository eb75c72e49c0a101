"use strict";
// Keeps the status page up to date. Without this script the page reloads itself (see the noscript in status.html).

const WORDS = {
  failing: "failing", offline: "offline", stale: "stale", decision: "needs a decision",
  syncing: "syncing", waiting: "waiting", in_step: "in step",
};
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en");

function inWords(field, text) {
  if (!text) return field === "due" ? "–" : "never";
  const seconds = Math.round((Date.parse(text) - Date.now()) / 1000);
  if (field === "due" && seconds <= 0) return "now";
  const away = field === "due" ? seconds : Math.min(seconds, 0);
  const [unit, size] = UNITS.find(([, s]) => Math.abs(away) >= s) || UNITS[3];
  return relative.format(Math.trunc(away / size) || 0, unit);
}

function tellTimes(where) {
  for (const time of where.querySelectorAll("time[data-field]")) {
    const text = inWords(time.dataset.field, time.getAttribute("datetime"));
    if (time.textContent !== text) time.textContent = text;
  }
}

function setLight(element, name, words) {
  element.dataset.light = name;
  const label = element.querySelector("b");
  if (label.textContent !== words) label.textContent = words;
}

function showAccount(row, account) {
  setLight(row.querySelector(".light"), account.light, WORDS[account.light] || account.light);
  for (const cell of row.querySelectorAll("[data-field]")) {
    const value = account[cell.dataset.field];
    if (cell.tagName === "TIME") {
      cell.setAttribute("datetime", value || "");
      cell.title = value || "";
    } else {
      (cell.querySelector("a") || cell).textContent = String(value);
    }
  }
  const reasons = row.nextElementSibling;
  reasons.querySelector("ul").replaceChildren(...account.reasons.map((reason) => {
    const line = document.createElement("li");
    line.textContent = reason;
    return line;
  }));
  reasons.hidden = account.reasons.length === 0;
}

function follow(table) {
  const note = document.getElementById("live");
  const all = document.getElementById("all");
  const troubled = document.getElementById("troubled");
  const say = (text) => { note.textContent = text; note.hidden = !text; };
  const charts = document.getElementById("charts");
  let first = true;
  let stale = false;
  let drawn = Date.now();

  async function fetchTroubled() {
    stale = true;
    if (troubled.contains(document.activeElement)) return;  // not from under somebody's hands
    stale = false;
    const answer = await fetch(table.dataset.troubled, { credentials: "same-origin" });
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    troubled.replaceChildren(...parsed.body.childNodes);
  }

  async function fetchCharts() {
    // not from under somebody's hands either, and not more often than anything is to be seen in them
    if (Date.now() - drawn < 1000 * Number(charts.dataset.every) || charts.contains(document.activeElement)) return;
    drawn = Date.now();
    const answer = await fetch(charts.dataset.part, { credentials: "same-origin" });
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = charts.querySelector("details").open;
    charts.replaceChildren(...parsed.body.childNodes);
    charts.querySelector("details").open = open;
  }

  const events = new EventSource(table.dataset.live);
  events.addEventListener("status", (event) => {
    const news = JSON.parse(event.data);
    const rows = new Map([...table.querySelectorAll("tr[data-account]")].map((r) => [r.dataset.account, r]));
    if (news.gone.length || news.accounts.some((a) => !rows.has(a.name))) { location.reload(); return; }
    for (const account of news.accounts) showAccount(rows.get(account.name), account);
    if (all.dataset.light !== news.light.name) {
      setLight(all, news.light.name, news.light.words);
      all.querySelector("span").textContent = news.light.meaning;
    }
    tellTimes(table);
    say("");
    if (!first) { fetchTroubled(); fetchCharts(); }
    first = false;
  });
  events.addEventListener("over", () => { events.close(); say("Your session is over. Ask for a new link."); });
  events.addEventListener("error", () => {
    say(events.readyState === EventSource.CLOSED
      ? "This page is not live any more: reload it." : "The service does not answer. Trying again …");
    first = true;
  });
  troubled.addEventListener("focusout", () => { if (stale) setTimeout(fetchTroubled); });
  setInterval(() => tellTimes(table), 5000);
}

for (const table of document.querySelectorAll("table[data-live]")) follow(table);

function poll(job) {
  setTimeout(async () => {
    let answer;
    try {
      answer = await fetch(location.href, { credentials: "same-origin" });
    } catch {
      poll(job);  // the service may be restarting
      return;
    }
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const news = parsed.getElementById("job");
    if (!news) { location.reload(); return; }
    job.replaceChildren(...news.childNodes);
    if (news.hasAttribute("data-poll")) poll(job);
  }, 1500);
}

for (const job of document.querySelectorAll("[data-poll]")) poll(job);
