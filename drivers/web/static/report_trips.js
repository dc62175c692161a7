// The table of round trips: filtered, and each shown on the chart with the reason it was opened and the commands that explain it.
"use strict";
window.sqTrips = (() => {
  const element = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text, ...more });

  function command(order) {
    const row = element("div", "", { className: "copied" }), text = `stratoquant explain ${sq.data.folder} ${order}`;
    const button = element("button", "Copy", { type: "button" });
    button.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { getSelection().selectAllChildren(row.firstChild); }
    });
    row.append(element("code", text), button);
    return row;
  }

  function open(row, table, panel) {
    for (const other of table.querySelectorAll("tr[aria-selected]")) other.removeAttribute("aria-selected");
    row.setAttribute("aria-selected", "true");
    const { symbol, from, to, orders, why } = row.dataset;
    const heads = [...table.querySelectorAll("thead th")].map((th) => th.textContent);
    const cell = (name) => row.cells[heads.indexOf(name)].textContent;
    const drawn = sqPrices.show(symbol, Number(from), Number(to));
    panel.replaceChildren(
      element("b", `${symbol} ${cell("Side")}, ${cell("Opened")} to ${cell("Closed")}: ${cell("Profit")} (${cell("bps")} bps)`),
      ...(why ? [element("p", why)] : []), element("p", `Closed because ${cell("Closed because")}.`),
      ...(drawn ? [] : [element("p", `${symbol} is not among the symbols that are drawn.`)]),
      ...orders.split(" ").filter(Boolean).map(command),
    );
    panel.hidden = false;
  }

  function attach() {
    const table = document.getElementById("table-trips");
    if (!table) return;
    const panel = document.getElementById("trip"), find = document.getElementById("trip-find"), left = document.getElementById("trip-left");
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) {
      row.tabIndex = 0;
      row.addEventListener("click", () => open(row, table, panel));
      row.addEventListener("keydown", (event) => { if (event.key === "Enter") open(row, table, panel); });
    }
    const profit = [...table.querySelectorAll("thead th")].findIndex((th) => th.textContent === "Profit");
    const outcome = document.getElementById("trip-outcome");
    function filter() {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let n = 0;
      for (const row of rows) {
        const text = `${row.textContent} ${row.dataset.orders}`.toLowerCase(), gained = Number(row.cells[profit].dataset.sort) > 0;
        row.hidden = !words.every((word) => text.includes(word)) || (outcome.value === "gained" && !gained) || (outcome.value === "lost" && gained);
        n += !row.hidden;
      }
      left.textContent = n < rows.length ? `${n} of ${rows.length}` : "";
    }
    find.addEventListener("input", filter);
    outcome.addEventListener("change", filter);
  }

  return { attach };
})();
