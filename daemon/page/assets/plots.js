// Quality over time with uPlot: the same plots that stand in the page without a script, live and readable to the value.
const NEWEST = 500;
const HEIGHT = 190;
const KEPT = "#0072b2";
const REJECTED = "#c2410c";
const SOFT = "#52616f";
const drawn = new Map(); // metric -> uPlot

const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC");

async function table(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error(String(reply.status));
  const found = await reply.json();
  return (name) => found.rows.map((row) => row[found.columns.indexOf(name)]);
}

// Data of each metric as uPlot takes them: times in seconds, then curves.
async function load(kind, metrics) {
  const inPage = document.getElementById("plot-data");
  if (inPage) return JSON.parse(inPage.textContent);
  const found = {};
  if (kind === "bands") {
    for (const metric of metrics) {
      const column = await table(`/query/trend_band?metric=${metric}`);
      found[metric] = [column("utc_us").map((us) => us / 1e6), column("p90"), column("median"), column("p10")];
    }
    return found;
  }
  const column = await table(`/query/trend?metrics=${metrics.join(",")}&last=${NEWEST}`);
  const times = column("ready_utc_us").map((us) => us / 1e6);
  const kept = column("state").map((state) => state === "ready");
  for (const metric of metrics) {
    const values = column(metric);
    found[metric] = [times, values.map((v, at) => (kept[at] ? v : null)), values.map((v, at) => (kept[at] ? null : v))];
  }
  return found;
}

// Far outliers do not flatten what is worth seeing.
function range(u) {
  const values = u.data.slice(1).flatMap((one) => one.filter((v) => v !== null)).sort((a, b) => a - b);
  if (!values.length) return [0, 1];
  const at = (share) => values[Math.min(values.length - 1, Math.floor(share * values.length))];
  const reach = 3 * (at(0.75) - at(0.25));
  const low = Math.max(values[0], Math.min(at(0.25) - reach, at(0.05)));
  const high = Math.min(values[values.length - 1], Math.max(at(0.75) + reach, at(0.95)));
  const room = 0.08 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

function options(kind, width) {
  const value = (u, v) => (v === null || v === undefined ? "–" : v.toFixed(Math.abs(v) < 10 ? 2 : 1));
  const dots = (label, stroke, fill, size) => ({ label, stroke, value, paths: () => null, points: { show: true, size, stroke, fill, width: 1.5 } });
  const series =
    kind === "bands"
      ? [
          { label: "90 %", stroke: "#7fb4d6", value, points: { show: false } },
          { label: "median", stroke: KEPT, width: 2, value, points: { show: false } },
          { label: "10 %", stroke: "#7fb4d6", value, points: { show: false } },
        ]
      : [dots("kept", KEPT, KEPT, 4), dots("rejected", REJECTED, "#fff", 7)];
  const axis = { stroke: SOFT, grid: { stroke: "#e3e9ee", width: 1 }, ticks: { stroke: "#c3ced7", width: 1 }, font: "12px system-ui, sans-serif" };
  return {
    width,
    height: HEIGHT,
    tzDate: utc,
    scales: { y: { range } },
    bands: kind === "bands" ? [{ series: [1, 3], fill: "rgba(0, 114, 178, 0.15)" }] : [],
    axes: [{ ...axis, space: 70, values: [[86400, "{DD} {MMM}"], [3600, "{DD} {MMM}\n{HH}:{mm}"], [60, "{HH}:{mm}"], [1, "{HH}:{mm}:{ss}"]].map(([at, form]) => [at, form, null, null, null, null, null, null, 1]) }, { ...axis, size: 56 }],
    series: [{ label: "UTC", value: "{DD} {MMM} {HH}:{mm}:{ss}" }, ...series],
    legend: { live: true },
    cursor: { drag: { x: true, y: false } },
  };
}

function figures() {
  return [...document.querySelectorAll("[data-plots] figure[data-metric]")];
}

function kindOf() {
  return document.querySelector("[data-plots]")?.dataset.plots ?? "movies";
}

export async function drawPlots() {
  const all = figures();
  if (!all.length || typeof uPlot === "undefined") return;
  let data;
  try {
    data = await load(kindOf(), all.map((one) => one.dataset.metric));
  } catch {
    return; // the plots that stand in the page stay
  }
  for (const figure of all) {
    const place = figure.querySelector(".canvas");
    const curves = data[figure.dataset.metric];
    if (!place || !curves || curves[0].length < 2) continue;
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", `${figure.querySelector("figcaption").textContent} against time; its numbers stand in the table below`);
    place.replaceChildren();
    const plot = new uPlot(options(kindOf(), place.clientWidth), curves, place);
    drawn.set(figure.dataset.metric, plot);
    new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  }
}

export async function refreshPlots() {
  if (!drawn.size) return drawPlots();
  const data = await load(kindOf(), [...drawn.keys()]);
  for (const [metric, plot] of drawn) if (data[metric]) plot.setData(data[metric]);
}
