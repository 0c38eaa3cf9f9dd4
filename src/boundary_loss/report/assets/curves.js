// Mean over cases at every epoch, a card a metric and class. Pointer or arrow keys read an epoch, in all cards at once.

const epochWatchers = [];
let epochRead = null;

function readEpoch(epoch) {
  if (epoch === epochRead) return;
  epochRead = epoch;
  epochWatchers.forEach((watcher) => watcher());
}

function curves() {
  const section = document.getElementById("curves");
  if (!section) return;
  const classes = [...new Set(data.metrics.filter((m) => !m.loss).flatMap((m) => m.columns))];
  const host = make("div");
  if (classes.length > 1) {
    const options = [["", "all"], ...classes.map((name) => [name, name])];
    section.append(make("div", { class: "controls" }, choice("Class", options, "", (name) => show(name))));
  }
  section.append(host);
  const show = (name) => {
    epochWatchers.length = 0;
    curveRedraws.length = 0;
    host.replaceChildren(...groups(name));
  };
  show("");
  runWatchers.push(() => curveRedraws.forEach((redraw) => redraw()));
}

const curveRedraws = [];

// Volumes first; slices, which runs on whole volumes do not have, and losses behind a fold.
function groups(name) {
  const cards = (metrics) => metrics.flatMap((metric) =>
    metric.columns.filter((column) => metric.loss || !name || column === name).map((column) => curveCard(metric, column)));
  const whole = (metric) => ["volumes", "patients"].includes(metric.noun);
  const volumes = data.metrics.filter(whole);
  const rest = data.metrics.filter((metric) => !whole(metric));
  const folded = rest.every((metric) => metric.loss) ? "Losses" : "Slices and losses";
  if (!volumes.length) return [make("div", { class: "cards" }, ...cards(rest))];
  return [
    make("div", { class: "cards" }, ...cards(volumes)),
    rest.length ? make("details", {}, make("summary", {}, folded), make("div", { class: "cards" }, ...cards(rest))) : "",
  ];
}

function curveCard(metric, column) {
  const readout = make("p", { class: "readout" });
  const place = make("div", { class: "plot" });
  const several = metric.columns.length > 1;
  const title = capital(metric.loss ? metric.label : metric.short) + (metric.loss || several ? `: ${column}` : "");
  const about = metric.loss ? "unweighted" : metric.about;
  let chart = null;
  let width = 0;
  const redraw = () => { if (width) chart = curveChart(place, width, metric, column, title); read(); };
  const read = () => {
    if (!chart) return;
    chart.mark(epochRead);
    readout.replaceChildren(...curveReadout(metric, column));
  };
  followWidth(place, (now) => { width = now; redraw(); });
  curveRedraws.push(redraw);
  epochWatchers.push(read);
  return make("figure", { class: "card" },
    make("figcaption", {}, make("strong", {}, title), make("small", {}, about)), place, readout);
}

function seriesOf(metric, column) {
  return metric.runs.filter((each) => !hiddenRuns.has(each.run) && each.mean[column]);
}

