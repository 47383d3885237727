// Keeps an open page as new as its session: words every second, the parts when they have something new.
import { drawPlots, refreshPlots } from "./plots.js";

const LEAST_BETWEEN_MS = 15000; // parts and plots are asked for this often at most
const SILENT_MS = 20000; // the server says something every ten seconds
const AGAIN_MS = 5000;

const line = document.getElementById("connection");
const seen = new Map(); // part -> its markup as the server wrote it
let source = null;
let stamp = null;
let heardMs = 0;
let lostSince = null;
let refreshedMs = Date.now();
let pending = null;

const clock = (date) => date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

function say(text, state) {
  if (line.textContent !== text) line.textContent = text;
  line.className = `connection ${state}`;
}

function parts(root) {
  return root.querySelectorAll("[data-part]");
}

function remember() {
  for (const part of parts(document)) seen.set(part.dataset.part, part.outerHTML);
}

function applyWords(words) {
  for (const place of document.querySelectorAll("[data-word]")) {
    const text = words[place.dataset.word];
    if (text !== undefined && place.textContent !== text) place.textContent = text;
  }
}

function applyVerdict(lines) {
  const place = document.getElementById("verdict-lines");
  if (!place || !lines.length) return;
  const same = lines.length === place.children.length && lines.every((text, at) => place.children[at].textContent === text);
  if (same) return;
  place.replaceChildren(
    ...lines.map((text, at) => {
      const said = document.createElement("p");
      if (at === 0) said.className = "lead";
      said.textContent = text;
      return said;
    }),
  );
}

function exchange(fresh) {
  for (const next of parts(fresh)) {
    const name = next.dataset.part;
    const markup = next.outerHTML;
    const here = document.querySelector(`[data-part="${name}"]`);
    if (seen.get(name) === markup && here) continue;
    if (!here) {
      location.reload(); // a part that was not there before: the order of the page is the server's
      return;
    }
    if (here.contains(document.activeElement) && document.activeElement !== document.body) continue; // somebody is in it
    if (name !== "quality" || !here.querySelector(".uplot")) {
      const open = new Set([...here.querySelectorAll("details[open] > summary")].map((one) => one.textContent));
      const left = [...here.querySelectorAll(".wide")].map((one) => one.scrollLeft);
      here.replaceChildren(...next.childNodes);
      for (const one of here.querySelectorAll("details > summary")) if (open.has(one.textContent)) one.parentElement.open = true;
      [...here.querySelectorAll(".wide")].forEach((one, at) => (one.scrollLeft = left[at] ?? 0));
    } else {
      here.querySelector(".wide")?.replaceWith(next.querySelector(".wide") ?? ""); // the plots are kept
    }
    seen.set(name, markup);
  }
}

async function refresh() {
  pending = null;
  refreshedMs = Date.now();
  try {
    const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (reply.status === 429 || reply.status === 503) return later(1000 * Number(reply.headers.get("Retry-After") ?? 5));
    if (!reply.ok) return;
    exchange(new DOMParser().parseFromString(await reply.text(), "text/html"));
    await refreshPlots();
  } catch {
    later(LEAST_BETWEEN_MS); // the line above tells that the connection is lost
  }
}

function later(ms) {
  pending ??= setTimeout(refresh, ms);
}

function heard() {
  heardMs = Date.now();
  if (lostSince !== null) {
    lostSince = null;
    later(0); // what has happened meanwhile
  }
}

function lost() {
  lostSince ??= new Date();
  say(`connection lost since ${clock(lostSince)}; trying again`, "lost");
}

function listen() {
  source?.close();
  source = new EventSource("/events");
  source.addEventListener("state", (event) => {
    const told = JSON.parse(event.data);
    heard();
    applyWords(told.words);
    applyVerdict(told.verdict);
    say(`live, ${told.words.clock}`, "on");
    document.body.dataset.events = String(1 + Number(document.body.dataset.events ?? 0));
    if (stamp !== null && stamp !== told.stamp) later(Math.max(0, refreshedMs + LEAST_BETWEEN_MS - Date.now()));
    stamp = told.stamp;
  });
  source.addEventListener("beat", heard);
  source.addEventListener("error", () => {
    lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  });
}

function watchSilence() {
  if (document.hidden || source === null || Date.now() - heardMs < SILENT_MS) return;
  heardMs = Date.now();
  lost();
  listen();
}

drawPlots();
if (document.body.dataset.live === "yes") {
  remember();
  heardMs = Date.now();
  listen();
  setInterval(watchSilence, 5000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close(); // a page that nobody sees asks for nothing
      source = null;
    } else {
      heardMs = Date.now();
      listen();
      later(0);
    }
  });
}
