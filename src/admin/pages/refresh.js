// Fetches the page again each minute and shows what is new, for people who leave it open. Everything
// works without it. It stops once nobody has touched the page for a while, so that a session that is
// not used ends.
"use strict";

const EVERY_MS = 60_000;
const UNTOUCHED_MS = 15 * 60_000;
let touchedAt = Date.now();

for (const event of ["pointerdown", "pointermove", "keydown", "scroll"]) {
  addEventListener(event, () => { touchedAt = Date.now(); }, { passive: true });
}

async function refresh() {
  const shown = document.querySelector("[data-refresh]");
  if (!shown || document.hidden || Date.now() - touchedAt > UNTOUCHED_MS) return;
  // Not under somebody's hands: a focus or an opened table would be lost.
  if (shown.contains(document.activeElement) || shown.querySelector("details[open]")) return;
  const answer = await fetch(location.href, { redirect: "manual" });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-refresh]");
  if (fresh) shown.replaceWith(fresh);
}

setInterval(() => { refresh().catch(() => {}); }, EVERY_MS);
