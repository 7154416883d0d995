// The dashboard: shows what the server tells, sends what is clicked. Everything from outside goes into the page as text.
"use strict";

const csrf = document.querySelector("meta[name=csrf]").content;
const $ = (id) => document.getElementById(id);
const PHASES = {
  empty: "no ledger yet", ledger: "no run in this process", checking: "checking the manifest", running: "running",
  held: "paused: nothing is sent", draining: "draining: collects what is paid, then ends", collecting: "collecting what is paid", ended: "the run has ended",
};
const STATES = [
  ["done", "done"], ["ready", "to collect"], ["waiting", "at the remote"], ["submitting", "sending"], ["planned", "to send"],
  ["failed", "failed"], ["held", "held"], ["stuck", "stuck"],
];
let phase = "";

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made[name] = value;
  made.append(...children);
  return made;
}

const number = (count) => count.toLocaleString("en");
const clock = (at) => at.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const size = (bytes) => bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
function span(seconds) {
  if (seconds < 1) return "a moment";
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
function money(price) {
  const [whole, part] = price.amount.split(".");
  return `${price.currency} ${Number(whole).toLocaleString("en")}.${(part || "").padEnd(2, "0")}`;
}
function meter(id, share) {
  const bar = $(id);
  bar.hidden = share === null;
  if (share === null) return;
  bar.classList.toggle("full", id === "budget" && share >= 0.9);
  bar.firstElementChild.style.width = `${Math.min(100, share * 100)}%`;
}
// What a list is made of changes rarely; what did not change keeps its place, its focus and its videos.
function fill(list, items, key, make) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const name = key(item);
    const kept = known.get(name);
    if (kept) return kept;
    const made = make(item);
    made.dataset.key = name;
    return made;
  });
  if (wanted.length === list.children.length && wanted.every((child, place) => child === list.children[place])) return;
  for (const child of [...list.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((child, place) => { if (list.children[place] !== child) list.insertBefore(child, list.children[place] || null); });
}

function show(view) {
  phase = view.phase;
  $("phase").textContent = PHASES[phase] || phase;
  $("phase").className = `phase ${phase}`;
  $("batches").textContent = view.batches.length > 3 ? `${view.batches.length} batches` : view.batches.join(", ");
  $("empty").hidden = phase !== "empty";
  document.body.classList.toggle("over", phase === "ended");
  const runs = ["checking", "running", "held", "draining"].includes(phase);
  $("buttons").hidden = !runs;
  $("hold").hidden = phase === "held" || phase === "draining";
  $("resume").hidden = phase !== "held";
  $("drain").disabled = phase === "draining";
  document.title = view.rows ? `${view.done}/${view.rows} · nightreel` : "nightreel";

  $("done").textContent = number(view.done);
  $("of").textContent = `of ${plural(view.rows, "row")} done`;
  const present = STATES.filter(([state]) => view[state] > 0);
  fill($("bar"), present, ([state]) => state, ([state]) => element("i", { className: state }));
  for (const part of $("bar").children) part.style.flexGrow = view[part.dataset.key];
  fill($("legend"), present, ([state]) => state, ([state, words]) => element("li", {}, element("i", { className: state }), element("b"), ` ${words}`));
  for (const item of $("legend").children) {
    const state = item.dataset.key;
    item.querySelector("b").textContent = number(view[state]);
    if (state === "submitting") item.lastChild.textContent = view.in_doubt ? ` sending or in doubt (${number(view.in_doubt)})` : " sending";
  }

  const open = view.planned + view.submitting + view.waiting + view.ready;
  const left = view.seconds_left;
  $("left").textContent = open === 0 ? "nothing" : left === null ? "–" : `${left < 60 ? "" : "≈ "}${span(left)}`;
  const until = left === null ? "" : clock(new Date(Date.now() + left * 1000));
  $("left-note").textContent = open === 0 ? "" : phase === "held" && view.planned > 0 ? `${plural(view.planned, "row")} not sent yet` : left === null ? plural(open, "row") : `${plural(open, "row")}, done about ${until}`;

  $("paid").textContent = view.paid.length ? view.paid.map(money).join(" + ") : "–";
  const budget = view.budget, spent = budget && view.paid.find((price) => price.currency === budget.currency);
  meter("budget", budget ? Number(spent ? spent.amount : 0) / Number(budget.amount) : null);
  const refund = view.perhaps_refunded.map(money).join(" + ");
  $("paid-note").textContent = `${plural(view.submissions, "request")}${budget ? `, of ${money(budget)}` : ""}${refund ? `; ${refund} for failed ones` : ""}`;

  const accounts = view.accounts;
  const sum = (name) => accounts.reduce((all, account) => all + account[name], 0);
  const { used, allowed, limit } = view.slots;
  $("slots").replaceChildren(...(accounts.length ? [number(used), element("small", {}, ` of ${number(allowed)}`)] : ["–"]));
  meter("slots-meter", accounts.length ? used / Math.max(1, allowed) : null);
  $("slots-note").textContent = !accounts.length ? "" : allowed < limit ? `${number(limit)} set; the remote allows fewer now` : "parallel generations";
  for (const tile of ["slots", "rate"]) $(tile).closest("section").hidden = !accounts.length;
  const perMinute = sum("per_minute"), lastMinute = sum("last_minute");
  $("rate").replaceChildren(...(accounts.length ? [number(lastMinute), element("small", {}, ` of ${number(Math.round(perMinute))}`)] : ["–"]));
  meter("rate-meter", accounts.length ? lastMinute / Math.max(1, perMinute) : null);
  $("rate-note").textContent = accounts.length ? "requests in the last minute" : "";

  const troubled = view.held + view.stuck;
  $("troubles").hidden = troubled === 0;
  $("troubles-count").textContent = number(troubled);
  fill($("troubles-list"), view.troubles, (row) => `${row.external_task_id} ${row.state} ${row.cause}`, trouble);
  $("failures").hidden = view.failures.length === 0;
  $("failures-count").textContent = number(view.failed);
  fill($("failures-list"), view.failures, (cause) => JSON.stringify(cause), failure);
  const notable = accounts.length > 1 || accounts.some((account) => account.paused);
  $("accounts").hidden = !notable;
  fill($("accounts-list"), notable ? accounts : [], (account) => JSON.stringify(account), accountLine);
  $("scenes").hidden = view.paused_scenes.length === 0;
  fill($("scenes-list"), view.paused_scenes, (paused) => JSON.stringify(paused), sceneLine);
  $("videos").hidden = view.videos.length === 0;
  fill($("videos-list"), view.videos, (video) => `${video.job} ${video.at}`, videoCard);
  $("at").textContent = `as of ${new Date(view.at).toLocaleTimeString("en", { hourCycle: "h23" })}`;
}

function trouble(row) {
  const button = (words, verdict) => element("button", { onclick: () => settle(row, verdict) }, words);
  const what = element("div", { className: "what" },
    element("p", {}, element("b", {}, row.id), ` ${row.state.replace("_", " ")} · ${row.scene}`),
    element("p", { className: "small" }, row.cause),
    element("p", { className: "small" }, element("code", {}, row.task_id ? `task ${row.task_id}` : row.external_task_id)));
  return element("li", { className: `is-${row.state}` }, element("div", { className: "line" }, what,
    element("div", { className: "buttons" }, button("It was made", "made"), button("It was not", "not_made"), button("Give it up", "drop"))));
}

function failure(cause) {
  const more = cause.rows - cause.named.length;
  const made = element("li", { className: "is-failed" },
    element("p", {}, element("b", {}, plural(cause.rows, "row")), ` ${cause.cause}`),
    element("p", { className: "small" }, cause.named.join(", ") + (more > 0 ? ` and ${number(more)} more` : "")));
  if (cause.hint) made.append(element("p", { className: "do" }, cause.hint));
  return made;
}

function accountLine(account) {
  const usual = account.usual_seconds === null ? "" : ` · a task takes ${span(account.usual_seconds)}`;
  const made = element("li", { className: account.paused ? "is-held" : "" },
    element("p", {}, element("b", {}, account.name), ` ${account.slots_used} of ${account.slots_allowed} slots · ${account.last_minute} of ${Math.round(account.per_minute)} requests a minute${usual}`));
  if (account.paused) made.append(element("p", { className: "small" }, `paused: ${account.paused}`));
  return made;
}

function sceneLine(paused) {
  return element("li", { className: "is-held" }, element("p", {}, element("b", {}, paused.scene), " is not sent any more in this run"), element("p", { className: "small" }, paused.words));
}

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
function videoCard(video) {
  const player = element("video", { src: `/videos/${video.job}`, muted: true, loop: true, playsInline: true, autoplay: !still, controls: still, preload: "metadata" });
  player.onclick = () => { player.controls = true; };
  const at = video.at ? clock(new Date(video.at)) : "";
  return element("figure", {}, player, element("figcaption", { title: video.file }, element("b", {}, video.id), element("span", {}, `${video.scene} · ${size(video.bytes)} · ${at}`)));
}

function complain(words) {
  $("notice").textContent = words;
  $("notice").hidden = !words;
}

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST", credentials: "same-origin",
      headers: { "x-nightreel-csrf": csrf, "content-type": "application/json" }, body: JSON.stringify(body || {}),
    });
    const words = answer.ok ? "" : await answer.text();
    let told = words;
    try { told = JSON.parse(words).error || words; } catch { /* It is no JSON, and stands for itself. */ }
    complain(told);
  } catch {
    complain("The dashboard could not be reached.");
  }
}

