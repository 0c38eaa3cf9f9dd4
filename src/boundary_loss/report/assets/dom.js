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

function dot(run) {
  return make("span", { class: "key", style: `background:${colour(run)}` });
}

function colour(run) {
  return `var(--run${data.runs[run].colour})`;
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
