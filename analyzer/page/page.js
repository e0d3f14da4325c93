// Builds the page from its JSON parts, in their order. Text of a recording gets into the document as textContent alone.
"use strict";

const FIRST_ROWS = 200;
const MORE_ROWS = 2000;
const SIGNS = { complete: "✓", filtered: "▽", unfinished: "…", lossy: "!", partial: "◐", "not recorded": "∅" };
const WORDS = new Intl.Collator("en", { numeric: true });
const charts = [];

function make(parent, tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  if (parent) parent.append(element);
  return element;
}

function showTrust(parent, trust, small) {
  if (!trust || (small && trust.verdict === "complete")) return; // the page's own says that
  const line = make(parent, "p", null, `trust ${trust.verdict.replace(" ", "-")}${small ? " small" : ""}`);
  make(line, "b", `${SIGNS[trust.verdict] || "?"} ${trust.verdict}`);
  line.append(trust.text);
}

function showPage(page) {
  document.title = `${page.title} · bpftape`;
  const head = document.getElementById("head");
  make(head, "h1", page.title);
  make(head, "p", page.question, "question");
  if (page.recordings.join() !== page.title) make(head, "p", page.recordings.join(", "), "where");
  for (const value of page.values) make(head, "p", value, "value");
  showTrust(head, page.trust);
  for (const note of page.notes) make(head, "p", `note: ${note}`, "remark");
  const foot = document.getElementById("foot");
  const sql = make(foot, "details");
  make(sql, "summary", "The SQL of this answer");
  make(sql, "pre", page.sql);
  sql.open = !page.question;
  make(foot, "p", page.made);
}

// Tables

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null); // NULL is last, whichever way
  if (typeof a === "number" && typeof b === "number") return a - b;
  return WORDS.compare(String(a), String(b));
}

const OPERATORS = {
  "=": (a, b) => compare(a, b) === 0, "!=": (a, b) => compare(a, b) !== 0, "<": (a, b) => compare(a, b) < 0, "<=": (a, b) => compare(a, b) <= 0,
  ">": (a, b) => compare(a, b) > 0, ">=": (a, b) => compare(a, b) >= 0,
};

// Every word must be somewhere in the row; life_ms>100 compares a column.
function condition(word, columns) {
  const match = /^(\w+)(!=|<=|>=|=|<|>)(.+)$/.exec(word);
  const index = match ? columns.findIndex((column) => column.name === match[1]) : -1;
  if (index >= 0) {
    const number = Number(match[3]);
    const wanted = columns[index].number && !Number.isNaN(number) ? number : match[3];
    return (row) => row[index] !== null && OPERATORS[match[2]](row[index], wanted);
  }
  const lower = word.toLowerCase();
  return (row) => row.some((value) => value !== null && String(value).toLowerCase().includes(lower));
}

class Table {
  constructor(parent, about) {
    this.about = about;
    this.rows = [];
    this.sorted = { index: -1, direction: 0 };
    this.box = about.folded ? make(parent, "details", null, "folded") : make(parent, "div");
    if (about.folded) {
      const summary = make(this.box, "summary", about.title);
      this.summary = make(summary, "span");
    }
    if (about.folded) make(this.box, "p", about.question);
    if (about.folded) showTrust(this.box, about.trust, true);
    for (const note of about.folded ? about.notes : []) make(this.box, "p", `note: ${note}`, "remark");
  }

  end(part) {
    this.left = part.left_out;
    if (this.summary) this.summary.textContent = ` – ${this.rows.length ? this.rowsText(this.rows.length) : this.about.nothing}`;
    if (this.rows.length) this.build();
    else make(this.box, "p", this.about.nothing, `nothing ${this.about.doubt}`);
    this.explain();
  }

  rowsText(count) {
    const known = this.rows.length + this.left;
    return count === known ? `${count.toLocaleString("en")} ${count === 1 ? "row" : "rows"}` : `${count.toLocaleString("en")} of ${known.toLocaleString("en")} rows`;
  }

  build() {
    const tools = make(this.box, "div", null, "bar-tools");
    const label = make(tools, "label", "Filter ");
    this.search = make(label, "input");
    this.search.type = "search";
    this.search.placeholder = `words, or ${this.about.columns[0].name}=…`;
    this.search.addEventListener("input", () => this.show());
    this.count = make(tools, "span", "", "muted");
    this.count.setAttribute("role", "status");
    if (this.left) make(this.box, "p", `${this.left.toLocaleString("en")} rows were left out: a page takes only so many. All of them: --format csv, or parquet.`, "remark");
    const scroll = make(this.box, "div", null, "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", this.about.title);
    const table = make(scroll, "table");
    make(table, "caption", this.about.title);
    const line = make(make(table, "thead"), "tr");
    this.headings = this.about.columns.map((column, index) => this.heading(line, column, index));
    this.body = make(table, "tbody");
    this.more = make(this.box, "button", "Show more rows");
    this.more.addEventListener("click", () => this.append(MORE_ROWS));
    this.scales = this.about.columns.map((column, index) => (column.bar ? this.rows.reduce((most, row) => Math.max(most, row[index] || 0), 0) : 0));
    this.show();
  }

