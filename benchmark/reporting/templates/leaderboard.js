// The filters of the leaderboard: a row stays where it fits all of them.
const BANK = 1, PEARSON = 2, MODELS = 12, LIST = "static_list";
const rows = Array.from(document.querySelector("#entries").tBodies[0].rows).map(row => ({
  row, method: row.cells[0].textContent, bank: row.cells[BANK].textContent,
  pearson: row.cells[PEARSON].dataset.value === "" ? NaN : Number(row.cells[PEARSON].dataset.value),
  models: Number(row.cells[MODELS].dataset.value), better: row.classList.contains("better") }));
const lists = Object.fromEntries(rows.filter(one => one.method === LIST).map(one => [one.bank, one.pearson]));
const chosen = Object.fromEntries(["bank", "method", "models", "list"].map(id => [id, document.getElementById(id)]));
function filter() {
  const name = chosen.method.value.trim().toLowerCase();
  let kept = 0;
  for (const one of rows) {
    const stays = (!chosen.bank.value || one.bank === chosen.bank.value) && one.method.toLowerCase().includes(name)
      && one.models >= Number(chosen.models.value || 0)
      && (chosen.list.value !== "ahead" || one.pearson > lists[one.bank])
      && (chosen.list.value !== "better" || one.better);
    one.row.hidden = !stays;
    kept += stays;
  }
  document.getElementById("count").textContent = `${kept} of ${rows.length} rows`;
  for (const row of document.querySelector("#matrix").tBodies[0].rows)
    row.hidden = !row.cells[0].textContent.toLowerCase().includes(name);
}
Object.values(chosen).forEach(input => input.addEventListener("input", filter));
filter();
