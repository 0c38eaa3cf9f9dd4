// Light, dark, or as the system has it: colours are CSS variables, so nothing is drawn again.

function themes() {
  const names = ["auto", "light", "dark"];
  let current = 0;
  const label = () => `Theme: ${names[current]}`;
  const toggle = button(label(), () => {
    current = (current + 1) % names.length;
    if (current === 0) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = names[current];
    toggle.textContent = label();
  }, { class: "theme" });
  document.querySelector("header").append(toggle);
}
