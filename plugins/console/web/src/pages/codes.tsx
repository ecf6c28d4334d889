// Redemption codes: made in a batch, shown once.
import { useState } from "preact/hooks";
import { call, usePages } from "../api";
import { Confirm, FormDialog, Once } from "../dialogs";
import { ago, fromLocalInput, moment } from "../format";
import { Reading, useTexts } from "../forms";
import { t } from "../i18n";
import { List, Table } from "../list";
import type { Code } from "../types";
import { Amount, Badge, Button, Empty, Page, TextField, TimeField, useAct } from "../ui";

type Open = { what: "new" } | { what: "shown"; codes: string[] } | { what: "delete"; code: Code };

export function CodesPage() {
  const listing = usePages<Code>("/codes", {});
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const create = () => setOpen({ what: "new" });
  return (
    <Page
      title={t("nav.codes")}
      lead={t("codes.lead")}
      actions={
        <Button tone="main" data-new onClick={create}>
          {t("codes.new")}
        </Button>
      }
    >
      <List
        from={listing}
        empty={
          <Empty title={t("codes.none")} text={t("codes.noneText")}>
            <Button tone="main" onClick={create}>
              {t("codes.new")}
            </Button>
          </Empty>
        }
      >
        {(rows) => <Rows rows={rows} remove={(code) => setOpen({ what: "delete", code })} />}
      </List>
      {open?.what === "new" && (
        <CodeForm
          onClose={close}
          made={(codes) => {
            setOpen({ what: "shown", codes });
            void listing.reload();
          }}
        />
      )}
      {open?.what === "shown" && <Once title={t("codes.made")} warning={t("codes.once")} texts={open.codes} label={t("codes.code")} onClose={close} />}
      {open?.what === "delete" && <Confirm title={t("codes.delete")} text={t("codes.deleteText")} action={t("action.delete")} onClose={close} act={() => call("DELETE", `/codes/${open.code.id}`).then(() => listing.reload())} />}
    </Page>
  );
}

function Rows({ rows, remove }: { rows: Code[]; remove: (code: Code) => void }) {
  return (
    <Table label={t("nav.codes")} columns={["#", t("field.amount"), t("keys.state"), t("codes.by"), t("field.created"), t("keys.expiry"), ""]}>
      {rows.map((code) => (
        <tr key={code.id}>
          <td class="quiet number">{code.hint ?? code.id}</td>
          <td>
            <Amount nanos={code.amount_nanos} />
          </td>
          <td>
            <State of={code} />
          </td>
          <td>{code.redeemed_by ?? "–"}</td>
          <td class="quiet nowrap">{moment(code.created_at)}</td>
          <td class="quiet nowrap" title={moment(code.expires_at)}>
            {code.expires_at ? ago(code.expires_at) : "–"}
          </td>
          <td class="row-actions">
            <Button small tone="danger" disabled={Boolean(code.redeemed_at)} onClick={() => remove(code)}>
              {t("action.delete")}
            </Button>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function State({ of: code }: { of: Code }) {
  if (code.redeemed_at) return <Badge tone="quiet">{t("codes.redeemed")}</Badge>;
  if (code.expires_at && Date.parse(code.expires_at) <= Date.now()) return <Badge tone="bad">{t("keys.expired")}</Badge>;
  return <Badge tone="good">{t("codes.open")}</Badge>;
}

function CodeForm({ onClose, made }: { onClose: () => void; made: (codes: string[]) => void }) {
  const { texts, set, wrong, setWrong } = useTexts({ amount_nanos: "", count: "1", expires_at: "" });
  const act = useAct();
  const { run, at } = act;
  const submit = () => {
    const read = new Reading();
    const amount_nanos = read.amountNeeded("amount_nanos", texts.amount_nanos);
    const count = read.whole("count", texts.count) ?? 1;
    setWrong(read.wrong);
    if (!read.isGood) return;
    void run(
      () => call<{ codes: (string | Code)[] }>("POST", "/codes", { amount_nanos, count, expires_at: fromLocalInput(texts.expires_at) }),
      (answer) => made(answer.codes.map((code) => (typeof code === "string" ? code : (code.code ?? "")))),
    );
  };
  const field = (name: keyof typeof texts) => ({ name, value: texts[name], set: set(name), error: wrong[name] ?? at(name) });
  return (
    <FormDialog title={t("codes.new")} onClose={onClose} submit={submit} action={t("action.create")} act={act} fields={["amount_nanos", "count", "expires_at"]}>
      <TextField label={t("codes.amountUsd")} {...field("amount_nanos")} input={{ inputMode: "decimal", autofocus: true, placeholder: "10.00" }} />
      <TextField label={t("codes.count")} {...field("count")} input={{ inputMode: "numeric" }} />
      <TimeField label={t("keys.expiry")} {...field("expires_at")} hint={t("codes.expiryHint")} />
    </FormDialog>
  );
}
