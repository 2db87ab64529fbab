// Keeps an open page as it would be if it were loaded now. The server says that something has changed (web/page_updates.py),
// the page fetches itself, and Idiomorph takes over what is different: focus, open details, scrolling, and what
// somebody is filling in stay as they are.
"use strict";
{
  const FIRST_RETRY = 1_000, LONGEST_RETRY = 30_000, RETRY_WHEN_FULL = 60_000;
  const SILENCE = 40_000; // the server says something every 15 s
  const status = document.getElementById("live");
  let since = status.dataset.since;
  // A connection alone heals nothing: a page that cannot be made would be asked for once a second.
  let source = null, timer = 0, retry = FIRST_RETRY, signedOut = false;
  let fetching = false, again = false, keeps = false;

  // ---- Messages to the reader

  function say(state, text = "", link = null) {
    document.documentElement.dataset.live = state;
    if (status.dataset.said === text) return;
    status.dataset.said = text;
    status.textContent = text;
    if (link) {
      const element = document.createElement("a");
      [element.href, element.textContent] = link;
      status.append(" ", element);
    }
  }

  // ---- The stream

  function connect() {
    if (signedOut || source || document.hidden) return;
    source = new EventSource(`${status.dataset.stream}&since=${encodeURIComponent(since)}`);
    source.addEventListener("live", () => {
      say("on");
      received();
    });
    source.addEventListener("changed", () => {
      received();
      refresh();
    });
    source.addEventListener("still-here", () => {
      retry = FIRST_RETRY;
      received();
    });
    source.addEventListener("signed-out", endSession);
    source.addEventListener("full", () => {
      hangUp();
      say("off", "Not live: too many pages are open. Trying again in a minute; closing some helps.");
      timer = setTimeout(connect, RETRY_WHEN_FULL);
    });
    source.onerror = lose;
  }

  function hangUp() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  function received() {
    clearTimeout(timer);
    timer = setTimeout(lose, SILENCE);
  }

  function lose() {
    hangUp();
    if (signedOut) return;
    say("off", "Not live: connection lost, trying again. What you see may be outdated.");
    timer = setTimeout(connect, retry * (0.75 + Math.random() / 2));
    retry = Math.min(2 * retry, LONGEST_RETRY);
  }

  function endSession() {
    signedOut = true;
    hangUp();
    say("off", "Signed out: this page is no longer updated.", [location.href, "Sign in"]);
  }

  // ---- The page

  async function refresh() {
    again = true;
    if (fetching) return;
    fetching = true;
    try {
      while (again && !signedOut) {
        again = false;
        await fetchPage();
      }
    } catch {
      lose(); // what was missed comes with the next connection
    } finally {
      fetching = false;
    }
  }

  async function fetchPage() {
    const answer = await fetch(location.href, {
      headers: { "Sentryml-Background": "1" }, redirect: "manual", signal: AbortSignal.timeout(SILENCE),
    });
    if (answer.type === "opaqueredirect") return endSession();
    if (answer.status >= 500) throw new Error(answer.statusText);
    takeOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
    retry = FIRST_RETRY;
  }

  function takeOver(fresh) {
    const first = fresh.querySelector("td.model a");
    if (first && document.querySelector("[data-first-event]")) {
      location.assign(first.getAttribute("href"));
      return;
    }
    keeps = false;
    for (const part of ["main", "footer"]) {
      Idiomorph.morph(document.querySelector(part), fresh.querySelector(part), RULES);
    }
    document.title = fresh.title;
    since = fresh.getElementById("live")?.dataset.since ?? since;
    if (source) say("on", keeps ? "This page has changed. The form you are filling in is kept until you send it." : "");
    document.dispatchEvent(new Event("sentryml:changed"));
  }

  const RULES = {
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (node, fresh) => {
        if (node.localName !== "form") return !isChanged(node);
        if (!inUse(node)) return true;
        keeps ||= node.querySelector("table") !== null || seen(node) !== seen(fresh);
        return false;
      },
      beforeNodeRemoved: (node) =>
        !(node instanceof Element) ||
        !(node.matches("[role=alert]") || [node, ...node.querySelectorAll("form")].some(inUse)),
      beforeAttributeUpdated: (name, node) => !(name === "open" && node.localName === "details"),
    },
  };

  // The version of what is shown that a form is about.
  function seen(form) {
    return form.elements.namedItem("seen")?.value;
  }

  // Whether somebody is filling in a form.
  function inUse(form) {
    if (form.localName !== "form") return false;
    const focused = document.activeElement;
    return [...form.elements].some(
      (field) => isChanged(field) || (field === focused && !["BUTTON", "FIELDSET"].includes(field.tagName)),
    );
  }

  // Whether a field holds something else than the page was made with.
  function isChanged(field) {
    if (field.localName === "select") {
      const made = [...field.options].findIndex((option) => option.defaultSelected);
      return field.selectedIndex !== Math.max(made, 0);
    }
    if (field.localName !== "input" && field.localName !== "textarea") return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  }

  // ---- When

  if (status.dataset.answers) {
    const page = location.pathname.replace(/\/[^/]*$/, "");
    say("off", "This page shows the result of your form and is not live.", [page, "Open the live page"]);
  } else {
    // A browser has few connections to one server for all its tabs: only the ones that are seen hold one.
    document.addEventListener("visibilitychange", () => (document.hidden ? hangUp() : connect()));
    addEventListener("pagehide", hangUp);
    addEventListener("pageshow", connect);
    addEventListener("offline", lose);
    addEventListener("online", () => {
      hangUp();
      connect();
    });
    connect();
  }
}
