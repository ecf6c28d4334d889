// Who changed what, and what it was before.
import { useState } from "preact/hooks";
import { usePages } from "../api";
import { Dialog } from "../dialogs";
import { moment } from "../format";
import { t } from "../i18n";
import { List, Table } from "../list";
import { usdExact } from "../money";
import type { AuditRow } from "../types";
import { Badge, Button, Empty, Page, plain } from "../ui";

export function AuditPage() {
  const listing = usePages<AuditRow>("/audit", {});
  const [open, setOpen] = useState<AuditRow | null>(null);
  return (
    <Page title={t("nav.audit")} lead={t("audit.lead")}>
      <List from={listing} empty={<Empty title={t("audit.none")} text={t("audit.noneText")} />}>
        {(rows) => (
          <Table label={t("nav.audit")} columns={[t("logs.time"), t("audit.who"), t("audit.action"), t("audit.object"), t("audit.change"), ""]}>
            {rows.map((row) => (
              <tr key={row.id}>
                <td class="nowrap">{moment(row.at ?? row.created_at)}</td>
                <td>
                  <Actor name={row.actor ?? row.who ?? "–"} />
                </td>
                <td class="mono">{row.action}</td>
                <td>
                  {plain(row.object)} <span class="quiet">{nameOf(row)}</span>
                </td>
                <td class="cut small-text quiet">{summary(row)}</td>
                <td class="row-actions">
                  {(row.before ?? row.after) !== null && (
                    <Button small onClick={() => setOpen(row)}>
                      {t("audit.show")}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </Table>
        )}
      </List>
      {open && (
        <Dialog title={`${open.action} · ${plain(open.object)}`} onClose={() => setOpen(null)} wide>
          <div class="two">
            <div>
              <h3>{t("audit.before")}</h3>
              <pre class="code tall">{pretty(open.before)}</pre>
            </div>
            <div>
              <h3>{t("audit.after")}</h3>
              <pre class="code tall">{pretty(open.after)}</pre>
            </div>
          </div>
        </Dialog>
      )}
    </Page>
  );
}

const PROGRAM = "tollgate ";
const GATEWAY = `${PROGRAM}serve`;

/** A person, or the program itself, whose names no person has: the gateway, or a command and whose process it was. */
function Actor({ name }: { name: string }) {
  if (!name.startsWith(PROGRAM)) return <>{name}</>;
  return (
    <>
      <Badge tone="quiet">{t(name === GATEWAY ? "audit.gateway" : "audit.commandLine")}</Badge>
      {name !== GATEWAY && <div class="below">{name}</div>}
    </>
  );
}

/** Before and after may come as JSON in a string. */
function read(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function pretty(value: unknown): string {
  const shown = read(value);
  return shown === null || shown === undefined ? "–" : JSON.stringify(shown, null, 2);
}

function shown(name: string, value: unknown): string {
  const isAmount = name.endsWith("_nanos") && (typeof value === "number" || typeof value === "string");
  return isAmount ? usdExact(value) : plain(value);
}

/** What it is called that was changed: its number alone says little. */
function nameOf(row: AuditRow): string {
  const sides = [read(row.after), read(row.before)].map((side) => (side && typeof side === "object" ? (side as Record<string, unknown>)["name"] : null));
  const name = sides.find((name) => typeof name === "string");
  return typeof name === "string" ? name : "";
}

/** The fields that changed. */
function summary(row: AuditRow): string {
  const [before, after] = [read(row.before), read(row.after)].map((side) => (side && typeof side === "object" ? (side as Record<string, unknown>) : {}));
  const names = [...new Set([...Object.keys(before!), ...Object.keys(after!)])];
  return names.filter((name) => JSON.stringify(before![name]) !== JSON.stringify(after![name])).map((name) => `${name}: ${shown(name, before![name])} → ${shown(name, after![name])}`).join("; ");
}
