// Elements in one call, numbers as the tables print them.

const data = JSON.parse(document.getElementById("data").textContent);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// A <select> with a visible label. Options: [value, text] or [value, text, disabled].
function choice(label, options, value, onchange) {
  const select = make("select", { onchange: () => onchange(select.value) });
  for (const [key, text, disabled] of options) {
    select.append(make("option", { value: key, selected: key === value, disabled }, text));
  }
  return make("label", { class: "control" }, make("span", {}, label), select);
}

function check(label, on, onchange) {
  const box = make("input", { type: "checkbox", checked: on, onchange: () => onchange(box.checked) });
  return make("label", { class: "check" }, box, label);
}

function button(label, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, label);
}

function number(value, decimals) {
  if (value === null || value === undefined) return "–";
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

function signed(value, decimals) {
  return (value > 0 ? "+" : "") + number(value, decimals);
}

// A run's mark in its colour.
function dot(run) {
  const place = document.createElement("template");
  place.innerHTML = data.runs[run].key;
  return place.content.firstChild;
}

function markAt(run, x, y, kind) {
  return svg("path", { d: data.runs[run].mark, transform: `translate(${x} ${y})`, class: kind, style: `--own:${colour(run)}` });
}

// A name that may be broken after its "_", "/", "," and "-".
function breakable(name) {
  return name.split(/(?<=[_/,-])/).flatMap((piece, i) => (i ? [make("wbr"), piece] : [piece]));
}

// A name in lines of at most so many letters, broken after a space, "_", "/", "," or "-" if it can be.
function lines(name, most) {
  const found = [""];
  for (const piece of name.match(/[^\s_/,-]+[\s_/,-]*|[\s_/,-]+/g) || []) {
    if (found[found.length - 1] && found[found.length - 1].length + piece.trimEnd().length > most) found.push("");
    found[found.length - 1] += piece;
    while (found[found.length - 1].length > most + 1) found.push(...[found.pop()].flatMap((text) => [text.slice(0, most), text.slice(most)]));
  }
  return found;
}

function colour(run) {
  return `var(--run${data.runs[run].colour})`;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
