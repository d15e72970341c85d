"use strict";
// What is marked as live is fetched anew every few seconds, while somebody looks at it and does
// nothing in it. Without this the page is as it was when it was opened.
(() => {
  const PAUSE = 3000;

  async function renew() {
    const shown = document.querySelector("[data-live]");
    const busy = shown?.contains(document.activeElement) || window.getSelection()?.type === "Range";
    if (!shown || document.hidden || busy) return;
    const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-live]");
    if (fresh && fresh.innerHTML !== shown.innerHTML) shown.replaceWith(fresh);
  }

  window.setInterval(() => { renew().catch(() => {}); }, PAUSE);
})();
