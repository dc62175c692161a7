// Before anything is drawn: the reader's theme, so that a dark page does not flash white.
"use strict";
window.sqTheme = (() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const stored = () => {
    try { return localStorage.getItem("sq-theme"); } catch { return null; } // a page opened as a file may have no storage
  };
  const apply = (theme) => { document.documentElement.dataset.theme = theme; };
  apply(stored() ?? (system.matches ? "dark" : "light"));
  return { system, stored, apply };
})();
