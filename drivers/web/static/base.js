// What every page shares: its data, its theme, its number formats.
"use strict";
window.sq = (() => {
  const root = document.documentElement;
  const element = document.getElementById("data");
  const watchers = [];
  const { system, stored, apply } = window.sqTheme;

  const theme = () => root.dataset.theme;
  function change(next) {
    apply(next);
    watchers.forEach((watcher) => watcher(next));
  }
  system.addEventListener("change", (event) => { if (!stored()) change(event.matches ? "dark" : "light"); });
  document.getElementById("theme")?.addEventListener("click", () => {
    const next = theme() === "dark" ? "light" : "dark";
    try { localStorage.setItem("sq-theme", next); } catch { /* switched, and not kept */ }
    change(next);
  });

  const known = (x) => typeof x === "number" && Number.isFinite(x);
  const UNKNOWN = "not known";
  const places = (x, digits) => x.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const format = {
    number: (x, digits = 4) => known(x) ? x.toLocaleString("en-GB", { maximumSignificantDigits: digits }) : UNKNOWN,
    fixed: (x, digits = 2) => known(x) ? places(x, digits) : UNKNOWN,
    percent: (x, digits = 2) => known(x) ? `${places(100 * x, digits)}\u202f%` : UNKNOWN,
    money: (x) => known(x) ? places(x, 2) : UNKNOWN,
    time: (ms) => known(ms) ? new Date(ms).toISOString().slice(0, 16).replace("T", " ") : UNKNOWN, // UTC
  };

  return {
    data: element ? JSON.parse(element.textContent) : null,
    theme,
    onTheme: (watcher) => { watchers.push(watcher); },
    token: (name) => getComputedStyle(root).getPropertyValue(name).trim(),
    format,
  };
})();
