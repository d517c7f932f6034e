// Follows the journal: new deliveries are added at the top of the list, and changed ones updated in place.
"use strict";
(() => {
  const MOST = 300;
  const list = document.querySelector("[data-live]");
  const said = document.getElementById("live");
  if (!list || !said || !window.EventSource) return;

  const word = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  word.setAttribute("role", "status");
  said.append(word, " ", button);
  said.hidden = false;

  let paused = false;
  let held = [];
  const seq = (row) => Number(row.id.slice(1));
  const say = (text) => { if (word.textContent !== text) word.textContent = text; };
  const label = () => { button.textContent = paused ? "Resume" : "Pause"; };

  function replace(old, row) {
    const links = [...old.querySelectorAll("a")];
    const focused = links.indexOf(document.activeElement);
    old.replaceWith(row);
    if (focused >= 0) row.querySelectorAll("a")[focused]?.focus();
  }

  function put(kind, data) {
    if (kind === "gone") {
      document.getElementById(data)?.remove();
      return;
    }
    const body = list.querySelector("tbody");
    if (!body) {
      location.reload();
      return;
    }
    const made = document.createElement("tbody");
    made.innerHTML = data;
    const row = made.firstElementChild;
    const old = document.getElementById(row.id);
    if (old) {
      replace(old, row);
      return;
    }
    const after = [...body.rows].find((other) => seq(other) < seq(row));
    if (!after && kind === "update") return;
    row.classList.add("new");
    body.insertBefore(row, after || null);
    while (body.rows.length > MOST) body.lastElementChild.remove();
  }

  const take = (kind) => (event) => {
    if (!paused) put(kind, event.data);
    else if (held.push([kind, event.data]) > MOST) held.shift();
    if (paused) say(`paused, ${held.length} held`);
  };

  button.addEventListener("click", () => {
    paused = !paused;
    label();
    say(paused ? "paused" : "live");
    if (!paused) for (const [kind, data] of held.splice(0)) put(kind, data);
  });

  const source = new EventSource(list.dataset.live);
  source.addEventListener("open", () => { if (!paused) say("live"); });
  source.addEventListener("error", () => say(source.readyState === 2 ? "not live; reload the page" : "reconnecting"));
  source.addEventListener("message", take("new"));
  source.addEventListener("update", take("update"));
  source.addEventListener("gone", take("gone"));
  window.addEventListener("pagehide", () => source.close());
  say("connecting");
  label();
})();
