// JupyterLab takes the arrow keys of whatever has the focus and is no text field; not of these.
function render({ model }) {
  const keep = ({ target }) => {
    if (target.closest?.(`.${model.get("kept")}`)) {
      target.setAttribute("data-lm-suppress-shortcuts", "true");
    }
  };
  document.addEventListener("focusin", keep);
  return () => document.removeEventListener("focusin", keep);
}

export default { render };
