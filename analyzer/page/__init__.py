"""A page of one file: what it looks like (page.html, page.css), what it does (page.js, charts.js), and the writer that puts data into it."""