function curveChart(place, width, metric, column, title) {
  const height = 210;
  const series = seriesOf(metric, column);
  const range = extent(series.flatMap((each) => [...each.mean[column], ...bandOf(each, column).flat()]));
  const [left, right, top, bottom] = [roomBeside(range || [0, 1]), width - 12, 8, height - 36];
  const length = Math.max(2, ...series.map((each) => each.mean[column].length));
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0,
    "aria-label": `${title}, ${column}: curves over epochs. Arrow keys read the values.` });
  place.replaceChildren(chart);
  if (!range) {
    chart.append(svg("text", { x: width / 2, y: height / 2, class: "tick", "text-anchor": "middle" }, "nothing was measured"));
    return { mark: () => {} };
  }
  const x = scale([0, length - 1], [left, right]);
  const y = scale(range, [bottom, top]);
  yAxis(chart, y, range, left, right);
  xAxis(chart, x, [0, length - 1], top, bottom, true);
  chart.append(svg("text", { x: (left + right) / 2, y: height - 4, class: "tick", "text-anchor": "middle" }, "epoch"));
  for (const each of series) drawBand(chart, each, column, x, y);
  for (const each of series) drawCurve(chart, each, column, x, y);
  const cursor = svg("g");
  chart.append(cursor);
  const at = (event) => {
    const box = chart.getBoundingClientRect();
    const epoch = Math.round(((event.clientX - box.left) * (width / box.width) - left) / ((right - left) / (length - 1)));
    return Math.max(0, Math.min(length - 1, epoch));
  };
  chart.addEventListener("pointermove", (event) => readEpoch(at(event)));
  chart.addEventListener("pointerdown", (event) => readEpoch(at(event)));
  chart.addEventListener("pointerleave", () => readEpoch(null));
  chart.addEventListener("blur", () => readEpoch(null));
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    readEpoch(Math.max(0, Math.min(length - 1, (epochRead ?? (step > 0 ? -1 : length)) + step)));
  });
  const mark = (epoch) => {
    cursor.replaceChildren();
    if (epoch === null || epoch >= length) return;
    cursor.append(svg("line", { x1: x(epoch), x2: x(epoch), y1: top, y2: bottom, class: "cursor" }));
    for (const each of series) {
      const value = each.mean[column][epoch];
      if (value !== null && value !== undefined) {
        cursor.append(svg("circle", { cx: x(epoch), cy: y(value), r: 4, style: `fill:${colour(each.run)}` }));
      }
    }
  };
  return { mark };
}

function bandOf(each, column) {
  return each.low && each.low[column] ? [each.low[column], each.high[column]] : [];
}

function drawBand(chart, each, column, x, y) {
  const [low, high] = bandOf(each, column);
  if (!low) return;
  const measured = low.map((value, epoch) => (value === null ? null : epoch)).filter((epoch) => epoch !== null);
  const points = [...measured.map((e) => `${x(e)},${y(high[e])}`), ...measured.reverse().map((e) => `${x(e)},${y(low[e])}`)];
  chart.append(svg("polygon", { points: points.join(" "), style: `fill:${colour(each.run)}`, class: "band" }));
}

function drawCurve(chart, each, column, x, y) {
  const values = each.mean[column];
  let path = "";
  values.forEach((value, epoch) => {
    if (value === null) return;
    const broken = epoch === 0 || values[epoch - 1] === null;
    path += `${broken ? "M" : "L"}${x(epoch).toFixed(1)} ${y(value).toFixed(1)}`;
    if (broken && (values[epoch + 1] ?? null) === null) {
      chart.append(svg("circle", { cx: x(epoch), cy: y(value), r: 2.5, style: `fill:${colour(each.run)}` }));
    }
  });
  chart.append(svg("path", { d: path, class: "curve", style: `stroke:${colour(each.run)}`,
    "stroke-dasharray": data.runs[each.run].dash || null }));
  const best = values[each.best];
  if (each.best !== null && best !== null && best !== undefined) {
    chart.append(markAt(each.run, x(each.best), y(best), "best"));
  }
}

// Where each of several seeds has a best epoch of its own, the mean over the cases there.
function bestMean(each, column) {
  if (each.best !== null) return each.mean[column][each.best];
  const cases = ((each.cases || {}).best || {})[column] || [];
  const found = cases.filter((value) => value !== null);
  return found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
}

// Values at the epoch that is read; without one, at each run's best.
function curveReadout(metric, column) {
  const when = epochRead === null ? "best epochs" : `epoch ${epochRead}`;
  const values = seriesOf(metric, column).map((each) => {
    const value = epochRead === null ? bestMean(each, column) : each.mean[column][epochRead];
    return make("span", { title: data.runs[each.run].name }, dot(each.run),
      make("span", { class: "unseen" }, `${data.runs[each.run].name} `), number(value, metric.loss ? 4 : metric.decimals));
  });
  return [make("span", { class: "when" }, when), ...values];
}
