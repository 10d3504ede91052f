// A frame that scrolls can be reached with the keyboard, at whatever width the page has.
function reachable() {
  for (const table of document.querySelectorAll(".bd-article table")) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute("tabindex");
  }
}
addEventListener("load", reachable);
addEventListener("resize", reachable);

// The theme's search button shows more words than its label has, but whoever speaks to the page says what is shown.
addEventListener("load", () => {
  for (const button of document.querySelectorAll(".search-button-field")) {
    button.ariaLabel = button.textContent.trim().replace(/\s+/g, " ");
  }
});