// Asks whether it is meant so; gives the text that was typed, or null.
function ask(title, words, yes, wantsTask) {
  $("ask-title").textContent = title;
  $("ask-words").textContent = words;
  $("ask-yes").textContent = yes;
  $("ask-label").hidden = !wantsTask;
  $("ask-task").required = wantsTask;
  $("ask-task").value = "";
  const dialog = $("ask");
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes" ? $("ask-task").value : null);
  });
}

async function settle(row, verdict) {
  const words = {
    made: ["It was made", "The row goes on with this task; nothing is paid again.", "Take this task"],
    not_made: ["It was not made", row.state === "stuck" ? "The remote has this task: sending the row again is paid again." : "The row is sent again, and paid. If it was made after all, it is paid twice.", "Send it again"],
    drop: ["Give it up", "The row ends without a video. Nothing is sent.", "Give it up"],
  }[verdict];
  const task = await ask(`${row.id}: ${words[0]}`, words[1], words[2], verdict === "made");
  if (task !== null) await post("/actions/resolve", { reference: row.external_task_id, verdict, task });
}

$("hold").onclick = () => post("/actions/hold");
$("resume").onclick = () => post("/actions/resume");
$("drain").onclick = async () => {
  const sure = await ask("Drain this run", "Nothing more is sent. What is paid is collected, then the run ends; the same command sends the rest. There is no way back.", "Drain", false);
  if (sure !== null) await post("/actions/drain");
};
$("ask-no").onclick = () => $("ask").close("no");

const events = new EventSource("/events");
events.addEventListener("view", (event) => { show(JSON.parse(event.data)); });
events.onerror = () => {
  if (phase === "ended") { events.close(); return; }
  $("phase").textContent = "not connected";
  $("phase").className = "phase lost";
};
