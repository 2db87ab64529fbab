// Times: the reader's own zone beside UTC, and "3 min ago" that moves on. Without this file they stand as the server
// wrote them.
"use strict";
{
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const here = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
  const zone = here.resolvedOptions().timeZone;
  let ahead = 0; // how far this machine's clock is ahead of the server's, in milliseconds

  // As `ago` of lifecycle/text/wording.py has it.
  function ago(seconds) {
    const [name, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["s", 1];
    const text = `${Math.floor(Math.abs(seconds) / size)} ${name}`;
    return seconds >= 0 ? `${text} ago` : `in ${text}`;
  }

  function moveOn() {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const text = ago((Date.now() - ahead - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function show() {
    const made = document.querySelector("footer time");
    ahead = made ? Date.now() - Date.parse(made.dateTime) : 0;
    for (const time of document.querySelectorAll("time[title$=UTC]")) {
      time.title += `\n${here.format(new Date(time.dateTime))} ${zone}`;
    }
    const note = document.getElementById("zone");
    if (note && zone !== "UTC") note.textContent = `Point at one to see it in ${zone}.`;
    moveOn();
  }

  show();
  setInterval(moveOn, 1000);
  document.addEventListener("sentryml:changed", show);
}
