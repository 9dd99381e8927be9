// The page's theme for widgets, which know JupyterLab's: they draw again when its name on the body changes.

/** Whether the page is dark: what it says of itself, else what the system likes. */
export function isDark() {
  const named = document.documentElement.dataset.theme;
  return named ? named === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Keep the body's theme up to date, for as long as the page lives. */
export function followTheme() {
  const tell = () => {
    document.body.dataset.jpThemeName = isDark() ? "dark" : "light";
    document.body.dataset.jpThemeLight = String(!isDark());
  };
  new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
  tell();
}
