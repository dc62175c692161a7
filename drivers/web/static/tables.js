// What tables can do: sort by a column, and be saved as CSV.
"use strict";
window.sqTables = (() => {
  /** Tables whose headings are buttons: by number where the cells have one, unknown ones last. */
  function sortable() {
    for (const table of document.querySelectorAll("table[data-sorts]")) {
      const headings = [...table.querySelectorAll("thead th")];
      headings.forEach((heading, column) => heading.querySelector(".sort").addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") !== "descending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.sort ?? (heading.classList.contains("number") ? "" : row.cells[column].textContent);
        const numeric = heading.classList.contains("number"), body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [numeric ? (key(row) === "" ? NaN : Number(key(row))) : key(row), row]);
        rows.sort(([a], [b]) => {
          if (!numeric) return down ? b.localeCompare(a) : a.localeCompare(b);
          if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
          return down ? b - a : a - b;
        });
        body.append(...rows.map(([, row]) => row));
      }));
    }
  }

  /** A field of CSV (RFC 4180). A number is written in full; text that a spreadsheet would take for a formula gets an apostrophe. */
  function field(cell, number) {
    const text = number ? cell.dataset.sort ?? cell.textContent.trim() : cell.textContent.trim();
    const safe = !number && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }
  function csvOf(table) {
    const headings = [...table.querySelectorAll("thead th")];
    const numeric = headings.map((heading) => heading.classList.contains("number"));
    const rows = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("group") && !row.hidden);
    return [headings.map((heading) => field(heading, false)), ...rows.map((row) => [...row.cells].map((cell, i) => field(cell, numeric[i])))]
      .map((row) => row.join(",")).join("\r\n") + "\r\n";
  }
  function savable() {
    for (const button of document.querySelectorAll("button.csv")) button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csvOf(document.getElementById(button.dataset.table))], { type: "text/csv" }));
      link.download = `${button.dataset.table.replace("table-", "")}.csv`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  return { csvOf, savable, sortable };
})();
