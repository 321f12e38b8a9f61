"use strict";
// Sorting and filtering of the failed rows, and the keyboard into what must be scrolled. Without it nothing is hidden.
(() => {
  const scrollers = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      const wide = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
      if (!wide) { box.removeAttribute("tabindex"); box.removeAttribute("role"); box.removeAttribute("aria-label"); continue; }
      const named = box.querySelector("caption, title");
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", (named ? named.textContent : "table") + ", can be scrolled");
    }
  };
  addEventListener("resize", scrollers);
  document.addEventListener("toggle", scrollers, true);
  scrollers();

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const number = !["text", "code", "id", "state", "when"].includes(head.className);
        const key = (row) => {
          const cell = row.cells[at];
          if (cell.classList.contains("none")) return null;
          return number ? Number.parseFloat(cell.textContent.replaceAll(",", "")) : cell.textContent;
        };
        const order = (a, b) => (number ? a - b : a.localeCompare(b, "en", { numeric: true }));
        const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return up ? order(a, b) : order(b, a);
        });
        table.tBodies[0].append(...rows.map(([, row]) => row));
      });
    });
  };

  const filterable = (table, box) => {
    const [find, state, code] = ["find", "find-state", "find-code"].map((id) => document.getElementById(id));
    const found = document.getElementById("found");
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
    const rows = [...table.tBodies[0].rows];
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const cell = (row, name) => row.cells[heads.indexOf(name)].textContent;
    const choices = (select, name) => {
      for (const value of [...new Set(rows.map((row) => cell(row, name)))].sort()) select.append(new Option(value, value));
    };
    choices(state, "state");
    choices(code, "code");
    const apply = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const fits =
          (!state.value || cell(row, "state") === state.value) &&
          (!code.value || cell(row, "code") === code.value) &&
          words.every((word) => texts.get(row).includes(word));
        row.hidden = !fits;
        shown += fits;
      }
      found.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
    };
    for (const control of [find, state, code]) control.addEventListener("input", apply);
    box.hidden = false;
    apply();
  };

  for (const table of document.querySelectorAll("#failed-rows, #grouped")) {
    const box = table.id === "failed-rows" && document.querySelector(".filter");
    if (box) filterable(table, box);
    sortable(table);
  }
})();
