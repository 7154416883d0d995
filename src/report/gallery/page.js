// The page: totals, reasons, filters, the bar of what is rejected, a row on its own.

const tally = facts ? facts.tally : {};
const shown = { list: [], open: null };

const events = {
  open(row) {
    shown.open = row;
    $("detail").replaceChildren(...detail(row, events));
    if (!$("detail").open) $("detail").showModal();
    $("detail-title").focus();
    playing.slice().forEach(pause);
    const video = $("detail").querySelector("video");
    if (video && !calm.matches) video.play().catch(() => {});
  },
  close() {
    $("detail").close();
  },
  step(by) {
    const to = shown.list[shown.list.indexOf(shown.open) + by];
    if (to) events.open(to);
  },
  reject(row, yes) {
    reject(row, yes);
    grid.mark(row);
    const box = $("detail").querySelector(".reject input");
    if (box && shown.open === row) box.checked = yes;
    bar();
    counts();
  },
};

const grid = new Grid($("grid"), events);

function tile(word, value, more, kind) {
  return el("div", { class: `tile ${kind || ""}` }, el("p", { class: "word", text: word }), el("p", { class: "value", text: value }), more && el("p", { class: "more", text: more }));
}

function totals() {
  const steps = facts.hours.steps;
  const person = tally.held + tally.stuck;
  const open = tally.planned + tally.submitting + tally.waiting + tally.ready;
  const sums = new Map();
  let unpriced = 0;
  for (const spent of facts.spent) {
    if (spent.price) sums.set(spent.price.currency, (sums.get(spent.price.currency) || 0) + Math.round(Number(spent.price.amount) * 1e6));
    else unpriced += spent.requests;
  }
  const cost = [...sums].map(([currency, micros]) => `${currency} ${amount(micros)}`).join(" + ");
  const refunds = facts.perhaps_refunded.map((price) => `${price.currency} ${amount(Math.round(Number(price.amount) * 1e6))}`).join(" and ");
  const more = [plural(tally.submissions, "paid request"), unpriced > 0 && `${unpriced} at an unknown price`, refunds && `${refunds} for failed tasks, perhaps refunded`];
  const tiles = [tile("Videos", tally.done.toLocaleString(), `of ${plural(tally.rows, "row")}`, "done")];
  if (tally.failed > 0) tiles.push(tile("Failed", tally.failed.toLocaleString(), "nightreel retry --all tries again", "failed"));
  if (person > 0) tiles.push(tile("Needs you", person.toLocaleString(), "held or stuck", "person"));
  if (open > 0) tiles.push(tile("Open", open.toLocaleString(), "the next run goes on", "open"));
  tiles.push(tile("Cost, about", cost || (unpriced > 0 ? "not known" : "nothing"), more.filter(Boolean).join(", ")));
  if (steps.length > 0) {
    const [first, last] = [lastNight(facts.hours)[0].at, steps.at(-1)[0] + facts.hours.width];
    const [from, to] = [clock(first), clock(last)];
    tiles.push(tile("The night", span(last - first), from === to ? `at ${from}` : `${from} to ${to}`));
  }
  const took = rows.map((row) => row.took).filter(Boolean).sort((a, b) => a - b);
  if (took.length > 0) tiles.push(tile("A task", span(took[took.length >> 1]), `typical; the longest ${span(took.at(-1))}`));
  $("totals").replaceChildren(...tiles);
}

function reasons() {
  const numbers = new Map();
  for (const row of rows) {
    if (row.cause !== undefined && (row.group === "failed" || row.group === "person")) {
      const told = numbers.get(row.cause) || { cause: row.cause, group: row.group, rows: 0 };
      told.rows += 1;
      numbers.set(row.cause, told);
    }
  }
  const all = [...numbers.values()].sort((a, b) => b.rows - a.rows);
  $("reasons").hidden = all.length === 0;
  const MOST = 8;
  const line = ({ cause, group, rows: many }) => {
    const { meaning, said, hint } = words.causes[cause];
    const look = el("button", { type: "button", text: "Show", "aria-label": `Show the rows: ${said}`, onclick: () => { Object.assign(view, { cause, group: "all" }); refresh(); $("tools").scrollIntoView(); } });
    return el("li", { class: group }, el("span", { class: "many", text: many.toLocaleString() }),
      el("div", {}, el("p", {}, el("strong", { text: meaning || said })), meaning && el("p", { class: "said", text: said }), hint && el("p", { class: "hint", text: hint })), look);
  };
  const more = el("li", { class: "rest" }, el("button", { type: "button", text: `Show ${plural(all.length - MOST, "further reason")}`, onclick: () => $("reason-list").replaceChildren(...all.map(line)) }));
  $("reason-list").replaceChildren(...all.slice(0, MOST).map(line), ...(all.length > MOST ? [more] : []));
}

function counts() {
  const many = { all: rows.length, rejected: rows.filter(isRejected).length };
  for (const row of rows) many[row.group] = (many[row.group] || 0) + 1;
  for (const label of $("states").querySelectorAll("label")) {
    const key = label.dataset.key;
    label.querySelector("b").textContent = (many[key] || 0).toLocaleString();
    label.hidden = !many[key] && key !== "all" && key !== "done" && view.group !== key;
  }
}