  heading(line, column, index) {
    const cell = make(line, "th", null, column.number ? "number" : "");
    cell.scope = "col";
    const button = make(cell, "button", column.name);
    if (column.unit) make(button, "small", column.unit);
    make(button, "span", "", "arrow");
    if (column.doc) button.title = column.doc;
    button.addEventListener("click", () => this.sort(index));
    return cell;
  }

  // Numbers go down first, text up; the third click gives the report's own order back.
  sort(index) {
    const first = this.about.columns[index].number ? -1 : 1;
    if (this.sorted.index !== index) this.sorted = { index, direction: first };
    else this.sorted = this.sorted.direction === first ? { index, direction: -first } : { index: -1, direction: 0 };
    this.headings.forEach((cell, number) => {
      const direction = number === this.sorted.index ? this.sorted.direction : 0;
      cell.querySelector(".arrow").textContent = { 1: "▲", "-1": "▼", 0: "" }[direction];
      if (direction) cell.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
    this.show();
  }

  show() {
    const conditions = this.search.value.split(/\s+/).filter(Boolean).map((word) => condition(word, this.about.columns));
    this.shown = this.rows.filter((row) => conditions.every((holds) => holds(row)));
    const { index, direction } = this.sorted;
    if (direction) {
      this.shown.sort((a, b) => (a[index] === null || b[index] === null ? compare(a[index], b[index]) : direction * compare(a[index], b[index])));
    }
    this.body.replaceChildren();
    this.append(FIRST_ROWS);
    this.count.textContent = this.rowsText(this.shown.length);
  }

  append(count) {
    const from = this.body.childElementCount;
    const lines = document.createDocumentFragment();
    for (const row of this.shown.slice(from, from + count)) {
      const line = make(lines, "tr");
      row.forEach((value, index) => this.cell(line, value, index));
    }
    this.body.append(lines);
    this.more.hidden = this.body.childElementCount >= this.shown.length;
  }

  cell(line, value, index) {
    const column = this.about.columns[index];
    const text = value === null ? "" : String(value);
    const kind = column.number ? "number" : text.length <= 48 ? "word" : "long";
    if (!column.bar || typeof value !== "number" || !(this.scales[index] > 0)) {
      make(line, "td", text, kind);
      return;
    }
    const cell = make(line, "td", null, "number bar");
    make(cell, "i").style.width = `calc((100% - 8px) * ${Math.max(0, value) / this.scales[index]})`;
    make(cell, "span", text);
  }

  explain() {
    const documented = this.about.columns.filter((column) => column.doc);
    if (!documented.length && !this.about.caveats) return;
    const details = make(this.box, "details");
    make(details, "summary", "What the columns mean");
    const list = make(details, "dl");
    for (const column of documented) {
      make(list, "dt", column.name);
      make(list, "dd", column.unit ? `${column.doc} (${column.unit})` : column.doc);
    }
    if (this.about.caveats) make(details, "p", this.about.caveats, "caveats");
  }
}

// The parts

function build() {
  const main = document.getElementById("main");
  let section = main;
  let table = null;
  const parts = {
    page: showPage,
    section(about) {
      section = make(main, "section");
      section.id = about.id;
      if (about.title) make(section, "h2", about.title);
      if (about.lead) make(section, "p", about.lead);
      showTrust(section, about.trust, true);
      for (const note of about.notes) make(section, "p", `note: ${note}`, "remark");
      if (about.nothing) make(section, "p", about.nothing, `nothing ${about.doubt}`);
    },
    chart(about) {
      const figure = make(section, "figure");
      const holder = make(figure, "div", null, about.tall ? "tall" : "");
      const place = make(holder, "div", null, about.timed ? "chart timed" : "chart");
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", about.label);
      if (about.caption) make(figure, "figcaption", about.caption);
      charts.push({ ...about, figure, place, view: null });
    },
    table(about) { table = new Table(section, about); },
    rows(rows) { table.rows = rows; },
    end(about) { table.end(about); },
  };
  for (const part of document.querySelectorAll("script[data-part]")) {
    const found = JSON.parse(part.textContent);
    part.remove();
    parts[part.dataset.part](found);
  }
}

build();
