// The grid: of any number of rows only those near the window are in the page, and only visible videos are loaded.

/** Rows of cards that are kept ready above and below the window. */
const AHEAD = 1;
const GAP = 16;
/** What a card needs besides its media. */
const ABOUT = 86;
/** How long a video must be in sight before it is loaded: what flies by is not. */
const SIGHT = 120;

class Grid {
  constructor(place, events) {
    this.place = place;
    this.events = events;
    this.list = [];
    this.cards = new Map();
    this.current = 0;
    this.pending = false;
    this.seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.sight(entry)));
    const later = () => this.later();
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(later).observe(place);
    place.addEventListener("keydown", (event) => this.key(event));
    place.addEventListener("focusin", (event) => {
      const held = event.target.closest(".card");
      if (held) this.point(Number(held.dataset.at));
    });
  }

  show(list) {
    this.list = list;
    this.current = 0;
    for (const at of [...this.cards.keys()]) this.drop(at);
    this.draw();
  }

  later() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.draw();
    });
  }

  measure() {
    const width = this.place.clientWidth;
    const columns = Math.max(1, Math.floor((width + GAP) / (300 + GAP)));
    const card = (width - GAP * (columns - 1)) / columns;
    return { columns, card, line: Math.round(card / 2) + ABOUT + GAP };
  }

  draw() {
    const { columns, card, line } = this.measure();
    const lines = Math.ceil(this.list.length / columns);
    this.place.style.height = `${Math.max(0, lines * line - GAP)}px`;
    const top = -this.place.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / line) - AHEAD) * columns;
    const last = Math.min(this.list.length, (Math.ceil((top + innerHeight) / line) + AHEAD) * columns);
    for (const at of [...this.cards.keys()]) {
      if ((at < first || at >= last) && at !== this.current) this.drop(at);
    }
    // The keyboard's place is always there, or Tab would not find it.
    if (this.list.length > 0 && !this.cards.has(this.current)) this.add(this.current);
    for (let at = first; at < last; at += 1) {
      if (!this.cards.has(at)) this.add(at);
    }
    for (const [at, made] of this.cards) {
      made.style.width = `${card}px`;
      made.style.transform = `translate(${(at % columns) * (card + GAP)}px, ${Math.floor(at / columns) * line}px)`;
    }
  }

  add(at) {
    const made = card(this.list[at], this.events);
    made.dataset.at = at;
    made.setAttribute("aria-setsize", this.list.length);
    made.setAttribute("aria-posinset", at + 1);
    this.reach(made, at === this.current);
    const after = [...this.cards.keys()].filter((other) => other > at).sort((a, b) => a - b)[0];
    this.place.insertBefore(made, after === undefined ? null : this.cards.get(after));
    this.cards.set(at, made);
    this.seen.observe(made);
  }

  drop(at) {
    const made = this.cards.get(at);
    this.seen.unobserve(made);
    clearTimeout(made.loads);
    made.querySelectorAll("video").forEach(unload);
    made.remove();
    this.cards.delete(at);
  }

  sight(entry) {
    const video = entry.target.querySelector("video");
    if (!video) return;
    clearTimeout(entry.target.loads);
    if (entry.isIntersecting) entry.target.loads = setTimeout(() => load(video), SIGHT);
    else unload(video);
  }

  /** Only one card at a time is reached by Tab, with what is in it. */
  reach(made, yes) {
    for (const part of [made, ...made.querySelectorAll("button, input")]) part.tabIndex = yes ? 0 : -1;
  }

  point(at) {
    if (this.cards.has(this.current)) this.reach(this.cards.get(this.current), false);
    this.current = at;
    if (this.cards.has(at)) this.reach(this.cards.get(at), true);
  }

  focus(at) {
    const { columns, line } = this.measure();
    const top = this.place.getBoundingClientRect().top + Math.floor(at / columns) * line;
    const covered = $("tools").getBoundingClientRect().height + 12;
    if (getComputedStyle($("tools")).position === "sticky" && top < covered) scrollBy(0, top - covered);
    else if (top + line > innerHeight - 70) scrollBy(0, top + line - innerHeight + 70);
    this.draw();
    this.point(at);
    if (this.cards.has(at)) this.cards.get(at).focus({ preventScroll: true });
  }

  key(event) {
    const held = event.target.closest(".card");
    if (!held || event.ctrlKey || event.metaKey || event.altKey) return;
    const [at, columns, last] = [Number(held.dataset.at), this.measure().columns, this.list.length - 1];
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const onCard = event.target === held;
    let to = null;
    if (event.key in moves) to = at + moves[event.key];
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = last;
    if (to !== null) {
      event.preventDefault();
      if (to >= 0 && to <= last) this.focus(to);
    } else if (event.key === "Enter" && onCard) {
      event.preventDefault();
      this.events.open(this.list[at]);
    } else if (event.key === " " && onCard) {
      event.preventDefault();
      const video = held.querySelector("video");
      if (video && video.paused) play(video);
      else if (video) pause(video);
    } else if (event.key === "x" && this.list[at].video !== null) {
      this.events.reject(this.list[at], !isRejected(this.list[at]));
    }
  }

  /** Brings a card up to date with what is rejected. */
  mark(row) {
    for (const [at, made] of this.cards) {
      if (this.list[at] !== row && row) continue;
      made.classList.toggle("rejected", isRejected(this.list[at]));
      const box = made.querySelector(".reject input");
      if (box) box.checked = isRejected(this.list[at]);
    }
  }
}
