import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Gap, SeriesSet } from "../api/client";
import { number } from "../state/format";
import { chartData } from "./model";

interface TimeSeriesProps {
  set: SeriesSet;
  names: string[];
  height?: number;
}

/** A line for each series; gaps hatched, the open bucket dashed, no line across what is unknown. */
export function TimeSeries({ set, names, height = 230 }: TimeSeriesProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const gaps = useRef<Gap[]>(set.gaps);
  gaps.current = set.gaps;
  const shape = `${names.join("\n")}|${set.step}|${set.partial}`;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(
        options(element, names, set, height, () => gaps.current),
        chartData(set),
        element,
      );
    };
    draw();
    const resize = new ResizeObserver(() => {
      if (plot.current && plot.current.width !== element.clientWidth && element.clientWidth > 0) {
        plot.current.setSize({ width: element.clientWidth, height });
      }
    });
    resize.observe(element);
    addEventListener("earshot:theme", draw);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      resize.disconnect();
      removeEventListener("earshot:theme", draw);
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, height]);

  useEffect(() => plot.current?.setData(chartData(set)), [set]);

  return <div className="chart" ref={box} role="img" aria-label={described(set, names)} />;
}

function described(set: SeriesSet, names: string[]): string {
  const sums = set.series.map((s, i) => {
    const sum = s.values.reduce<number>((n, v) => n + (v ?? 0), 0);
    return `${names[i] ?? s.key}: ${number(sum)} in all`;
  });
  return `Posts over time, ${set.t.length} buckets of ${set.step} seconds. ${sums.join("; ")}.`;
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(
  element: HTMLElement,
  names: string[],
  set: SeriesSet,
  height: number,
  gaps: () => Gap[],
): uPlot.Options {
  const axis = {
    stroke: colour("--muted"),
    font: `12px ${colour("--font")}`,
    grid: { stroke: colour("--border"), width: 1 },
    ticks: { stroke: colour("--border"), width: 1 },
  };
  return {
    width: Math.max(200, element.clientWidth),
    height,
    legend: { show: false },
    cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, Math.max(4, max * 1.1)] } },
    axes: [
      { ...axis, grid: { show: false }, space: 70 },
      { ...axis, size: 52, values: (_u, ticks) => ticks.map((t) => (Number.isInteger(t) ? number(t) : "")) },
    ],
    series: [
      {},
      ...names.flatMap((name, i) => lines(name, colour(`--cat-${(i % 5) + 1}`), names.length === 1)),
    ],
    hooks: { drawClear: [(u) => hatch(u, gaps(), set.step)] },
    plugins: [tooltip(names, set)],
  };
}

/** A closed part, drawn through, and the open bucket, dashed. */
function lines(label: string, stroke: string, filled: boolean): uPlot.Series[] {
  const common = { label, stroke, width: 2, spanGaps: false, points: { show: false } };
  return [
    { ...common, ...(filled ? { fill: `${stroke}1f` } : {}) },
    { ...common, dash: [4, 4] },
  ];
}

function hatch(u: uPlot, gaps: Gap[], step: number): void {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour("--gap");
  ctx.lineWidth = 2;
  for (const gap of gaps) {
    const from = u.valToPos(Date.parse(gap.since) / 1000, "x", true);
    const until = u.valToPos(Math.max(Date.parse(gap.until) / 1000, Date.parse(gap.since) / 1000 + step / 2), "x", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(from, top, Math.max(3, until - from), height);
    ctx.clip();
    for (let x = from - height; x < until; x += 9) {
      ctx.beginPath();
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
      ctx.stroke();
    }
    ctx.restore();
  }
  ctx.restore();
}

function tooltip(names: string[], set: SeriesSet): uPlot.Plugin {
  const tip = document.createElement("div");
  tip.className = "tip";
  const time = new Intl.DateTimeFormat(undefined, {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  });
  return {
    hooks: {
      init: [(u) => u.over.append(tip)],
      setCursor: [
        (u) => {
          const { idx, left } = u.cursor;
          const at = idx === null || idx === undefined ? undefined : u.data[0][idx];
          tip.hidden = at === undefined || left === undefined || left < 0;
          if (tip.hidden || at === undefined || idx === null || idx === undefined) return;
          tip.replaceChildren(
            line(time.format(new Date(at * 1000))),
            ...names.map((name, i) => line(`${name}: ${valueAt(u, i, idx)}`)),
          );
          const beyond = (left ?? 0) > u.over.clientWidth / 2;
          tip.style.insetInlineStart = beyond ? "auto" : `${(left ?? 0) + 12}px`;
          tip.style.insetInlineEnd = beyond ? `${u.over.clientWidth - (left ?? 0) + 12}px` : "auto";
        },
      ],
    },
  };

  function valueAt(u: uPlot, i: number, idx: number): string {
    const value = u.data[1 + 2 * i]?.[idx] ?? u.data[2 + 2 * i]?.[idx];
    if (value === null || value === undefined) return "not known";
    return set.measure === "score" ? (value / 1000).toFixed(1) : number(value);
  }
}

function line(text: string): HTMLElement {
  const p = document.createElement("p");
  p.textContent = text;
  return p;
}
