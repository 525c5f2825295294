"use strict";
(() => {
  // -- tables that one can sort, and filter where they are long --------------------------------
  const number = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function keyOf(row, column) {
    const cell = row.cells[column];
    const text = (cell.dataset.sort ?? cell.textContent).trim();
    if (number.test(text)) return Number(text);
    return text === "" || text === "-" || text === "–" || text.toLowerCase() === "nan" ? null : text;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return words.compare(String(a), String(b));
  }

  function sort(table, column, head) {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [keyOf(row, column), row]);
    const known = keyed.filter(([key]) => key !== null);
    const unknown = keyed.filter(([key]) => key === null); // last, whichever way
    known.sort(([a], [b]) => (up ? compare(a, b) : compare(b, a)));
    body.append(...[...known, ...unknown].map(([, row]) => row));
  }

  function makeSortable(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column, head));
      head.append(button);
    });
  }

  function makeFilter(table) {
    const rows = [...table.tBodies[0].rows];
    const label = document.createElement("label");
    label.className = "filter";
    const input = document.createElement("input");
    input.type = "search";
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    input.addEventListener("input", () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !wanted.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = wanted.length ? `${shown} of ${rows.length}` : "";
    });
    label.append("Show rows with ", input, count);
    table.closest(".table").before(label);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tBodies[0].rows.length > 1) makeSortable(table);
    if (table.tBodies[0].rows.length > 20) makeFilter(table);
  }

  // -- what is folded away is printed all the same -----------------------------------------------
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")].filter((d) => !d.closest(".chart"));
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));

  // -- charts --------------------------------------------------------------------------------------
  const packed = document.getElementById("bundle");
  if (!packed) return;

  async function unpacked() {
    const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  const several = ["hconcat", "vconcat", "concat", "facet", "repeat"];
  const narrow = matchMedia("(max-width: 40rem)");

  // A height by the category cannot go with the width of the page: it is worked out here.
  function heightOf(spec) {
    if (typeof spec.height !== "object") return spec.height;
    const parts = [spec, ...(spec.layer || [])];
    const encodings = parts.map((part) => part.encoding || {});
    const fields = new Set(encodings.map((e) => e.y && e.y.field).filter(Boolean));
    if (fields.size !== 1 || encodings.some((e) => e.yOffset)) return null;
    const field = [...fields][0].replaceAll("\\", "");
    const rows = parts.flatMap((part) => (part.data && part.data.values) || []);
    const seen = new Set(rows.filter((row) => field in row).map((row) => row[field]));
    return seen.size ? seen.size * spec.height.step : null;
  }

  function fitted(spec) {
    const config = { ...spec.config, background: null };
    config.axis = { labelFontSize: 11, titleFontSize: 12, ...config.axis };
    config.legend = { orient: "top", labelFontSize: 12, labelLimit: 360, ...config.legend };
    if (narrow.matches) config.legend = { ...config.legend, orient: "bottom", columns: 1, labelLimit: 260 };
    const own = { ...spec, config, background: null };
    const faceted = ["row", "column", "facet"].some((channel) => spec.encoding && spec.encoding[channel]);
    const height = heightOf(spec);
    const simple = !several.some((key) => key in spec) && !faceted && height !== null;
    if (simple && typeof (spec.width ?? 1) === "number") {
      own.width = "container";
      own.height = height;
    }
    return own;
  }

  const options = {
    mode: "vega-lite", renderer: "svg", ast: true, logLevel: 1, // errors only
    tooltip: { theme: "custom" },
    actions: { export: true, source: false, compiled: false, editor: false },
    loader: { load: () => Promise.reject(new Error("pages fetch nothing")) },
  };

  // Thousands of marks are drawn several times as fast as pixels, on white by day and by night.
  function isLarge(spec) {
    return ((spec.data && spec.data.values) || []).length > 600;
  }

  async function draw(figure) {
    const place = figure.querySelector(".chart");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const own = fitted(spec);
    const pixels = isLarge(spec);
    if (pixels) own.background = own.config.background = "white";
    try {
      await window.vegaEmbed(place, own, pixels ? { ...options, renderer: "canvas" } : options);
      place.dataset.drawn = "yes";
    } catch (error) {
      place.textContent = `This chart cannot be drawn: ${error.message}`;
    }
  }

  async function drawAll() {
    const script = document.createElement("script");
    script.textContent = await unpacked();
    document.head.append(script);
    for (const figure of document.querySelectorAll("figure.drawing")) await draw(figure);
    document.documentElement.dataset.charts = "drawn";
  }

  drawAll().catch((error) => {
    for (const place of document.querySelectorAll("div.chart")) {
      place.textContent = `Charts cannot be drawn by this browser: ${error.message}`;
    }
  });
})();
