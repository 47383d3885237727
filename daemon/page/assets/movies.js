// All movies in a page without a server: sorted by any column, searched, and drawn only where they are seen.
const ROW_PX = 30; // page.css says the same
const BEYOND = 12; // rows drawn above and below what is seen

// Deflated JSON in base64, as daemon/page/all_movies.py packs it.
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const time = (seconds) =>
  new Date(seconds * 1e3).toLocaleString("en-GB", {
    timeZone: "UTC", day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit",
  }).replace(",", "");

function words(head, value) {
  if (value === null || value === "") return "–";
  if (head.dataset.column === "time") return time(value);
  if (typeof value !== "number") return value;
  const digits = Number(head.dataset.digits);
  const shown = value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const unit = { A: "Å", um: "µm" }[head.dataset.unit] ?? "";
  return unit ? `${shown}\u00a0${unit}` : shown;
}

// Unknown values come last, whichever way it is sorted.
function order(column, descending) {
  const sign = descending ? -1 : 1;
  return (a, b) => {
    const [x, y] = [column[a], column[b]];
    if (x === y) return a - b;
    if (x === null || x === "") return 1;
    if (y === null || y === "") return -1;
    return (typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true })) * sign;
  };
}

function search(table, onText) {
  const label = document.createElement("label");
  label.textContent = "Part of a name, a state or a reason ";
  const input = document.createElement("input");
  input.type = "search";
  input.id = "all-search";
  input.addEventListener("input", () => onText(input.value.trim().toLowerCase()));
  label.append(input);
  const form = document.createElement("div");
  form.className = "filter";
  form.append(label);
  table.before(form);
}

export async function drawMovies() {
  const packed = document.getElementById("movie-data");
  const region = document.getElementById("all-movies");
  if (!packed || !region || !("DecompressionStream" in window)) return; // the first rows stay
  const { columns } = await unpacked(packed.textContent);
  const heads = [...region.querySelectorAll("th")];
  const body = region.querySelector("tbody");
  const said = document.getElementById("all-said");
  const count = columns.name.length;
  const texts = columns.name.map((name, at) => `${name}\n${columns.state[at]}\n${columns.reason[at]}`.toLowerCase());
  let rows = [...Array(count).keys()];
  let [sorted, descending, wanted, drawn] = ["fit", true, "", ""];

  function row(at) {
    const line = document.createElement("tr");
    for (const head of heads) {
      const cell = document.createElement("td");
      const value = columns[head.dataset.column][at];
      cell.textContent = words(head, value);
      if (typeof value === "number" && head.dataset.column !== "time") cell.className = "n";
      else cell.title = cell.textContent;
      line.append(cell);
    }
    return line;
  }

  function space(lines) {
    const line = document.createElement("tr");
    line.className = "space";
    line.setAttribute("aria-hidden", "true");
    const cell = document.createElement("td");
    cell.colSpan = heads.length;
    cell.style.height = `${lines * ROW_PX}px`;
    line.append(cell);
    return line;
  }

  function draw(force) {
    const first = Math.max(0, Math.floor(region.scrollTop / ROW_PX) - BEYOND);
    const last = Math.min(rows.length, first + Math.ceil(region.clientHeight / ROW_PX) + 2 * BEYOND);
    if (!force && drawn === `${first} ${last}`) return;
    drawn = `${first} ${last}`;
    const lines = rows.slice(first, last).map((at, place) => {
      const line = row(at);
      line.setAttribute("aria-rowindex", String(first + place + 2));
      return line;
    });
    if (first > 0) lines.unshift(space(first));
    if (last < rows.length) lines.push(space(rows.length - last));
    body.replaceChildren(...lines);
  }

  function arrange() {
    rows = [...Array(count).keys()].filter((at) => texts[at].includes(wanted));
    rows.sort(order(columns[sorted], descending));
    for (const head of heads) {
      const own = head.dataset.column === sorted;
      if (own) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    region.querySelector("table").setAttribute("aria-rowcount", String(rows.length + 1));
    said.textContent = `${rows.length.toLocaleString("en-US")} of ${count.toLocaleString("en-US")} movies.` + cut;
    region.scrollTop = 0;
    draw(true);
  }

  const cut = said.textContent.includes("Of ") ? ` ${said.textContent.slice(said.textContent.indexOf("Of "))}` : "";
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      descending = sorted === head.dataset.column ? !descending : !["name", "state", "reason"].includes(head.dataset.column);
      sorted = head.dataset.column;
      arrange();
    });
    head.replaceChildren(button);
  }
  search(region, (text) => {
    wanted = text;
    arrange();
  });
  region.classList.add("drawn");
  region.addEventListener("scroll", () => draw(false), { passive: true });
  window.addEventListener("resize", () => draw(true));
  arrange();
}
