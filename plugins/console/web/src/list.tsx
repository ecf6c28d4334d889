// Lists: a table, what stands in its place when there is nothing, and its pages.
import type { ApiError } from "./api";
import { t } from "./i18n";
import { Button, type Children, Empty, Panel, Shown } from "./ui";

interface Pages {
  page: number;
  back: (() => void) | null;
  forward: (() => void) | null;
}

export function Pager({ from }: { from: Pages }) {
  if (!from.back && !from.forward) return null;
  return (
    <nav class="pager" aria-label={t("pager.label")}>
      <Button small disabled={!from.back} onClick={() => from.back?.()}>
        ← {t("pager.back")}
      </Button>
      <span>{t("pager.page", { page: from.page })}</span>
      <Button small disabled={!from.forward} onClick={() => from.forward?.()}>
        {t("pager.forward")} →
      </Button>
    </nav>
  );
}

/** A column's name; of numbers, which stand at its right; "": of buttons. */
export type Column = string | readonly [name: string, side: "right"];

/** Wide tables scroll inside their own box, which can be reached by keyboard. */
export function Table({ label, columns, children }: { label: string; columns: readonly Column[]; children: Children }) {
  return (
    <div class="table-box" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map((column, at) => {
              const [name, side] = typeof column === "string" ? [column, undefined] : column;
              return (
                <th key={at} class={side}>
                  {name || <span class="unseen">{t("field.actions")}</span>}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

interface ListProps<T> {
  from: Pages & { data: unknown; rows: T[] | null; error: ApiError | null; reload: () => Promise<void> };
  /** What it says when there is nothing at all. */
  empty: Children;
  children: (rows: T[]) => Children;
}

/** A listing that comes by pages. A page with nothing on it, before or behind others, is not the same as nothing at all. */
export function List<T>({ from, empty, children }: ListProps<T>) {
  const isOne = !from.back && !from.forward;
  return (
    <Panel flush>
      <Shown from={from}>
        {() => (
          <>
            {from.rows!.length > 0 ? children(from.rows!) : isOne ? empty : <Empty title={t("pager.empty")} />}
            <Pager from={from} />
          </>
        )}
      </Shown>
    </Panel>
  );
}
