// What the back office is smoother with: events as they happen, and keys. Nothing needs it.
"use strict";
let stream = null;
const ROWS_MAX = 200;

function cell(row, ...children) {
  row.insertCell().append(...children);
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function show(body, message) {
  const event = JSON.parse(message.data);
  if (document.getElementById("e-" + event.id)) return;
  const row = body.insertRow(0);
  row.id = "e-" + event.id;
  row.className = "new";
  cell(row, element("time", event.time.slice(0, 19).replace("T", " ")));
  const about = element("code", event.subject || "");
  about.className = "soft";
  cell(row, element("code", event.type), document.createElement("br"), about);
  const details = document.createElement("details");
  const text = JSON.stringify(event.data);
  details.append(element("summary", text.length > 160 ? text.slice(0, 159) + "…" : text));
  details.append(element("pre", JSON.stringify(event.data, null, 2)));
  cell(row, details);
  while (body.rows.length > ROWS_MAX) body.deleteRow(-1);
  document.getElementById("live-none").hidden = true;
}

function follow() {
  const table = document.querySelector("[data-live]");
  if (stream && stream.table === table) return;
  if (stream) stream.close();
  stream = null;
  if (!table) return;
  const says = document.getElementById("live-state");
  stream = new EventSource(table.dataset.live);
  stream.table = table;
  stream.onopen = () => { says.textContent = "Listening."; };
  stream.onerror = () => { says.textContent = "The connection broke; it comes back by itself."; };
  for (const kind of table.dataset.kinds.split(" ")) {
    stream.addEventListener(kind, (message) => show(table.tBodies[0], message));
  }
}

let going = 0; // until when a letter after g leads on
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select, textarea, dialog[open]")) return;
  const keys = document.getElementById("keys");
  if (event.key === "/") {
    const first = document.querySelector(".filters input:not([type=hidden])");
    if (first) { event.preventDefault(); first.focus(); first.select(); }
  } else if (event.key === "?" && keys) {
    keys.showModal();
  } else if (event.key === "g") {
    going = Date.now() + 1500;
  } else if (going > Date.now() && keys) {
    going = 0;
    const found = keys.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (found) window.location.assign(found.dataset.href);
  }
});

// The dashboard draws itself anew: not while somebody is at its figures, and what is open stays open.
let opened = [];
function drawsAnew(event) {
  const now = event.target;
  if (now.id !== "now") return;
  if (now.querySelector("figure:hover, .scroll:hover, :focus-visible")) event.preventDefault();
  opened = [...now.querySelectorAll("details[open]")].map((one) => one.id);
}
document.addEventListener("htmx:beforeRequest", drawsAnew);
document.addEventListener("htmx:beforeSwap", drawsAnew);
document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened.splice(0)) document.getElementById(id)?.setAttribute("open", "");
});

function begin() {
  follow();
  if (matchMedia("(min-width: 60rem)").matches) { // the menu is longer than most screens
    document.querySelector("header [aria-current]")?.scrollIntoView({ block: "nearest" });
  }
  for (const hint of document.querySelectorAll(".keys-hint")) hint.hidden = false;
}
document.addEventListener("htmx:afterSettle", begin);
document.addEventListener("DOMContentLoaded", begin);
