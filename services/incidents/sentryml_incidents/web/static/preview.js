// A form with data-preview shows what would come of it while one types: a moment after the last change it is sent to
// its own address, as its first button would, and the parts that data-preview names are taken over from the answer.
"use strict";
for (const form of document.querySelectorAll("form[data-preview]")) {
  const PAUSE = 500; // milliseconds
  const parts = form.dataset.preview.split(" ");
  let timer = 0, running = null;

  async function show() {
    running?.abort();
    running = new AbortController();
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual", signal: running.signal,
      });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of parts) {
        const part = fresh.getElementById(id);
        if (part) document.getElementById(id).replaceChildren(...part.childNodes);
      }
      document.dispatchEvent(new Event("sentryml:changed"));
    } catch {
      // given up for a newer one, or no connection: what is shown stays, and the button says why
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, PAUSE);
  });
}
