// Which runs are shown: one row of buttons for curves, cases and gallery together.

const hiddenRuns = new Set();
const runWatchers = [];

function shownRuns() {
  return data.runs.map((_, run) => run).filter((run) => !hiddenRuns.has(run));
}

// The bar of buttons, before the first of these sections, which it stays above while they are read.
function runBar(sections) {
  const found = sections.map((id) => document.getElementById(id)).filter((section) => section);
  if (!found.length || data.runs.length < 2) return;
  const bar = make("div", { class: "runs", role: "group", "aria-label": "Runs shown" });
  const toggles = [];
  const show = (runs, on) => {
    runs.forEach((i) => (on ? hiddenRuns.delete(i) : hiddenRuns.add(i)));
    toggles.forEach((toggle, i) => toggle.setAttribute("aria-pressed", String(!hiddenRuns.has(i))));
    runWatchers.forEach((watcher) => watcher());
  };
  const all = [...data.runs.keys()];
  if (all.length > 7) bar.append(button("all", () => show(all, true)), button("none", () => show(all, false)));
  data.runs.forEach((run, i) => {
    const toggle = button("", () => show([i], hiddenRuns.has(i)), { "aria-pressed": "true", class: "run" });
    toggles.push(toggle);
    toggle.append(dot(i), make("span", {}, ...breakable(run.name)));
    bar.append(toggle);
  });
  const group = make("div", { class: "explore" });
  found[0].before(group);
  group.append(bar, ...found);
}
