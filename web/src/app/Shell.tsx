import type { ReactNode } from "react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { useLiveState } from "../live/useLive";
import { applyTheme, theme, type Theme } from "../state/prefs";
import { LiveBadge } from "./LiveBadge";

const PAGES = [
  { path: "/", name: "Overview", icon: "M3 12h3l3-8 4 16 3-8h5" },
  { path: "/posts", name: "Posts", icon: "M4 5h16M4 10h16M4 15h10M4 20h7" },
  { path: "/rules", name: "Rules", icon: "M4 6h10M18 6h2M4 12h2M10 12h10M4 18h10M18 18h2M14 4v4M6 10v4M14 16v4" },
  { path: "/sources", name: "Sources", icon: "M5 12a7 7 0 0 1 7-7M5 18a13 13 0 0 1 13-13M6 19a1 1 0 1 0 0-2 1 1 0 0 0 0 2" },
];

export function Shell({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <div className="side">
        <Link className="brand" href="/">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="7" fill="#005B8F" />
            <g fill="none" stroke="#fff" strokeWidth="3" strokeLinecap="round">
              <path d="M8 13v6M13.3 9v14M18.7 6v20M24 12v8" />
            </g>
          </svg>
          Earshot
        </Link>
        <nav className="nav" aria-label="Pages">
          {PAGES.map((page) => (
            <Link key={page.path} href={page.path} aria-current={path === page.path ? "page" : undefined}>
              <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
                <path d={page.icon} />
              </svg>
              {page.name}
            </Link>
          ))}
        </nav>
        <div className="side-foot">
          <LiveBadge />
          <ThemeSwitch />
          <Build />
        </div>
      </div>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

const THEMES: Theme[] = ["system", "light", "dark"];
const SIGNS: Record<Theme, string> = { system: "◐", light: "☀", dark: "☾" };

function ThemeSwitch() {
  const [chosen, choose] = useState(theme());
  const next = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length]!;
  return (
    <button
      type="button"
      className="button plain"
      title={`Theme: ${chosen}; switch to ${next}`}
      onClick={() => {
        applyTheme(next);
        choose(next);
      }}
    >
      <span aria-hidden="true">{SIGNS[chosen]}</span>
      <span className="build">Theme: {chosen}</span>
      <span className="visually-hidden">Switch to {next}</span>
    </button>
  );
}

function Build() {
  const { build } = useLiveState();
  return build === null ? null : <span className="build">Earshot {build}</span>;
}
