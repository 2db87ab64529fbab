// A curve answers to the pointer and to keys: a cursor says time, PSI and levels, Enter or a click opens that evaluation,
// and dragging, or Shift and an arrow, picks a stretch of time to look at. The picture is the server's; without this file
// its areas are links all the same.
"use strict";
{
  const DRAGGED = 6; // pixels: less is a click

  function wake(figure) {
    const canvas = figure.querySelector(".canvas"), areas = [...figure.querySelectorAll(".slices a")];
    if (!areas.length || figure.querySelector(".readout")) return;
    const cursor = figure.querySelector(".cursor"), picked = figure.querySelector(".picked");
    const readout = document.createElement("output");
    readout.className = "readout";
    figure.append(readout);
    let current = -1, from = null;

    const left = (area) => Number.parseFloat(area.querySelector("rect").getAttribute("x"));
    const right = (area) => left(area) + Number.parseFloat(area.querySelector("rect").getAttribute("width"));
    const middle = (index) => (left(areas[index]) + right(areas[index])) / 2;

    // The nearest area, of a distance from the left edge in per cent.
    function nearest(place) {
      let best = 0;
      areas.forEach((_, index) => {
        if (Math.abs(middle(index) - place) < Math.abs(middle(best) - place)) best = index;
      });
      return best;
    }

    function placeOf(event) {
      const box = canvas.getBoundingClientRect();
      return Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width));
    }

    function show(index) {
      current = index;
      const place = middle(index);
      cursor.setAttribute("x1", `${place}%`);
      cursor.setAttribute("x2", `${place}%`);
      figure.dataset.pointed = "";
      readout.textContent = areas[index].dataset.says;
      const box = canvas.getBoundingClientRect(), offset = box.left - figure.getBoundingClientRect().left;
      const at = offset + (box.width * place) / 100;
      readout.style.left = `${Math.min(Math.max(0, at - readout.offsetWidth / 2), figure.clientWidth - readout.offsetWidth)}px`;
      pick();
    }

    function hide() {
      delete figure.dataset.pointed;
      readout.textContent = "";
      current = -1;
      from = null;
      pick();
    }

    function pick() {
      const edges = from === null || current < 0 ? null : stretch();
      picked.setAttribute("x", `${edges ? edges[0] : 0}%`);
      picked.setAttribute("width", `${edges ? edges[1] - edges[0] : 0}%`);
    }

    function stretch() {
      const [first, last] = [Math.min(from, current), Math.max(from, current)];
      return [left(areas[first]), right(areas[last])];
    }

    function zoom() {
      const [start, end] = [Number(figure.dataset.start), Number(figure.dataset.end)];
      const [first, last] = stretch().map((place) => new Date(start + ((end - start) * place) / 100).toISOString());
      const address = new URL(location.href);
      address.searchParams.set("since", first);
      address.searchParams.set("until", last);
      address.hash = "psi";
      location.assign(address);
    }

    let pressedAt = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button === 0) pressedAt = event.clientX;
    });
    canvas.addEventListener("pointermove", (event) => {
      const index = nearest(placeOf(event));
      if (pressedAt !== null && event.buttons === 1 && Math.abs(event.clientX - pressedAt) > DRAGGED) {
        from ??= nearest(Math.min(100, (100 * (pressedAt - canvas.getBoundingClientRect().left)) / canvas.clientWidth));
      }
      show(index);
    });
    canvas.addEventListener("pointerup", () => {
      pressedAt = null;
    });
    canvas.addEventListener("click", (event) => {
      if (from === null) return;
      event.preventDefault(); // it ended a drag, it is no click on an area
      zoom();
    });
    // A press would move the focus to an area's link, and a drag would take it along.
    for (const kind of ["mousedown", "dragstart"]) canvas.addEventListener(kind, (event) => event.preventDefault());
    canvas.addEventListener("pointerleave", () => {
      pressedAt = null;
      hide();
    });

    canvas.addEventListener("keydown", (event) => {
      const at = current < 0 ? areas.length - 1 : current;
      const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: areas.length - 1 }[event.key];
      if (next !== undefined) {
        from = event.shiftKey ? from ?? at : null;
        show(Math.min(areas.length - 1, Math.max(0, current < 0 && !event.shiftKey ? at : next)));
      } else if (event.key === "Enter" && current >= 0) {
        from === null ? location.assign(areas[current].href.baseVal) : zoom();
      } else if (event.key === "Escape") {
        hide();
      } else {
        return;
      }
      event.preventDefault();
    });
    canvas.addEventListener("blur", hide);
    canvas.setAttribute("tabindex", "0");
    canvas.setAttribute("role", "group");
  }

  const wakeAll = () => document.querySelectorAll("figure[data-start]").forEach(wake);
  wakeAll();
  document.addEventListener("sentryml:changed", wakeAll);
}
