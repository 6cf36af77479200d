// Tables of class `sortable` sort by the buttons in their headings; `aria-sort` says by which column.
function sort(table, column) {
  const head = table.tHead.rows[0].cells[column];
  const up = head.getAttribute("aria-sort") === "descending";
  for (const cell of table.tHead.rows[0].cells) cell.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const number = head.dataset.kind === "number";
  const key = row => { const cell = row.cells[column];
    return number && "value" in cell.dataset ? cell.dataset.value : cell.textContent; };
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => {
    const x = key(a), y = key(b);
    if (x === "" || y === "") return (x === "") - (y === "");  // what is missing comes last
    const order = number ? Number(x) - Number(y) : x.localeCompare(y);
    return up ? order : -order;
  });
  table.tBodies[0].append(...rows);
}
document.querySelectorAll(".sortable").forEach(table => Array.from(table.tHead.rows[0].cells).forEach(
  (cell, i) => cell.querySelector("button").addEventListener("click", () => sort(table, i))));
