// Draws the charts of a dashboard with Vega-Lite, in the colours of the page, and lets all that have a time axis show the same time.
"use strict";

const SHADES = { "not attached": "not attached", lost: "events lost", dropped: "packets dropped on purpose" };
const time = { from: 0, to: 0, begin: 0, end: 0 };
let shownRecording = charts.length ? charts[0].recording : "";
let drawing = 0;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function config() {
  const [text, muted, line] = ["text", "muted", "line"].map(colour);
  const font = getComputedStyle(document.body).fontFamily;
  const words = { labelColor: muted, titleColor: muted, labelFont: font, titleFont: font, labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal" };
  return {
    background: null, aria: false, padding: { left: 0, right: 8, top: 4, bottom: 4 }, view: { stroke: line }, text: { fill: text, font, fontSize: 11 },
    axis: { ...words, gridColor: line, gridOpacity: 0.6, domainColor: line, tickColor: line }, legend: { ...words, orient: "top", symbolType: "square", labelLimit: 260, columns: innerWidth < 640 ? 2 : 0 },
    header: words, rule: { color: muted },
  };
}

function showTip(handler, event, item, value) {
  const tip = document.getElementById("tip");
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  tip.textContent = typeof value === "object" ? Object.entries(value).map(([name, text]) => `${name}: ${text}`).join("\n") : String(value);
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
}

async function drawAll() {
  const mine = (drawing += 1);
  for (const chart of charts) {
    chart.figure.hidden = chart.recording !== shownRecording;
    if (chart.view) chart.view.finalize();
    chart.view = null;
  }
  const colours = config();
  for (const chart of charts.filter((other) => !other.figure.hidden)) {
    const options = { mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip: showTip, config: colours };
    const { view } = await vegaEmbed(chart.place, chart.spec, options); // ast: no expression becomes code, which the page's policy forbids
    if (mine !== drawing) return;
    chart.view = view;
    if (chart.timed) await zoomed(chart);
  }
  document.body.dataset.drawn = String(mine);
}

function zoomed(chart) {
  return chart.view.signal("from_s", time.from).signal("to_s", time.to).runAsync();
}

function zoom(from, to) {
  if (!(to > from)) return;
  time.from = Math.max(time.begin, from);
  time.to = Math.min(time.end, to);
  document.getElementById("from").value = time.from.toFixed(2);
  document.getElementById("to").value = time.to.toFixed(2);
  for (const chart of charts) if (chart.timed && chart.view) zoomed(chart);
}

function zoomOut() {
  zoom(time.begin, time.end);
}

function choose(recording) {
  shownRecording = recording;
  const { from, to } = charts.find((chart) => chart.recording === recording);
  [time.begin, time.end] = [from, to];
  zoomOut();
}

// Where on the time axis a pointer is: all plots of a chart have the same left and right.
function pointed(chart, event) {
  const plot = chart.place.querySelector(".background").getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - plot.left) / plot.width));
  return { x: plot.left + share * plot.width, at: time.from + share * (time.to - time.from) };
}

function letZoom(chart) {
  let begin = null;
  let picked = null;
  chart.place.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !chart.view) return;
    begin = pointed(chart, event);
    picked = make(chart.place, "div", null, "picked");
    chart.place.setPointerCapture(event.pointerId);
  });
  chart.place.addEventListener("pointermove", (event) => {
    if (!begin) return;
    const end = pointed(chart, event);
    picked.style.left = `${Math.min(begin.x, end.x) - chart.place.getBoundingClientRect().left}px`;
    picked.style.width = `${Math.abs(end.x - begin.x)}px`;
  });
  const done = (event) => {
    if (!begin) return;
    const end = pointed(chart, event);
    if (event.type === "pointerup" && Math.abs(end.x - begin.x) > 4) zoom(Math.min(begin.at, end.at), Math.max(begin.at, end.at));
    picked.remove();
    begin = null;
  };
  chart.place.addEventListener("pointerup", done);
  chart.place.addEventListener("pointercancel", done);
  chart.place.addEventListener("dblclick", zoomOut);
}

function number(parent, id, text) {
  const input = make(make(parent, "label", `${text} `), "input");
  input.type = "number";
  input.id = id;
  input.step = "any";
  input.addEventListener("change", () => zoom(Number(document.getElementById("from").value), Number(document.getElementById("to").value)));
}

function tools() {
  const bar = make(null, "div", null, "tools");
  const recordings = [...new Set(charts.map((chart) => chart.recording))];
  if (recordings.length > 1) {
    const select = make(make(bar, "label", "Recording "), "select");
    select.id = "recording";
    for (const name of recordings) make(select, "option", name).value = name;
    select.addEventListener("change", () => { choose(select.value); drawAll(); });
  }
  number(bar, "from", "Charts from");
  number(bar, "to", "to");
  make(bar, "span", "s");
  const whole = make(bar, "button", "All of it");
  whole.id = "whole";
  whole.addEventListener("click", zoomOut);
  make(bar, "span", "Drag in a chart to zoom.", "muted");
  for (const name of new Set(charts.flatMap((chart) => chart.shades))) {
    const key = make(bar, "span");
    make(key, "i", null, name.replace(" ", "-"));
    key.append(SHADES[name]);
  }
  const nav = make(null, "nav");
  nav.setAttribute("aria-label", "Sections");
  for (const section of document.querySelectorAll("section[id]")) {
    const title = section.querySelector("h2");
    if (title) make(nav, "a", title.textContent).href = `#${section.id}`;
  }
  document.getElementById("head").append(nav);
  document.getElementById("main").prepend(bar);
}

if (charts.length) {
  tools();
  choose(shownRecording);
  charts.filter((chart) => chart.timed).forEach(letZoom);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
}
