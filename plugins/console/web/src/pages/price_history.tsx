// Every version of the price file that was in force: who put it there, when, and the lines that differ from the one before.
import { usePages } from "../api";
import { count, moment } from "../format";
import { t } from "../i18n";
import { List } from "../list";
import type { ChangedLine, PriceVersion } from "../types";
import { Badge, Empty } from "../ui";

export function PriceHistory() {
  const listing = usePages<PriceVersion>("/prices/history", {}, 20);
  return (
    <List from={listing} empty={<Empty title={t("prices.historyNone")} text={t("prices.historyNoneText")} />}>
      {(rows) => (
        <ol class="versions">
          {rows.map((row, at) => (
            <li key={`${row.at} ${row.version}`}>
              <Version row={row} isOpen={at === 0} />
            </li>
          ))}
        </ol>
      )}
    </List>
  );
}

function Version({ row, isOpen }: { row: PriceVersion; isOpen: boolean }) {
  const of = (change: ChangedLine["change"]) => row.lines?.filter((line) => line.change === change).length ?? 0;
  return (
    <details open={isOpen}>
      <summary>
        <span class="version-when">{moment(row.at)}</span>
        <span class="version-who">{row.source === "console" ? row.actor : row.before === null ? <Badge tone="quiet">{t("prices.first")}</Badge> : <Badge tone="warn">{t("prices.found")}</Badge>}</span>
        <span class="mono quiet">{row.before === null ? row.version : `${row.before} → ${row.version}`}</span>
        {row.lines && (
          <span class="version-size number">
            <span class="added">+{count(of("added"))}</span> <span class="removed">−{count(of("removed"))}</span>
          </span>
        )}
      </summary>
      {row.source === "found" && <p class="small-text quiet">{t(row.before === null ? "prices.foundFirst" : "prices.foundText")}</p>}
      {row.lines ? <Difference lines={row.lines} leftOut={row.lines_left_out} version={row.version} /> : row.before !== null && <p class="small-text quiet">{t("prices.linesUnknown")}</p>}
    </details>
  );
}

const SIGNS = { added: "+", removed: "−" } as const;

function Difference({ lines, leftOut, version }: { lines: ChangedLine[]; leftOut: number; version: string }) {
  return (
    <>
      <div class="difference mono" role="region" aria-label={t("prices.difference", { version })} tabIndex={0}>
        <table>
          <tbody>
            {lines.map((line, at) => (
              <tr key={at} class={line.change}>
                <td class="number">{line.number}</td>
                <td>
                  <span aria-hidden="true">{SIGNS[line.change]}</span>
                  <span class="unseen">{t(`prices.line.${line.change}`)}</span>
                </td>
                <td>{line.text}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {leftOut > 0 && <p class="small-text quiet">{t("prices.linesMore", { count: count(leftOut) })}</p>}
    </>
  );
}
