"use strict";

// Brings the parts of the page that change up to date, without loading it anew: what was typed, opened or marked stays. Without
// this script the page loads itself every five seconds.
(() => {
  const EVERY = 1000;
  const state = document.getElementById("state");
  const parts = document.querySelectorAll("[data-live][id]");
  const shown = new Map(Array.from(parts, (part) => [part.id, part.innerHTML]));

  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };

  // Nobody loses what they are about to copy, or their place with the keyboard.
  const inUse = (part) => {
    const selection = document.getSelection();
    return (!selection.isCollapsed && part.contains(selection.anchorNode)) || part.contains(document.activeElement);
  };

  const update = async () => {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const content = next.getElementById(part.id);
      if (!content || content.innerHTML === shown.get(part.id) || inUse(part)) continue;
      shown.set(part.id, content.innerHTML);
      part.replaceChildren(...content.childNodes);
    }
    say("Updates by itself");
  };

  const again = async () => {
    if (!document.hidden) {
      try {
        await update();
      } catch {
        say("The lab does not answer");
      }
    }
    setTimeout(again, EVERY);
  };
  setTimeout(again, EVERY);
})();
