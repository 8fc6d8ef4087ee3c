// A grid of verdicts: one cell has the keyboard's focus, arrow keys and clicks choose it.
const CORNER = "batch \\ length";
const LABEL = "Verdicts by batch size and length. Arrow keys move, the words below say what happened.";
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function render({ model, el }) {
  const table = document.createElement("table");
  table.className = "tsnb-grid";
  table.setAttribute("role", "grid");
  table.setAttribute("aria-label", LABEL);
  el.appendChild(table);

  const cellAt = (row, column) =>
    table.querySelector(`td[data-row="${row}"][data-column="${column}"]`);

  function choose(row, column) {
    model.set("selected", [model.get("rows")[row], model.get("columns")[column]]);
    model.save_changes();
  }

  // The chosen cell is the one stop of Tab; the first where none is chosen.
  function select() {
    const [batch, length] = model.get("selected");
    const row = model.get("rows").indexOf(batch);
    const column = model.get("columns").indexOf(length);
    const chosen = cellAt(row, column);
    const stop = chosen ?? cellAt(0, 0);
    for (const cell of table.querySelectorAll("td")) {
      cell.tabIndex = cell === stop ? 0 : -1;
      cell.setAttribute("aria-selected", cell === chosen);
    }
  }

  function fill() {
    const [tracedBatch, tracedLength] = model.get("traced");
    for (const cell of table.querySelectorAll("td")) {
      const batch = model.get("rows")[cell.dataset.row];
      const length = model.get("columns")[cell.dataset.column];
      const mark = model.get("marks")[`${batch},${length}`];
      cell.textContent = mark ? mark.symbol : " ";
      cell.dataset.kind = mark ? mark.kind : "";
      cell.dataset.traced = batch === tracedBatch && length === tracedLength;
      cell.setAttribute("aria-label", mark ? mark.label : `${batch} × ${length}`);
    }
  }

  function draw() {
    const head = (text, scope) => `<th scope="${scope}">${text}</th>`;
    const columns = model.get("columns");
    const rows = model.get("rows").map((batch, row) => {
      const cells = columns.map(
        (_, column) => `<td role="gridcell" data-row="${row}" data-column="${column}"></td>`,
      );
      return `<tr>${head(batch, "row")}${cells.join("")}</tr>`;
    });
    const top = `<tr>${head(CORNER, "col")}${columns
      .map((length) => head(length, "col"))
      .join("")}</tr>`;
    table.innerHTML = `<thead>${top}</thead><tbody>${rows.join("")}</tbody>`;
    fill();
    select();
  }

  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    choose(Number(cell.dataset.row), Number(cell.dataset.column));
    cell.focus();
  });
  table.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    const cell = event.target.closest("td");
    if (!move || !cell) return;
    event.preventDefault();
    event.stopPropagation();
    const next = cellAt(Number(cell.dataset.row) + move[0], Number(cell.dataset.column) + move[1]);
    if (!next) return;
    choose(Number(next.dataset.row), Number(next.dataset.column));
    next.focus();
  });

  model.on("change:columns change:rows", draw);
  model.on("change:marks change:traced", fill);
  model.on("change:selected", select);
  draw();
}

export default { render };
