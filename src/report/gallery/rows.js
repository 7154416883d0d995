// The rows: what data.js says, which of them are shown in what order, which are rejected.

/** An element. What it says is set as text, never as markup: a row's words come from outside. */
function el(name, given = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

const $ = (id) => document.getElementById(id);
const found = window.NIGHTREEL || { facts: null, rows: [] };
const facts = found.facts;
const words = facts ? facts.words : { states: [], scenes: [], accounts: [], folders: [], causes: [] };

const plural = (count, noun) => `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;

/** Millionths as an amount. */
const amount = (micros) => (micros / 1e6).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 6 });

/** `1 h 20 min`, `4.2 s`. */
function span(ms) {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

const clock = (ms, more = {}) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...more });
const day = (ms) => new Date(ms).toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", year: "numeric" });
const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const parts = (path) => path.split("/").map(encodeURIComponent).join("/");

/** States as people ask for them. */
const GROUPS = [
  { key: "done", word: "Done", states: ["done"] },
  { key: "failed", word: "Failed", states: ["failed"] },
  { key: "person", word: "Needs you", states: ["held", "stuck"] },
  { key: "open", word: "Open", states: ["planned", "submitting", "in doubt", "waiting", "ready"] },
];
const groupOf = new Map(GROUPS.flatMap((group) => group.states.map((state) => [state, group.key])));

function understood(row) {
  const batch = facts.batches[row.batch];
  const why = row.cause === undefined ? null : words.causes[row.cause];
  const state = words.states[row.state];
  const scene = words.scenes[row.scene];
  const own = row.own || {};
  return {
    ...row,
    batchName: batch.name,
    columns: batch.columns,
    stateName: state,
    group: groupOf.get(state) || "open",
    sceneName: scene,
    accountName: row.account === undefined ? "" : words.accounts[row.account],
    why,
    own,
    video: row.file === undefined ? null : batch.videos + parts(row.file),
    pictures: row.images.map((image) => {
      if (typeof image === "string") return { address: image, source: image };
      const [path, address] = words.folders[image[0]];
      return { url: address + encodeURIComponent(image[1]), source: path + image[1], name: image[1] };
    }),
    at: row.ended ?? row.sent ?? 0,
    text: [row.id, scene, state, batch.name, row.task, why && why.said, why && why.meaning, ...Object.values(own)]
      .filter(Boolean).join("\n").toLowerCase(),
  };
}

const rows = found.rows.map(understood);

const byName = new Intl.Collator(undefined, { numeric: true }).compare;
const URGENT = { failed: 0, person: 0, open: 1, done: 2 };
const SORTS = [
  { key: "urgent", word: "Trouble first", by: (a, b) => URGENT[a.group] - URGENT[b.group] || a.n - b.n },
  { key: "manifest", word: "As in the manifest", by: (a, b) => a.n - b.n },
  { key: "newest", word: "Newest first", by: (a, b) => b.at - a.at || b.n - a.n },
  { key: "oldest", word: "Oldest first", by: (a, b) => (a.at || Infinity) - (b.at || Infinity) || a.n - b.n },
  { key: "name", word: "Name", by: (a, b) => byName(a.id, b.id) || a.n - b.n },
  { key: "scene", word: "Scene", by: (a, b) => byName(a.sceneName, b.sceneName) || a.n - b.n },
  { key: "slowest", word: "Slowest first", by: (a, b) => (b.took || 0) - (a.took || 0) || a.n - b.n },
  { key: "dearest", word: "Dearest first", by: (a, b) => (b.price ? b.price[0] : 0) - (a.price ? a.price[0] : 0) || a.n - b.n },
];

/** What is asked for. */
const view = { text: "", group: "all", scene: "", cause: null, sort: "urgent" };

/** The rows that are asked for, in order. */
function selected() {
  const terms = view.text.toLowerCase().split(/\s+/).filter(Boolean);
  const sort = SORTS.find((sort) => sort.key === view.sort) || SORTS[0];
  return rows.filter((row) =>
    (view.group === "all" || (view.group === "rejected" ? isRejected(row) : row.group === view.group))
    && (view.scene === "" || row.sceneName === view.scene)
    && (view.cause === null || row.cause === view.cause)
    && terms.every((term) => row.text.includes(term))).sort(sort.by);
}

// What is rejected is remembered by the video itself: one that is made anew is not rejected.
const MEMORY = `nightreel:${location.pathname}`;
const rejected = new Set(remembered());

function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(MEMORY) || "[]");
    const there = new Set(rows.map((row) => row.sha256));
    return Array.isArray(kept) ? kept.filter((key) => there.has(key)) : [];
  } catch {
    return []; // A browser that keeps nothing for files still rejects until the page is closed.
  }
}

function isRejected(row) {
  return row.sha256 !== undefined && rejected.has(row.sha256);
}

function reject(row, yes) {
  if (row.sha256 === undefined) return;
  if (yes) rejected.add(row.sha256); else rejected.delete(row.sha256);
  try {
    localStorage.setItem(MEMORY, JSON.stringify([...rejected]));
  } catch { /* See above. */ }
}

/** What rows cost: sums by currency, and how many have no price. */
function costOf(some) {
  const sums = new Map();
  let unknown = 0;
  for (const row of some) {
    if (row.price) sums.set(row.price[1], (sums.get(row.price[1]) || 0) + row.price[0]);
    else unknown += 1;
  }
  const told = [...sums].map(([currency, micros]) => `${currency} ${amount(micros)}`);
  if (unknown > 0) told.push(`${plural(unknown, "row")} at an unknown price`);
  return told.join(" and ");
}

/** `anna` to `anna-r2`, `anna-r2` to `anna-r3`: a name that is not taken, of at most a hundred characters. */
function again(id, taken) {
  const known = /^(.*)-r(\d{1,4})$/su.exec(id);
  const stem = [...(known ? known[1] : id)];
  for (let round = known ? Number(known[2]) + 1 : 2; ; round += 1) {
    const end = `-r${round}`;
    const name = stem.slice(0, 100 - end.length).join("") + end;
    if (!taken.has(name)) return taken.add(name) && name;
  }
}

/** The rejected rows as the next manifest. Their videos get names of their own, by their new ids. */
function manifest(some) {
  const own = [...new Set(some.flatMap((row) => row.columns))];
  const taken = new Set(rows.map((row) => row.id));
  // The empty column keeps a column of one's own with a name like it from being taken for it.
  const lines = [["id", "scene", "images", "duration", "model", "mode", "output", "account", ...own]];
  for (const row of some) {
    const images = row.pictures.map((picture) => picture.source).join("|");
    lines.push([again(row.id, taken), row.sceneName, images, row.duration, row.model, row.mode, "", row.only,
      ...own.map((column) => row.own[column])]);
  }
  const cell = (value = "") => (/[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  return lines.map((line) => `${line.map(cell).join(",")}\n`).join("");
}
