"use strict";
// The only script of the pages. They work without it, except that they do not refresh, and that links to Airflow open plainly.
(() => {
  const LOOK_MS = 5000;
  const HEADER = "X-Perfproof-Request";
  const root = document.documentElement;

  // The page that holds the frame, if it is of this origin.
  const around = (() => {
    try {
      return window.parent !== window && window.parent.document ? window.parent : null;
    } catch {
      return null;
    }
  })();

  // Airflow's own choice of theme, which `prefers-color-scheme` does not know.
  if (around) {
    const outer = around.document.documentElement;
    const follow = () => {
      const theme = ["dark", "light"].find((name) => outer.classList.contains(name));
      if (theme) root.dataset.theme = theme;
    };
    follow();
    new MutationObserver(follow).observe(outer, { attributes: true, attributeFilter: ["class"] });
  }

  // The frame's sandbox forbids to leave it, so the router of the page around is asked to go there.
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[data-airflow]") : null;
    if (!link || !around || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const there = new URL(link.href);
    if (there.origin !== window.location.origin) return;
    event.preventDefault();
    around.history.pushState({}, "", there.pathname + there.search);
    around.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
  });

  // Airflow's own entry of these pages names the address where it is already, and then does nothing: the frame goes back to the list itself.
  if (around) {
    const outside = around.document;
    const back = (event) => {
      const link = event.target instanceof around.Element ? event.target.closest("a[href]") : null;
      const list = document.querySelector("nav a[data-list]");
      if (!link || !list || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      const there = new URL(link.href);
      const here = around.location;
      // Airflow writes the address within the frame behind its own, and takes it away again at the click.
      const inside = `${here.pathname}/`.startsWith(`${there.pathname}/`);
      if (there.origin === here.origin && inside && there.pathname.endsWith("/plugin/perfproof")) window.location.assign(list.href);
    };
    window.addEventListener("pageshow", () => outside.addEventListener("click", back, true));
    window.addEventListener("pagehide", () => outside.removeEventListener("click", back, true));
  }

  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("button[data-copy]") : null;
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      say("Copied.");
    } catch {
      say("This browser does not let the page copy: select the digest instead.");
    }
  });

  function showCopying(part) {
    if (!navigator.clipboard) return;
    for (const button of part.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
  }

  function say(text) {
    const line = document.querySelector("[data-said]");
    if (line) line.textContent = text;
  }

  // What stands in a live region is taken anew from the same address while the page is seen, until the answer says that it is over.
  let shown = "";

  async function refresh() {
    const region = document.querySelector("[data-live]");
    if (!region) return;
    if (document.hidden) {
      setTimeout(refresh, LOOK_MS);
      return;
    }
    let again = true;
    try {
      const answer = await fetch(window.location.href, { headers: { [HEADER]: "live" }, credentials: "same-origin", redirect: "error" });
      if (answer.status === 401 || answer.status === 403) {
        say("No longer refreshed: log in to Airflow again and reload the page.");
        return;
      }
      if (answer.ok) again = take(region, await answer.text());
      else say("Could not be refreshed just now.");
    } catch {
      say("Could not be refreshed just now.");
    }
    if (again) setTimeout(refresh, LOOK_MS);
  }

  // Whether to look again.
  function take(region, text) {
    const found = new DOMParser().parseFromString(text, "text/html").querySelector("#" + CSS.escape(region.id));
    if (!found) return false;
    const now = found.innerHTML;
    if (now !== shown && !isInUse(region)) {
      say(found.dataset.changed || "The page was refreshed.");
      shown = now;
      put(region, found);
    }
    return found.hasAttribute("data-live");
  }

  // Somebody who marks text or types in the region is not disturbed.
  function isInUse(region) {
    const selection = document.getSelection();
    const marked = selection && !selection.isCollapsed && region.contains(selection.anchorNode);
    const active = document.activeElement;
    return marked || (active && region.contains(active) && /^(INPUT|TEXTAREA|SELECT)$/.test(active.tagName));
  }

  function put(region, found) {
    const focus = pathOf(document.activeElement, region);
    const open = new Set([...region.querySelectorAll("details[open][id]")].map((one) => one.id));
    const closed = new Set([...region.querySelectorAll("details:not([open])[id]")].map((one) => one.id));
    const scrolled = new Map([...region.querySelectorAll(".scroll[aria-labelledby]")].map((one) => [one.getAttribute("aria-labelledby"), one.scrollLeft]));
    const top = window.scrollY;
    region.replaceChildren(...[...found.childNodes].map((node) => document.importNode(node, true)));
    for (const one of region.querySelectorAll("details[id]")) {
      if (open.has(one.id)) one.open = true;
      if (closed.has(one.id)) one.open = false;
    }
    for (const one of region.querySelectorAll(".scroll[aria-labelledby]")) one.scrollLeft = scrolled.get(one.getAttribute("aria-labelledby")) || 0;
    showCopying(region);
    const target = focus && region.querySelector(focus);
    if (target) target.focus({ preventScroll: true });
    window.scrollTo({ top, behavior: "instant" });
  }

  // How to find the focused element again: its id, its address, or what it copies.
  function pathOf(element, region) {
    if (!element || element === region || !region.contains(element)) return null;
    if (element.id) return "#" + CSS.escape(element.id);
    for (const name of ["href", "data-copy", "aria-labelledby"]) {
      if (element.hasAttribute(name)) return `${element.tagName.toLowerCase()}[${name}="${CSS.escape(element.getAttribute(name))}"]`;
    }
    const details = element.closest("details[id]");
    return element.tagName === "SUMMARY" && details ? `#${CSS.escape(details.id)} > summary` : null;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const region = document.querySelector("[data-live]");
    if (region) {
      shown = region.innerHTML;
      setTimeout(refresh, LOOK_MS);
    }
    showCopying(document);
  });
})();
