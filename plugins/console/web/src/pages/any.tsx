// Rows and trees of fields that this console need not know.
import { count, moment, ms } from "../format";
import { word } from "../i18n";
import { usd } from "../money";
import { Table } from "../list";
import { Badge, Facts, Panel, plain } from "../ui";

/** A value, shown by what its field's name says it is. */
export function Value({ name, value }: { name: string; value: unknown }) {
  if (value === null || value === undefined) return <>–</>;
  if (typeof value === "boolean") return <Badge tone={value ? "good" : "quiet"}>{word("bool", String(value))}</Badge>;
  if (name === "state" && typeof value === "string") return <>{word("breaker", value)}</>;
  if (name.endsWith("_nanos") && (typeof value === "number" || typeof value === "string")) return <>{usd(value)}</>;
  if ((name === "at" || name.endsWith("_at") || name === "valid_from") && typeof value === "string") return <>{moment(value)}</>;
  if (name === "cooldown_ms" && value === 0) return <>–</>;
  if (/_ms(_max)?$/.test(name) && typeof value === "number") return <>{ms(value)}</>;
  if (name === "uptime_s" && typeof value === "number") return <>{ms(value * 1000)}</>;
  if (typeof value === "number") return <>{Number.isInteger(value) ? count(value) : value}</>;
  if (Array.isArray(value) && value.every((entry) => typeof entry !== "object")) return <>{value.map(plain).join(", ") || "–"}</>;
  if (isRows(value) && value.every((entry) => typeof entry["name"] === "string")) return <>{value.map((entry) => String(entry["name"])).join(", ")}</>;
  return <span class={typeof value === "object" ? "mono" : undefined}>{plain(value)}</span>;
}

/** Named: with words in place of the fields' names. */
export function Rows({ rows, label, named }: { rows: Record<string, unknown>[]; label: string; named: boolean }) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return (
    <Table label={label} columns={names.map((name) => (named ? word("column", name) : name))}>
      {rows.map((row, at) => (
        <tr key={at}>
          {names.map((name) => (
            <td key={name}>
              <Value name={name} value={row[name]} />
            </td>
          ))}
        </tr>
      ))}
    </Table>
  );
}

type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const isRows = (value: unknown): value is Fields[] => Array.isArray(value) && value.length > 0 && value.every(isFields);

/** A tree of fields: one panel for each table in it. Named: with words in place of the fields' names. */
export function Tree({ title, fields, named }: { title: string; fields: Fields; named?: boolean }) {
  const entries = Object.entries(fields);
  const leaves = entries.filter(([, value]) => !isFields(value) && !isRows(value));
  return (
    <>
      {leaves.length > 0 && (
        <Panel title={title}>
          <Facts rows={leaves.map(([name, value]) => [named ? word("column", name) : name, <Value name={name} value={value} />] as const)} />
        </Panel>
      )}
      {entries.map(([name, value]) => {
        const path = title ? `${title}.${name}` : name;
        if (isRows(value)) {
          return (
            <Panel key={name} title={path} flush>
              <Rows rows={value} label={path} named={named === true} />
            </Panel>
          );
        }
        return isFields(value) && Object.keys(value).length > 0 ? <Tree key={name} title={path} fields={value} named={named === true} /> : null;
      })}
    </>
  );
}
