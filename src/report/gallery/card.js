// One row as a card: its picture beside its video, what it is, what became of it.

/** How many videos play at once. */
const MOST_PLAYING = 3;
const playing = [];
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function play(video) {
  if (!video.getAttribute("src")) load(video);
  const at = playing.indexOf(video);
  if (at >= 0) playing.splice(at, 1);
  playing.push(video);
  while (playing.length > MOST_PLAYING) playing.shift().pause();
  // It is refused where the video went away meanwhile; the card shows that by itself.
  video.play().catch(() => {});
}

function pause(video) {
  const at = playing.indexOf(video);
  if (at >= 0) playing.splice(at, 1);
  video.pause();
}

function load(video) {
  if (!video.getAttribute("src")) video.src = video.dataset.address;
}

/** Gives the memory of a video back. */
function unload(video) {
  pause(video);
  if (video.getAttribute("src")) {
    video.removeAttribute("src");
    video.load();
  }
}

/** A source picture: a file as it is, an address as its words, since nothing is asked for outside. */
function picture(source) {
  if (source.url === undefined) {
    const short = source.address.replace(/^https?:\/\//, "");
    return el("div", { class: "address", title: source.address }, el("span", { text: short }));
  }
  const gone = () => image.replaceWith(el("div", { class: "address", title: source.source }, el("span", { text: `${source.name} is not there` })));
  const image = el("img", { src: source.url, alt: "", loading: "lazy", decoding: "async", width: 320, height: 320, draggable: "false", onerror: gone });
  return image;
}

const MARKS = { done: "Done", failed: "Failed", person: "Needs you", open: "Open" };

/** What stands where a video is not. */
function instead(row) {
  const why = row.why;
  const head = row.group === "open" ? row.stateName : MARKS[row.group] === "Failed" ? "Failed" : `Needs you: ${row.stateName}`;
  return el("div", { class: `instead ${row.group}` },
    el("strong", { text: head }),
    why && el("p", { text: why.meaning || why.said }),
    why && why.hint && el("p", { class: "hint", text: why.hint }));
}

/** What stands where a video should be. */
const missing = () => el("div", { class: "instead person" }, el("strong", { text: "The video is not there" }),
  el("p", { class: "hint", text: "nightreel verify looks for it, nightreel collect fetches it again" }));

/** Something short about a row: what it took and cost. */
function facets(row) {
  const told = [];
  if (row.duration) told.push(`${row.duration} s clip`);
  if (row.took) told.push(`took ${span(row.took)}`);
  if (row.price && row.requests > 0) told.push(`${row.price[1]} ${amount(row.price[0])}`);
  if (row.requests > 1) told.push(plural(row.requests, "request"));
  return told.join(" · ");
}

function card(row, events) {
  const pictures = el("div", { class: `pictures of${row.pictures.length}` }, ...row.pictures.map(picture));
  let screen;
  if (row.video === null) {
    screen = instead(row);
  } else {
    const video = el("video", { muted: true, loop: true, playsinline: true, preload: "metadata", tabindex: "-1", "aria-hidden": "true" });
    video.muted = true;
    video.dataset.address = row.video;
    screen = el("button", { type: "button", class: "screen", "aria-label": `Play ${row.id}`, tabindex: "-1" }, video, el("span", { class: "play", "aria-hidden": "true" }));
    video.addEventListener("playing", () => screen.classList.add("plays"));
    video.addEventListener("pause", () => screen.classList.remove("plays"));
    video.addEventListener("error", () => {
      if (video.getAttribute("src")) screen.replaceWith(missing());
    });
    let pinned = false;
    screen.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !calm.matches) play(video);
    });
    screen.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !pinned) pause(video);
    });
    screen.addEventListener("click", (event) => {
      event.stopPropagation();
      // With a mouse it plays already: the click makes it stay.
      const stays = video.paused || !pinned;
      pinned = stays;
      if (stays) play(video); else pause(video);
    });
  }
  const box = row.video !== null && el("label", { class: "reject" },
    el("input", { type: "checkbox", tabindex: "-1", "aria-label": `Reject ${row.id}`, onchange: (event) => events.reject(row, event.target.checked) }),
    el("span", { text: "Reject", "aria-hidden": "true" }));
  if (box) box.firstChild.checked = isRejected(row);
  const title = el("button", { type: "button", class: "title", text: row.id, title: row.id, tabindex: "-1", onclick: () => events.open(row) });
  return el("article", { class: `card ${row.group}${isRejected(row) ? " rejected" : ""}`, role: "listitem", tabindex: "-1", "aria-label": `${row.id}, ${row.sceneName}, ${row.stateName}` },
    el("div", { class: "media" }, pictures, screen),
    el("div", { class: "about" },
      el("div", { class: "line" }, el("i", { class: `dot ${row.group}`, title: row.stateName }), title, box),
      el("p", { class: "what", text: row.sceneName }),
      el("p", { class: "facets", text: facets(row) || row.stateName })));
}

/** Everything that is known of a row. */
function detail(row, events) {
  const list = el("dl");
  const say = (word, value) => {
    if (value !== undefined && value !== null && value !== "") list.append(el("div", {}, el("dt", { text: word }), el("dd", { text: value })));
  };
  say("State", row.stateName);
  if (row.why) {
    say("Meaning", row.why.meaning);
    say("It said", row.why.said);
    say("What to do", row.why.hint);
  }
  say("Scene", row.sceneName);
  say("Duration", row.duration && `${row.duration} s`);
  say("Model", row.model);
  say("Mode", row.mode);
  for (const [column, value] of Object.entries(row.own)) say(column, value);
  say("Batch", row.batchName);
  say("Account", row.accountName);
  say("Sent", row.sent && `${day(row.sent)}, ${clock(row.sent, { second: "2-digit" })}`);
  say("Ended", row.ended && `${day(row.ended)}, ${clock(row.ended, { second: "2-digit" })}`);
  say("Task time", row.took && span(row.took));
  say("Price", row.price && `about ${row.price[1]} ${amount(row.price[0])}`);
  say("Requests", row.requests);
  say("Task", row.task);
  say("Request id", row.request);
  say("File", row.file);
  say("Size", row.bytes && size(row.bytes));
  say("SHA-256", row.sha256);
  for (const source of row.pictures) say("Picture", source.source);
  const box = row.video !== null && el("label", { class: "reject" },
    el("input", { type: "checkbox", onchange: (event) => events.reject(row, event.target.checked) }), el("span", { text: "Reject" }));
  if (box) box.firstChild.checked = isRejected(row);
  const stage = row.video === null ? instead(row) : el("video", { src: row.video, controls: true, loop: true, playsinline: true, preload: "auto", onerror: () => stage.replaceWith(missing()) });
  const step = (word, label, by) => el("button", { type: "button", class: "step", text: word, "aria-label": label, onclick: () => events.step(by) });
  return [
    el("header", {}, el("h2", { id: "detail-title", tabindex: "-1", text: row.id }), box, step("←", "The row before", -1), step("→", "The next row", 1),
      el("button", { type: "button", class: "step", text: "✕", "aria-label": "Close", onclick: events.close })),
    el("div", { class: "stage" }, el("div", { class: `pictures of${row.pictures.length}` }, ...row.pictures.map(picture)), stage),
    list,
  ];
}
