// What a person chose for this browser. Kept in localStorage; nothing secret.

export type Theme = "system" | "light" | "dark";

const KEY = "earshot.theme";

export function theme(): Theme {
  const kept = readKept();
  return kept === "light" || kept === "dark" ? kept : "system";
}

function readKept(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is off: the system's theme it is
  }
}

export function applyTheme(chosen: Theme): void {
  const root = document.documentElement;
  if (chosen === "system") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", chosen);
  try {
    if (chosen === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, chosen);
  } catch {
    // storage is off: the choice holds until the tab is closed
  }
  dispatchEvent(new Event("earshot:theme"));
}
