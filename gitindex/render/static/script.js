"use strict";
// All that a page does by script: the theme, copy buttons, the tool that lines are shown for, and filters. Without it
// each page says and links to the same. It stands in the head, so that the theme is there before anything is drawn.
(() => {
  const THEMES = ["auto", "light", "dark"];
  const kept = {
    read(name) {
      try {
        return localStorage.getItem(`gitindex-${name}`);
      } catch {
        return null; // a browser may refuse to keep anything
      }
    },
    write(name, value) {
      try {
        localStorage.setItem(`gitindex-${name}`, value);
      } catch {
        // then it holds for this page
      }
    },
  };

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    const button = document.querySelector("button.theme");
    if (button) {
      button.hidden = false;
      button.setAttribute("aria-label", `Theme: ${theme}`);
      button.title = `Theme: ${theme}`;
    }
  }

  const wanted = kept.read("theme");
  setTheme(THEMES.includes(wanted) ? wanted : "auto");

  function themes() {
    setTheme(document.documentElement.dataset.theme);
    document.querySelector("button.theme")?.addEventListener("click", () => {
      const at = THEMES.indexOf(document.documentElement.dataset.theme);
      const next = THEMES[(at + 1) % THEMES.length];
      kept.write("theme", next);
      setTheme(next);
    });
  }

  // An element with data-copy gets a button that copies its text; the attribute says what that is.
  function copies() {
    const status = document.createElement("p");
    status.className = "unseen";
    status.setAttribute("role", "status");
    document.querySelector("main")?.append(status);
    for (const source of document.querySelectorAll("[data-copy]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy ${source.dataset.copy}`);
      source.after(button);
    }
    document.addEventListener("click", async (event) => {
      const button = event.target instanceof Element ? event.target.closest("button.copy") : null;
      const source = button?.previousElementSibling;
      if (!source) return;
      const done = await copy(source);
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      status.textContent = done ? `Copied ${source.dataset.copy}` : "Selected: press Control and C";
      setTimeout(() => {
        button.textContent = "Copy";
        status.textContent = "";
      }, 2000);
    });
  }

  async function copy(source) {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      // Only pages of a secure origin have a clipboard; the others can select.
      const range = document.createRange();
      range.selectNodeContents(source);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      return document.execCommand("copy");
    }
  }

  // The tool that somebody chose is shown on each page.
  function tools() {
    const choices = document.querySelectorAll(".tools input[type=radio]");
    const tool = kept.read("tool");
    for (const choice of choices) {
      if (choice.value === tool) choice.checked = true;
      choice.addEventListener("change", () => kept.write("tool", choice.value));
    }
  }

  const plain = (text) => text.toLowerCase().replace(/[-_.\s]+/g, "-");

  // A search with data-filter names what it filters: the items in the element of that id, by data-items.
  function filter(search) {
    const area = document.getElementById(search.dataset.filter);
    const input = search.querySelector("input");
    const output = search.querySelector("output");
    const letters = document.querySelector(".letters");
    let items, groups, asked, shown;

    function read() {
      items = Array.from(area.querySelectorAll(search.dataset.items), (element) => {
        const link = element.querySelector("a");
        const words = plain(search.dataset.by === "link" ? link.textContent : element.textContent);
        return { element, link, words, name: plain(link.textContent), shown: true };
      });
      groups = new Map();
      for (const item of items) {
        const group = item.element.closest(search.dataset.groups);
        if (!group) continue;
        if (!groups.has(group)) groups.set(group, []);
        groups.get(group).push(item);
      }
    }

    function apply() {
      const text = input.value.trim();
      if (text === asked || (!items && !text)) return;
      asked = text;
      if (!items) read();
      const wanted = text.toLowerCase().split(/\s+/).map(plain).filter(Boolean);
      shown = items.filter((item) => wanted.every((word) => item.words.includes(word)));
      const found = new Set(shown);
      for (const item of items) {
        const is = found.has(item);
        if (is !== item.shown) item.element.hidden = !(item.shown = is);
      }
      for (const [group, its] of groups) group.hidden = !its.some((item) => item.shown);
      if (letters) letters.hidden = Boolean(text);
      output.textContent = text ? `${shown.length.toLocaleString("en")} of ${items.length.toLocaleString("en")}` : "";
    }

    input.addEventListener("input", apply);
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        input.value = "";
        apply();
      } else if (event.key === "Enter" && input.value.trim()) {
        apply();
        const exact = shown.find((item) => item.name === plain(input.value.trim()));
        (exact ?? (shown.length === 1 ? shown[0] : null))?.link.click();
      }
    });
    search.hidden = false;
    apply(); // who comes back finds what they looked for
  }

  function filters() {
    const searches = document.querySelectorAll("[data-filter]");
    searches.forEach(filter);
    document.addEventListener("keydown", (event) => {
      const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select");
      if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping && searches.length) {
        event.preventDefault();
        searches[0].querySelector("input").focus();
      }
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    themes();
    copies();
    tools();
    filters();
  });
})();
