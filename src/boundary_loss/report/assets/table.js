// Tables sort by the heading that is pressed: first the better way, then the other. Empty cells stay last.

function sortableTables() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.querySelectorAll("thead tr:last-child > *")];
    headings.forEach((heading, column) => {
      if (!heading.dataset.sort) return;
      const press = button("", () => sortBy(table, headings, column), { class: "sort" });
      press.append(...heading.childNodes);
      heading.replaceChildren(press);
      heading.setAttribute("aria-sort", "none");
    });
  }
}

function sortBy(table, headings, column) {
  const heading = headings[column];
  const first = heading.dataset.sort === "down" ? "descending" : "ascending";
  const other = first === "descending" ? "ascending" : "descending";
  const order = heading.getAttribute("aria-sort") === first ? other : first;
  headings.forEach((each) => each.dataset.sort && each.setAttribute("aria-sort", each === heading ? order : "none"));
  const sign = order === "ascending" ? 1 : -1;
  const key = (row) => {
    const cell = row.cells[column];
    if (heading.dataset.sort === "text") return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}
