// Draws the charts of the report from the figures in the page, with Observable Plot. The tables say the same.
(() => {
  "use strict";
  const everything = JSON.parse(document.getElementById("figures").textContent);
  const whole = new Intl.NumberFormat("en-GB");
  const number = (value) => whole.format(value);
  const percent = (part, all) => (all ? `${((100 * part) / all).toFixed(1)}%` : "–");
  const soft = "var(--soft)";
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `13px ${getComputedStyle(document.body).fontFamily}`;
  const breadth = (text) => pen.measureText(text).width;
  const base = { style: { background: "transparent", fontFamily: "inherit", fontSize: "13px" } };

  // As much of the text as fits, in pixels.
  function fitting(text, room) {
    if (breadth(text) <= room) return text;
    const letters = Array.from(text);
    while (letters.length > 1 && breadth(`${letters.join("")}…`) > room) letters.pop();
    return `${letters.join("").trimEnd()}…`;
  }

  // Rows of bars with their names above them: names of any length, on a screen of any width.
  // rows: {name, note, parts: [{value, fill, label}]}, parts one after the other, or one over the other.
  function bars(width, rows, { nested = false, height = 20, max } = {}) {
    const step = height + 34;
    const label = { dy: 10 - step / 2, lineAnchor: "middle" };
    const pieces = [];
    for (const row of rows) {
      let end = 0;
      for (const part of row.parts) {
        const start = nested ? 0 : end;
        end = start + part.value;
        pieces.push({ row: row.key, x1: start, x2: end, fill: part.fill, title: `${row.name}\n${part.label}` });
      }
    }
    const longest = max ?? Math.max(1, ...pieces.map((piece) => piece.x2));
    return Plot.plot({
      ...base, width, height: rows.length * step, marginLeft: 0, marginRight: 0, marginTop: 0, marginBottom: 0,
      x: { axis: null, domain: [0, longest] },
      y: { axis: null, domain: rows.map((row) => row.key), paddingInner: 0, paddingOuter: 0 },
      marks: [
        Plot.barX(rows, { x1: 0, x2: longest, y: "key", fill: "var(--faint)", insetTop: 22, insetBottom: 12, rx: 3 }),
        Plot.barX(pieces, {
          x1: "x1", x2: "x2", y: "row", fill: "fill", insetTop: 22, insetBottom: 12, rx: 3,
          title: "title", tip: { format: { x: false, y: false, fill: false } },
        }),
        Plot.text(rows, {
          y: "key", frameAnchor: "left", ...label, textAnchor: "start", fill: "currentColor",
          text: (row) => fitting(row.name, width - breadth(row.note) - 14),
        }),
        Plot.text(rows, { y: "key", frameAnchor: "right", text: "note", ...label, textAnchor: "end", fill: soft }),
      ],
    });
  }

  const keyed = (rows) => rows.map((row, index) => ({ ...row, key: String(index) }));

  const charts = {
    funnel(width, figures) {
      const first = figures.funnel[0].value;
      return bars(width, keyed(figures.funnel.map((step, index) => ({
        name: step.name,
        note: index ? `${number(step.value)} · ${percent(step.value, first)}` : number(step.value),
        parts: [{ value: step.value, fill: `var(--step-${index + 1})`, label: `${number(step.value)} ${step.unit}` }],
      }))), { height: 26, max: first || 1 });
    },
    campaigns(width, figures) {
      return bars(width, keyed(figures.campaigns.map((campaign) => {
        const share = (value) => (campaign.steps[0] ? value / campaign.steps[0] : 0);
        return {
          name: campaign.name,
          note: `${number(campaign.steps[0])} targeted` + (campaign.steps[2] ? ` · ${campaign.click_rate} clicked` : ""),
          parts: campaign.steps.map((value, index) => ({
            value: Math.min(1, share(value)), fill: `var(--step-${index + 1})`,
            label: `${figures.funnel[index].name}: ${number(value)} (${percent(value, campaign.steps[0])})`,
          })),
        };
      })), { nested: true, max: 1 });
    },
    statuses(width, figures) {
      const all = figures.statuses.reduce((sum, row) => sum + row.value, 0);
      return bars(width, keyed(figures.statuses.map((row) => ({
        name: row.name,
        note: `${number(row.value)} · ${percent(row.value, all)}`,
        parts: [{ value: row.value, fill: `var(--${row.outcome})`, label: `${number(row.value)} messages, ${row.outcome}` }],
      }))), { height: 14 });
    },
    reasons(width, figures) {
      const all = figures.reasons.reduce((sum, row) => sum + row.value, 0);
      return bars(width, keyed(figures.reasons.map((row) => ({
        name: row.name,
        note: `${number(row.value)} · ${percent(row.value, all)}`,
        parts: [{ value: row.value, fill: row.name === "pending" ? "var(--pending)" : "var(--failed)", label: `${number(row.value)} messages` }],
      }))), { height: 14 });
    },
    hours(width, figures) {
      const kinds = [["people", "people"], ["robots", "robots"], ["unsure", "not known"]];
      const pieces = figures.hours.flatMap((row) =>
        kinds.map(([kind, label]) => ({ hour: row.hour, kind, clicks: row[kind], label })));
      const last = Math.max(23, ...figures.hours.map((row) => row.hour));
      const most = Math.max(...figures.hours.map((row) => kinds.reduce((sum, [kind]) => sum + row[kind], 0)));
      const left = Math.ceil(breadth(number(most))) + 14;
      const every = width < 500 ? 12 : 6;
      return Plot.plot({
        ...base, width, height: width < 500 ? 240 : 300, marginLeft: left, marginRight: 4, marginTop: 34, marginBottom: 42,
        x: { domain: [-0.5, last + 0.5], label: null },
        y: { nice: 5, label: null },
        color: { domain: kinds.map(([kind]) => kind), range: kinds.map(([kind]) => `var(--${kind})`) },
        marks: [
          Plot.gridY({ ticks: 5, stroke: "var(--line)", strokeOpacity: 1 }),
          Plot.axisY({ label: null, tickSize: 0, color: soft, tickFormat: number, ticks: 5 }),
          Plot.axisX({ color: soft, label: "hours since sending began", labelAnchor: "center", labelArrow: "none",
            ticks: Array.from({ length: Math.floor(last / every) + 1 }, (_, index) => index * every), tickSize: 4 }),
          Plot.text(["clicks in the hour"], { frameAnchor: "top-left", dx: -left, dy: -30, fill: soft, textAnchor: "start" }),
          Plot.rectY(pieces, {
            x1: (piece) => piece.hour - 0.44, x2: (piece) => piece.hour + 0.44, y: "clicks", fill: "kind", order: kinds.map(([kind]) => kind),
            title: (piece) => `hour ${piece.hour}\n${number(piece.clicks)} clicks by ${piece.label}`,
            tip: { format: { x: false, y: false, fill: false } },
          }),
          Plot.ruleY([0], { stroke: "var(--line)" }),
        ],
      });
    },
    links(width, figures) {
      return bars(width, keyed(figures.links.map((row) => ({
        name: row.name,
        note: `${number(row.people)} by people · ${number(row.clickers)} clicker${row.clickers === 1 ? "" : "s"}`,
        parts: [
          { value: row.people, fill: "var(--people)", label: `${number(row.people)} clicks by people` },
          { value: row.robots, fill: "var(--robots)", label: `${number(row.robots)} clicks by robots` },
          { value: row.unsure, fill: "var(--unsure)", label: `${number(row.unsure)} clicks, not known by whom` },
        ],
      }))), { height: 16 });
    },
  };
  for (const kind of ["device", "os", "browser"]) {
    charts[kind] = (width, figures) => {
      const all = figures[kind].reduce((sum, row) => sum + row.value, 0);
      return bars(width, keyed(figures[kind].map((row) => ({
        name: row.name,
        note: `${number(row.value)} · ${percent(row.value, all)}`,
        parts: [{ value: row.value, fill: "var(--people)", label: `${number(row.value)} clicks by people` }],
      }))), { height: 10 });
    };
  }

  function draw() {
    for (const place of document.querySelectorAll("[data-chart]")) {
      const width = Math.floor(place.getBoundingClientRect().width);
      if (!width || place.dataset.width === String(width)) continue;
      place.dataset.width = String(width);
      place.replaceChildren(charts[place.dataset.chart](width, everything[place.dataset.of ?? 0]));
    }
  }

  for (const place of document.querySelectorAll("[data-chart]")) place.style.minHeight = "1px";
  for (const table of document.querySelectorAll("details.figures")) table.open = false;
  draw();
  addEventListener("resize", draw);
  addEventListener("beforeprint", () => document.querySelectorAll("details.figures").forEach((table) => { table.open = true; }));
})();
