// What the tests ask of a page of JupyterLab or Notebook 7, as functions of `window.course`.
const VIEW = "application/vnd.jupyter.widget-view+json";
const panel = () => jupyterapp.shell.currentWidget;
const codes = () => panel().content.widgets.filter((cell) => cell.model.type === "code");
const outputs = () => codes().flatMap((cell) => cell.model.outputs.toJSON());
const kernel = () => panel().sessionContext.session.kernel;
const frames = () => new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)));

window.course = {
  outputs,
  kernel,
  frames,

  isOpen() {
    const session = window.jupyterapp?.shell?.currentWidget?.sessionContext?.session;
    return session?.kernel?.status === "idle" && Boolean(document.querySelector(".jp-Cell"));
  },

  hasRun() {
    if (outputs().some((output) => output.output_type === "error")) return true;
    const counted = codes().every(
      ({ model }) => model.executionCount || !model.sharedModel.source.trim(),
    );
    return counted && kernel()?.status === "idle";
  },

  isDrawn() {
    const wanted = codes().filter((cell) =>
      cell.model.outputs.toJSON().some(({ data }) => data?.[VIEW] && data["text/html"]),
    );
    return (
      !panel().content.node.textContent.includes("Loading widget") &&
      wanted.every((cell) => cell.node.querySelector(".tsnb-view"))
    );
  },

  counts: () => codes().map((cell) => cell.model.executionCount),

  words: () => panel().content.node.textContent,

  place: (id) => panel().content.widgets.findIndex((cell) => cell.model.id === id),

  cells: () => panel().content.widgets.length,

  active: () => panel().content.activeCell.model.id,

  execute: (name, args) => jupyterapp.commands.execute(name, args).then(() => null),

  // What an expression of Python is in the kernel, as text.
  async inKernel(expression) {
    const user_expressions = { asked: expression };
    const { done } = kernel().requestExecute({ code: "", silent: true, user_expressions });
    const { content } = await done;
    const { data, evalue } = content.user_expressions.asked;
    return data ? data["text/plain"] : evalue;
  },

  // What reaches beyond its place. What is meant to scroll has a scroll bar of its own: long lines.
  tooWide(selector) {
    const { node } = panel().content;
    const places = node.querySelectorAll(selector);
    const scrolling = [...places].filter((element) => element.scrollWidth > element.clientWidth + 1);
    const parts = [...node.querySelectorAll(".tsnb-view *")].filter((element) => {
      const view = element.closest(".tsnb-view").getBoundingClientRect();
      const box = element.getBoundingClientRect();
      return box.width && !element.closest("svg g, pre *") && box.right > view.right + 1;
    });
    return [...scrolling, ...parts].map(
      (element) => `${element.tagName}.${element.className}: ${element.textContent.slice(0, 60)}`,
    );
  },

  // Scroll one window's height down; say whether there was anything left.
  scrollOn(scroller) {
    const before = scroller.scrollTop;
    scroller.scrollBy(0, scroller.clientHeight);
    return scroller.scrollTop !== before;
  },

  figures: (view) =>
    Object.fromEntries(
      [...view.querySelectorAll("dl > div")].map((pair) => [
        pair.querySelector("dt").textContent,
        pair.querySelector("dd").textContent,
      ]),
    ),

  // What kind of control an element is, for a browser and for a screen reader.
  kind: ({ tagName, type, role }) => [tagName, type, role].join(" "),

  // How a control looks that shows where the focus is: on itself or on what is drawn for it.
  ring(control) {
    const { outlineStyle, outlineColor, outlineWidth, boxShadow, borderColor } =
      getComputedStyle(control);
    return [outlineStyle, outlineColor, outlineWidth, boxShadow, borderColor].join(" ");
  },

  // From a key pressed on the slider until a new picture is painted: milliseconds of each move,
  // and every height that the picture had, 0 where it was empty.
  watch(view) {
    const seen = { moves: [], heights: [] };
    const picture = view.querySelector("svg").parentElement;
    let pressed = null;
    const note = () => seen.heights.push(picture.firstChild ? picture.clientHeight : 0);
    view.addEventListener("keydown", () => (pressed = performance.now()), true);
    new ResizeObserver(note).observe(picture);
    new MutationObserver(() => {
      note();
      const now = view.querySelector("[role=slider]").getAttribute("aria-valuetext");
      const drawn = picture.textContent.includes(`max length ${now}`);
      if (pressed === null || !drawn) return;
      const begun = pressed;
      pressed = null;
      requestAnimationFrame(() => setTimeout(() => seen.moves.push(performance.now() - begun)));
    }).observe(picture, { childList: true });
    window.course.seen = seen;
  },
};
