// What a view needs for people without a mouse, and ipywidgets and JupyterLab do not give.
const VIEW = ".tsnb-view";

// JupyterLab and Notebook 7 take keys from what has the focus and is no text field: an arrow goes to
// another cell, "d" twice deletes this one. Inside a view they belong to its controls. Theirs stay
// Escape, Shift+Enter and what is pressed with Ctrl, Cmd or Alt, except arrows.
function isTheirs({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (key.startsWith("Arrow")) return false;
  return key === "Escape" || (key === "Enter" && shiftKey) || ctrlKey || metaKey || altKey;
}

function keep(event) {
  const { target } = event;
  if (!target.closest?.(VIEW)) return;
  target.toggleAttribute("data-lm-suppress-shortcuts", !isTheirs(event));
}

// A button that rests is not disabled, which would take the focus from it; it does nothing.
function ignore(event) {
  if (event.target.closest?.(`${VIEW} .tsnb-resting`)) event.stopImmediatePropagation();
}

// Radio buttons are one group, one stop of Tab, only under one name; the question stands above them.
function group(box) {
  const question = box.closest(".widget-radio")?.previousElementSibling?.textContent ?? "";
  box.setAttribute("role", "radiogroup");
  box.setAttribute("aria-label", question.trim());
  const known = box.querySelector("input[name]")?.name;
  const name = known ?? `tsnb-${Math.random().toString(36).slice(2)}`;
  for (const input of box.querySelectorAll("input")) input.name = name;
}

// A slider does not know its label, nor that its number can be typed over; a list without a label
// only has a title; an icon's letter means nothing. What changes where nobody has the focus is said.
function name(view) {
  for (const slider of view.querySelectorAll(".widget-slider")) {
    const words = slider.querySelector("label")?.textContent ?? "";
    for (const part of slider.querySelectorAll("[role=slider], [contenteditable]")) {
      part.setAttribute("aria-label", words);
    }
  }
  for (const number of view.querySelectorAll(".widget-slider [contenteditable]")) {
    number.setAttribute("role", "textbox");
  }
  for (const icon of view.querySelectorAll("button > i")) {
    icon.setAttribute("aria-hidden", "true");
  }
  for (const button of view.querySelectorAll("button")) {
    button.setAttribute("aria-disabled", button.matches(".tsnb-resting, :disabled"));
  }
  for (const words of view.querySelectorAll(".tsnb-live")) {
    words.setAttribute("aria-live", "polite");
  }
  view.querySelectorAll(".widget-radio-box").forEach(group);
  for (const list of view.querySelectorAll("select[title]")) {
    list.setAttribute("aria-label", list.title);
  }
}

function render({ el }) {
  const names = new MutationObserver(() => el.isConnected && name(el.closest(VIEW)));
  let frame = 0;
  const start = () => {
    const view = el.closest(VIEW);
    if (!view) {
      frame = requestAnimationFrame(start); // it is not on the page yet
      return;
    }
    names.observe(view, { childList: true, subtree: true, attributeFilter: ["class"] });
    name(view);
  };
  start();
  window.addEventListener("keydown", keep, true); // before theirs, which waits at the document
  window.addEventListener("click", ignore, true);
  return () => {
    cancelAnimationFrame(frame);
    names.disconnect();
    window.removeEventListener("keydown", keep, true);
    window.removeEventListener("click", ignore, true);
  };
}

export default { render };
