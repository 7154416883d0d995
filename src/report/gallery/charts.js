// The two charts, as SVG.

function svg(name, given = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(given)) {
    if (key === "text") made.textContent = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter(Boolean));
  return made;
}

/** A quiet of so long begins another night. */
const QUIET = 6 * 3600_000;

/** The last night's instants with what was made, had failed and was under way by then. */
function lastNight(hours) {
  let begin = 0;
  hours.steps.forEach(([at], number) => {
    if (number > 0 && at - hours.steps[number - 1][0] > QUIET) begin = number;
  });
  const points = [];
  let [done, failed, running] = [0, 0, 0];
  hours.steps.forEach(([at, [began, made, lost]], number) => {
    const before = running;
    running = Math.max(0, running + began - made - lost);
    if (number < begin) return;
    if (number === begin) {
      [done, failed] = [0, 0];
      points.push({ at, done, failed, running: before });
    }
    done += made;
    failed += lost;
    points.push({ at: at + hours.width, done, failed, running });
  });
  // How it ended is to be seen, too.
  const end = points.at(-1);
  points.push({ ...end, at: end.at + hours.width });
  return points;
}

const SERIES = [["done", "made"], ["failed", "failed"], ["running", "at the remote"]];

/** A step that people count in, of at most so many up to `most`. */
function round(most, steps) {
  const rough = Math.max(1, most / steps);
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough);
}

function timeStep(length, steps) {
  const minute = 60_000;
  const known = [1000, 2000, 5000, 10_000, 30_000, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute];
  known.push(...[1, 2, 3, 6, 12, 24, 48, 168].map((hour) => hour * 60 * minute));
  return known.find((step) => length / step <= steps) || length;
}

function drawNight(into, hours) {
  const points = lastNight(hours);
  const [width, height, left, bottom, above] = [Math.max(260, into.clientWidth), 178, 38, 24, 10];
  const [first, last] = [points[0].at, points.at(-1).at];
  const top = Math.max(...points.map((point) => point.done + point.failed + point.running), 1);
  const x = (at) => left + ((at - first) / Math.max(1, last - first)) * (width - left - 8);
  const y = (count) => height - bottom - (count / top) * (height - bottom - above);
  const end = points.at(-1);
  const told = `${clock(first)} to ${clock(last)}: ${end.done} made, ${end.failed} failed, ${end.running} still at the remote`;
  const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": told });
  const tick = round(top, 4);
  for (let count = 0; count <= top; count += tick) {
    drawn.append(svg("line", { class: "rule", x1: left, x2: width - 8, y1: y(count), y2: y(count) }),
      svg("text", { class: "tick", x: left - 8, y: y(count) + 4, "text-anchor": "end", text: count.toLocaleString() }));
  }
  const step = timeStep(last - first, Math.floor(width / 90));
  const shift = new Date(first).getTimezoneOffset() * 60_000;
  const seconds = step < 60_000 ? { second: "2-digit" } : {};
  const ticks = [];
  for (let at = Math.ceil((first - shift) / step) * step + shift; at <= last; at += step) {
    if (x(at) < width - 26) ticks.push([at, "middle"]);
  }
  if (ticks.length < 2) ticks.splice(0, 1, [first, "start"], [last, "end"]);
  for (const [at, anchor] of ticks) {
    drawn.append(svg("text", { class: "tick", x: x(at), y: height - 6, "text-anchor": anchor, text: clock(at, seconds) }));
  }
  let under = points.map(() => 0);
  for (const [key] of SERIES) {
    const over = points.map((point, number) => under[number] + point[key]);
    // What had happened by an instant holds until the next one.
    const along = (counts) => counts.map((count, number) =>
      (number === 0 ? [[x(points[0].at), y(count)]] : [[x(points[number].at), y(counts[number - 1])], [x(points[number].at), y(count)]])).flat();
    const path = [...along(over), ...along(under).reverse()].map((point) => point.map((n) => n.toFixed(1)).join(" "));
    drawn.append(svg("path", { class: `area ${key}`, d: `M${path.join("L")}Z` }));
    under = over;
  }
  const hair = svg("line", { class: "hair", y1: above, y2: height - bottom, visibility: "hidden" });
  drawn.append(hair);
  const key = $("night-key");
  const tell = (point) => {
    const at = point ? [el("span", { text: clock(point.at, seconds) })] : [];
    key.replaceChildren(...at, ...SERIES.filter(([name]) => name === "done" || (point || end)[name] > 0).map(([name, word]) =>
      el("span", {}, el("i", { class: `dot ${name}` }), `${(point || end)[name].toLocaleString()} ${word}`)));
  };
  drawn.addEventListener("pointermove", (event) => {
    const at = first + ((event.clientX - drawn.getBoundingClientRect().left - left) / (width - left - 8)) * (last - first);
    const point = points.findLast((point) => point.at <= at) || points[0];
    hair.setAttribute("x1", x(point.at));
    hair.setAttribute("x2", x(point.at));
    hair.setAttribute("visibility", "visible");
    tell(point);
  });
  drawn.addEventListener("pointerleave", () => {
    hair.setAttribute("visibility", "hidden");
    tell(null);
  });
  tell(null);
  into.replaceChildren(drawn);
}

function drawTimes(into, times, choose) {
  const most = Math.max(...times.map((scene) => scene.high), 1);
  const width = Math.max(240, into.clientWidth - 12);
  const label = Math.min(180, Math.round(width * 0.38));
  const [line, value] = [26, 84];
  const x = (ms) => label + 12 + (ms / most) * (width - label - 12 - value);
  const all = times.map((scene, number) => {
    const middle = number * line + line / 2;
    const told = `${scene.scene}: ${span(scene.middle)}, most between ${span(scene.low)} and ${span(scene.high)}, ${plural(scene.tasks, "task")}`;
    const name = scene.scene.length > label / 7 ? `${scene.scene.slice(0, Math.floor(label / 7) - 1)}…` : scene.scene;
    const row = svg("g", { class: "scene", role: "button", tabindex: "0", "aria-label": told },
      svg("title", { text: told }),
      svg("rect", { class: "hit", x: 0, y: number * line, width, height: line, rx: 6 }),
      svg("text", { x: label, y: middle + 4, "text-anchor": "end", text: name }),
      svg("line", { class: "track", x1: label + 12, x2: x(scene.low), y1: middle, y2: middle }),
      svg("line", { class: "range", x1: x(scene.low), x2: Math.max(x(scene.low) + 1, x(scene.high)), y1: middle, y2: middle }),
      svg("circle", { class: "middle", cx: x(scene.middle), cy: middle, r: 4.5 }),
      svg("text", { class: "tick", x: width - 4, y: middle + 4, "text-anchor": "end", text: span(scene.middle) }));
    row.addEventListener("click", () => choose(scene.scene));
    row.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        choose(scene.scene);
      }
    });
    return row;
  });
  into.replaceChildren(svg("svg", { width, height: all.length * line, viewBox: `0 0 ${width} ${all.length * line}` }, ...all));
}
