// One line over time. What is under the pointer is told in the chart's own head.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock } from "./format";
import { language, t } from "./i18n";
import { theme, useWatched } from "./store";

interface ChartProps {
  title: string;
  /** What stands in the head while nothing is pointed at. */
  total: string;
  at: number[];
  values: (number | null)[];
  color: string;
  format: (value: number) => string;
  bars?: boolean;
}

const HEIGHT = 148;

export function Chart({ title, total, at, values, color, format, bars }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [pointed, setPointed] = useState<string | null>(null);
  const chosenTheme = useWatched(theme);
  const isDark = useDark();

  useEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const inks = { line: ink(parent, color), grid: ink(parent, "--line"), text: ink(parent, "--muted") };
    const show = (plot: uPlot) => {
      const index = plot.cursor.idx;
      const value = index == null ? null : plot.data[1]?.[index];
      const when = index == null ? null : plot.data[0]?.[index];
      setPointed(value == null || when == null ? null : `${format(value)} · ${moment(when)}`);
    };
    const plot = new uPlot(options(parent.clientWidth, inks, format, bars === true, show), [at, values], parent);
    chart.current = plot;
    const resize = new ResizeObserver(() => plot.setSize({ width: parent.clientWidth, height: HEIGHT }));
    resize.observe(parent);
    return () => {
      resize.disconnect();
      plot.destroy();
      chart.current = null;
    };
    // Colours are read from the page when it is drawn.
  }, [chosenTheme, isDark, color, bars]);

  useEffect(() => chart.current?.setData([at, values]), [at, values]);

  return (
    <section class="chart panel" aria-label={`${title}: ${total}`}>
      <header class="chart-head">
        <h3>{title}</h3>
        <span class={pointed ? "chart-now pointed" : "chart-now"}>{pointed ?? total}</span>
      </header>
      <div ref={box} class="chart-box" role="img" aria-label={t("overview.chartOf", { title, total })} />
    </section>
  );
}

function moment(seconds: number): string {
  const date = new Date(seconds * 1000);
  const locale = language.get() === "zh" ? "zh-CN" : "en-GB";
  return `${date.toLocaleDateString(locale, { month: "short", day: "numeric" })} ${clock(date).slice(0, 5)}`;
}

/** Whether the system asks for dark; charts are painted anew when it changes. */
function useDark(): boolean {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const [dark, setDark] = useState(query.matches);
  useEffect(() => {
    const note = () => setDark(query.matches);
    query.addEventListener("change", note);
    return () => query.removeEventListener("change", note);
  }, []);
  return dark;
}

/** The colour that a custom property has here: a canvas knows no properties. */
function ink(parent: HTMLElement, property: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${property})`;
  parent.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

interface Inks {
  line: string;
  grid: string;
  text: string;
}

function options(width: number, inks: Inks, format: (value: number) => string, bars: boolean, show: (plot: uPlot) => void) {
  const axis = { stroke: inks.text, font: "11px system-ui, sans-serif", ticks: { show: false } };
  const fill = inks.line.replace(/^rgb\((.*)\)$/, bars ? "rgba($1, .75)" : "rgba($1, .13)");
  const line: uPlot.Series = { stroke: inks.line, width: bars ? 0 : 1.5, fill, points: { show: bars ? false : isSparse, size: 5, fill: inks.line }, spanGaps: false };
  if (bars) line.paths = uPlot.paths.bars!({ size: [0.7, 24] });
  return {
    width: Math.max(width, 120),
    height: HEIGHT,
    padding: [8, 18, 0, 0] as [number, number, number, number],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7, fill: inks.line } },
    scales: { y: { range: (_: uPlot, __: number, most: number): [number, number] => [0, most > 0 ? most * 1.08 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 64, values: ticks },
      { ...axis, grid: { stroke: inks.grid, width: 1 }, size: (_: uPlot, labels: string[] | null) => axisPx(labels), space: 34, values: (_: uPlot, marks: number[]) => marks.map(format) },
    ],
    series: [{}, line],
    hooks: { setCursor: [show] },
  } satisfies uPlot.Options;
}

const AXIS_PX_MIN = 56;
const CHARACTER_PX = 7;

/** As wide as its longest label: one whose beginning is cut off is another amount. */
function axisPx(labels: string[] | null): number {
  const longest = Math.max(0, ...(labels ?? []).map((label) => label.length));
  return Math.max(AXIS_PX_MIN, longest * CHARACTER_PX + 12);
}

const SPARSE_POINTS_MAX = 12;

/** A value with gaps around it is no line: few values are dots. */
function isSparse(plot: uPlot): boolean {
  const values = plot.data[1] ?? [];
  return values.filter((value) => value != null).length < SPARSE_POINTS_MAX;
}

/** Hours, and at midnight or in long ranges the day. */
function ticks(_: uPlot, marks: number[], __: number, ___: number, step: number): string[] {
  return marks.map((seconds) => {
    const date = new Date(seconds * 1000);
    const isDay = step >= 86_400 || (date.getHours() === 0 && date.getMinutes() === 0);
    return isDay ? `${date.getMonth() + 1}/${date.getDate()}` : clock(date).slice(0, 5);
  });
}