function tools() {
  const chips = [{ key: "all", word: "All" }, ...GROUPS, { key: "rejected", word: "Rejected" }];
  $("states").append(...chips.map(({ key, word }) => {
    const label = el("label", {}, el("input", { type: "radio", name: "state", value: key }), el("span", {}, word, el("b")));
    label.dataset.key = key;
    return label;
  }));
  const scenes = [...words.scenes].sort(byName);
  $("scene").append(el("option", { value: "", text: "All scenes" }), ...scenes.map((scene) => el("option", { value: scene, text: scene })));
  $("sort").append(...SORTS.map(({ key, word }) => el("option", { value: key, text: word })));
  const form = $("tools");
  form.addEventListener("submit", (event) => event.preventDefault());
  let soon;
  form.addEventListener("input", (event) => {
    view.text = $("find").value;
    view.scene = $("scene").value;
    view.sort = $("sort").value;
    view.group = form.elements.state.value;
    clearTimeout(soon);
    if (event.target === $("find")) soon = setTimeout(refresh, 80);
    else refresh();
  });
  $("clear").addEventListener("click", () => {
    Object.assign(view, { text: "", group: "all", scene: "", cause: null });
    refresh();
    $("find").focus();
  });
}

/** Shows what is asked for. */
function refresh() {
  shown.list = selected();
  if ($("find").value !== view.text) $("find").value = view.text;
  $("scene").value = view.scene;
  $("sort").value = view.sort;
  $("tools").elements.state.value = view.group;
  counts();
  const of = shown.list.length === rows.length ? plural(rows.length, "row") : `${shown.list.length.toLocaleString()} of ${plural(rows.length, "row")}`;
  $("count").replaceChildren(of);
  if (view.cause !== null) {
    const drop = () => { view.cause = null; refresh(); };
    $("count").append(el("button", { type: "button", class: "drop", text: "one reason only ✕", "aria-label": "Show every reason", onclick: drop }));
  }
  $("empty").hidden = shown.list.length > 0;
  grid.show(shown.list);
}

function bar() {
  const some = rows.filter(isRejected);
  $("bar").hidden = some.length === 0;
  document.body.classList.toggle("barred", some.length > 0);
  $("bar-count").textContent = `${plural(some.length, "video")} rejected.`;
  $("bar-price").textContent = `Making ${some.length === 1 ? "it" : "them"} again: about ${costOf(some)}.`;
  $("bar-command").textContent = `nightreel run ${named(some)} --allow-repeat`;
}

/** The manifest's name, which becomes its batch's: plain, so that it can be typed. */
function named(some) {
  const batches = new Set(some.map((row) => row.batchName));
  const stem = batches.size === 1 ? again([...batches][0].replace(/[^\p{L}\p{N}_.-]+/gu, "-"), new Set()) : "rejected";
  return `${stem}.csv`;
}

function save() {
  const some = rows.filter(isRejected);
  const url = URL.createObjectURL(new Blob([manifest(some)], { type: "text/csv" }));
  const link = el("a", { href: url, download: named(some) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function charts() {
  const has = facts.hours.steps.length > 0;
  $("charts").hidden = !has;
  if (!has) return;
  $("charts").classList.toggle("alone", facts.times.length === 0);
  const draw = () => {
    drawNight($("night"), facts.hours);
    if (facts.times.length > 0) {
      drawTimes($("times"), facts.times, (scene) => {
        view.scene = view.scene === scene ? "" : scene;
        refresh();
        $("tools").scrollIntoView();
      });
    }
  };
  let width = 0;
  new ResizeObserver(() => {
    if ($("night").clientWidth !== width) {
      width = $("night").clientWidth;
      draw();
    }
  }).observe($("charts"));
}

function keys() {
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if ($("detail").open) {
      if (event.target.closest("video")) return;
      if (event.key === "ArrowLeft") events.step(-1);
      else if (event.key === "ArrowRight") events.step(1);
      else if (event.key === " " && event.target === $("detail-title")) {
        event.preventDefault();
        const video = $("detail").querySelector("video");
        if (video && video.paused) video.play().catch(() => {});
        else if (video) video.pause();
      } else if (event.key === "x" && !typing && shown.open.video !== null) events.reject(shown.open, !isRejected(shown.open));
    } else if (event.key === "/" && !typing) {
      event.preventDefault();
      $("find").focus();
      $("find").select();
    } else if (event.key === "Escape" && event.target === $("find")) {
      view.text = "";
      refresh();
    }
  });
  $("detail").addEventListener("close", () => {
    $("detail").replaceChildren();
    const at = shown.list.indexOf(shown.open);
    shown.open = null;
    if (at >= 0) grid.focus(at);
  });
  $("detail").addEventListener("click", (event) => {
    if (event.target === $("detail")) events.close();
  });
  $("bar-save").addEventListener("click", save);
  $("bar-clear").addEventListener("click", () => {
    rows.filter(isRejected).forEach((row) => reject(row, false));
    if (view.group === "rejected") view.group = "all";
    refresh();
    bar();
  });
}

function begin() {
  if (!facts) return;
  $("absent").hidden = true;
  const names = facts.batches.map((batch) => batch.name).join(", ");
  document.title = `${names} · nightreel`;
  $("title").textContent = names;
  $("when").textContent = `as of ${day(facts.generated)}, ${clock(facts.generated)}`;
  if (tally.rows > rows.length) {
    $("notice").hidden = false;
    $("notice").textContent = `${rows.length.toLocaleString()} of ${tally.rows.toLocaleString()} rows are shown: those that need you, then the newest. results.csv and results.json have all.`;
  }
  totals();
  reasons();
  tools();
  keys();
  charts();
  refresh();
  bar();
}

begin();
