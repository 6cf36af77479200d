// The pictures of a report, drawn by plotly from the JSON of element `data` (`page.data`).
const D = JSON.parse(document.getElementById("data").textContent);
const config = {displaylogo: false};
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const box = id => document.getElementById(id);
const narrow = () => window.innerWidth < 700;
const axis = more => Object.assign({gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"),
  automargin: true}, more);
const margins = more => Object.assign({l: narrow() ? 44 : 60, r: 16, t: 36, b: 50}, more);  // above: the plot's buttons
function style(id, more, entries = 0) {  // entries of the legend: beside a wide plot, below a narrow one
  const below = narrow() && entries > 0;
  const base = {margin: margins({}), hovermode: "closest", autosize: false,
    modebar: {bgcolor: "rgba(0,0,0,0)", color: css("--dim"), activecolor: css("--ink")},
    font: {family: "system-ui, sans-serif", size: 13, color: css("--ink")}, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", hoverlabel: {bgcolor: css("--back"), font: {color: css("--ink")}},
    legend: below ? {orientation: "h", y: -0.18, yanchor: "top", font: {size: 11}} : {font: {size: 11}}};
  return Object.assign(base, {width: box(id).clientWidth, height: box(id).clientHeight}, more);
}
function height(id, plot, entries = 0) {  // of the plot, and of the legend where that stands below
  const below = narrow() ? 20 * Math.ceil(entries / 2) + 40 : 0;
  box(id).style.height = plot + below + "px";
}
const fill = (id, names) => { const s = box(id);
  names.forEach(n => { const o = document.createElement("option"); o.textContent = n; s.append(o); }); return s; };

const method = fill("method", D.methods), target = fill("target", D.targets);
const groups = Array.from(new Set(D.groups)).sort();
function scatter() {
  const t = target.selectedIndex, scores = D.scores[method.value][t], truth = D.truth[t];
  const traces = groups.map((g, i) => {
    const at = D.groups.map((n, j) => n === g && scores[j] !== null && truth[j] !== null ? j : -1).filter(j => j >= 0);
    return {type: "scatter", mode: "markers", name: g, showlegend: true, x: at.map(j => scores[j]),
      y: at.map(j => truth[j]), text: at.map(j => D.models[j]),
      marker: {size: 10, opacity: .85, color: D.colours[i], symbol: i % 5},
      hovertemplate: "<b>%{text}</b><br>score %{x:.4g}<br>accuracy %{y:.2f} %<extra></extra>"};
  });
  const r = D.pearson[method.value][t];
  box("said").textContent = `${method.value} on ${target.value}: Pearson ×100 = ` +
    (r === null ? "undefined" : r.toFixed(1));
  height("scatter", 460, groups.length);
  Plotly.react("scatter", traces, style("scatter", {xaxis: axis({title: {text: "score"}}),
    yaxis: axis({title: {text: "accuracy after fine-tuning (%)"}})},
    groups.length), config);
}
method.addEventListener("change", scatter); target.addEventListener("change", scatter);

// where names go so that none covers a name or a dot: `textposition` for each point, and no text where there is no room
const AROUND = [["top center", -.5, -1.5], ["bottom center", -.5, .5], ["middle right", .5, -.5],
  ["middle left", -1.5, -.5], ["top right", 0, -1.5], ["top left", -1, -1.5], ["bottom right", 0, .5],
  ["bottom left", -1, .5]];
