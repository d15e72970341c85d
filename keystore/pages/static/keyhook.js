"use strict";
// Comforts on top of pages that work without any of this: copying, renaming in place, forms that
// are sent once, and a secret that does not linger in the browser's history.
(() => {
  const announcer = document.querySelector("[data-announce]");

  function announce(text) {
    announcer.textContent = "";
    window.setTimeout(() => { announcer.textContent = text; }, 50); // read again when repeated
  }

  // --- copying -------------------------------------------------------------------------------

  async function copy(element) {
    if (navigator.clipboard) {
      try {
        await navigator.clipboard.writeText(element.textContent);
        return true;
      } catch { /* refused; try the old way */ }
    }
    // On plain http browsers keep the clipboard API away; a selection can still be copied.
    const selection = window.getSelection();
    selection.selectAllChildren(element);
    return document.execCommand("copy"); // on failure the text stays selected, ready for Ctrl+C
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    const text = button.querySelector("[data-copy-text]"); // the list's buttons are icons alone
    const say = (word) => { if (text) text.textContent = word; };
    const usual = text?.textContent;
    let timer = 0;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(document.getElementById(button.dataset.copy));
      button.classList.toggle("is-done", done);
      say(done ? "Copied" : "Press Ctrl+C");
      announce(done ? "Copied" : "Not copied. The text is selected; press Control C.");
      window.clearTimeout(timer);
      timer = window.setTimeout(() => {
        button.classList.remove("is-done");
        say(usual);
      }, 2500);
    });
  }

  // --- renaming in place ---------------------------------------------------------------------

  for (const cell of document.querySelectorAll("[data-rename]")) {
    const shown = cell.querySelector("[data-rename-shown]");
    const name = cell.querySelector("[data-rename-name]");
    const pencil = cell.querySelector("[data-rename-open]");
    const form = cell.querySelector("[data-rename-form]");
    const input = form.elements.namedItem("name");
    const error = cell.querySelector("[data-rename-error]");

    const complain = (text) => {
      error.textContent = text;
      input.classList.toggle("is-invalid", text !== "");
      input.setAttribute("aria-invalid", String(text !== ""));
    };
    const open = () => {
      input.value = name.textContent;
      complain("");
      shown.hidden = true;
      form.hidden = false;
      input.focus();
      input.select();
    };
    const close = () => {
      form.hidden = true;
      shown.hidden = false;
      pencil.focus();
    };
    const save = async () => {
      const answer = await fetch(form.action, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "application/json" },
      });
      // Anything but JSON is a page for the person (sign in again, say): let the form fetch it.
      if (!answer.headers.get("Content-Type")?.startsWith("application/json")) return form.submit();
      const result = await answer.json();
      if (!answer.ok) {
        complain(result.error);
        input.focus();
        return;
      }
      const row = cell.closest("tr");
      const before = name.textContent;
      for (const element of row.querySelectorAll("[aria-label]")) {
        const label = element.getAttribute("aria-label");
        if (label.endsWith(before)) {
          element.setAttribute("aria-label", label.slice(0, -before.length) + result.name);
        }
      }
      name.textContent = result.name;
      close();
      announce(`Renamed to ${result.name}`);
    };

    pencil.setAttribute("role", "button");
    pencil.addEventListener("click", (event) => {
      event.preventDefault();
      open();
    });
    pencil.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      open();
    });
    cell.querySelector("[data-rename-cancel]").addEventListener("click", close);
    form.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      save().catch(() => complain("The server could not be reached. Try again."));
    });
  }

  // --- forms that are sent once --------------------------------------------------------------

  const sent = new Set();
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (event) => {
      if (sent.has(form)) event.preventDefault();
      sent.add(form);
      form.classList.add("is-sent");
    });
  }
  window.addEventListener("pageshow", () => {
    for (const form of sent) form.classList.remove("is-sent");
    sent.clear();
  });

  // --- the page with the secret --------------------------------------------------------------

  const reveal = document.querySelector("[data-reveal]");
  if (reveal) {
    // Reload and "back" then ask for the key's own page, which has no secret, instead of sending
    // the form again.
    window.history.replaceState(null, "", reveal.dataset.reveal);
    window.addEventListener("pagehide", () => reveal.remove());
    window.addEventListener("pageshow", (event) => { if (event.persisted) window.location.reload(); });
  }
})();
