"use strict";
const table = document.querySelector("#steps");
const search = document.querySelector("#search");
if (table && search) {
  const body = table.tBodies[0];
  search.hidden = false;
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    for (const row of body.rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  });
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th[data-sort]");
    if (!head) return;
    const column = head.cellIndex;
    const up = head.dataset.up === "1";
    head.dataset.up = up ? "" : "1";
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const compare = (a, b) => column ? Number(key(b)) - Number(key(a)) : key(a).localeCompare(key(b));
    const rows = [...body.rows].sort(compare);
    body.append(...(up ? rows.reverse() : rows));
  });
}
addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