function named(names, x, y, width, height) {
  const tall = 14, gap = 7, taken = [], out = names.map(() => null);
  const order = names.map((_, i) => i).sort((a, b) => y[a] - y[b]);
  for (const i of order) for (const [where, across, down] of AROUND) {
    const wide = 6.6 * names[i].length + 4;
    const left = x[i] + (across === -.5 ? -wide / 2 : across >= 0 ? gap : -wide - gap);
    const top = y[i] + (down === -.5 ? -tall / 2 : down < 0 ? -tall - gap : gap);
    const free = taken.every(b => left + wide < b[0] || left > b[2] || top + tall < b[1] || top > b[3]) &&
      names.every((_, j) => x[j] + 5 < left || x[j] - 5 > left + wide || y[j] + 5 < top || y[j] - 5 > top + tall);
    if (!free || left < 0 || left + wide > width || top < 0 || top + tall > height) continue;
    taken.push([left, top, left + wide, top + tall]); out[i] = where; break;
  }
  return out;
}
const timed = D.methods.filter(m => D.ms[m] > 0 && D.mean[m] !== null);
const grey = m => D.yardstick[D.methods.indexOf(m)] ? D.grey : css("--accent");
function time() {
  const margin = margins({}), xs = timed.map(m => D.ms[m]);
  const logs = xs.map(Math.log10), ys = timed.map(m => D.mean[m]);
  const span = (v, share) => { const a = Math.min(...v), b = Math.max(...v), pad = share * (b - a) || 1;
    return [a - pad, b + pad]; };
  const across = span(logs, .06), up = span(ys, .08), width = box("time").clientWidth - margin.l - margin.r;
  const tall = box("time").clientHeight - margin.t - margin.b;
  const at = named(timed, logs.map(v => (v - across[0]) / (across[1] - across[0]) * width),
    ys.map(v => (up[1] - v) / (up[1] - up[0]) * tall), width, tall);
  Plotly.react("time", [{type: "scatter", mode: "markers+text", x: xs, y: ys, customdata: timed,
    text: timed.map((m, i) => at[i] ? m : ""), textposition: at.map(v => v || "top center"), cliponaxis: false,
    textfont: {size: 11}, marker: {size: 10, color: timed.map(grey)},
    hovertemplate: "<b>%{customdata}</b><br>%{x:.3g} ms<br>Mean PC %{y:.1f}<extra></extra>"}],
    style("time", {margin, xaxis: axis({type: "log", range: across, automargin: false, title: {text: D.timed}}),
    yaxis: axis({range: up, automargin: false, title: {text: "Mean PC"}})}), config);
}

const known = D.methods.filter(m => D.mean[m] !== null).sort((a, b) => D.mean[a] - D.mean[b]);
function forest() {
  height("forest", 120 + 24 * known.length);
  Plotly.react("forest", [{type: "scatter", mode: "markers", y: known, x: known.map(m => D.mean[m]),
    marker: {size: 9, color: known.map(grey)},
    error_x: {type: "data", symmetric: false, color: css("--dim"), thickness: 1.3,
      array: known.map(m => D.high[m] === null ? 0 : D.high[m] - D.mean[m]),
      arrayminus: known.map(m => D.low[m] === null ? 0 : D.mean[m] - D.low[m])},
    hovertemplate: "<b>%{y}</b><br>Mean PC %{x:.1f}<extra></extra>"}],
    style("forest", {margin: margins({l: 10}), xaxis: axis({title: {text: "Mean PC, 95 % bootstrap interval"}}),
    yaxis: axis({tickmode: "linear", dtick: 1, tickfont: {size: narrow() ? 10 : 12}})}), config);
}

const rank = D.targets.map((_, t) => {
  const values = D.methods.map(m => D.pearson[m][t]);
  return values.map(v => v === null ? null : 1 + values.filter(w => w !== null && w > v).length);
});
function ranks() {
  height("ranks", 160 + 20 * D.methods.length, D.methods.length);
  Plotly.react("ranks", D.methods.map((m, k) => ({type: "scatter", mode: "lines+markers", name: m, x: D.targets,
    y: rank.map(r => r[k]), line: {width: 2, color: D.colours[k], dash: D.yardstick[k] ? "dot" : "solid"},
    hovertemplate: "<b>" + m + "</b><br>%{x}: rank %{y}<extra></extra>"})),
    style("ranks", {yaxis: axis({range: [D.methods.length + .6, .4], zeroline: false, tick0: 1,
      title: {text: "rank by Pearson (1 = best)"}, dtick: Math.ceil(D.methods.length / 12)}),
    xaxis: axis({type: "category"})}, D.methods.length), config);
}

const curves = Object.entries(D.sizes);
function sizes() {
  height("sizes", 460, curves.length);
  Plotly.react("sizes", curves.map(([m, points], i) => ({type: "scatter", mode: "lines+markers",
    name: m, x: points.map(p => p[0]), y: points.map(p => p[1]), line: {color: D.colours[i]}})),
    style("sizes", {xaxis: axis({type: "log", title: {text: "images in the probe set"}}),
    yaxis: axis({title: {text: "Mean PC"}})}, curves.length), config);
}

if (!timed.length) box("timebox").remove();
if (!curves.length) box("sizebox").remove();
function draw() {
  scatter(); forest(); ranks();
  if (timed.length) time();
  if (curves.length) sizes();
}
let wide = 0;
function redraw() { if (wide !== window.innerWidth) { wide = window.innerWidth; draw(); } }
redraw();
window.addEventListener("resize", redraw);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.body.dataset.ready = "yes";
